"""Who streams in real time, and who is ahead of it."""

import pytest

from service.sessions.stream_pace import LONGEST_LEAD, TOLERATED_SPEED, StreamPace

SLACK_S = 2.0


@pytest.fixture
def pace() -> StreamPace:
    return StreamPace(SLACK_S)


def stream(pace: StreamPace, *, speed: float, from_s: float, seconds: float) -> None:
    """Send sensor time at so many times the wall's speed, ten messages a second."""
    for number in range(int(seconds * 10)):
        pace.take(speed / 10, from_s + number / 10)


def test_a_session_begins_in_real_time(pace: StreamPace) -> None:
    assert not pace.is_ahead


def test_a_piece_within_the_slack_is_real_time_and_a_longer_one_is_not(pace: StreamPace) -> None:
    pace.take(2.0, now_s=100.0)
    within = pace.is_ahead
    pace.take(0.1, now_s=100.0)

    assert (within, pace.is_ahead) == (False, True)


def test_pieces_that_come_as_fast_as_time_passes_never_get_ahead(pace: StreamPace) -> None:
    stream(pace, speed=1.0, from_s=100.0, seconds=1000.0)

    assert not pace.is_ahead


def test_a_clock_that_runs_a_little_fast_never_gets_ahead(pace: StreamPace) -> None:
    stream(pace, speed=TOLERATED_SPEED, from_s=100.0, seconds=1000.0)

    assert not pace.is_ahead


def test_a_replay_is_ahead_once_it_has_used_up_its_slack(pace: StreamPace) -> None:
    # at ten times the speed the lead grows by 8.9 s in a second: 0.2 s of it are within 2 s
    stream(pace, speed=10.0, from_s=100.0, seconds=0.2)
    early = pace.is_ahead
    stream(pace, speed=10.0, from_s=100.2, seconds=0.1)

    assert (early, pace.is_ahead) == (False, True)


def test_silence_does_not_earn_a_lead(pace: StreamPace) -> None:
    pace.take(0.1, now_s=100.0)
    pace.take(2.1, now_s=10_000.0)

    assert pace.is_ahead


def test_a_replay_that_slows_down_is_soon_in_real_time_again(pace: StreamPace) -> None:
    stream(pace, speed=1000.0, from_s=100.0, seconds=60.0)

    # the lead is LONGEST_LEAD slacks and melts by TOLERATED_SPEED - 1 beyond what real time adds
    longest_s = (LONGEST_LEAD - 1) * SLACK_S / (TOLERATED_SPEED - 1)
    stream(pace, speed=1.0, from_s=160.0, seconds=longest_s + 1)

    assert not pace.is_ahead


def test_a_clock_that_stands_still_takes_no_lead_away(pace: StreamPace) -> None:
    for _ in range(3):
        pace.take(1.0, now_s=0.0)

    assert pace.is_ahead
