"""`tclif-mic`: teach a network your own words by microphone, in a terminal.

    tclif-mic --classes yes,no,stop --session my-voice

Say a word; where you are silent again it is told what the network took it for. Press the number of
what it was, and the network learns it. With ``--file`` a recording is heard as if it were said now.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from clients.argument_types import count, sizes, stream_url
from clients.connection_errors import ClientError
from clients.credentials import TOKEN_VARIABLE, token_from_environment, token_from_file
from clients.error_sentences import sentence
from clients.listening import Hearing, Listening
from clients.optional_packages import MissingPackage
from clients.replay_arguments import DEFAULT_URL
from clients.sdk import StreamingClient
from clients.sound_input import FileInput, MicrophoneInput, NoSound, SoundInput, devices
from clients.terminal_plots import bar
from service.wire_protocol import (
    CochleaSensor,
    NetworkRequest,
    Open,
    ReportRequest,
    SegmentedBySilence,
)

_METER_COLUMNS = 20
_INTERRUPTED = 130


def main(command_line: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parse(command_line)
    try:
        if arguments.list_devices:
            sys.stdout.write("".join(f"{line}\n" for line in devices()) or "no microphone\n")
            return 0
        file = arguments.token_file
        token = token_from_environment() if file is None else token_from_file(file)
        asyncio.run(_listen(arguments, _request(arguments), _sound(arguments), token))
    except ValidationError as error:
        return _fail(str(error.errors()[0]["msg"]))
    except (ClientError, MissingPackage, NoSound, OSError, ValueError) as error:
        return _fail(sentence(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _parse(command_line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tclif-mic",
        description="Teach a network your own words by microphone: say one, and press the number"
        " of what it was.",
        epilog="Keys: 1 to 9 label what was heard last, q ends.",
    )
    add = parser.add_argument
    add("--url", type=stream_url, default=DEFAULT_URL, help="of the stream (default %(default)s)")
    add("--session", help="a name to go on with later; the server chooses one without it")
    add("--classes", default="yes,no,stop", help="words, with commas (default %(default)s)")
    add("--model", help="a stored model to begin from, whose words are the classes then")
    add("--hidden", type=sizes, default=(128, 128), help="neurons of each layer (default 128,128)")
    add("--channels", type=count, default=700, help="of the cochlea (default %(default)s)")
    add("--gap-ms", type=count, default=250, help="silence that ends a word (default %(default)s)")
    add("--device", help="a microphone's number or a part of its name")
    add("--list-devices", action="store_true", help="list the microphones and end")
    add("--file", type=Path, help="hear this wav or flac file in place of a microphone")
    add("--fast", action="store_true", help="hear the file as fast as the server takes it")
    add("--token-file", type=Path, help=f"holds the token (default: that of {TOKEN_VARIABLE})")
    return parser.parse_args(command_line)


def _request(arguments: argparse.Namespace) -> Open:
    names = tuple(name.strip() for name in arguments.classes.split(","))
    network = NetworkRequest(hidden=arguments.hidden, classes=names)
    return Open(
        session=arguments.session,
        model=arguments.model,
        network=None if arguments.model else network,
        sensor=CochleaSensor(channels=arguments.channels),
        segmentation=SegmentedBySilence(gap_us=1000 * arguments.gap_ms),
        report=ReportRequest(every_ticks=10),
    )


def _sound(arguments: argparse.Namespace) -> SoundInput:
    if arguments.file is not None:
        return FileInput(arguments.file, is_paced=not arguments.fast)
    device = arguments.device
    return MicrophoneInput(int(device) if device is not None and device.isdecimal() else device)


async def _listen(
    arguments: argparse.Namespace, request: Open, sound: SoundInput, token: str | None
) -> None:
    with _status_line() as line:
        async with StreamingClient.open(arguments.url, request, token=token) as client:
            names = ", ".join(f"{n} {name}" for n, name in enumerate(client.classes, 1))
            line.say(f"session {client.opened.session}: {names}; q ends")
            listening = Listening(
                client,
                sound,
                channels=arguments.channels,
                gap_us=1000 * arguments.gap_ms,
                say=line.say,
                show=lambda hearing: line.show(status(hearing)),
            )
            await listening.run(_keys())


def status(hearing: Hearing) -> str:
    """Return the present state as one line."""
    meter = bar(hearing.level, _METER_COLUMNS)
    guess = "" if hearing.guess is None else "{} {:.0%}".format(*hearing.guess)
    accuracy = "" if hearing.accuracy is None else f", {hearing.accuracy:.0%} right"
    counted = f"{hearing.n_events:,} spikes, {hearing.n_learned} learnt{accuracy}"
    trouble = f"  {hearing.trouble}" if hearing.trouble else ""
    return f"|{meter}| {guess:<16} {counted}{trouble}"


class _StatusLine:
    """The last line of a terminal is drawn anew, the lines above it stay."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        sys.stdout.write(f"\r\x1b[K{text}\n" if self._is_terminal else f"{text}\n")
        sys.stdout.flush()

    def show(self, text: str) -> None:
        """Draw the last line; nowhere but on a terminal."""
        if self._is_terminal:
            columns = os.get_terminal_size().columns
            sys.stdout.write(f"\r\x1b[K{text[: columns - 1]}")
            sys.stdout.flush()


@contextlib.contextmanager
def _status_line() -> Iterator[_StatusLine]:
    """Draw the state meanwhile, and read keys as they are pressed, where there is a terminal."""
    if not sys.stdin.isatty() or os.name != "posix":
        yield _StatusLine()
        return
    # POSIX alone has these modules
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _StatusLine()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write("\n" if sys.stdout.isatty() else "")


async def _keys() -> AsyncIterator[str]:
    """Give what is pressed, or written into a pipe, white space left out."""
    loop = asyncio.get_running_loop()
    pressed: asyncio.Queue[str] = asyncio.Queue(64)

    def read() -> None:
        text = os.read(sys.stdin.fileno(), 64).decode(errors="replace")
        if not text:
            loop.remove_reader(sys.stdin)
        for key in text:
            if not key.isspace() and not pressed.full():
                pressed.put_nowait(key)

    try:
        loop.add_reader(sys.stdin, read)
    except (OSError, ValueError):
        # a file can't be waited for; nobody presses keys there
        return
    try:
        while True:
            yield await pressed.get()
    finally:
        loop.remove_reader(sys.stdin)


def _fail(reason: str) -> int:
    sys.stderr.write(f"tclif-mic: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
