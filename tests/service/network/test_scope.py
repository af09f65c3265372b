import numpy as np

from service.network.scope import MOST_GLIMPSES, Glimpse, Scope, glimpse
from service.network.visit import NO_TARGET, Answer, Row
from service.stream.event_binning import TickBlock
from tclif_core import Strand


def seen(number: int, n_events: int = 0) -> Glimpse:
    none = np.zeros(0, np.int64)
    channels = np.zeros(n_events, np.int32)
    return Glimpse(number, 1, np.zeros(n_events, np.int64), channels, [none], np.ones(1, "f"))


def test_a_glimpse_tells_inputs_by_tick_the_last_spikes_and_the_answer() -> None:
    # three ticks with the channels 4 and 7, none, and 2
    block = TickBlock(np.array([2, 0, 1]), np.array([4, 7, 2], np.int32), np.ones(3, "f"))
    means = np.array([[0.5, 0.5], [0.4, 0.6], [0.25, 0.75]], np.float32)

    told = glimpse(
        Row(Strand.LIVE, learns=False, target=NO_TARGET, block=block),
        Answer(means, means),
        [np.array([False, True, True]), np.array([False, False])],
        from_tick=20,
    )

    assert (told.from_tick, told.n_ticks) == (20, 3)
    assert (told.ticks.tolist(), told.channels.tolist()) == ([0, 0, 2], [4, 7, 2])
    assert [layer.tolist() for layer in told.neurons] == [[1, 2], []]
    assert told.probabilities.tolist() == [0.25, 0.75]


def test_a_scope_gives_what_came_once_and_in_order() -> None:
    scope = Scope()
    for number in range(3):
        scope.put(seen(number))

    glimpses, n_forgotten = scope.take()

    assert [each.from_tick for each in glimpses] == [0, 1, 2]
    assert n_forgotten == 0
    assert scope.take() == ([], 0)


def test_a_full_scope_forgets_the_oldest_and_says_how_many() -> None:
    scope = Scope()
    for number in range(MOST_GLIMPSES + 5):
        scope.put(seen(number))

    glimpses, n_forgotten = scope.take()

    assert (len(glimpses), glimpses[0].from_tick, n_forgotten) == (MOST_GLIMPSES, 5, 5)


def test_a_scope_is_bounded_by_its_inputs_too_but_keeps_the_newest_glimpse() -> None:
    scope = Scope()
    # two of them are more than 20,000 inputs, and so is the last alone
    for number, n_events in enumerate((15_000, 15_000, 30_000)):
        scope.put(seen(number, n_events))

    glimpses, n_forgotten = scope.take()

    assert [each.from_tick for each in glimpses] == [2]
    assert n_forgotten == 2
