"""Interrupted trainings on disk."""

from pathlib import Path

import pytest
import torch

from clients.training.checkpoint import (
    Checkpoint,
    UnreadableCheckpoint,
    check_writable,
    read_checkpoint,
    write_checkpoint,
)
from tclif_core.training import TrainingState

STATE = TrainingState(
    {"w": torch.tensor([1.5, -0.0]), "empty": torch.zeros(0), "n": torch.tensor(7)},
    {"history": [], "score": 0.1},
)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.resume"

    write_checkpoint(path, Checkpoint(STATE, {"seconds": 2.5}))
    read = read_checkpoint(path)

    assert read.run == {"seconds": 2.5}
    assert read.state.values == STATE.values
    assert read.state.tensors.keys() == STATE.tensors.keys()
    for name, tensor in STATE.tensors.items():
        assert read.state.tensors[name].dtype == tensor.dtype
        assert read.state.tensors[name].shape == tensor.shape
        assert read.state.tensors[name].numpy().tobytes() == tensor.numpy().tobytes()


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.resume"
    write_checkpoint(path, Checkpoint(STATE, {}))
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(UnreadableCheckpoint, match="damaged, or no interrupted run"):
        read_checkpoint(path)


def test_a_changed_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.resume"
    write_checkpoint(path, Checkpoint(STATE, {"seconds": 1.0}))
    whole = path.read_bytes()

    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UnreadableCheckpoint):
            read_checkpoint(path)


def test_a_file_as_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FileNotFoundError, match=r"--output .*: there is no folder"):
        check_writable("--output", tmp_path / "file" / "model")
