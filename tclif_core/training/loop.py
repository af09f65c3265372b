"""Offline training of one network on recordings, update by update, in the caller's hands.

    training = Training(network, learning, spec, examples, validation)
    for report in training.run():
        ...                          # stop here whenever you like
    weights = training.weights()

No clock, no thread, no file: between any two reports `state` returns all that a training is, and a
training of equal settings and examples that was given it goes on bit for bit as if it had never
been interrupted.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.training.augmentation import vary
from tclif_core.training.bptt import BpttTraining
from tclif_core.training.candidates import Candidates
from tclif_core.training.eprop import EpropTraining
from tclif_core.training.evaluation import Evaluation, Evaluator
from tclif_core.training.examples import Example, digest
from tclif_core.training.order import VARIATION_STREAM, generator, updates_of_pass
from tclif_core.training.reports import (
    NotFinite,
    OtherTraining,
    PassReport,
    StopReason,
    UpdateReport,
)
from tclif_core.training.scores import Tally
from tclif_core.training.spec import TrainingSpec

_PROBED = 256
"""Training examples that firing rates are taken from where there is no validation."""


class TrainingState(NamedTuple):
    """All that a training is, to be stored.

    Attributes:
        tensors: By name, copies.
        values: Plain JSON values.
    """

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]


class _Method(Protocol):
    """What moves the weights."""

    def learn(self, examples: Sequence[Example], rate: float, tally: Tally) -> bool: ...

    def weights(self) -> dict[str, NDArray[np.floating]]: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def restore(self, state: Mapping[str, torch.Tensor]) -> None: ...


class Training:
    """One network in training.

    Attributes:
        history: The passes so far.
        stop_reason: Why it is finished; None while it is not.
    """

    def __init__(
        self,
        network: NetworkSpec,
        learning: LearningSpec,
        spec: TrainingSpec,
        examples: Sequence[Example],
        validation: Sequence[Example] = (),
        *,
        kernel: str = "cpu",
    ) -> None:
        """Make a fresh network from the seed.

        Args:
            network: Sizes and constants.
            learning: How weights move; its rate is that of ``spec``.
            spec: How often and on what variations.
            examples: What is learnt.
            validation: What the passes are judged by; never learnt.
            kernel: See `Learner`; for evaluation it serves both methods.

        Raises:
            ValueError: There is nothing to learn, patience without validation, or specifications
                that do not fit each other.
        """
        if not examples:
            raise ValueError("there are no examples to learn")
        if learning.update == "frozen":
            raise ValueError("update 'frozen' learns nothing")
        if spec.patience and not validation:
            raise ValueError(f"patience {spec.patience} needs validation, there is none")
        self.network, self.learning, self.spec = network, learning, spec
        self.history: list[PassReport] = []
        self.stop_reason: StopReason | None = None
        self._examples, self._validation = examples, validation
        self._digests = {"training": digest(examples), "validation": digest(validation)}
        self._lengths = [example.n_ticks for example in examples]
        self._evaluator = Evaluator(network, learning.loss, seed=spec.seed, kernel=kernel)
        self._method: _Method = (
            EpropTraining(network, learning, spec, kernel=kernel)
            if spec.method == "eprop"
            else BpttTraining(network, learning, spec)
        )
        self._candidates = Candidates(max(1, spec.average_last))
        self._updates: list[tuple[int, ...]] = []
        self._begin_pass()

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.stop_reason is not None

    @property
    def n_examples(self) -> int:
        """Examples in a pass."""
        return len(self._examples)

    @property
    def kept_pass(self) -> int:
        """Number of the pass whose weights `weights` returns, from 1; 0 before the first ended."""
        return self._candidates.best_pass if self.spec.patience else len(self.history)

    def warm_up(self) -> None:
        """Compile what training needs, so that the first update takes no longer than the others."""
        self._evaluator.warm_up()

    def run(self) -> Iterator[UpdateReport | PassReport]:
        """Train until all passes are over or validation stays behind; see `advance`."""
        while not self.is_finished:
            yield self.advance()

    def advance(self) -> UpdateReport | PassReport:
        """Make one more update, or end a pass and judge it.

        Raises:
            NotFinite: The gradient is not finite; the weights are those of the update before.
            ValueError: Training is finished, or an example does not fit the network.
        """
        if self.is_finished:
            raise ValueError(f"training is finished after {len(self.history)} passes")
        if self._n_updates < len(self._updates):
            return self._learn_next()
        return self._end_pass()

    def weights(self) -> dict[str, NDArray[np.floating]]:
        """Return the weights to keep: with patience the best pass's, else the latest.

        Raises:
            ValueError: No pass has ended yet.
        """
        if not self.history:
            raise ValueError("no pass has ended yet")
        return self._candidates.best() if self.spec.patience else self._candidates.latest()

    def evaluate(self, examples: Sequence[Example]) -> Evaluation:
        """Judge the weights to keep on other examples.

        Raises:
            ValueError: No pass has ended yet, or an example does not fit the network.
        """
        return self._evaluator.evaluate(self.weights(), examples)

    def state(self) -> TrainingState:
        """Return all that this training is, for `restore`."""
        method = {f"method.{name}": value for name, value in self._method.state().items()}
        values = {
            "settings": self._settings(),
            "n_updates": self._n_updates,
            "n_done": self._n_done,
            "tally": self._tally.to_dict(),
            "history": [report.to_dict() for report in self.history],
            "stop_reason": self.stop_reason,
            "candidates": self._candidates.values(),
        }
        return TrainingState(method | self._candidates.tensors(), values)

    def restore(self, state: TrainingState) -> None:
        """Go on from what `state` returned, bit for bit.

        Raises:
            OtherTraining: The state belongs to other settings or examples, the first of which it
                names; nothing changed.
            ValueError: A tensor is missing or unknown; nothing changed.
        """
        values = state.values
        _check_same(values["settings"], self._settings())
        is_method = {name: name.startswith("method.") for name in state.tensors}
        self._method.restore(
            {n.removeprefix("method."): t for n, t in state.tensors.items() if is_method[n]}
        )
        others = {name: t for name, t in state.tensors.items() if not is_method[name]}
        self._candidates.restore(others, values["candidates"])
        self.history = [PassReport.from_dict(report) for report in values["history"]]
        self.stop_reason = values["stop_reason"]
        self._begin_pass()
        self._n_updates, self._n_done = values["n_updates"], values["n_done"]
        self._tally = Tally(**values["tally"])

    def _begin_pass(self) -> None:
        self._updates = updates_of_pass(self.spec, len(self.history), self._lengths)
        self._n_updates = self._n_done = 0
        self._tally = Tally()

    def _rate(self, n_updates: int) -> float:
        """Return the rate of the update of that number in this pass."""
        spec = self.spec
        if spec.rate_schedule == "constant":
            return spec.rate
        n_before = len(self.history) * len(self._updates) + n_updates
        share = n_before / (spec.passes * len(self._updates))
        return spec.rate * 0.5 * (1.0 + math.cos(math.pi * share))

    def _learn_next(self) -> UpdateReport:
        chosen = self._updates[self._n_updates]
        varied = [self._varied(index) for index in chosen]
        # a failed update leaves no answers behind
        pass_number, tally = len(self.history) + 1, replace(self._tally)
        if not self._method.learn(varied, self._rate(self._n_updates), tally):
            raise NotFinite(pass_number, self._n_done)
        self._tally = tally
        self._n_updates += 1
        self._n_done += len(chosen)
        return UpdateReport(pass_number, self._n_done, len(self._examples), tally.score, tally.loss)

    def _varied(self, index: int) -> Example:
        example = self._examples[index]
        if not self.spec.varies_examples:
            return example
        draw = generator(self.spec.seed, VARIATION_STREAM, len(self.history), index)
        return vary(example, self.spec, self.network.inputs, draw)

    def _end_pass(self) -> PassReport:
        self._candidates.add(self._method.weights())
        weights, pass_number = self._candidates.latest(), len(self.history) + 1
        judged = self._evaluator.evaluate(weights, self._validation or self._examples[:_PROBED])
        score = judged.tally.score if self._validation else None
        loss = judged.tally.loss if self._validation else None
        is_best = self._candidates.judge(weights, pass_number, score, loss)
        report = PassReport(
            pass_number=pass_number,
            rate=self._rate(self._n_updates - 1),
            train_score=self._tally.score,
            train_loss=self._tally.loss,
            validation_score=score,
            validation_loss=loss,
            firing_rates=judged.firing_rates,
            weight_change=judged.weight_change,
            is_best=is_best and bool(self._validation),
        )
        self.history.append(report)
        self.stop_reason = self._reason_to_stop()
        self._begin_pass()
        return report

    def _reason_to_stop(self) -> StopReason | None:
        n_passes, patience = len(self.history), self.spec.patience
        if n_passes >= self.spec.passes:
            return "passes"
        if patience and n_passes - self._candidates.best_pass >= patience:
            return "patience"
        return None

    def _settings(self) -> dict[str, Any]:
        return {
            "network": self.network.to_dict(),
            "learning": self.learning.to_dict(),
            "training": self.spec.to_dict(),
            "examples": self._digests,
        }


def _check_same(held: Mapping[str, Any], came: Mapping[str, Any], path: str = "") -> None:
    for name in sorted(held.keys() | came.keys()):
        one, other = held.get(name), came.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            _check_same(one, other, f"{path}{name}.")
        elif one != other:
            raise OtherTraining(f"{path}{name}", one, other)
