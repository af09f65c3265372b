"""Adaptive TC-LIF networks that learn online with e-prop: arrays in, arrays out."""

from tclif_core.batch import AdvanceResult, EventBlock, SlotIndex, Strand
from tclif_core.class_growth import grow_rows, grow_state
from tclif_core.hyperparameters import DecayProfile, LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.learner import Learner
from tclif_core.model_file import (
    Model,
    ModelFileError,
    pack_model,
    peek_model,
    read_model,
    unpack_model,
    write_model,
)
from tclif_core.operation_counts import (
    Activity,
    Operations,
    inference_operations,
    learning_operations,
)
from tclif_core.sealed_tensors import peek, seal, unseal
from tclif_core.strict_json import FileFault, json_object
from tclif_core.whole_file import write_whole

__all__ = [
    "Activity",
    "AdvanceResult",
    "DecayProfile",
    "EventBlock",
    "FileFault",
    "Learner",
    "LearningSpec",
    "Model",
    "ModelFileError",
    "NetworkSpec",
    "NeuronSpec",
    "Operations",
    "SlotIndex",
    "Strand",
    "grow_rows",
    "grow_state",
    "inference_operations",
    "json_object",
    "learning_operations",
    "pack_model",
    "peek",
    "peek_model",
    "read_model",
    "seal",
    "unpack_model",
    "unseal",
    "write_model",
    "write_whole",
]
