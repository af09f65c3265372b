"""The weights that may be kept at the end: an average of the latest passes, or the best so far."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.training.evaluation import Weights


class Candidates:
    """Weights after the latest passes, and the best ones by validation."""

    def __init__(self, n_averaged: int) -> None:
        """Start without any.

        Args:
            n_averaged: Passes whose weights are averaged, at least 1.
        """
        self._recent: deque[Weights] = deque(maxlen=n_averaged)
        self._best: Weights = {}
        self.best_pass = 0
        """Pass of the best validation, from 1; 0 before the first."""
        self._best_value = (-np.inf, -np.inf)

    def add(self, weights: Weights) -> None:
        """Take the weights after a pass."""
        self._recent.append(weights)

    def latest(self) -> dict[str, NDArray[np.floating]]:
        """Return the average over the latest passes, in the weights' own type."""
        latest = self._recent[-1]
        if len(self._recent) == 1:
            return dict(latest)
        averages: dict[str, NDArray[np.floating]] = {}
        for name, value in latest.items():
            # an average of numbers inside an interval is inside it
            stacked = np.stack([weights[name] for weights in self._recent])
            averages[name] = np.asarray(stacked.mean(axis=0, dtype=np.float64), value.dtype)
        return averages

    def best(self) -> dict[str, NDArray[np.floating]]:
        """Return what had the best validation."""
        return dict(self._best)

    def judge(
        self, weights: Weights, pass_number: int, score: float | None, loss: float | None
    ) -> bool:
        """Keep weights if no validation was better; return whether they are kept.

        Of equal scores the one of lower loss is better.
        """
        value = (
            -np.inf if score is None else score,
            -np.inf if loss is None or not np.isfinite(loss) else -loss,
        )
        if self.best_pass and value <= self._best_value:
            return False
        self._best, self.best_pass, self._best_value = dict(weights), pass_number, value
        return True

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return copies of all weights that are held, by name."""
        held = {f"recent{place}": weights for place, weights in enumerate(self._recent)}
        held["best"] = self._best
        return {
            f"{part}.{name}": torch.from_numpy(np.array(value))
            for part, weights in held.items()
            for name, value in weights.items()
        }

    def values(self) -> dict[str, Any]:
        """Return what is held beside the weights, as JSON values."""
        # JSON has no infinities
        value = [None if np.isinf(part) else part for part in self._best_value]
        return {"best_pass": self.best_pass, "best_value": value, "n_recent": len(self._recent)}

    def restore(self, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `values` returned."""

        def part(prefix: str) -> Weights:
            return {
                name.removeprefix(prefix): tensor.numpy().copy()
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }

        self._recent.clear()
        self._recent.extend(part(f"recent{place}.") for place in range(values["n_recent"]))
        self._best = part("best.")
        self.best_pass = values["best_pass"]
        score, negated_loss = (-np.inf if v is None else v for v in values["best_value"])
        self._best_value = (score, negated_loss)
