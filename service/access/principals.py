"""Who talks to the server, what they may do, and by whom a session is known.

A session belongs to a principal: two principals may each have a session of the same name and never
see the other's.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What a token lets its bearer do."""

    CLIENT = "client"
    """Have sessions and models of their own."""

    ADMINISTRATOR = "administrator"
    """That, publish models, and read ``/metrics``. Sessions of others stay out of sight."""

    METRICS = "metrics"
    """Read ``/metrics`` and nothing else."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who owns sessions.

    Attributes:
        name: What sessions are keyed by, and what the log calls them.
        role: What the token that they came with lets them do.
        token_id: Which token that was; none while no tokens are configured.
    """

    name: str
    role: Role = Role.CLIENT
    token_id: str | None = None

    @property
    def is_administrator(self) -> bool:
        """Whether they publish models."""
        return self.role is Role.ADMINISTRATOR

    @property
    def may_stream(self) -> bool:
        """Whether they may have sessions at all."""
        return self.role is not Role.METRICS

    @property
    def may_read_metrics(self) -> bool:
        """Whether they read the metrics of everybody."""
        return self.role is not Role.CLIENT


LOCAL = Principal("local", Role.ADMINISTRATOR)
"""Everybody, while no tokens are configured."""


class SessionKey(NamedTuple):
    """By what a session is known: whose it is, and what its owner calls it."""

    principal: str
    name: str
