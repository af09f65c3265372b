"""Files that are written whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from tclif_core.whole_file import write_whole


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a longer one before")

    write_whole(path, b"after")

    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="folders can't be flushed here")
def test_the_contents_are_flushed_before_the_move_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed, fsync = tmp_path / "file", [], os.fsync

    def noting(number: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "contents"
        flushed.append((kind, path.exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", noting)

    write_whole(path, b"new")

    assert flushed == [("contents", False), ("folder", True)]


def test_a_full_disk_leaves_what_was_there_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left on device") as refusal:
        write_whole(path, b"after")

    assert (refusal.value.errno, refusal.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_has_vanished_is_named_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "file"

    with pytest.raises(FileNotFoundError) as refusal:
        write_whole(path, b"new")

    assert refusal.value.filename == str(path)


def test_an_interruption_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"after")

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
