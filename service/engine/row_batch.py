"""The rows of one batch through their learners; whoever breaks something falls alone."""

import logging
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

from service.errors import InternalFailure
from service.network.visit import Answer, Row
from service.sessions.sessions import Session
from service.stream.event_binning import TickBlock
from tclif_core import EventBlock, Learner

Pair = tuple[Session, Row]

_log = logging.getLogger(__name__)


class Door:
    """Let nothing that goes wrong end the tick thread; tell whom it concerns.

    One session falls, not all. Every row goes through here, so it is no generator.
    """

    __slots__ = ("_on_error",)

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> bool:
        """Hand an error over."""
        if not isinstance(error, Exception):
            return False
        self._on_error(error)
        return True


def fail(session: Session, error: Exception) -> None:
    """Quarantine a session: what went wrong was its network's, or the server's, never another's."""
    if isinstance(error, InternalFailure):
        failure = error
        _log.error("session quarantined: %s", error, extra=session.log_fields)
    else:
        failure = InternalFailure(f"a defect of the server ended session {session.name!r}")
        _log.error("session failed", exc_info=error, extra=session.log_fields)
    session.network.fail(failure, session.backlog.inbox)


def advance(learner: Learner, pairs: list[Pair]) -> None:
    """Advance one row of each session and give every session its share of the results.

    A batch that the learner refuses changes nothing: its rows are then tried one by one, so that
    only the culprit falls.
    """

    def on_error(error: Exception) -> None:
        if isinstance(error, ValueError) and len(pairs) > 1:
            for pair in pairs:
                advance(learner, [pair])
        else:
            for session, _ in pairs:
                fail(session, error)

    shares: list[Answer] = []
    with Door(on_error):
        shares = _advance_rows(learner, pairs)
    for (session, row), share in zip(pairs, shares, strict=False):
        with Door(partial(fail, session)):
            session.network.take_results(row, share)
            # the message ends here, or the segment: that need not wait for another batch
            session.network.do_what_is_free(session.backlog.inbox)


def _advance_rows(learner: Learner, pairs: list[Pair]) -> list[Answer]:
    """Return what was computed for each row."""
    rows = [row for _, row in pairs]
    n_ticks = np.array([row.block.n_ticks for row in rows])
    row_ticks = np.zeros(len(rows) + 1, np.int64)
    n_ticks.cumsum(out=row_ticks[1:])
    joined = TickBlock.join([row.block for row in rows])
    result = learner.advance(
        np.array([session.network.slot for session, _ in pairs], np.int64),
        np.array([row.strand for row in rows], np.int64),
        np.array([row.learns for row in rows], np.bool_),
        EventBlock(row_ticks, joined.offsets, joined.channels, joined.values),
        np.repeat(np.array([row.target for row in rows], np.int64), n_ticks),
    )
    means, logits = result.mean_probabilities, result.logits
    bounds = pairwise(row_ticks.tolist())
    return [Answer(means[start:stop], logits[start:stop]) for start, stop in bounds]
