"""The gate: how many may wait at the door, and for how long."""

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from service.access.connection_gate import ConnectionGate
from service.settings import ListenerSettings


class HandLoop:
    """Timers that run when they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, asyncio.TimerHandle]] = []

    def call_later(
        self, delay_s: float, function: Callable[..., object], *arguments: object
    ) -> asyncio.TimerHandle:
        """Note what is to be done later."""
        loop = cast("asyncio.AbstractEventLoop", self)
        timer = asyncio.TimerHandle(self.now_s + delay_s, function, arguments, loop)
        self._due.append((self.now_s + delay_s, timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        until_s = self.now_s + seconds
        while self._due and min(self._due)[0] <= until_s:
            due = min(self._due)
            self._due.remove(due)
            self.now_s = due[0]
            if not due[1].cancelled():
                due[1]._run()  # noqa: SLF001 - what a loop does with its timers
        self.now_s = until_s

    def get_debug(self) -> bool:
        """Answer what a timer asks its loop."""
        return False

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        """Hear that a timer was cancelled."""


class FakeTransport(asyncio.Transport):
    """Notes what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    @override
    def abort(self) -> None:
        """Close at once."""
        self.is_aborted = True


class Comer:
    """A connection of some peer."""

    def __init__(self, loop: HandLoop, peer: str) -> None:
        self.loop = cast("asyncio.AbstractEventLoop", loop)
        self.fake = FakeTransport()
        self.transport: asyncio.Transport = self.fake
        self.peer = peer


class Door:
    """A gate with a loop of its own."""

    def __init__(self, **settings: float) -> None:
        self.loop = HandLoop()
        self.gate = ConnectionGate(ListenerSettings.model_validate(settings))
        self.n_connections = 0

    def come(self, peer: str = "a") -> Comer:
        """Let somebody connect."""
        comer = Comer(self.loop, peer)
        self.n_connections += 1
        self.gate.admit(comer, self.n_connections)
        return comer


def aborted(comers: list[Comer]) -> list[int]:
    """Return the places of those that were turned away."""
    return [place for place, comer in enumerate(comers) if comer.fake.is_aborted]


def test_a_request_has_its_time_and_not_more() -> None:
    door = Door(request_timeout_s=3)
    comer = door.come()

    door.loop.advance(2.999)
    turned_away = [aborted([comer])]
    door.loop.advance(0.001)
    turned_away.append(aborted([comer]))

    assert turned_away == [[], [0]]
    assert (len(door.gate), door.gate.n_turned_away) == (0, 1)


def test_a_whole_request_ends_the_waiting() -> None:
    door = Door(request_timeout_s=3)
    comer = door.come()

    door.gate.leave(comer)
    door.loop.advance(10)

    assert not comer.fake.is_aborted
    assert len(door.gate) == 0


def test_bytes_that_drip_do_not_buy_time() -> None:
    door = Door(request_timeout_s=3)
    comer = door.come()

    for _ in range(4):
        door.loop.advance(0.8)
        if not comer.fake.is_aborted:
            door.gate.expect_request(comer)

    assert comer.fake.is_aborted


def test_the_oldest_of_the_greediest_peer_makes_room() -> None:
    door = Door(max_pending=4)
    comers = [door.come(peer) for peer in "abbc"]

    comers.append(door.come("d"))

    assert aborted(comers) == [1]
    assert len(door.gate) == 4


def test_beyond_the_bound_of_all_connections_newcomers_are_turned_away() -> None:
    door = Door(max_connections=3)

    comers = [door.come() for _ in range(5)]

    assert aborted(comers) == [3, 4]
