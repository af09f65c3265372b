"""Offline training of one network on recordings; what leaves this room begins in `loop`."""

from tclif_core.training.loop import Training, TrainingState

__all__ = ["Training", "TrainingState"]
