"""``tclif-replay``: recordings as live input for one session, which learns them as they come.

    tclif-replay train.h5.gz --speed max --passes 8 --test test.h5.gz

Ends with a table of the passes, the test accuracy if asked for, and one line for scripts; also when
it ends early, with what there is by then. Exit code 0; 1 with one sentence if a source can't be
read, or the server can't be used or not any more; 130 after Ctrl-C and 143 after SIGTERM, but 0
where the replay had no other end (``--forever``).
"""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from clients.connection_errors import ClientError
from clients.credentials import token_from_file
from clients.datasets import Source, UnreadableSource, open_source
from clients.error_sentences import sentence
from clients.optional_packages import MissingPackage, import_optional
from clients.replay_arguments import Arguments, parse
from clients.replay_progress import Phase, ReplayProgress
from clients.replay_report import (
    as_json,
    pass_table,
    progress_line,
    refusal_line,
    summary_line,
    test_line,
)
from clients.replay_stream import Pace, RecordingStream
from clients.sdk import StreamingClient
from service.wire_protocol import Open

_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class View(Protocol):
    """Shows a person how a replay goes.

    Attributes:
        interval_s: Time between two looks.
    """

    interval_s: float

    def show(self, progress: ReplayProgress) -> None:
        """Show the present state."""
        ...

    def close(self) -> None:
        """Show nothing more."""
        ...


class PlainView:
    """Writes a line at each look."""

    interval_s = 5.0

    def show(self, progress: ReplayProgress) -> None:
        """Write the present state."""
        _say(progress_line(progress))

    def close(self) -> None:
        """Leave the lines as they are."""


def main(command_line: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parse(command_line)
    try:
        token = None if arguments.token_file is None else token_from_file(arguments.token_file)
        source = open_source(arguments.source)
        test = None if arguments.test is None else open_source(arguments.test)
        _check_same_kind(source, test)
        _check_writable(arguments.json)
        has_picture = not arguments.plain and sys.stdout.isatty()
        view = _live_view() if has_picture else PlainView()
        request = arguments.request(source, with_picture=has_picture)
    except ValidationError as error:
        return _fail(_first_sentence(error))
    except (MissingPackage, OSError, ValueError) as error:
        return _fail(sentence(error))
    replay = Replay(arguments, request, source, test, view, token=token)
    failure: str | None = None
    try:
        signal_number = asyncio.run(replay.run())
    except (ClientError, UnreadableSource, OSError) as error:
        failure, signal_number = sentence(error), None
    except KeyboardInterrupt:
        return _INTERRUPTED
    try:
        _report(arguments, replay.progress, failure)
    except OSError as error:
        return _fail(sentence(error))
    if failure is not None:
        return _fail(failure)
    return 0 if signal_number is None or arguments.forever else 128 + signal_number


class _Interrupted(Exception):
    """Somebody wants the replay to end, and there is no server to end it in order with."""


class Replay:
    """One run: passes, then the test, while somebody may look on."""

    def __init__(
        self,
        arguments: Arguments,
        request: Open,
        source: Source,
        test: Source | None,
        view: View,
        *,
        token: str | None = None,
    ) -> None:
        self._arguments = arguments
        self._request = request
        self._source = source
        self._test = test
        self._view = view
        self._token = token
        self._signal: int | None = None
        self.progress = ReplayProgress(
            source=source.name,
            classes=source.classes,
            n_channels=source.sensor.channels,
            n_passes=None if arguments.forever else arguments.passes,
            pass_segments=arguments.pass_segments(len(source)),
            test_segments=0 if test is None else len(test),
            speed=arguments.speed,
            segmentation=request.segmentation,
        )

    async def run(self) -> int | None:
        """Stream everything; return the number of the signal that ended it early, if one did.

        Raises:
            ClientError: The server can't be used, or not any more.
            UnreadableSource: A recording's data are damaged.
        """
        with contextlib.suppress(_Interrupted):
            async with StreamingClient.open(
                self._arguments.url, self._request, token=self._token
            ) as client:
                stream = RecordingStream(client, self.progress, pace=Pace(self._arguments.speed))
                self._stop_at_signals(stream)
                companions = [
                    asyncio.create_task(stream.listen()),
                    asyncio.create_task(self._look(client)),
                ]
                try:
                    await self._stream_or_leave(client, stream)
                finally:
                    for companion in companions:
                        companion.cancel()
                    ends = await asyncio.gather(*companions, return_exceptions=True)
                    self._note_connection(client)
                    self._view.close()
                for end in ends:
                    # a session that ended was noticed by whoever was sending
                    if isinstance(end, Exception) and not isinstance(end, ClientError):
                        raise end
        return self._signal

    async def _stream_or_leave(self, client: StreamingClient, stream: RecordingStream) -> None:
        """Stream, but do not wait for a server that is away once somebody wants an end."""
        streaming = asyncio.create_task(self._stream(client, stream))
        leaving = asyncio.create_task(_until_nobody_answers(client, stream))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not streaming.done() and leaving.exception() is None:
                raise _Interrupted
            await streaming
        finally:
            streaming.cancel()
            leaving.cancel()
            await asyncio.gather(streaming, leaving, return_exceptions=True)

    async def _stream(self, client: StreamingClient, stream: RecordingStream) -> None:
        arguments, n_classes = self._arguments, len(self._source.classes)
        left_open, by_client = client.opened.open_segment, self._request.segmentation.by == "client"
        if by_client and left_open is not None and client.opened.open_segment_t_us is not None:
            # an earlier run ended in mid-segment: end that one, whatever it has heard
            await client.end_segment(left_open, t_us=client.opened.open_segment_t_us)
        if client.opened.resumed:
            # an earlier run may have ended in its test, with learning off
            await client.change_learning(mode="delayed", rate=arguments.rate)
        orders = arguments.orders(len(self._source))
        await stream.learn(self._source, orders, arguments.tell(n_classes))
        if self._test is not None and not stream.is_stopping:
            await stream.test(self._test)
        self.progress.phase = Phase.FINISHED

    async def _look(self, client: StreamingClient) -> None:
        while True:
            await asyncio.sleep(self._view.interval_s)
            self._note_connection(client)
            self._view.show(self.progress)

    def _note_connection(self, client: StreamingClient) -> None:
        self.progress.trouble = client.trouble
        self.progress.n_reconnections = client.n_connections - 1

    def _stop_at_signals(self, stream: RecordingStream) -> None:
        """Have the first Ctrl-C or SIGTERM end the stream in order; the second one ends all."""
        loop = asyncio.get_running_loop()

        def interrupt(number: int) -> None:
            self._signal = number
            stream.stop()
            for one in _SIGNALS:
                loop.remove_signal_handler(one)

        # not every platform's loop knows signals, nor any but the main thread: there the first one
        # ends the program
        with contextlib.suppress(NotImplementedError, RuntimeError):
            for number in _SIGNALS:
                loop.add_signal_handler(number, interrupt, number)


async def _until_nobody_answers(client: StreamingClient, stream: RecordingStream) -> None:
    """Wait until somebody wants an end and there is no connection."""
    await stream.until_stopped()
    await client.until_lost()


def _live_view() -> View:
    view: View = import_optional("clients.terminal", "to draw the live view").LiveView()
    return view


def _check_writable(path: Path | None) -> None:
    """Find out now, not after the run, that its result has no place to go."""
    if path is not None and not path.parent.is_dir():
        raise FileNotFoundError(f"--json {path}: there is no folder {path.parent}")


def _check_same_kind(source: Source, test: Source | None) -> None:
    if test is None:
        return
    kinds = [(other.classes, other.sensor.channels) for other in (source, test)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"{test.name} has {test.sensor.channels} channels and {len(test.classes)} classes "
            f"({test.classes[0]}, …), {source.name} has {source.sensor.channels} and "
            f"{len(source.classes)} ({source.classes[0]}, …): the same ones were expected"
        )


def _first_sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _report(arguments: Arguments, progress: ReplayProgress, failure: str | None) -> None:
    if progress.passes:
        _say(pass_table(progress))
        if progress.test.n_segments:
            _say(test_line(progress))
        if progress.last_error is not None:
            _say(refusal_line(progress.last_error, progress.n_errors))
        _say(summary_line(progress))
    if arguments.json is not None:
        report = as_json(progress) | {"failure": failure, "arguments": asdict(arguments)}
        text = json.dumps(report, default=str, allow_nan=False)
        arguments.json.write_text(text + "\n", encoding="utf-8")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(reason: str) -> int:
    sys.stderr.write(f"tclif-replay: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
