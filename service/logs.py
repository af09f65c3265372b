"""What every line of the log carries: whose connection it is about, and which session."""

import logging
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["text", "json"]

NOBODY = "-"
"""What stands in a line that is about no session, or no principal."""


@dataclass(slots=True)
class LogSubject:
    """Who is served, as long as one request or connection lasts; its tasks share one.

    Attributes:
        principal: Who they are, once that is known.
        session: Their session's name, once it is known.
        peer: The address that they come from.
    """

    principal: str = NOBODY
    session: str = NOBODY
    peer: str = NOBODY


_SUBJECT: ContextVar[LogSubject | None] = ContextVar("log_subject", default=None)


def begin_subject(peer: str) -> LogSubject:
    """Let the lines of this task and those it starts be about somebody new."""
    subject = LogSubject(peer=peer)
    _SUBJECT.set(subject)
    return subject


def current_subject() -> LogSubject:
    """Return who is served now; nobody outside of requests and connections."""
    return _SUBJECT.get() or LogSubject()


def name_subject(record: logging.LogRecord) -> bool:
    """Let a line say which session and principal it is about, unless it does; a logging filter."""
    subject = current_subject()
    for field in ("session", "principal"):
        if getattr(record, field, None) is None:
            setattr(record, field, getattr(subject, field))
    return True


def set_up_logs(level: str, log_format: LogFormat) -> None:
    """Send every line of this process to standard error, as text or as one JSON object each.

    Args:
        level: The least serious lines that are shown.
        log_format: How they are written.
    """
    output = logging.StreamHandler(sys.stderr)
    output.addFilter(name_subject)
    output.setFormatter(
        logging.Formatter(
            "%(asctime)s %(levelname)s %(name)s [%(principal)s/%(session)s]: %(message)s"
        )
        if log_format == "text"
        else JsonFormatter(
            "{levelname}{name}{principal}{session}{message}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[output], force=True)


def socket_log_level(level: str) -> str:
    """Return the level for the lines of the HTTP server.

    Its debug lines quote whole handshakes, tokens included, so they are never shown.
    """
    return "info" if level == "debug" else level
