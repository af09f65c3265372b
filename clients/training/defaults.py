"""What ``tclif-train`` does where nobody says otherwise, all in one place."""

from pathlib import Path
from typing import Final

from tclif_core import LearningSpec, NeuronSpec
from tclif_core.training.spec import Method, TrainingSpec

HIDDEN: Final = (128, 128)
TICK_US: Final = 5000
VALIDATE_SHARE: Final = 0.1
"""Of the speakers, or of the recordings where no speakers are known."""

OUTPUT: Final = Path("model.safetensors")

NEURON: Final = NeuronSpec()
READOUT_DECAY: Final = 0.98

LEARNING: Final[dict[Method, LearningSpec]] = {
    # each update comes from one recording: momentum would push toward labels that have passed
    "eprop": LearningSpec(first_moment_decay=0.0),
    "bptt": LearningSpec(),
}

TRAINING: Final[dict[Method, TrainingSpec]] = {
    "eprop": TrainingSpec(
        method="eprop",
        passes=12,
        rate=0.0005,
        rate_schedule="cosine",
        channel_jitter=5.0,
    ),
    "bptt": TrainingSpec(
        method="bptt",
        passes=12,
        rate=0.002,
        rate_schedule="cosine",
        examples_per_update=32,
        channel_jitter=5.0,
    ),
}

LOWEST_FIRING_RATE: Final = 0.005
"""Spikes a neuron and tick below which a layer has next to nothing to learn from."""

HIGHEST_FIRING_RATE: Final = 0.4
"""The same above which its spikes tell little apart."""
