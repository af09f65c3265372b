"""Compare every backend with vector files: ``python -m tests.oracles.check_vectors FILE...``.

Prints a row for each file, backend and quantity: the largest difference and the largest allowed
one. Ends with status 1 if anything differs by more than `tolerances` allows, or a file is
unreadable.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tests.oracles.tolerances import THRESHOLD_MARGIN, TOLERANCES
from tests.oracles.vector_player import Measured, Player
from tests.oracles.vectors import UnreadableVectorsError, VectorCase, read_vectors

BACKENDS = {
    "reference float64": ("reference", torch.float64),
    "reference float32": ("reference", torch.float32),
    "cpu float32": ("cpu", torch.float32),
}
if torch.cuda.is_available():
    BACKENDS["cuda float32"] = ("cuda", torch.float32)


@dataclass
class Finding:
    """The worst of one quantity over all its arrays and ticks.

    Attributes:
        quantity: Row of the tolerance table, or a law of its own.
        n_numbers: How many numbers were compared.
        difference: Of the worst array, the largest difference.
        allowed: At that array.
        where: That array and its tick.
        failed: Whether any array differs by more than allowed.
    """

    quantity: str
    n_numbers: int = 0
    difference: float = 0.0
    allowed: float = 0.0
    where: str = ""
    failed: bool = False

    def take(self, measured: Measured, allowed: float) -> None:
        """Take one more array in."""
        gap = np.abs(measured.actual - measured.expected)
        difference = float(gap.max(initial=0.0))
        self.n_numbers += gap.size
        # written so that a NaN fails
        fails = not difference <= allowed
        if (
            not self.where
            or fails > self.failed
            or difference * self.allowed > (self.difference * allowed)
        ):
            tick = "" if measured.tick < 0 else f" at tick {measured.tick}"
            self.where = measured.where + tick
            self.difference, self.allowed = difference, allowed
        self.failed = self.failed or fails


def compare(case: VectorCase, backend: str) -> tuple[list[Finding], str]:
    """Compare one backend with one file.

    Args:
        case: The file.
        backend: Key of `BACKENDS`.

    Returns:
        The findings, one a quantity; and a remark, empty if all that the file holds was compared.
    """
    kernel, dtype = BACKENDS[backend]
    tolerances = TOLERANCES[backend]
    findings = {quantity: Finding(quantity) for quantity in tolerances}
    remark = ""
    is_double = dtype == torch.float64
    for measured in Player(case, kernel, dtype).measure(from_file=not is_double):
        if measured.quantity == "spikes" and not is_double:
            remark = _undecidable(case, measured)
            if remark:
                break
        allowed = tolerances[measured.quantity].allowed(measured.expected)
        if measured.quantity == "gradient":
            allowed += _rounding_of_steps(case, measured, torch.finfo(dtype).eps)
        findings[measured.quantity].take(measured, allowed)
    return [*findings.values(), _same_bits_however_cut(case, backend)], remark


def _rounding_of_steps(case: VectorCase, measured: Measured, epsilon: float) -> float:
    """Return what rounding alone leaves in a gradient that is read off weights moved by SGD."""
    name = measured.where.removesuffix(".gradient")
    if case.rate == 0 or name not in case.weight_names:
        return 0.0
    largest = float(np.abs(case.arrays[f"{name}.after"]).max())
    return case.n_ticks * epsilon / 2 * largest / case.rate


def _undecidable(case: VectorCase, measured: Measured) -> str:
    """Say which spikes rounding alone decided, if any differ and all that differ are such."""
    differing = measured.actual != measured.expected
    if not differing.any():
        return ""
    soma = case.arrays[measured.where.replace("spikes", "soma")][measured.tick]
    scale = np.maximum(np.abs(soma), 1.0)
    distance = np.abs(soma - case.network.neuron.threshold) / scale
    if (distance[differing] > THRESHOLD_MARGIN).any():
        return ""
    return (
        f"{int(differing.sum())} neurons of {measured.where} sit within {THRESHOLD_MARGIN:g} of"
        f" the threshold at tick {measured.tick} and spike otherwise in float32:"
        " compared up to there"
    )


def _same_bits_however_cut(case: VectorCase, backend: str) -> Finding:
    """Play tick by tick and segment by segment: not one bit may differ."""
    kernel, dtype = BACKENDS[backend]
    ticks, segments = Player(case, kernel, dtype), Player(case, kernel, dtype)
    finding = Finding("same bits in blocks")
    pairs = {"logits": (ticks.play_ticks(), segments.play_segments())}
    for name in ("parameters", "gradients", "state"):
        rows = (getattr(player.learner.bank, name).cpu().numpy() for player in (ticks, segments))
        first, second = rows
        pairs[name] = (first, second)
    for name, (one, other) in pairs.items():
        finding.take(Measured("", name, -1, np.asarray(one), np.asarray(other)), 0.0)
    return finding


def main(paths: Sequence[str]) -> int:
    """Compare every backend with every file; print a table; return the exit status."""
    if not paths:
        print("usage: python -m tests.oracles.check_vectors FILE.npz...", file=sys.stderr)  # noqa: T201 - a command
        return 2
    failed = False
    for path in paths:
        try:
            case = read_vectors(Path(path))
        except UnreadableVectorsError as error:
            print(f"UNREADABLE {error}")  # noqa: T201 - a command
            failed = True
            continue
        for backend in BACKENDS:
            findings, remark = compare(case, backend)
            failed |= _print_findings(case, backend, findings, remark)
    print("FAILED" if failed else "all agree")  # noqa: T201 - a command
    return int(failed)


def _print_findings(case: VectorCase, backend: str, findings: list[Finding], remark: str) -> bool:
    for finding in findings:
        verdict = "FAIL" if finding.failed else "ok"
        print(  # noqa: T201 - a command
            f"{verdict:4} {case.name:28} {backend:18} {finding.quantity:20}"
            f" {finding.n_numbers:8} numbers, differ by {finding.difference:.1e},"
            f" allowed {finding.allowed:.1e}  ({finding.where})"
        )
    if remark:
        print(f"note {case.name:28} {backend:18} {remark}")  # noqa: T201 - a command
    return any(finding.failed for finding in findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
