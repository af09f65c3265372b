"""The scheduler's policy: round robin, bounded batches, nobody twice, nobody starved."""

from hypothesis import given
from hypothesis import strategies as st

from service.engine.tick_scheduler import TickScheduler
from service.settings import EngineSettings


def new_scheduler(*, batch_rows: int = 2, visit_ticks: int = 64) -> TickScheduler[str]:
    return TickScheduler(EngineSettings(batch_rows=batch_rows, visit_ticks=visit_ticks))


def test_an_empty_scheduler_is_false_and_gives_an_empty_batch() -> None:
    scheduler = new_scheduler()

    assert not scheduler
    assert scheduler.next_batch() == []


def test_a_batch_takes_sessions_in_the_order_of_their_work() -> None:
    scheduler = new_scheduler(batch_rows=2)
    for name in ("b", "a", "c"):
        scheduler.add(name)

    assert scheduler
    assert scheduler.next_batch() == ["b", "a"]
    assert scheduler.next_batch() == ["c"]
    assert not scheduler


def test_a_session_that_is_added_again_keeps_its_place_and_comes_once() -> None:
    scheduler = new_scheduler(batch_rows=4)
    for name in ("a", "b", "a"):
        scheduler.add(name)

    assert scheduler.next_batch() == ["a", "b"]


def test_a_session_with_more_work_goes_behind_those_that_wait() -> None:
    scheduler = new_scheduler(batch_rows=1)
    for name in ("flood", "a", "b"):
        scheduler.add(name)

    visits = []
    for _ in range(4):
        [name] = scheduler.next_batch()
        visits.append(name)
        scheduler.add(name)

    assert visits == ["flood", "a", "b", "flood"]


def test_a_discarded_session_is_visited_no_more() -> None:
    scheduler = new_scheduler()
    scheduler.add("a")
    scheduler.add("b")

    scheduler.discard("a")
    scheduler.discard("stranger")

    assert scheduler.next_batch() == ["b"]


def test_the_length_of_a_visit_is_the_engine_setting() -> None:
    assert new_scheduler(visit_ticks=7).visit_ticks == 7


@given(
    batch_rows=st.integers(1, 5),
    n_sessions=st.integers(1, 20),
    work=st.lists(st.integers(1, 6), min_size=20, max_size=20),
)
def test_nobody_waits_longer_than_one_round(
    batch_rows: int, n_sessions: int, work: list[int]
) -> None:
    scheduler = TickScheduler[int](EngineSettings(batch_rows=batch_rows))
    left = dict(enumerate(work[:n_sessions]))
    for session in left:
        scheduler.add(session)
    waited = dict.fromkeys(left, 0)
    longest = -(-n_sessions // batch_rows)

    while scheduler:
        batch = scheduler.next_batch()
        assert len(batch) == len(set(batch)) <= batch_rows
        waited = {session: waited[session] + 1 for session in left}
        for session in batch:
            assert waited[session] <= longest
            waited[session] = 0
            left[session] -= 1
            if left[session]:
                scheduler.add(session)
            else:
                del left[session]

    assert not left
