"""Who talks to the server, and by whom a session is known.

A session belongs to a principal: two principals may each have a session of the same name and never
see the other's.
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who owns sessions.

    Attributes:
        name: What sessions are keyed by, and what the log calls them.
        is_administrator: Whether they publish models and read metrics.
    """

    name: str
    is_administrator: bool = False


LOCAL = Principal("local", is_administrator=True)
"""Everybody, while no tokens are configured."""


class SessionKey(NamedTuple):
    """By what a session is known: whose it is, and what its owner calls it."""

    principal: str
    name: str
