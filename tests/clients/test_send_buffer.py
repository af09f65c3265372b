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
    messages: int = 1000,
    unapplied: int = 1000,
    ahead: int = 1000,
) -> SendBuffer:
    buffer = SendBuffer(
        keep_bytes=keep, keep_messages=messages, unapplied_bytes=unapplied, ticks_ahead=ahead
    )
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
    buffer = SendBuffer(keep_bytes=1, keep_messages=1, unapplied_bytes=1, ticks_ahead=1)

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


@pytest.mark.parametrize("bounds", [{"keep": 30}, {"messages": 3}])
def test_what_is_not_durable_is_kept_and_blocks_at_its_bound(bounds: dict[str, int]) -> None:
    buffer = attached(**bounds)
    fill(buffer, 1, 1)
    buffer.acknowledge(ack(2))
    room = [buffer.has_room]

    # thirty bytes, three messages
    fill(buffer, 1)
    buffer.acknowledge(ack(3))
    room.append(buffer.has_room)
    assert buffer.is_full
    # the first is still there, if a server should ask for it
    buffer.attach(1, 1)
    room.append(buffer.has_room)
    buffer.acknowledge(ack(3, durable=1))
    room.append(buffer.has_room)

    assert room == [True, False, False, True]
    assert buffer.durable == 1


def test_messages_that_are_not_applied_are_never_forgotten() -> None:
    buffer = attached()
    fill(buffer, *[0] * 50)

    # a server that calls durable what it has not applied is not believed
    buffer.acknowledge(ack(10, durable=40))

    assert buffer.durable == 10
    buffer.attach(11, 0)
    assert written(buffer) == list(range(11, 51))


def test_a_filling_buffer_asks_for_one_snapshot_at_a_time() -> None:
    buffer = attached(messages=10)
    due = []

    def note() -> None:
        due.append(buffer.is_snapshot_due)

    fill(buffer, *[0] * 4)
    written(buffer)
    note()  # four of ten
    fill(buffer, 0)
    note()  # five of ten
    buffer.note_snapshot_asked()
    note()  # asked for 4, which were written
    buffer.acknowledge(ack(4, durable=3))
    fill(buffer, 0, 0, 0)
    written(buffer)
    note()  # five of ten, but 4 is not durable yet
    buffer.acknowledge(ack(8, durable=4))
    fill(buffer, 0)
    written(buffer)
    note()  # five again, nothing under way

    assert due == [False, True, False, False, True]


def test_a_buffer_full_of_what_is_not_written_asks_for_nothing() -> None:
    buffer = attached(messages=4, credit=0)
    fill(buffer, 1, 1, 1, 1)

    due = [buffer.is_snapshot_due]
    assert written(buffer) == [1]
    # one was written: with it something could become durable
    due.append(buffer.is_snapshot_due)

    assert due == [False, True]


def test_a_new_connection_is_asked_again() -> None:
    buffer = attached(messages=4)
    fill(buffer, 0, 0, 0)
    written(buffer)
    buffer.note_snapshot_asked()

    buffer.attach(2, 100)
    written(buffer)

    assert buffer.is_snapshot_due


def test_a_snapshot_that_somebody_wants_is_asked_for_after_all_that_was_sent_before() -> None:
    buffer = attached()
    fill(buffer, 0, 0)
    buffer.want_snapshot()

    due, awaited = [buffer.is_snapshot_due], []
    written(buffer)
    due.append(buffer.is_snapshot_due)
    buffer.note_snapshot_asked()
    due.append(buffer.is_snapshot_due)
    for durable in (1, 2):
        buffer.acknowledge(ack(2, durable=durable))
        awaited.append(buffer.is_snapshot_awaited)

    assert due == [False, True, False]
    assert awaited == [True, False]


def test_a_snapshot_is_wanted_even_if_everything_is_durable() -> None:
    buffer = attached(next_sequence=9)

    buffer.want_snapshot()

    state = [(buffer.is_snapshot_awaited, buffer.is_snapshot_due)]
    buffer.note_snapshot_asked()
    state.append((buffer.is_snapshot_awaited, buffer.is_snapshot_due))

    assert state == [(True, True), (False, False)]


def test_a_snapshot_that_a_lost_connection_swallowed_is_wanted_again() -> None:
    buffer = attached()
    fill(buffer, 0, 0)
    written(buffer)
    buffer.want_snapshot()
    buffer.note_snapshot_asked()

    buffer.attach(1, 100)

    due = [buffer.is_snapshot_due]
    assert written(buffer) == [1, 2]
    due.append(buffer.is_snapshot_due)

    assert due == [False, True]


def test_a_goodbye_tells_what_is_durable_too() -> None:
    buffer = attached()
    fill(buffer, 0, 0)
    buffer.acknowledge(ack(2))

    buffer.note_durable(2)

    assert (buffer.durable, buffer.newest) == (2, 2)


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
