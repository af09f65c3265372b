"""Files of camera events as a source of labelled recordings.

<label>_<take>.bin           N-MNIST as one folder
<label>/<name>.raw           a folder for each label
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from typing_extensions import override

from clients.event_camera.camera_events import Decoded
from clients.event_camera.event_file import SUFFIXES, read_event_file
from clients.event_camera.field_of_view import FieldOfView
from clients.recordings import Recording, Source, UnreadableSource, numbers_first

_log = logging.getLogger(__name__)


def event_files(folder: Path) -> list[Path]:
    """List the event files of a folder and of the folders in it, in the order of their paths."""
    paths = [*folder.glob("[!._]*"), *folder.glob("[!._]*/[!._]*")]
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file())


class EventFolder(Source):
    """Recordings of one camera, each a file; where a file is damaged, what can be read of it."""

    def __init__(
        self,
        folder: Path,
        *,
        size: tuple[int, int] | None,
        view: Callable[[tuple[int, int]], FieldOfView],
    ) -> None:
        """List the files and their labels; only the first is read, to learn the camera's size.

        Args:
            folder: Holds the files, or a folder for each label.
            size: Columns and rows of the camera; None: the first file tells.
            view: Makes of the size what is streamed of the picture.

        Raises:
            UnreadableSource: There are no files, or one has no label in its name or is unreadable.
            ValueError: The size is not known, or the view does not fit it.
        """
        self._folder = folder
        self._paths = event_files(folder)
        if not self._paths:
            raise UnreadableSource(f"{folder}: no files in {', '.join(SUFFIXES)}")
        self._names = [_label(path, folder) for path in self._paths]
        classes = sorted(set(self._names), key=numbers_first)
        self._labels = {name: label for label, name in enumerate(classes)}
        self._reported: set[Path] = set()
        size = size or self._read(self._paths[0]).size
        if size is None:
            raise ValueError(
                f"{self._paths[0]} does not tell the camera's size: size=WxH is needed"
            )
        self._view = view(size)
        super().__init__(folder.name, self._view.camera, classes)

    @override
    def __len__(self) -> int:
        return len(self._paths)

    @override
    def load(self, index: int) -> Recording:
        self.check_index(index)
        path, name = self._paths[index], self._names[index]
        times_us, addresses = self._view.addresses(self._read(path).events)
        # a camera's clock may have started long before the recording
        order = np.argsort(times_us, kind="stable")
        times_us = times_us[order] - times_us.min(initial=np.iinfo(np.int64).max)
        return Recording(
            times_us=times_us,
            addresses=addresses[order],
            label=self._labels[name],
            label_name=name,
            duration_us=int(times_us[-1]) + 1 if times_us.size else 1,
            speaker=None,
            key=path.relative_to(self._folder).as_posix(),
        )

    def _read(self, path: Path) -> Decoded:
        decoded = read_event_file(path)
        if decoded.damage and path not in self._reported:
            # once, not at each pass
            self._reported.add(path)
            _log.warning("%s is damaged, the rest is used: %s", path, _parts(decoded))
        return decoded


def _parts(decoded: Decoded) -> str:
    return "; ".join(str(part) for part in decoded.damage)


def _label(path: Path, folder: Path) -> str:
    if path.parent != folder:
        return path.parent.name
    label, mark, _ = path.stem.rpartition("_")
    if not mark or not label:
        raise UnreadableSource(f"{path}: a name like <label>_<take>{path.suffix} was expected")
    return label
