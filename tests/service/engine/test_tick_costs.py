"""What ticks took: by learner, a mean that follows, never nothing."""

from service.engine.tick_costs import FIRST_GUESS_S, TickCosts
from tclif_core import Learner, LearningSpec, NetworkSpec
from tests.service.fake_clock import FakeClock


def small_learner() -> Learner:
    network = NetworkSpec(inputs=2, hidden=(2,), classes=2)
    return Learner(network, LearningSpec(), kernel="reference")


def test_a_network_that_computed_nothing_is_guessed() -> None:
    assert TickCosts(FakeClock()).of(small_learner()).seconds == FIRST_GUESS_S


def test_the_first_batch_decides_and_later_ones_move_the_mean_by_a_tenth() -> None:
    clock, learner, other = FakeClock(), small_learner(), small_learner()
    costs = TickCosts(clock)

    for seconds in (10.0, 20.0):
        with costs.measured(learner, n_ticks=10):
            clock.advance(seconds)

    # 1 s a tick, then a tenth of the way from 1 to 2
    assert costs.of(learner).seconds == 1.1
    assert costs.of(other).seconds == FIRST_GUESS_S


def test_a_tick_never_costs_nothing() -> None:
    learner, costs = small_learner(), TickCosts(FakeClock())

    with costs.measured(learner, n_ticks=10):
        pass

    assert costs.of(learner).seconds > 0
