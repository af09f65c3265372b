"""One door to every source of recordings: `open_source` picks the reader by a string.

    data/shd_train.h5.gz                     a file in the layout of SHD, .h5 or .h5.gz
    data/fsdd                                a folder of sound files, through the cochlea
    data/nmnist/train                        a folder of camera events, `clients.event_camera`
    shd:train  ssc:valid                     the published sets, downloaded once by tonic
    digits:english?n=600&voices=8&seed=7     synthesised digits: english, german, shd (both)

Options follow a question mark, joined by ``&``. Files, sound, digits: ``channels`` of the sensor
(700). Folders of sound: ``layout``, ``speaker`` or ``label``. Folders of camera events: ``size``,
``roi``, ``pool``, ``polarity``, ``time_scale`` (docs/sensors.md). Published sets: ``folder``, where
they are kept. Digits: ``n`` recordings, ``voices`` (``8`` for numbers 0 to 7, ``8-11`` for those
four), ``seed``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clients.cochlea_design import CochleaSpec
from clients.event_camera.event_folder import EventFolder, event_files
from clients.event_camera.view_options import take_size, take_view
from clients.recordings import CochleaSensor, Recording, Source, UnreadableSource
from clients.sound_folders import Layout, SoundFolder
from clients.source_options import SourceOptions
from clients.spike_files import DOWNLOADS, HEIDELBERG_SPLITS, SpikeFile, open_heidelberg
from clients.spoken_digits import WORDS, SpokenDigits

__all__ = ["KNOWN", "CochleaSensor", "Recording", "Source", "UnreadableSource", "open_source"]

KNOWN: Final = (
    "a file ending in .h5 or .h5.gz",
    "a folder of sound files",
    "a folder of files of camera events",
    *(f"{name}:{part}" for name, parts in HEIDELBERG_SPLITS.items() for part in parts),
    *(f"digits:{language}" for language in WORDS),
)
"""What `open_source` understands, for messages and command lines."""

_LAYOUTS: Final[Mapping[str, Layout]] = {"speaker": "speaker", "label": "label"}


def open_source(text: str) -> Source:
    """Open a source of recordings; what it is, the string says.

    Args:
        text: One of the forms of this module's docstring.

    Raises:
        ValueError: Nothing is known by that string, or an option is unknown or has no such value;
            the message lists what there is.
        FileNotFoundError: There is no such file or folder.
        UnreadableSource: The file or folder is damaged, or not what it looks like.
        MissingPackage: A package of the extra ``clients`` is not installed.
    """
    name, _, query = text.partition("?")
    options = SourceOptions(name, query)
    scheme, colon, rest = name.partition(":")
    if colon and scheme == "digits":
        source: Source = _open_digits(rest, options)
    elif colon and scheme in HEIDELBERG_SPLITS:
        folder = Path(options.take("folder", str, str(DOWNLOADS)))
        options.refuse_others()
        source = open_heidelberg(scheme, rest, folder)
    elif name.endswith((".h5", ".h5.gz")):
        channels = options.take("channels", int, 700)
        options.refuse_others()
        source = SpikeFile(Path(name), channels=channels)
    elif name and Path(name).is_dir():
        source = _open_folder(Path(name), options)
    else:
        raise ValueError(f"no source {text!r}; known are {', '.join(KNOWN)}")
    return source


def _open_digits(language: str, options: SourceOptions) -> SpokenDigits:
    n = options.take("n", int, 600)
    voices = options.take("voices", _voice_numbers, range(8))
    seed = options.take("seed", int, 7)
    spec = options.take("channels", _spec, CochleaSpec())
    options.refuse_others()
    return SpokenDigits(language, n=n, voices=voices, seed=seed, spec=spec)


def _open_folder(folder: Path, options: SourceOptions) -> Source:
    if event_files(folder):
        return _open_events(folder, options)
    layout = options.take("layout", _layout, None)
    spec = options.take("channels", _spec, CochleaSpec())
    options.refuse_others()
    return SoundFolder(folder, layout=layout, spec=spec)


def _open_events(folder: Path, options: SourceOptions) -> EventFolder:
    size = take_size(options)
    view = take_view(options, time_scale=options.take("time_scale", float, 1.0))
    options.refuse_others()
    return EventFolder(folder, size=size, view=view)


def _spec(text: str) -> CochleaSpec:
    return CochleaSpec(channels=int(text))


def _layout(text: str) -> Layout | None:
    if text not in _LAYOUTS:
        raise ValueError(f"expected {' or '.join(_LAYOUTS)}")
    return _LAYOUTS[text]


def _voice_numbers(text: str) -> range:
    """Read ``8`` as 0 to 7 and ``8-11`` as those four."""
    first, dash, last = text.partition("-")
    numbers = range(int(first), int(last) + 1) if dash else range(int(text))
    if not numbers:
        raise ValueError("expected a number above 0, or first-last")
    return numbers
