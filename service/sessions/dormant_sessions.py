"""Sessions that left memory while a connection was attached: the connection stays, and sleeps.

What is left of such a session is what its connection holds: its numbers and its outbox. Whoever
brings the session back, its own next message or somebody who asks for it by HTTP, finds the
connection attached as it was.
"""

from service.access.principals import SessionKey
from service.sessions.sessions import Session


class DormantSessions:
    """What is left of parked sessions that are attached; only the event loop touches it."""

    def __init__(self) -> None:
        self._left: dict[SessionKey, Session] = {}

    def get(self, key: SessionKey) -> Session | None:
        """Return what is left of a parked session, if its connection has not long gone."""
        return self._left.get(key)

    def put(self, session: Session) -> None:
        """Keep what is left of a session that leaves memory with its connection."""
        session.is_dormant = True
        self._left[session.key] = session

    def wake(self, session: Session) -> None:
        """Attach the connection that slept to the session that came back.

        One that came back as another than it left, from an older snapshot, gets none: its client
        has to resume.
        """
        left = self._left.pop(session.key, None)
        if left is not None and (left.epoch, left.received) == (session.epoch, session.received):
            left.go_on_as(session)

    def forget(self, key: SessionKey) -> None:
        """Take leave of a session that is no more; its connection hears that it is deleted."""
        left = self._left.pop(key, None)
        if left is not None:
            left.retire()

    def sweep(self) -> list[Session]:
        """Return those whose connection has gone, and keep them no longer."""
        gone = [session for session in self._left.values() if not session.is_attached]
        for session in gone:
            del self._left[session.key]
        return gone

    def everybody(self) -> list[Session]:
        """Return what is left of each."""
        return list(self._left.values())
