"""What measurements on a GPU say where there is none."""

import re

import pytest
import torch

from benchmarks import gpu_device


@pytest.mark.parametrize(
    ("interpreted", "said"),
    [
        ("0", r"this needs a GPU, and there is none that PyTorch \S+, a build for .+, can see"),
        ("1", "there is TRITON_INTERPRET in the environment: programs would run on the CPU"),
    ],
)
def test_without_a_gpu_the_command_ends_with_a_sentence_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    interpreted: str,
    said: str,
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", interpreted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    status = gpu_device.main()

    assert status == 1
    assert re.search(said, capsys.readouterr().err)
