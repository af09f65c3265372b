from pathlib import Path

import pytest

from clients import events, replay


def test_options_of_the_camera_go_to_the_source_and_others_to_the_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[list[str]] = []

    def note(line: list[str]) -> int:
        heard.append(line)
        return 7

    monkeypatch.setattr(replay, "main", note)

    code = events.main(["folder", "--pool", "2", "--speed", "max", "--time-scale", "0.5"])

    assert code == 7
    assert heard == [["folder?pool=2&time_scale=0.5", "--speed", "max"]]


def test_a_file_is_looked_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes([2, 1, 0, 0, 5, 3, 1, 0x80, 0, 9, 1]))

    code = events.main(["--inspect", str(path)])

    assert code == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: 2 events, size 34x34, 0.000004 s from 5 us, 0.500 on",
        "damaged: 1 bytes at offset 10: the file ends in mid-event",
    ]


def test_a_file_that_is_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert events.main(["--inspect", str(tmp_path / "none.raw")]) == 1
    assert capsys.readouterr().err.startswith("tclif-events: ")
