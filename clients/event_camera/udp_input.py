"""Events of a camera that come as datagrams, over UDP.

UDP knows no connection: who sends first, in the layout that is expected, is the camera, and other
senders are passed over. A sender's address can be forged; listen where only the camera can reach.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Final

from typing_extensions import Unpack, override

from clients.event_camera.camera_input import CameraInput, NoCamera, Pace
from clients.event_camera.datagrams import LAYOUTS, BadDatagram

LONGEST_DATAGRAM: Final = 9000
"""Bytes: as much as the largest frame of an Ethernet holds. SPIF and AEStream send 512."""

_AT_ONCE: Final = 64
"""Datagrams that are read before other work has its turn."""

_SYSTEM_BUFFER_BYTES: Final = 4 << 20

_LINUX_DROP_COUNT: Final = 40
"""SO_RXQ_OVFL, which Python does not name: Linux tells with a datagram how many it has dropped."""


class UdpInput(CameraInput):
    """A socket that datagrams come to.

    Attributes:
        address: Host and port that it listens at.
        n_datagrams: Datagrams that were taken.
    """

    def __init__(
        self,
        host: str,
        port: int,
        size: tuple[int, int],
        *,
        layout: str = "spif",
        sender: str | None = None,
        system_buffer_bytes: int = _SYSTEM_BUFFER_BYTES,
        **pace: Unpack[Pace],
    ) -> None:
        """Open the socket; datagrams are read once blocks are asked for.

        Args:
            host: Address or name of this machine to listen at.
            port: To listen at; 0 for any.
            size: Columns and rows of the camera.
            layout: One of `LAYOUTS`.
            sender: Address of the camera; None for that of the first good datagram.
            system_buffer_bytes: What the system is asked to keep of what was not read yet.
            pace: As of `CameraInput`.

        Raises:
            NoCamera: It can't listen there.
        """
        super().__init__(size, **pace)
        self.n_datagrams = 0
        self._decode = LAYOUTS[layout]
        self._sender = sender
        self._fault: OSError | None = None
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )[0]
            self._socket = socket.socket(family, kind, protocol)
        except OSError as error:
            raise NoCamera(f"can't listen at {host}, port {port}: {error.strerror}") from error
        try:
            self._socket.setblocking(False)  # noqa: FBT003 - the name of a method says what is true
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, system_buffer_bytes)
            if sys.platform == "linux":
                self._socket.setsockopt(socket.SOL_SOCKET, _LINUX_DROP_COUNT, 1)
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise NoCamera(f"can't listen at {host}, port {port}: {error.strerror}") from error
        self.address: tuple[str, int] = self._socket.getsockname()[:2]

    @override
    def account(self) -> str:
        return f"{self.n_datagrams:,} datagrams, {super().account()}"

    @override
    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @override
    def close(self) -> None:
        if self._socket.fileno() >= 0:
            with contextlib.suppress(RuntimeError):
                # no loop runs where blocks were never asked for
                asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    @override
    def has_ended(self) -> bool:
        if self._fault is not None:
            reason = self._fault.strerror
            raise NoCamera(f"datagrams can't be read any more: {reason}") from self._fault
        return False

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, notes, flags, sender = self._socket.recvmsg(
                    LONGEST_DATAGRAM, socket.CMSG_SPACE(4)
                )
            except BlockingIOError:
                return
            except OSError as error:
                # or the loop would ask again and again
                asyncio.get_running_loop().remove_reader(self._socket)
                self._fault = error
                return
            for level, kind, value in notes:
                if (level, kind) == (socket.SOL_SOCKET, _LINUX_DROP_COUNT):
                    # since the socket was opened
                    [self.losses.kernel] = struct.unpack("=I", value)
            self._take_datagram(data, sender[0], is_cut=bool(flags & socket.MSG_TRUNC))

    def _take_datagram(self, data: bytes, sender: str, *, is_cut: bool) -> None:
        if self._sender not in {None, sender}:
            self.losses.foreign += 1
            return
        try:
            # what is cut off is gone, and where the rest ends nobody knows
            events = self._decode(b"" if is_cut else data)
        except BadDatagram:
            self.losses.malformed += 1
            return
        self._sender = sender
        self.n_datagrams += 1
        self.put(events)
