"""The scheduler's policy: real time first, round robin, short batches, nobody starved."""

from hypothesis import given
from hypothesis import strategies as st

from service.engine.tick_scheduler import SHORTEST_VISIT, TURN, TickScheduler
from service.settings import EngineSettings


def new_scheduler(
    *, batch_rows: int = 2, visit_ticks: int = 64, batch_ms: float = 4.0
) -> TickScheduler[str]:
    return TickScheduler(
        EngineSettings(batch_rows=batch_rows, visit_ticks=visit_ticks, batch_ms=batch_ms)
    )


def batch(scheduler: TickScheduler[str], cost_s: float = 0.0) -> list[str]:
    """Take a batch whose every visit costs the same."""
    names = []
    for name in scheduler.next_batch():
        names.append(name)
        scheduler.spend(cost_s)
    return names


def test_an_empty_scheduler_is_false_and_gives_an_empty_batch() -> None:
    scheduler = new_scheduler()

    assert not scheduler
    assert batch(scheduler) == []


def test_a_batch_takes_sessions_in_the_order_of_their_work() -> None:
    scheduler = new_scheduler(batch_rows=2)
    for name in ("b", "a", "c"):
        scheduler.add(name)

    assert scheduler
    assert batch(scheduler) == ["b", "a"]
    assert batch(scheduler) == ["c"]
    assert not scheduler


def test_a_session_that_is_added_again_keeps_its_place_and_comes_once() -> None:
    scheduler = new_scheduler(batch_rows=4)
    for name, is_ahead in (("a", False), ("b", False), ("a", True), ("c", True), ("c", False)):
        scheduler.add(name, is_ahead=is_ahead)

    assert batch(scheduler) == ["a", "b", "c"]
    assert not scheduler


def test_a_session_with_more_work_goes_behind_those_that_wait() -> None:
    scheduler = new_scheduler(batch_rows=1)
    for name in ("flood", "a", "b"):
        scheduler.add(name)

    visits = []
    for _ in range(4):
        [name] = batch(scheduler)
        visits.append(name)
        scheduler.add(name)

    assert visits == ["flood", "a", "b", "flood"]


def test_a_discarded_session_is_visited_no_more() -> None:
    scheduler = new_scheduler()
    scheduler.add("a")
    scheduler.add("b")
    scheduler.add("replay", is_ahead=True)

    for name in ("a", "replay", "stranger"):
        scheduler.discard(name)

    assert batch(scheduler) == ["b"]


def test_sessions_in_real_time_go_first() -> None:
    scheduler = new_scheduler(batch_rows=2)
    scheduler.add("replay", is_ahead=True)
    for name in ("a", "b", "c"):
        scheduler.add(name)

    assert batch(scheduler) == ["a", "b"]
    assert batch(scheduler) == ["c", "replay"]


def test_a_batch_ends_with_the_visit_that_uses_up_its_time() -> None:
    scheduler = new_scheduler(batch_rows=10, batch_ms=4.0)
    for name in ("a", "b", "c", "d"):
        scheduler.add(name)
    scheduler.add("replay", is_ahead=True)

    # after 1.5 + 1.5 ms there is time left, after 4.5 ms there is none
    assert batch(scheduler, cost_s=0.0015) == ["a", "b", "c"]
    assert batch(scheduler, cost_s=0.0015) == ["d", "replay"]


def test_a_replay_has_its_turn_however_busy_the_others_are() -> None:
    scheduler = new_scheduler(batch_rows=1)
    scheduler.add("busy")
    scheduler.add("replay", is_ahead=True)

    batches = []
    for _ in range(TURN):
        batches.append(batch(scheduler, cost_s=1.0))
        scheduler.add("busy")

    assert batches == [["busy"]] * (TURN - 1) + [["busy", "replay"]]


def test_turns_are_counted_while_somebody_waits_for_one() -> None:
    scheduler = new_scheduler(batch_rows=1)
    for _ in range(TURN):
        scheduler.add("busy")
        batch(scheduler)
    scheduler.add("busy")
    scheduler.add("replay", is_ahead=True)

    assert batch(scheduler) == ["busy"]


def test_a_visit_is_as_long_as_a_batch_may_last() -> None:
    scheduler = new_scheduler(visit_ticks=100, batch_ms=4.0)

    # 4 ms are eighty ticks of 50 us
    assert scheduler.visit_ticks(5e-5) == 80
    assert scheduler.visit_ticks(1e-6) == 100
    assert scheduler.visit_ticks(1.0) == SHORTEST_VISIT
    assert new_scheduler(visit_ticks=7).visit_ticks(1.0) == 7


@given(
    batch_rows=st.integers(1, 5),
    work=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    ahead=st.sets(st.integers(0, 11)),
    costs_ms=st.lists(st.sampled_from([0.5, 2.0, 9.0]), min_size=12, max_size=12),
)
def test_nobody_waits_for_more_than_one_visit_of_each_other(
    batch_rows: int, work: list[int], ahead: set[int], costs_ms: list[float]
) -> None:
    scheduler = TickScheduler[int](EngineSettings(batch_rows=batch_rows, batch_ms=4.0))
    left = dict(enumerate(work))
    for session in left:
        scheduler.add(session, is_ahead=session in ahead)
    waited = dict.fromkeys(left, 0)
    n_ahead = len(ahead & left.keys())
    longest = {
        session: TURN * n_ahead if session in ahead else len(work) - n_ahead for session in left
    }

    while scheduler:
        visited = []
        for session in scheduler.next_batch():
            visited.append(session)
            scheduler.spend(costs_ms[session] / 1000)
        assert len(visited) == len(set(visited)) <= batch_rows + 1
        waited = {session: waited[session] + 1 for session in left}
        for session in visited:
            assert waited[session] <= longest[session]
            waited[session] = 0
            left[session] -= 1
            if left[session]:
                scheduler.add(session, is_ahead=session in ahead)
            else:
                del left[session]

    assert not left
