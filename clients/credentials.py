"""The token that a client shows, and how it stays out of logs, reprs and command lines.

A token is taken from a file or from the environment, never from a command line, which every user of
the machine may read. What is refused is described without being repeated.
"""

import logging
import os
import re
from pathlib import Path
from typing import Final

from typing_extensions import override

TOKEN_VARIABLE: Final = "TCLIF_TOKEN"  # noqa: S105 - the variable's name, not a token
"""Environment variable that holds the token where a program gives none."""

_AUTHORIZATION: Final = "authorization"
# what RFC 6750 lets a bearer token consist of
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}={0,64}")


def check_token(token: str, origin: str) -> str:
    """Return the token without white space around it.

    Args:
        token: What was given.
        origin: Where it came from, for the message.

    Raises:
        ValueError: It can't be a token; the message does not repeat it.
    """
    token = token.strip()
    if _TOKEN.fullmatch(token) is None:
        raise ValueError(
            f"{origin} holds {len(token)} characters that are no token; one line of letters, "
            "digits and - . _ ~ + / = was expected"
        )
    return token


def token_from_environment() -> str | None:
    """Return the token of ``TCLIF_TOKEN``; None where it is unset or empty.

    Raises:
        ValueError: The variable holds no token.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    return check_token(token, TOKEN_VARIABLE) if token else None


def token_from_file(path: Path) -> str:
    """Read a token from a file that holds nothing else.

    Raises:
        OSError: The file can't be read.
        ValueError: It holds no token.
    """
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text file, a token was expected in it") from None
    return check_token(text, str(path))


def authorization(token: str | None) -> dict[str, str]:
    """Return the headers that show a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


class HideAuthorization(logging.Filter):
    """Takes the value of an ``Authorization`` header out of what is logged about a handshake."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, a header's with its value replaced."""
        if isinstance(record.args, tuple) and len(record.args) > 1:
            name, *_ = record.args
            if isinstance(name, str) and name.lower() == _AUTHORIZATION:
                record.args = (name, "(not logged)")
        return True


def socket_logger() -> logging.Logger:
    """Return the logger of the WebSocket layer, which logs handshakes at its lowest level."""
    logger = logging.getLogger("clients.socket")
    if not any(isinstance(one, HideAuthorization) for one in logger.filters):
        logger.addFilter(HideAuthorization())
    return logger
