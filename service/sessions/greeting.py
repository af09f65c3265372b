"""What a connection is told when it is attached to a session."""

from service import VERSION
from service.sessions.sessions import Session
from service.settings import SocketSettings
from service.wire_protocol import Limits, Opened


def greeting(session: Session, settings: SocketSettings, *, resumed: bool) -> Opened:
    """Return the ``opened`` of a session as it is now.

    Args:
        session: All that it took in is applied.
        settings: What holds for the connection.
        resumed: Whether the session was there before.
    """
    cuts = session.intake.segmentation
    # what the server cuts it ends itself: only a client has to be reminded
    left_open = None if cuts.is_cut_by_server else cuts.open_segment
    return Opened(
        session=session.name,
        resumed=resumed,
        epoch=session.epoch,
        next_sequence=session.received + 1,
        credit_ticks=session.credit_ticks,
        classes=session.intake.class_names,
        tick_us=session.configuration.tick_us,
        seed=session.seed,
        kernel=session.network.learner.kernel_name,
        limits=_limits(session, settings),
        server=VERSION,
        open_segment=left_open.number if left_open else None,
        open_segment_t_us=left_open.begin_us if left_open else None,
        horizon_us=cuts.horizon_us,
    )


def _limits(session: Session, settings: SocketSettings) -> Limits:
    takes_intervals = session.intake.segmentation.takes_intervals
    return Limits(
        max_message_bytes=settings.max_message_bytes,
        max_advance_ticks=session.settings.max_advance_ticks,
        kept_segments=session.settings.kept_segments,
        kept_ticks=session.settings.kept_ticks,
        idle_s=settings.idle_s,
        checkpoint_ticks=session.settings.checkpoint_ticks if takes_intervals else None,
    )
