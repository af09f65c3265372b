"""A terminal whose last line is drawn anew, and whose keys are heard as they are pressed."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator

_WAITING_KEYS = 64


class StatusLine:
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
def status_line() -> Iterator[StatusLine]:
    """Draw the state meanwhile, and hear keys as they are pressed, where there is a terminal."""
    if not sys.stdin.isatty() or os.name != "posix":
        yield StatusLine()
        return
    # POSIX alone has these modules
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield StatusLine()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write("\n" if sys.stdout.isatty() else "")


async def pressed_keys() -> AsyncIterator[str]:
    """Give what is pressed, or written into a pipe until that ends, white space left out."""
    loop = asyncio.get_running_loop()
    # None: the pipe has ended
    pressed: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        text = os.read(sys.stdin.fileno(), 64).decode(errors="replace")
        if not text:
            loop.remove_reader(sys.stdin)
            pressed.put_nowait(None)
        for key in text:
            if not key.isspace() and pressed.qsize() < _WAITING_KEYS:
                pressed.put_nowait(key)

    try:
        loop.add_reader(sys.stdin, read)
    except (OSError, ValueError):
        # a file can't be waited for; nobody presses keys there
        return
    try:
        while (key := await pressed.get()) is not None:
            yield key
    finally:
        loop.remove_reader(sys.stdin)
