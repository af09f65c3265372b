"""An event camera over UDP, through `tclif-events`, against the real server."""

import asyncio
import itertools
import random
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from clients import events
from clients.client_options import BackOff, ClientOptions
from clients.connection_errors import ServerUnreachable
from clients.event_camera.field_of_view import FieldOfView
from clients.event_camera.udp_input import UdpInput
from clients.live_moments import seen
from clients.live_teaching import LiveTeaching
from clients.sdk import StreamingClient
from tests.clients.event_camera.played_time import PlayedTime, until
from tests.end_to_end.running_server import RunningServer
from tests.faults.unsteady_proxy import unsteady_proxy

SIZE = (32, 24)
WINDOW_S = 0.1
BLOCKS = 5


def datagram(*places: tuple[int, int]) -> bytes:
    """Make brighter events without a time, as SPIF has them."""
    words = [0x8000_8000 | x << 16 | y for x, y in places]
    return struct.pack(f"<{len(words)}I", *words)


class Scene:
    """A camera over UDP, what it sees, and the run that streams it."""

    def __init__(self, client: StreamingClient, view: FieldOfView) -> None:
        self.time = PlayedTime()
        self.camera = UdpInput("127.0.0.1", 0, SIZE, clock=self.time.clock, sleep=self.time.sleep)
        self.said: list[str] = []
        self.teaching = LiveTeaching(
            client,
            seen(self.camera, view),
            say=self.said.append,
            show=self._count,
        )
        self._n_shown = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def _count(self, _: object) -> None:
        self._n_shown += 1

    async def move(self, *places: tuple[int, int]) -> None:
        """Have the camera see events, over the blocks of half a window."""
        handled = self.camera.n_datagrams + 1
        self._socket.sendto(datagram(*places), self.camera.address)
        await until(lambda: self.camera.n_datagrams == handled)
        for _ in range(BLOCKS):
            shown = self._n_shown + 1
            self.time.pulse(WINDOW_S / 2 / BLOCKS)
            await until(lambda: self._n_shown == shown)  # noqa: B023 - it is over by the next one

    def close(self) -> None:
        """Let sockets go."""
        self._socket.close()
        self.camera.close()


def opening(url: str, options: ClientOptions | None = None) -> StreamingClient:
    return StreamingClient.open(
        url,
        options=options,
        session="eyes",
        sensor={"kind": "dvs", "width": 4, "height": 3, "polarities": 2},
        network={"hidden": [8], "classes": ["left", "right"]},
        segmentation={"by": "window", "length_us": int(WINDOW_S * 1e6)},
    )


async def test_windows_are_told_and_labelled_and_losses_do_not_reach_the_server(
    server: RunningServer,
) -> None:
    # 16 x 12 pixels of the picture, 4 x 4 of them one input
    view = FieldOfView(size=SIZE, region=(8, 8, 16, 12), pool=4)
    async with opening(server.url) as client:
        with closing(Scene(client, view)) as scene:
            state = scene.teaching.state

            async def keys() -> AsyncIterator[str]:
                # two halves of the first window, and of the second, which ends it
                await scene.move((8, 8), (23, 19), (0, 0))
                await scene.move((9, 9), (32, 24))
                await scene.move((10, 10))
                await scene.move((11, 11))
                await until(lambda: state.n_finals == 1)
                yield "2"
                await until(lambda: state.n_learned == 1)
                yield "q"

            # blocks are given once the run asks for them
            await asyncio.wait_for(scene.teaching.run(keys()), 300)
            account = scene.camera.account()
            said = scene.said

    page = await server.state("eyes")
    assert page["events"] == 5
    assert page["dropped_events"] == {"late": 0, "outside_segments": 0, "saturated": 0}
    assert account == "4 datagrams, 6 events; lost: 1 events outside the picture"
    assert state.trouble == "1 events outside the picture"
    assert re.fullmatch(r"0: (left|right) \(\d+%\)", said[0])
    assert re.fullmatch(r"  segment 0 was right, .*: learnt", said[1])


async def test_a_lost_connection_loses_no_event(server: RunningServer) -> None:
    # the first two connections are cut after some hundred bytes, in mid-stream
    back_off = BackOff(first_s=0.01, longest_s=0.05, attempts=600)
    quotas = iter([2500, 4000])
    async with (
        unsteady_proxy(server.port, random.Random(1), quotas) as (url, _),
        opening(url, ClientOptions(back_off=back_off)) as client,
    ):
        with closing(Scene(client, FieldOfView(size=SIZE, pool=8))) as scene:

            async def keys() -> AsyncIterator[str]:
                for number in range(30):
                    await scene.move((number, 1), (number, 20))
                await until(lambda: client.n_connections == 3)
                yield "q"

            await asyncio.wait_for(scene.teaching.run(keys()), 300)
            account = scene.camera.account()

    assert account == "30 datagrams, 60 events; nothing lost"
    assert (await server.state("eyes"))["events"] == 60


async def test_an_end_waits_for_no_server_that_is_away(server: RunningServer) -> None:
    # every connection after the first is cut before it says a word
    quotas = itertools.chain([2500], itertools.repeat(0))
    back_off = BackOff(first_s=0.01, longest_s=0.05)

    async def leave() -> None:
        async with (
            unsteady_proxy(server.port, random.Random(1), quotas) as (url, _),
            opening(url, ClientOptions(back_off=back_off)) as client,
        ):
            with closing(Scene(client, FieldOfView(size=SIZE, pool=8))) as scene:

                async def keys() -> AsyncIterator[str]:
                    while client.trouble is None:
                        await scene.move((1, 1))
                    yield "q"

                await scene.teaching.run(keys())

    with pytest.raises(ServerUnreachable, match="ended while the server was away"):
        await asyncio.wait_for(leave(), 300)


async def test_the_command_streams_until_ctrl_c_and_gives_account(server: RunningServer) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [f"udp://127.0.0.1:{port}?layout=spif", "--size", "32x24", "--pool", "8"]
        command += ["--url", server.url, "--session", "eyes", "--window-ms", "100"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "clients.events",
            *command,
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        first = await asyncio.wait_for(process.stdout.readline(), 300)
        sender.sendto(datagram((1, 1), (31, 23)), ("127.0.0.1", port))
        sender.sendto(b"???", ("127.0.0.1", port))
        told = await asyncio.wait_for(process.stdout.readline(), 300)
        process.send_signal(signal.SIGINT)
        said, complaints = await asyncio.wait_for(process.communicate(), 300)

    assert first == b"session eyes: 1 left, 2 right; q ends\n"
    assert re.fullmatch(rb"0: (left|right) \(\d+%\)\n", told)
    assert (process.returncode, complaints) == (0, b"")
    assert said.decode().splitlines()[-1] == ("1 datagrams, 2 events; lost: 1 datagrams malformed")
    assert (await server.state("eyes"))["events"] == 2


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["udp://127.0.0.1:0"], "datagrams do not tell the camera's size"),
        (["--pool", "2", "camera:sony"], "a camera of 'sony' came"),
        (["udp://127.0.0.1:0?size=4x4", "--roi", "0,0,5,5"], "one within 4x4 was expected"),
        (["udp://127.0.0.1:0?size=4x4", "--session", "a/b"], "session: String should match"),
    ],
)
def test_what_can_not_be_opened_is_one_sentence(
    command: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert events.main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith("tclif-events: ")
    assert complaint in said
