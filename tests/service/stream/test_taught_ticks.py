"""Labelled ticks: ranges that touch are one, overlaps are found, old ones are forgotten."""

import random

from service.stream.taught_ticks import TaughtTicks


def test_ranges_that_touch_become_one() -> None:
    taught = TaughtTicks()
    for start, stop in [(10, 20), (30, 40), (20, 30), (5, 6), (0, 5)]:
        assert not taught.overlaps(start, stop)
        taught.add(start, stop)

    # 0 to 6 and 10 to 40
    assert len(taught) == 2
    assert [taught.overlaps(t, t + 1) for t in (5, 6, 9, 10, 39, 40)] == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]


def test_what_ends_before_a_tick_is_forgotten() -> None:
    taught = TaughtTicks()
    for start in (0, 10, 20):
        taught.add(start, start + 5)

    taught.forget_before(15)

    assert len(taught) == 1
    assert not taught.overlaps(0, 20)
    assert taught.overlaps(0, 21)


def test_ranges_agree_with_a_set_of_ticks() -> None:
    chosen = random.Random(1)
    taught, ticks = TaughtTicks(), set[int]()
    for _ in range(500):
        start = chosen.randrange(200)
        wanted = set(range(start, start + chosen.randrange(1, 9)))
        assert taught.overlaps(start, max(wanted) + 1) == bool(ticks & wanted)
        if not ticks & wanted:
            taught.add(start, max(wanted) + 1)
            ticks |= wanted
    other = TaughtTicks()
    other.restore(taught.capture())

    assert [other.overlaps(t, t + 1) for t in range(210)] == [t in ticks for t in range(210)]
