"""What an ``open`` may ask of a stream: how it is cut, how late it comes, what is kept of it.

All of it is bounded before anything is allocated.
"""

from service.errors import OpenRefused, QuotaExceeded
from service.settings import SessionSettings
from service.wire_protocol import Open, SegmentedByWindow, Unsegmented


def check_cuts(request: Open, tick_us: int) -> None:
    """Refuse windows shorter than a tick, and learning ahead where there is no next segment."""
    cut = request.segmentation
    if isinstance(cut, SegmentedByWindow) and cut.length_us < tick_us:
        raise OpenRefused(
            f"segmentation.length_us {cut.length_us} came; expected a tick, {tick_us} us, or more"
        )
    if isinstance(cut, Unsegmented) and request.learning.mode == "ahead":
        raise OpenRefused("learning.mode 'ahead' came; a segment without end can't learn ahead")


def check_lateness(request: Open, tick_us: int, settings: SessionSettings) -> None:
    """Refuse a grace so long that its open ticks could not be kept, or completed by one message."""
    # a segment's end at its horizon completes the late ticks and one more, cut at both ends
    most_ticks = settings.max_advance_ticks - 1
    late_ticks = -(-request.late_us // tick_us)
    cut = request.segmentation
    if late_ticks and isinstance(cut, SegmentedByWindow) and cut.length_us % tick_us:
        # each window ends with a shorter tick
        late_ticks += request.late_us // cut.length_us + 1
    if late_ticks > most_ticks:
        raise OpenRefused(
            f"late_us {request.late_us} came; expected at most {most_ticks} ticks of {tick_us} us"
        )
    waiting = (late_ticks + 1) * request.sensor.n_inputs
    if waiting > settings.waiting_inputs:
        raise OpenRefused(
            f"late_us {request.late_us} with {request.sensor.n_inputs} inputs came; expected"
            f" (late ticks + 1) x inputs to be at most {settings.waiting_inputs}"
        )


def check_kept(request: Open, state_bytes: int, settings: SessionSettings) -> None:
    """Refuse a stream of which more could be kept than a session may hold.

    Args:
        request: How it is cut, and how many inputs it has.
        state_bytes: What one kept state of its network takes.
        settings: The bounds.

    Raises:
        QuotaExceeded: Naming the bytes.
    """
    most = most_kept_bytes(request, state_bytes, settings)
    if most > settings.max_kept_bytes:
        raise QuotaExceeded(
            f"kept ticks and states could take {most} bytes; expected at most"
            f" {settings.max_kept_bytes}"
        )


def most_kept_bytes(request: Open, state_bytes: int, settings: SessionSettings) -> int:
    """Return what the kept ticks and states of a stream may take at most."""
    n_ticks = settings.kept_ticks
    n_inputs = min(settings.kept_inputs, n_ticks * request.sensor.n_inputs)
    # an offset for each tick; channel and value of each input
    most = 8 * n_ticks + 8 * n_inputs
    # the waiting segments and the open one
    n_states = (settings.kept_segments + 1) * request.carry_state
    if isinstance(request.segmentation, SegmentedByWindow | Unsegmented):
        # a vote for each tick
        most += 8 * n_ticks
        n_states += n_ticks // settings.checkpoint_ticks + 1
    return most + n_states * state_bytes
