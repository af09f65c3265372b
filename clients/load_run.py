"""One run of a load, seen from the command: its processes, the server's metrics, the clean-up."""

import http.client
import multiprocessing
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection, wait
from typing import NamedTuple
from urllib.parse import urlsplit

from clients.credentials import authorization
from clients.load_arguments import Arguments
from clients.load_metrics import Reading, metrics_url, read_metrics, server_use
from clients.load_process import Glimpse, Share, run_share
from clients.load_report import Report, summed_up
from clients.load_tally import Tally

_START_S = 0.2
_LOOK_EVERY_S = 0.1
# a scrape holds the server up for a moment, so none falls into the measured time
_BEFORE_S, _AFTER_S = 0.5, 0.2
_REQUEST_S = 60.0


class ProcessEnded(Exception):
    """A process of the load is gone before its time."""


class Progress(NamedTuple):
    """How a load fares.

    Attributes:
        share_done: Of the whole time, 0 to 1.
        n_admitted: Sessions that were opened so far.
        n_refused: Sessions that were refused.
        worst_ms: Longest lag of the last second, 0 before the measured time.
    """

    share_done: float
    n_admitted: int
    n_refused: int
    worst_ms: float


class Load:
    """One run.

    Attributes:
        is_interrupted: Whether Ctrl-C ended it before its time.
    """

    def __init__(
        self, arguments: Arguments, token: str | None, show: Callable[[Progress], None]
    ) -> None:
        """Prepare a run.

        Args:
            arguments: What to do.
            token: To show to the server.
            show: Is told now and then how it fares.
        """
        self._arguments = arguments
        self._token = token
        self._show = show
        run = secrets.token_hex(4)
        n_processes = min(arguments.processes, arguments.sessions)
        self._shares = [
            self._share(run, tuple(range(first, arguments.sessions, n_processes)))
            for first in range(n_processes)
        ]
        self._tally = Tally()
        self._readings: list[Reading] = []
        self.is_interrupted = False

    def run(self) -> Report:
        """Stream everything and tidy up; return what was measured.

        Raises:
            ServerUnreachable: The server's metrics can't be read.
            OSError: The sessions could not be deleted.
            ProcessEnded: A process of the load failed.
        """
        self._read_metrics()
        with self._processes() as pipes:
            for pipe in pipes:
                pipe.recv()
            start_s = time.monotonic() + _START_S
            for pipe in pipes:
                pipe.send(start_s)
            self._follow(set(pipes), start_s)
        if not self._arguments.keep:
            self._delete_sessions()
        begin_s = start_s + self._shares[0].lead_s
        return summed_up(self._arguments, self._tally, begin_s, self._use())

    def _share(self, run: str, sessions: tuple[int, ...]) -> Share:
        arguments = self._arguments
        return Share(
            url=arguments.url,
            token=self._token,
            run=run,
            sessions=sessions,
            open_every_s=1 / arguments.opens_per_s,
            lead_s=arguments.sessions / arguments.opens_per_s + arguments.warm_up_s,
            duration_s=arguments.seconds,
            is_synchronised=arguments.synchronised,
            label_frames=arguments.label_frames,
        )

    @contextmanager
    def _processes(self) -> Iterator[list[Connection]]:
        """Run the load's processes meanwhile; yields the way to each."""
        # not forked: a process inherits neither signal handlers nor threads of its caller
        context = multiprocessing.get_context("spawn")
        pipes, processes = [], []
        try:
            for share in self._shares:
                ours, theirs = context.Pipe()
                process = context.Process(target=run_share, args=(share, theirs), daemon=True)
                process.start()
                # closed here, so that the end of the process is heard
                theirs.close()
                pipes.append(ours)
                processes.append(process)
            yield pipes
        finally:
            for process in processes:
                process.terminate()
                process.join()

    def _follow(self, pipes: set[Connection], start_s: float) -> None:
        """Hear how it goes until every process has told its tally."""
        lead_s = self._shares[0].lead_s
        end_s = start_s + lead_s + self._arguments.seconds
        readings_s = deque([start_s + lead_s - _BEFORE_S, end_s + _AFTER_S])
        glimpses: dict[Connection, Glimpse] = {}
        while pipes:
            try:
                for pipe in wait(list(pipes), _LOOK_EVERY_S):
                    assert isinstance(pipe, Connection), "nothing else is waited for"
                    self._hear(pipe, pipes, glimpses)
                if readings_s and time.monotonic() >= readings_s[0]:
                    readings_s.popleft()
                    self._read_metrics()
            except KeyboardInterrupt:
                self.is_interrupted = True
                readings_s.clear()
                self._read_metrics()
                for pipe in pipes:
                    pipe.send(None)
            share_done = 1 - (end_s - time.monotonic()) / (end_s - start_s)
            self._show(
                Progress(
                    min(1.0, share_done),
                    sum(glimpse.n_admitted for glimpse in glimpses.values()),
                    sum(glimpse.n_refused for glimpse in glimpses.values()),
                    max((glimpse.worst_ms for glimpse in glimpses.values()), default=0.0),
                )
            )

    def _hear(
        self, pipe: Connection, pipes: set[Connection], glimpses: dict[Connection, Glimpse]
    ) -> None:
        try:
            told = pipe.recv()
        except EOFError:
            raise ProcessEnded("a process of the load ended before its time") from None
        if isinstance(told, Tally):
            self._tally.add(told)
            pipes.discard(pipe)
        else:
            glimpses[pipe] = told

    def _read_metrics(self) -> None:
        url = self._arguments.metrics_url or metrics_url(self._arguments.url)
        self._readings.append(read_metrics(url, self._token))

    def _use(self) -> dict[str, float] | None:
        """Return what was taken of the server; None where the measured time was never reached."""
        match self._readings:
            case [idle, begin, end]:
                return server_use(idle, begin, end)
            case _:
                return None

    def _delete_sessions(self) -> None:
        """Leave nothing on the server."""
        where = urlsplit(self._arguments.url)
        kind = http.client.HTTPSConnection if where.scheme == "wss" else http.client.HTTPConnection
        headers = authorization(self._token) | {"Content-Type": "application/json"}
        with closing(kind(where.netloc, timeout=_REQUEST_S)) as connection:
            for share in self._shares:
                for number in share.sessions:
                    path = f"/v1/sessions/{share.name(number)}"
                    connection.request("DELETE", path, headers=headers)
                    # one that was refused is not there
                    connection.getresponse().read()
