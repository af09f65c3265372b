"""Event cameras at this machine, by the packages of those who make them.

    inivation   DAVIS, DVXplorer and others, by dv_processing (2.0 or later)
    prophesee   EVK and others, by metavision_core, of the Metavision SDK or of OpenEB

The packages wait for events in their own way, so a thread does that, and puts them where the loop
takes them.
"""

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from typing_extensions import Unpack, override

from clients.event_camera.camera_input import CameraInput, NoCamera, Pace
from clients.event_camera.datagrams import StampedEvents

_PAUSE_S: Final = 0.001
_SLICE_US: Final = 5000
_LAST_WAIT_S: Final = 2.0

# of what the packages raise without a camera, or for one that can't be used
_FAULTS: Final = (RuntimeError, OSError, ValueError, LookupError)


class _Camera(NamedTuple):
    """A camera that is open."""

    size: tuple[int, int]
    batches: Iterator[StampedEvents]


class VendorInput(CameraInput):
    """A camera that a package of its maker reads."""

    def __init__(self, maker: str | None = None, **pace: Unpack[Pace]) -> None:
        """Open the first camera that is found.

        Args:
            maker: ``"inivation"`` or ``"prophesee"``; None: whichever there is.
            pace: As of `CameraInput`.

        Raises:
            NoCamera: There is none, no package for it, or it can't be used; or no such maker.
        """
        camera = _first(MAKERS if maker is None else (maker,))
        super().__init__(camera.size, **pace)
        self._batches = camera.batches
        self._is_closing = threading.Event()
        self._fault: BaseException | None = None
        self._is_through = False
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)

    @override
    def start(self) -> None:
        self._thread.start()

    @override
    def close(self) -> None:
        self._is_closing.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_WAIT_S)

    @override
    def has_ended(self) -> bool:
        if self._thread.is_alive():
            return False
        if not self._is_through:
            # what no one expected of a package is in standard error
            reason = self._fault or "its package failed"
            raise NoCamera(f"the camera can't be read any more: {reason}") from self._fault
        return True

    def _read(self) -> None:
        try:
            for batch in self._batches:
                if self._is_closing.is_set():
                    break
                if len(batch):
                    self.put(batch)
                else:
                    self._is_closing.wait(_PAUSE_S)
            self._is_through = True
        except _FAULTS as fault:
            self._fault = fault


def _first(makers: tuple[str, ...]) -> _Camera:
    reasons = []
    for maker in makers:
        if maker not in _OPEN:
            raise NoCamera(f"a camera of {maker!r} came, {' or '.join(_OPEN)} was expected")
        package, origin, open_camera = _OPEN[maker]
        try:
            return open_camera(importlib.import_module(package))
        except ImportError as error:
            reasons.append(f"{maker} needs the package {package} ({origin}): {error}")
        except _FAULTS as fault:
            reasons.append(f"{maker}: {fault}")
    raise NoCamera("no camera: " + "; ".join(reasons))


def _open_inivation(dv: ModuleType) -> _Camera:
    if not hasattr(dv.io, "camera"):
        raise NoCamera("dv_processing 2.0 or later was expected")
    if not dv.io.camera.discover():
        raise NoCamera("none is connected, or this user may not use it")
    camera = dv.io.camera.open()
    width, height = camera.getEventResolution()
    return _Camera((int(width), int(height)), _of_inivation(camera))


def _of_inivation(camera: Any) -> Iterator[StampedEvents]:  # noqa: ANN401 - a package without types
    while camera.isRunning():
        batch = camera.getNextEventBatch()
        yield _NOTHING if batch is None else _stamped(batch.numpy(), "timestamp", "polarity")


def _open_prophesee(event_io: ModuleType) -> _Camera:
    # an empty path is the first camera
    slices = event_io.EventsIterator(input_path="", delta_t=_SLICE_US)
    height, width = slices.get_size()
    return _Camera((int(width), int(height)), (_stamped(part, "t", "p") for part in slices))


def _stamped(rows: Any, time: str, polarity: str) -> StampedEvents:  # noqa: ANN401 - a structured array
    return StampedEvents(
        stamps=rows[time].astype(np.int64) & 0xFFFFFFFF,
        x=rows["x"].astype(np.uint16),
        y=rows["y"].astype(np.uint16),
        polarity=(rows[polarity] > 0).astype(np.uint8),
    )


_NOTHING: Final = StampedEvents(
    np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint16), np.empty(0, np.uint8)
)

_OPEN: Final[Mapping[str, tuple[str, str, Callable[[ModuleType], _Camera]]]] = {
    "inivation": ("dv_processing", "pip install dv-processing", _open_inivation),
    "prophesee": (
        "metavision_core.event_io",
        "of the Metavision SDK or OpenEB",
        _open_prophesee,
    ),
}

MAKERS: Final = tuple(_OPEN)
"""Whose cameras can be opened, in the order of trying."""
