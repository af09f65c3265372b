"""What commands for live sensors share: options of the session, the run, its end.

Ctrl-C, SIGTERM and the key ``q`` end a run in order: what was sent is answered and stored first. A
second Ctrl-C ends it at once.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from clients.argument_types import count, sizes, stream_url
from clients.connection_errors import ClientError
from clients.credentials import TOKEN_VARIABLE, token_from_environment, token_from_file
from clients.error_sentences import sentence
from clients.key_terminal import pressed_keys, status_line
from clients.live_moments import Moment
from clients.live_teaching import LiveState, LiveTeaching
from clients.optional_packages import MissingPackage
from clients.replay_arguments import DEFAULT_URL
from clients.sdk import StreamingClient
from service.wire_protocol import (
    NetworkRequest,
    Open,
    ReportRequest,
    Segmentation,
    SensorRequest,
)

KEYS = "Keys: 1 to 9 label what was told last, q ends."

_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Live:
    """A sensor that is ready to stream.

    Attributes:
        request: The session to open.
        moments: What the sensor says.
        account: Says at the end what came and what was lost; empty for nothing to say.
        close: Lets the sensor go.
    """

    request: Open
    moments: AsyncIterator[Moment]
    account: Callable[[], str]
    close: Callable[[], None]


def add_session_options(parser: argparse.ArgumentParser, *, classes: str) -> None:
    """Add the options that say which session to stream to, and as whom."""
    add = parser.add_argument
    add("--url", type=stream_url, default=DEFAULT_URL, help="of the stream (default %(default)s)")
    add("--session", help="a name to go on with later; the server chooses one without it")
    add("--classes", default=classes, help="with commas between (default %(default)s)")
    add("--model", help="a stored model to begin from, whose classes are used then")
    add("--hidden", type=sizes, default=(128, 128), help="neurons of each layer (default 128,128)")
    add("--tick-us", type=count, metavar="US", help="length of a tick (default: the server's)")
    add("--token-file", type=Path, help=f"holds the token (default: that of {TOKEN_VARIABLE})")


def session_request(
    arguments: argparse.Namespace, sensor: SensorRequest, segmentation: Segmentation
) -> Open:
    """Ask for the session that the options describe.

    Raises:
        pydantic.ValidationError: There can be no such session.
    """
    names = tuple(name.strip() for name in arguments.classes.split(","))
    network = NetworkRequest(hidden=arguments.hidden, classes=names)
    return Open(
        session=arguments.session,
        model=arguments.model,
        network=None if arguments.model else network,
        sensor=sensor,
        tick_us=arguments.tick_us,
        segmentation=segmentation,
        report=ReportRequest(every_ticks=10),
    )


def run(name: str, arguments: argparse.Namespace, prepare: Callable[[], Live]) -> int:
    """Run a command and return its exit code.

    Args:
        name: Of the command, for messages.
        arguments: Those of `add_session_options`, parsed.
        prepare: Makes the sensor ready; what it raises is told in a sentence.
    """
    try:
        file = arguments.token_file
        token = token_from_environment() if file is None else token_from_file(file)
        live = prepare()
        try:
            asyncio.run(_stream(arguments.url, live, token))
        finally:
            live.close()
            if account := live.account():
                sys.stdout.write(f"{account}\n")
    except ValidationError as error:
        first = error.errors()[0]
        return _fail(name, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
    except (ClientError, MissingPackage, OSError, ValueError) as error:
        return _fail(name, sentence(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


async def _stream(url: str, live: Live, token: str | None) -> None:
    with status_line() as line:
        async with StreamingClient.open(url, live.request, token=token) as client:
            names = ", ".join(f"{n} {name}" for n, name in enumerate(client.classes, 1))
            line.say(f"session {client.opened.session}: {names}; q ends")
            teaching = LiveTeaching(
                client,
                live.moments,
                say=line.say,
                show=lambda state: line.show(status(state)),
            )
            _stop_at_signals(teaching)
            await teaching.run(pressed_keys())


def _stop_at_signals(teaching: LiveTeaching) -> None:
    """Have the first Ctrl-C or SIGTERM end the run in order; the second one ends all."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        teaching.stop()
        for one in _SIGNALS:
            loop.remove_signal_handler(one)

    # not every platform's loop knows signals, nor any but the main thread
    with contextlib.suppress(NotImplementedError, RuntimeError):
        for number in _SIGNALS:
            loop.add_signal_handler(number, interrupt)


def status(state: LiveState) -> str:
    """Return the present state as one line."""
    guess = "" if state.guess is None else "{} {:.0%}".format(*state.guess)
    accuracy = "" if state.accuracy is None else f", {state.accuracy:.0%} right"
    counted = f"{state.n_events:,} events, {state.n_learned} learnt{accuracy}"
    trouble = f"  {state.trouble}" if state.trouble else ""
    return f"{state.gauge} {guess:<16} {counted}{trouble}"


def _fail(name: str, reason: str) -> int:
    sys.stderr.write(f"{name}: {reason}\n")
    return 1
