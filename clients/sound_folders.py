"""Folders of recorded words (wav, flac, ogg) as a source, in the two layouts that are common.

    speaker   <speaker>/<label>_<take>.flac      Free Spoken Digit Dataset, one folder a speaker
    label     <label>/<speaker>_nohash_<n>.wav   Google Speech Commands, one folder a word

In the second layout the file's name is free; what stands before ``_nohash_`` is taken as speaker.
Folders whose names begin with ``_`` or a dot (background noise) are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from typing_extensions import override

from clients.cochlea_design import CochleaSpec
from clients.optional_packages import import_optional
from clients.recordings import UnreadableSource, numbers_first
from clients.sound_source import Sound, SoundSource

SUFFIXES: Final = (".wav", ".flac", ".ogg")

Layout = Literal["speaker", "label"]

_HASH_MARK: Final = "_nohash_"


@dataclass(frozen=True, slots=True)
class _Take:
    path: Path
    label_name: str
    speaker: str | None


class SoundFolder(SoundSource):
    """Recordings of a folder of sound files, in the order of their paths."""

    def __init__(
        self, folder: Path, *, layout: Layout | None = None, spec: CochleaSpec | None = None
    ) -> None:
        """List the files and their labels; no sound is read yet.

        Args:
            folder: Holds one folder for each speaker or label.
            layout: Which of the module's two layouts; None looks at the files' names: it is
                ``label`` if one of them is not ``<label>_<take>`` with a numeric take.
            spec: The cochlea's parameters; None means the defaults.

        Raises:
            FileNotFoundError: There is no such folder.
            UnreadableSource: It holds no sound files one level down, or a name does not fit.
            MissingPackage: soundfile is not installed.
        """
        self._soundfile = import_optional("soundfile", "to read sound files")
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder}")
        paths = sorted(p for p in folder.glob("[!._]*/*") if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise UnreadableSource(
                f"{folder}: no sound files; expected <speaker>/<label>_<take>.flac or "
                f"<label>/<name>.wav with one of {', '.join(SUFFIXES)}"
            )
        self._folder = folder
        chosen = layout or _layout_of(paths)
        self._takes = [_take(path, chosen) for path in paths]
        names = sorted({take.label_name for take in self._takes}, key=numbers_first)
        self._labels = {name: label for label, name in enumerate(names)}
        super().__init__(folder.name, names, spec=spec)

    @override
    def __len__(self) -> int:
        return len(self._takes)

    @override
    def sound(self, index: int) -> Sound:
        self.check_index(index)
        take = self._takes[index]
        try:
            samples, sample_rate = self._soundfile.read(take.path, dtype="float32", always_2d=True)
        except self._soundfile.SoundFileError as error:
            raise UnreadableSource(f"{take.path}: damaged, or not a sound file: {error}") from error
        return Sound(
            samples=samples.mean(axis=1, dtype=np.float32),
            sample_rate=sample_rate,
            label=self._labels[take.label_name],
            speaker=take.speaker,
            key=take.path.relative_to(self._folder).as_posix(),
        )


def _layout_of(paths: Sequence[Path]) -> Layout:
    """Look at the files' names: is the label in them, or in the folder's name?"""
    for path in paths:
        label, _, take = path.stem.rpartition("_")
        if _HASH_MARK in path.stem or not label or not take.isdecimal():
            return "label"
    return "speaker"


def _take(path: Path, layout: Layout) -> _Take:
    if layout == "label":
        speaker, mark, _ = path.stem.partition(_HASH_MARK)
        return _Take(path, path.parent.name, speaker if mark else None)
    label_name, _, number = path.stem.rpartition("_")
    if not label_name or not number.isdecimal():
        raise UnreadableSource(f"{path}: expected a name like <label>_<take>{path.suffix}")
    return _Take(path, label_name, path.parent.name)
