"""Offline training of one network on recordings; what leaves this room begins in `loop`."""

from tclif_core.training.examples import Example
from tclif_core.training.loop import Training, TrainingState
from tclif_core.training.reports import PassReport, UpdateReport
from tclif_core.training.spec import TrainingSpec

__all__ = [
    "Example",
    "PassReport",
    "Training",
    "TrainingSpec",
    "TrainingState",
    "UpdateReport",
]
