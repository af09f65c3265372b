"""Who did what: one line for everything that lets somebody in, or erases or changes what is kept.

The lines go to the logger ``tclif.audit``. No line quotes a token; tokens are called by their ids.
"""

import logging
from enum import StrEnum

from service.logs import current_subject

_log = logging.getLogger("tclif.audit")


class Act(StrEnum):
    """What is written down."""

    OPEN = "session.open"
    DELETE = "session.delete"
    EXPIRE = "session.expire"
    ROLLBACK = "session.rollback"
    PROMOTE = "model.promote"
    REFUSE = "credentials.refuse"
    REVOKE = "credentials.revoke"
    RELOAD = "tokens.reload"


def record(
    act: Act, *, principal: str | None = None, session: str | None = None, **details: object
) -> None:
    """Write down that somebody did something.

    Args:
        act: What was done.
        principal: Who did it; whoever is being served if not given.
        session: To which session, likewise.
        details: What else matters; names are the server's own, values may be a client's.
    """
    subject = current_subject()
    fields: dict[str, object] = {
        "principal": principal or subject.principal,
        "session": session or subject.session,
    }
    # repr: what came from outside can't begin a line of its own
    told = "".join(f" {name}={value!r}" for name, value in details.items())
    _log.info("%s%s", act, told, extra={**details, **fields, "act": str(act), "peer": subject.peer})
