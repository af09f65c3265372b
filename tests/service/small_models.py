"""A small network that has learnt something, as a model."""

import numpy as np

from tclif_core import Learner, LearningSpec, Model, NetworkSpec

NETWORK = NetworkSpec(inputs=5, hidden=(4, 3), classes=3)


def small_model(seed: int = 1, **fields: object) -> Model:
    """Return a model whose weights are those of a seed, moved a little."""
    learner = Learner(NETWORK, LearningSpec(), kernel="reference")
    slot = learner.open(seed=seed, rate=0.0)
    weights = learner.weights(slot)
    weights["readout.b"] = np.full_like(weights["readout.b"], 0.25)
    values: dict[str, object] = {
        "network": NETWORK,
        "learning": LearningSpec(),
        "weights": weights,
        "classes": ("zero", "one", "two"),
        "tick_us": 5000,
        "sensor": {"kind": "raw", "addresses": 5},
        "provenance": {"seed": seed},
    } | fields
    return Model(**values)  # type: ignore[arg-type]  # whatever a test says
