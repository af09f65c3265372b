"""Cameras of two makers; their packages' parts are played here, with the names of their API.

dv_processing's were read off version 2.0.4: ``io.camera.discover``, ``io.camera.open``, and of the
camera ``getEventResolution``, ``isRunning``, ``getNextEventBatch``, whose ``numpy()`` has fields
timestamp, x, y, polarity. metavision_core's are those of `EventsIterator` in its documentation: an
empty path is a camera, ``get_size`` is rows and columns, each slice has fields x, y, p, t.
"""

import asyncio
import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from clients.event_camera.camera_events import CameraEvents
from clients.event_camera.camera_input import NoCamera
from clients.event_camera.vendor_cameras import VendorInput
from tests.clients.event_camera.played_time import PlayedTime

DV_EVENT = np.dtype([("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "i1")])
METAVISION_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
Rows = npt.NDArray[np.void]


class Davis:
    """A camera of iniVation's package, which ends after its last batch."""

    def __init__(self, batches: list[Rows | None], fault: Exception | None = None) -> None:
        self._batches = batches
        self._fault = fault

    def getEventResolution(self) -> tuple[int, int]:  # noqa: D102, N802 - as the package
        return 346, 260

    def isRunning(self) -> bool:  # noqa: D102, N802
        return bool(self._batches) or self._fault is not None

    def getNextEventBatch(self) -> SimpleNamespace | None:  # noqa: D102, N802
        if not self._batches and self._fault is not None:
            raise self._fault
        rows = self._batches.pop(0)
        return None if rows is None else SimpleNamespace(numpy=lambda: rows)


class EventsIterator:
    """Prophesee's iterator over slices of time."""

    slices: tuple[Rows, ...] = ()

    def __init__(self, input_path: str, delta_t: int) -> None:
        assert (input_path, delta_t) == ("", 5000)

    def get_size(self) -> tuple[int, int]:  # noqa: D102
        return 720, 1280

    def __iter__(self) -> Iterator[Rows]:
        return iter(self.slices)


def play_dv(monkeypatch: pytest.MonkeyPatch, *cameras: Davis) -> None:
    found = SimpleNamespace(discover=lambda: list(cameras), open=lambda: cameras[0])
    monkeypatch.setitem(
        sys.modules, "dv_processing", SimpleNamespace(io=SimpleNamespace(camera=found))
    )


def play_metavision(monkeypatch: pytest.MonkeyPatch, *slices: Rows) -> None:
    package, event_io = ModuleType("metavision_core"), ModuleType("metavision_core.event_io")
    played = type("Played", (EventsIterator,), {"slices": slices})
    event_io.EventsIterator = played  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "metavision_core", package)
    monkeypatch.setitem(sys.modules, "metavision_core.event_io", event_io)


def take_away(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


async def all_events(camera: VendorInput, time: PlayedTime) -> CameraEvents:
    """Take the block that is given once the camera's thread is through, which is the only one."""
    blocks = camera.blocks()
    first = asyncio.ensure_future(anext(blocks))
    await asyncio.sleep(0)
    for thread in threading.enumerate():
        if thread.name == "camera":
            thread.join(300)
    time.pulse()
    events = (await first).events
    assert [block async for block in blocks] == []
    return events


async def test_the_first_camera_of_inivation_is_read_batch_after_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = np.array([(1_700_000_000_000_000, 3, 4, 1), (1_700_000_000_000_020, 5, 6, 0)], DV_EVENT)
    second = np.array([(1_700_000_000_000_050, 345, 259, 1)], DV_EVENT)
    play_dv(monkeypatch, Davis([first, None, second]))
    time = PlayedTime()

    camera = VendorInput(clock=time.clock, sleep=time.sleep)
    events = await all_events(camera, time)

    assert camera.size == (346, 260)
    # the first newest one happened at 0
    assert events.times_us.tolist() == [-20, 0, 30]
    assert (events.x.tolist(), events.y.tolist()) == ([3, 5, 345], [4, 6, 259])
    assert events.polarity.tolist() == [1, 0, 1]
    assert camera.account() == "3 events; nothing lost"


async def test_a_camera_of_prophesee_is_read_slice_after_slice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take_away(monkeypatch, "dv_processing")
    slices = [np.array([(3, 4, 1, 70)], METAVISION_EVENT), np.empty(0, METAVISION_EVENT)]
    slices.append(np.array([(1279, 719, 0, 90)], METAVISION_EVENT))
    play_metavision(monkeypatch, *slices)
    time = PlayedTime()

    camera = VendorInput(clock=time.clock, sleep=time.sleep)
    events = await all_events(camera, time)

    assert camera.size == (1280, 720)
    assert events.times_us.tolist() == [0, 20]
    assert (events.x.tolist(), events.y.tolist()) == ([3, 1279], [4, 719])
    assert events.polarity.tolist() == [1, 0]


async def test_a_camera_that_breaks_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play_dv(monkeypatch, Davis([], fault=RuntimeError("USB transfer failed")))
    time = PlayedTime()
    camera = VendorInput("inivation", clock=time.clock, sleep=time.sleep)

    with pytest.raises(NoCamera, match="can't be read any more: USB transfer failed"):
        await all_events(camera, time)


async def test_a_camera_whose_package_fails_in_its_own_way_has_not_ended_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    play_dv(monkeypatch, Davis([], fault=AttributeError("no such batch")))
    time = PlayedTime()
    camera = VendorInput("inivation", clock=time.clock, sleep=time.sleep)

    with pytest.raises(NoCamera, match="can't be read any more: its package failed"):
        await all_events(camera, time)
    assert [one.exc_type for one in told] == [AttributeError]


def test_packages_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, "dv_processing", "metavision_core", "metavision_core.event_io")

    with pytest.raises(NoCamera) as caught:
        VendorInput()

    text = str(caught.value)
    assert "inivation needs the package dv_processing (pip install dv-processing)" in text
    assert "prophesee needs the package metavision_core.event_io (of the Metavision SDK" in text


def test_a_package_without_a_camera_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    play_dv(monkeypatch)

    with pytest.raises(NoCamera, match="no camera: inivation: none is connected"):
        VendorInput("inivation")


def test_an_old_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dv_processing", SimpleNamespace(io=SimpleNamespace()))

    with pytest.raises(NoCamera, match=r"dv_processing 2\.0 or later was expected"):
        VendorInput("inivation")
