"""Adaptive TC-LIF networks that learn online with e-prop: arrays in, arrays out."""

from tclif_core.batch import AdvanceResult, EventBlock, SlotIndex, Strand
from tclif_core.hyperparameters import DecayProfile, LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.learner import Learner
from tclif_core.model_file import Model, ModelFileError, read_model, write_model

__all__ = [
    "AdvanceResult",
    "DecayProfile",
    "EventBlock",
    "Learner",
    "LearningSpec",
    "Model",
    "ModelFileError",
    "NetworkSpec",
    "NeuronSpec",
    "SlotIndex",
    "Strand",
    "read_model",
    "write_model",
]
