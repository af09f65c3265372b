"""Moments of live sensors, and a session's answers to them."""

from collections.abc import AsyncIterator

import numpy as np
from typing_extensions import override

from clients.cochlea import Cochlea
from clients.cochlea_design import CochleaSpec
from clients.event_camera.camera_input import CameraInput
from clients.event_camera.datagrams import StampedEvents
from clients.event_camera.field_of_view import FieldOfView
from clients.live_moments import heard, seen
from clients.sound_input import Samples, SoundInput
from tests.clients.event_camera.played_time import PlayedTime


class Tone(SoundInput):
    """A tone of 3 kHz in blocks of 20 ms, of which some were lost."""

    samples = (0.5 * np.sin(2 * np.pi * 3000 / 16_000 * np.arange(1600))).astype(np.float32)

    @override
    async def blocks(self) -> AsyncIterator[Samples]:
        for block in np.split(self.samples, 5):
            yield block
            self.n_lost += 1


class Still(CameraInput):
    """A camera that gives one block and ends."""

    @override
    def start(self) -> None:
        pass

    @override
    def close(self) -> None:
        pass

    @override
    def has_ended(self) -> bool:
        return True


async def test_moments_of_sound_are_what_the_cochlea_makes_of_it() -> None:
    spec = CochleaSpec(channels=70)
    times_us, channels = Cochlea(spec).process(Tone.samples)

    moments = [moment async for moment in heard(Tone(), Cochlea(spec))]

    assert len(times_us) > 10
    assert np.concatenate([m.times_us for m in moments]).tolist() == times_us.tolist()
    assert np.concatenate([m.addresses for m in moments]).tolist() == channels.tolist()
    # 320 samples at 16 kHz are 20 ms; the loudest of each block is 0.5: half of 20 columns
    assert [m.until_us for m in moments] == [20_000, 40_000, 60_000, 80_000, 100_000]
    assert moments[0].gauge == f"|{'█' * 10}{' ' * 10}|"
    assert [m.trouble for m in moments[:2]] == [None, "1 blocks of sound were lost"]


async def test_moments_of_a_camera_are_what_is_streamed_of_its_picture() -> None:
    time = PlayedTime()
    camera = Still((4, 2), clock=time.clock, sleep=time.sleep)
    stamps, x = np.array([100, 130], np.int64), np.array([3, 9], np.uint16)
    camera.put(StampedEvents(stamps, x, np.zeros(2, np.uint16), np.ones(2, np.uint8)))
    time.pulse(0.2)

    [moment] = [moment async for moment in seen(camera, FieldOfView(size=(4, 2), pool=2))]

    # the second one is outside the picture; brighter ones of 2 x 1 inputs begin at 2
    assert (moment.times_us.tolist(), moment.addresses.tolist()) == ([-30], [3])
    assert moment.until_us == 150_000
    # one event in 10 ms is 100 a second, of which a fiftieth counts at once
    assert moment.gauge == "         2 events/s"
    assert moment.trouble == "1 events outside the picture"
