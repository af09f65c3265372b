"""An interrupted training on disk: one sealed safetensors file, no pickle.

A checkpoint is written beside its place and moved there when it is whole, so that whatever happens
there is a whole one, the new or the one before.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from tclif_core.sealed_tensors import seal, unseal
from tclif_core.strict_json import FileFault
from tclif_core.training import TrainingState
from tclif_core.whole_file import write_whole

_KIND: Final = "tclif-training"
_SCHEMA: Final = 1


class UnreadableCheckpoint(ValueError):
    """A file is no checkpoint of a training, or a damaged one; the message says what."""


class Checkpoint(NamedTuple):
    """An interrupted run.

    Attributes:
        state: Of the training.
        run: What the command adds to it, plain JSON values.
    """

    state: TrainingState
    run: Mapping[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in place of what is at the path.

    Raises:
        OSError: It can't be written; what was at the path stays.
    """
    tensors = {name: tensor.numpy() for name, tensor in checkpoint.state.tensors.items()}
    document = {"run": dict(checkpoint.run), "training": checkpoint.state.values}
    write_whole(path, seal(_KIND, _SCHEMA, document, tensors))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableCheckpoint: It is damaged, something else, or of another version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--resume: there is no interrupted run {path}")
    try:
        with path.open("rb") as file:
            document, arrays = unseal(file, _KIND, _SCHEMA)
    except FileFault as fault:
        raise UnreadableCheckpoint(f"{path}: damaged, or no interrupted run: {fault}") from fault
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Checkpoint(TrainingState(tensors, document["training"]), document["run"])


def check_writable(option: str, path: Path) -> None:
    """Find out now, not after hours, that a file has no place to go.

    Raises:
        OSError: The folder is missing or takes no files, or the path is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{option} {path}: this is a folder, a file was expected")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{option} {path}: there is no folder {path.parent}")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(f"{option} {path}: can't write into {path.parent}: {error}") from error
