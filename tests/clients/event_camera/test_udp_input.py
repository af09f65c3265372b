"""Datagrams over real sockets on loopback."""

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from clients.event_camera.camera_input import Block, NoCamera
from clients.event_camera.udp_input import LONGEST_DATAGRAM, UdpInput
from tests.clients.event_camera.played_time import PlayedTime, until

SIZE = (640, 480)


def word(x: int, y: int, polarity: int = 1) -> bytes:
    """Make an event without a time, as SPIF has it."""
    return struct.pack("<I", 0x8000_0000 | x << 16 | polarity << 15 | y)


def timed(stamp: int, x: int, y: int, polarity: int = 1) -> bytes:
    """Make an event with its time, as AEStream does."""
    return struct.pack("<II", x << 16 | polarity << 15 | y, stamp)


@contextmanager
def sender_at(host: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.bind((host, 0))
        yield sender


class Watch:
    """A camera's blocks, one at a time."""

    def __init__(self, camera: UdpInput, time: PlayedTime) -> None:
        self._camera = camera
        self._time = time
        self._blocks = camera.blocks()
        self._n_handled = 0

    async def block(self, after_s: float = 0.0, *, handled: int = 0) -> Block:
        """Return the next block, once so many further datagrams were handled."""
        self._n_handled += handled
        losses = self._camera.losses
        self._camera.start()
        await until(
            lambda: self._camera.n_datagrams + losses.malformed + losses.foreign == self._n_handled
        )
        self._time.pulse(after_s)
        return await anext(self._blocks)

    async def next_block(self) -> None:
        """Ask for a block, without waiting for a datagram."""
        self._time.pulse()
        await anext(self._blocks)

    async def end(self) -> None:
        """Ask for no more."""
        await self._blocks.aclose()  # type: ignore[attr-defined]  # an asynchronous generator


async def test_events_of_datagrams_come_in_blocks_at_the_time_of_their_arrival() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep)
    watch = Watch(camera, time)
    with sender_at("127.0.0.1") as sender:
        sender.sendto(word(1, 2) + word(3, 4, polarity=0), camera.address)
        first = await watch.block(0.25, handled=1)
        sender.sendto(word(639, 479), camera.address)
        second = await watch.block(0.5, handled=1)
    await watch.end()

    # our clock begins with the first datagram; what is said of time waits for 50 ms
    assert (first.events.times_us.tolist(), first.until_us) == ([0, 0], 200_000)
    assert (first.events.x.tolist(), first.events.y.tolist()) == ([1, 3], [2, 4])
    assert first.events.polarity.tolist() == [1, 0]
    assert (second.events.times_us.tolist(), second.until_us) == ([250_000], 700_000)
    assert camera.account() == "2 datagrams, 3 events; nothing lost"


async def test_a_block_without_datagrams_tells_that_time_has_passed() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep)
    watch = Watch(camera, time)

    times = [(await watch.block(after_s)).until_us for after_s in (0.0, 0.25, 0.25)]
    await watch.end()

    assert times == [-50_000, 200_000, 450_000]


async def test_times_of_the_camera_count_where_it_tells_them() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep, wait_us=1000)
    watch = Watch(camera, time)
    with sender_at("127.0.0.1") as sender:
        sender.sendto(timed(70_000, 1, 1) + timed(70_500, 2, 1), camera.address)
        first = await watch.block(0.01, handled=1)
        # out of order; 10,000 us after 70,500, less the wait, the last one is too late
        sender.sendto(timed(80_000, 3, 1), camera.address)
        sender.sendto(timed(79_600, 4, 1) + timed(79_400, 5, 1), camera.address)
        second = await watch.block(handled=2)
    await watch.end()

    assert first.events.times_us.tolist() == [-500, 0]
    assert second.events.x.tolist() == [3, 4]
    assert second.events.times_us.tolist() == [9_500, 9_100]
    assert camera.losses.late == 1


@pytest.mark.parametrize("wait_us", [50_000, 5_000_000])
async def test_what_is_much_older_than_the_stream_is_late(wait_us: int) -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep, wait_us=wait_us)
    watch = Watch(camera, time)
    stamps = (0, 4_949_999, 4_950_000, 5_000_000)
    with sender_at("127.0.0.1") as sender:
        sender.sendto(b"".join(timed(stamp, 1, 1) for stamp in stamps), camera.address)
        block = await watch.block(handled=1)
    await watch.end()

    # the newest event is at 0; 50 ms before it is as early as a stream may be
    assert block.events.times_us.tolist() == [-50_000, 0]
    assert camera.losses.late == 2


async def test_a_socket_that_breaks_ends_the_blocks_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep)
    n_asked = 0

    def broken(*_: int) -> None:
        nonlocal n_asked
        n_asked += 1
        raise OSError(errno.ENETDOWN, "the network is down")

    monkeypatch.setattr(socket.socket, "recvmsg", broken)
    watch = Watch(camera, time)
    await watch.block()
    with sender_at("127.0.0.1") as sender:
        sender.sendto(word(1, 1), camera.address)
        await until(lambda: n_asked > 0)

        with pytest.raises(NoCamera, match="can't be read any more: the network is down"):
            await watch.next_block()


async def test_a_camera_whose_clock_stands_loses_nothing_but_its_times() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep)
    watch = Watch(camera, time)
    with sender_at("127.0.0.1") as sender:
        for _ in range(100):
            sender.sendto(timed(7, 1, 1), camera.address)
            await watch.block(0.01, handled=1)
    await watch.end()

    # 99 times 10 ms have passed; 60 ms are more than the 50 that are waited
    assert (
        camera.account()
        == "100 datagrams, 100 events; nothing lost; the camera's clock leapt 16 times"
    )


async def test_what_is_no_datagram_of_the_layout_is_passed_over_and_counted() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep)
    watch = Watch(camera, time)
    too_long = word(1, 1) * (LONGEST_DATAGRAM // 4 + 1)
    with sender_at("127.0.0.1") as sender:
        for data in (b"", b"\x01", word(1, 1) + b"\x01\x02", timed(5, 1, 1)[:4], too_long):
            sender.sendto(data, camera.address)
        sender.sendto(too_long[:-4], camera.address)
        block = await watch.block(handled=6)
    await watch.end()

    assert len(block.events) == LONGEST_DATAGRAM // 4
    assert camera.losses.malformed == 5
    assert camera.account() == "1 datagrams, 2,250 events; lost: 5 datagrams malformed"


async def test_the_first_good_sender_is_the_camera() -> None:
    time = PlayedTime()
    camera = UdpInput("0.0.0.0", 0, SIZE, clock=time.clock, sleep=time.sleep)  # noqa: S104 - two loopback addresses
    watch = Watch(camera, time)
    port = camera.address[1]
    with sender_at("127.0.0.1") as one, sender_at("127.0.0.2") as other:
        other.sendto(b"noise", ("127.0.0.1", port))
        one.sendto(word(1, 1), ("127.0.0.1", port))
        other.sendto(word(2, 2), ("127.0.0.1", port))
        block = await watch.block(handled=3)
    await watch.end()

    assert block.events.x.tolist() == [1]
    assert (camera.losses.malformed, camera.losses.foreign) == (1, 1)


async def test_a_sender_that_was_named_is_the_only_one() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, sender="127.0.0.2", clock=time.clock, sleep=time.sleep)
    watch = Watch(camera, time)
    with sender_at("127.0.0.1") as one, sender_at("127.0.0.2") as other:
        one.sendto(word(1, 1), camera.address)
        other.sendto(word(2, 2), camera.address)
        block = await watch.block(handled=2)
    await watch.end()

    assert block.events.x.tolist() == [2]
    assert str(camera.losses) == "1 datagrams of others"


async def test_events_outside_the_picture_and_without_room_are_counted() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep, buffered_events=5)
    watch = Watch(camera, time)
    with sender_at("127.0.0.1") as sender:
        sender.sendto(word(640, 0) + word(0, 480) + word(639, 479) * 4, camera.address)
        sender.sendto(word(1, 1) * 3, camera.address)
        first = await watch.block(handled=2)
        # what was taken has made room
        sender.sendto(word(2, 2) * 3, camera.address)
        sender.sendto(word(640, 480), camera.address)
        second = await watch.block(handled=2)
    await watch.end()

    assert first.events.x.tolist() == [639, 639, 639, 639, 1]
    assert second.events.x.tolist() == [2, 2, 2]
    assert str(camera.losses) == "3 events outside the picture, 2 events found no room"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells what it has dropped")
async def test_datagrams_that_the_system_dropped_are_counted() -> None:
    time = PlayedTime()
    camera = UdpInput(
        "127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep, system_buffer_bytes=1
    )
    watch = Watch(camera, time)
    with sender_at("127.0.0.1") as sender:
        for _ in range(200):
            sender.sendto(word(1, 1) * 128, camera.address)
        camera.start()
        await until(lambda: camera.n_datagrams > 0)
        n_kept = camera.n_datagrams
        # the count comes with a later one
        sender.sendto(word(2, 2), camera.address)
        await watch.block(handled=n_kept + 1)
    await watch.end()

    assert 0 < n_kept < 200
    assert camera.losses.kernel == 200 - n_kept


async def test_an_address_that_cannot_be_had_is_told() -> None:
    with (
        closing(UdpInput("127.0.0.1", 0, SIZE)) as camera,
        pytest.raises(NoCamera, match=rf"can't listen at 127\.0\.0\.1, port {camera.address[1]}"),
    ):
        UdpInput("127.0.0.1", camera.address[1], SIZE)
    with pytest.raises(NoCamera, match=r"can't listen at no\.such\.host\.invalid, port 1"):
        UdpInput("no.such.host.invalid", 1, SIZE)


async def test_ending_the_blocks_frees_the_port() -> None:
    time = PlayedTime()
    camera = UdpInput("127.0.0.1", 0, SIZE, clock=time.clock, sleep=time.sleep)
    watch = Watch(camera, time)
    await watch.block()

    await watch.end()

    UdpInput("127.0.0.1", camera.address[1], SIZE).close()
