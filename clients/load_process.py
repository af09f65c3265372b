"""One process of a load: its share of the sessions on one event loop."""

import asyncio
import gc
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

from clients.load_script import Script
from clients.load_session import LoadSession, Span
from clients.load_tally import Tally
from clients.load_task import SEGMENT_S, Task

GLIMPSE_EVERY_S = 1.0
LAST_ANSWERS_S = 2.0
"""Wait for predictions after the last frame was sent."""

_CLOSE_S = 30.0
# fractions of multiples of it are spread evenly, however many there are
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a process is to do.

    Attributes:
        url: Of the stream.
        token: To show there, if any.
        run: Common part of all sessions' names.
        sessions: Numbers of the process's sessions.
        open_every_s: Time between the openings of two sessions, all processes together.
        lead_s: From the first opening to the begin of the measured time.
        duration_s: Length of the measured time.
        is_synchronised: Whether all sessions' frames and segments end at the same moments.
        label_frames: First and last frame after a segment's end that may bring its label.
    """

    url: str
    token: str | None
    run: str
    sessions: tuple[int, ...]
    open_every_s: float
    lead_s: float
    duration_s: float
    is_synchronised: bool
    label_frames: tuple[int, int]

    def name(self, session: int) -> str:
        """Return what the server knows a session by."""
        return f"load-{self.run}-{session}"

    def span(self, session: int, start_s: float) -> Span:
        """Return the times of a session in a load that starts at a moment."""
        share = 0.0 if self.is_synchronised else session * _GOLDEN % 1
        begin_s = start_s + self.lead_s
        return Span(
            open_s=start_s + session * self.open_every_s,
            phase_s=start_s + share * SEGMENT_S,
            begin_s=begin_s,
            end_s=begin_s + self.duration_s,
        )


class Glimpse(NamedTuple):
    """How a process's sessions fare.

    Attributes:
        n_admitted: Sessions that were opened so far.
        n_refused: Sessions that were refused.
        worst_ms: Longest lag since the last glimpse, of the measured time; 0 if there is none.
    """

    n_admitted: int
    n_refused: int
    worst_ms: float


def run_share(share: Share, pipe: Connection) -> None:
    """Do a process's share: say that it is ready, hear when to start, tell glimpses, then a tally.

    Args:
        share: What to do.
        pipe: To the command. It says the moment of the start; anything later means: end now.
    """
    # a Ctrl-C is for the command, which then asks for what there is
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = Task()
    # nothing of a load is ever in a cycle, and a collection would hold all sessions up
    gc.collect()
    gc.disable()
    pipe.send(None)
    pipe.send(asyncio.run(_stream(share, task, pipe.recv(), pipe)))


async def _stream(share: Share, task: Task, start_s: float, pipe: Connection) -> Tally:
    tally = Tally()
    sessions = [
        LoadSession(
            share.name(number),
            Script(task, number, share.label_frames),
            share.span(number, start_s),
            tally,
            url=share.url,
            token=share.token,
        )
        for number in share.sessions
    ]
    for session in sessions:
        session.start()
    begin_s = start_s + share.lead_s
    await _wait_until(begin_s, tally, pipe)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    await _wait_until(begin_s + share.duration_s, tally, pipe)
    tally.cores = (time.process_time() - began_cpu_s) / max(1e-9, time.monotonic() - began_s)
    await asyncio.sleep(LAST_ANSWERS_S)
    for session in sessions:
        session.finish()
    # each is stored first; whoever is not told goodbye by then is left behind
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            for session in sessions:
                await session.gone.wait()
    return tally


async def _wait_until(moment_s: float, tally: Tally, pipe: Connection) -> None:
    """Tell glimpses until a moment, or until the command wants an end."""
    n_told = 0
    while (left_s := moment_s - time.monotonic()) > 0 and not pipe.poll():
        await asyncio.sleep(min(left_s, GLIMPSE_EVERY_S))
        new = tally.lag_s[n_told:]
        n_told += len(new)
        worst_ms = 1000 * max(new, default=0.0)
        pipe.send(Glimpse(tally.n_admitted, tally.refused.total(), worst_ms))
