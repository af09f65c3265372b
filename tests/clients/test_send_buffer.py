"""Messages are numbered, written within credit, and kept as long as they may be needed."""

import pytest

from clients.connection_errors import SessionLost
from clients.send_buffer import SendBuffer
from service.wire_protocol import Ack


def attached(
    *,
    next_sequence: int = 1,
    credit: int = 100,
    keep: int = 1000,
    unapplied: int = 1000,
    ahead: int = 1000,
) -> SendBuffer:
    buffer = SendBuffer(keep_bytes=keep, unapplied_bytes=unapplied, ticks_ahead=ahead)
    buffer.attach(next_sequence, credit)
    return buffer


def fill(buffer: SendBuffer, *ticks: int) -> None:
    """Append messages of ten bytes that cause so many ticks each."""
    for n_ticks in ticks:
        buffer.append(lambda sequence: f"{sequence:010d}", n_ticks)


def written(buffer: SendBuffer) -> list[int]:
    """Write what is due and return the numbers."""
    numbers = []
    while buffer.is_due:
        sequence, payload = buffer.take()
        assert int(payload) == sequence
        numbers.append(sequence)
    return numbers


def ack(applied: int, *, durable: int = 0, credit: int = 100) -> Ack:
    return Ack(applied=applied, durable=durable, credit_ticks=credit)


def test_messages_are_numbered_from_what_the_server_expects() -> None:
    buffer = attached(next_sequence=57)

    fill(buffer, 0, 0)

    assert written(buffer) == [57, 58]
    assert buffer.newest == 58


def test_nothing_is_taken_before_a_session_is_attached() -> None:
    buffer = SendBuffer(keep_bytes=1, unapplied_bytes=1, ticks_ahead=1)

    assert not buffer.has_room
    assert not buffer.is_due
    assert buffer.newest == 0
    with pytest.raises(RuntimeError, match="no session is attached"):
        fill(buffer, 0)


def test_messages_go_while_their_ticks_fit_the_credit() -> None:
    buffer = attached(credit=10)

    fill(buffer, 4, 6, 0, 1)

    # 4, 10 and 10 ticks beyond what is applied; the fourth would make 11
    assert written(buffer) == [1, 2, 3]
    buffer.acknowledge(ack(1, credit=10))
    # 7 ticks beyond message 1
    assert written(buffer) == [4]


def test_a_client_asks_for_no_more_than_it_wants_ahead_whatever_the_credit() -> None:
    buffer = attached(credit=1000, ahead=10)

    fill(buffer, 4, 6, 1)

    assert written(buffer) == [1, 2]


def test_a_message_larger_than_all_credit_goes_alone() -> None:
    buffer = attached(credit=10)

    fill(buffer, 50, 1)

    assert written(buffer) == [1]
    buffer.acknowledge(ack(1, credit=10))
    assert written(buffer) == [2]


def test_a_new_connection_is_given_everything_from_the_expected_message() -> None:
    buffer = attached()
    fill(buffer, 1, 1, 1)
    written(buffer)
    buffer.acknowledge(ack(1))

    buffer.attach(3, 100)

    assert buffer.applied == 2
    assert written(buffer) == [3]


def test_a_server_that_lost_applied_messages_gets_them_again() -> None:
    buffer = attached()
    fill(buffer, 1, 1, 1)
    written(buffer)
    buffer.acknowledge(ack(3))

    buffer.attach(2, 1)

    assert buffer.applied == 1
    # one tick of credit: the second waits for the first
    assert written(buffer) == [2]
    buffer.acknowledge(ack(2, credit=1))
    assert written(buffer) == [3]


def test_credit_is_counted_from_the_applied_message_even_if_that_one_is_forgotten() -> None:
    buffer = attached()
    fill(buffer, 50, 2, 2)
    written(buffer)
    buffer.acknowledge(ack(1, durable=1))

    buffer.attach(2, 4)

    # 2 and 4 ticks beyond message 1; its own 50 are past
    assert written(buffer) == [2, 3]


@pytest.mark.parametrize("next_sequence", [1, 4, 9])
def test_a_server_that_expects_what_was_never_kept_has_lost_the_session(
    next_sequence: int,
) -> None:
    buffer = attached()
    fill(buffer, 1, 1)
    buffer.acknowledge(ack(1, durable=1))

    # 2 is kept, 3 is next; 1 is durable and forgotten
    with pytest.raises(SessionLost, match=f"expects message {next_sequence}; .* send 2 to 3"):
        buffer.attach(next_sequence, 1)


def test_durable_messages_are_forgotten() -> None:
    buffer = attached()
    fill(buffer, 1, 1, 1)

    buffer.acknowledge(ack(3, durable=2))

    buffer.attach(3, 1)
    with pytest.raises(SessionLost):
        buffer.attach(2, 1)


def test_applied_messages_are_forgotten_beyond_the_bound_oldest_first() -> None:
    buffer = attached(keep=25)
    fill(buffer, 1, 1, 1)

    buffer.acknowledge(ack(3))

    # three of ten bytes: one must go to come below 25
    buffer.attach(2, 1)
    with pytest.raises(SessionLost):
        buffer.attach(1, 1)


def test_messages_that_are_not_applied_are_never_forgotten() -> None:
    buffer = attached(keep=0, unapplied=10_000)
    fill(buffer, *[0] * 100)

    buffer.acknowledge(ack(10))

    buffer.attach(11, 0)
    assert written(buffer) == list(range(11, 101))


def test_too_many_bytes_that_are_not_applied_leave_no_room() -> None:
    buffer = attached(unapplied=20)

    room = []
    for _ in range(2):
        fill(buffer, 0)
        room.append(buffer.has_room)
    buffer.acknowledge(ack(1))

    # ten bytes, twenty, and ten again
    assert [*room, buffer.has_room] == [True, False, True]


def test_an_ack_beyond_the_newest_message_counts_as_the_newest() -> None:
    buffer = attached()
    fill(buffer, 1)

    buffer.acknowledge(ack(7))

    assert buffer.applied == 1
