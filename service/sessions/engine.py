"""What the sessions in memory need of the thread that computes."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from service.configuration.configuration import SessionConfiguration
from service.network.session_network import SessionNetwork
from service.sessions.sessions import Session
from service.settings import SessionSettings
from service.storage.model_store import Weights

T = TypeVar("T")


class Engine(Protocol):
    """Holds the networks of sessions, and computes what their inboxes hold."""

    def notify(self, session: Session) -> None:
        """Say that a session's inbox has work."""

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run something between two batches."""

    def open_network(
        self,
        configuration: SessionConfiguration,
        seed: int,
        settings: SessionSettings,
        weights: Weights | None = None,
        kernel: str | None = None,
    ) -> SessionNetwork:
        """Make a session's network; on the engine thread.

        Args:
            configuration: What it is to be.
            seed: What its first weights come from, unless ``weights`` are given.
            settings: What sessions may hold.
            weights: All of its first weights.
            kernel: What it computes with; that of new sessions if not given.
        """

    def close_network(self, session: Session) -> None:
        """Free a session's slot; on the engine thread."""
