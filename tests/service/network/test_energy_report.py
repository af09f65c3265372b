"""What a session's ticks amount to: counted as they are computed, and kept over a restart."""

import pytest

from service.network.energy_report import EnergyReport, measure_activity, report_energy
from service.network.session_network import SessionNetwork
from service.observation.vital_signs import RECENT_TICKS
from tclif_core import Activity, inference_operations, learning_operations
from tests.service.ward import Ward


def measured(network: SessionNetwork) -> EnergyReport:
    return report_energy(network.learner, measure_activity(network))


async def test_operations_are_those_of_what_was_counted() -> None:
    ward = Ward()
    session = await ward.open("a")
    network = session.network
    # an input in each of 30 ticks, of which 20 are learnt: they run a second time, with a target
    ward.live(session, 0, 20, target=1)
    ward.live(session, 1, 10)

    energy, spikes = measured(network), measure_activity(network).spikes

    activity = Activity(
        n_ticks=50, n_inputs=50, spikes=spikes, n_eligible=20, n_labelled=20, n_updates=1
    )
    learner = network.learner
    assert energy.inference == inference_operations(learner.network, activity)
    assert energy.learning == learning_operations(learner.network, learner.learning, activity)
    assert sum(spikes) > 0


async def test_a_session_that_never_learns_spends_nothing_on_learning() -> None:
    ward = Ward()
    session = await ward.open("a", learning={"mode": "off"})
    ward.live(session, 0, RECENT_TICKS, target=1)

    energy = measured(session.network)

    assert energy.learning == (0, 0)
    assert energy.inference.joules > 0


async def test_learning_ahead_is_counted_in_the_one_pass() -> None:
    ward = Ward()
    session = await ward.open("a", learning={"mode": "ahead"})

    ward.live_ahead(session, 0, 10, target=1)

    tally = session.network.tally
    assert (tally.n_inputs, tally.n_eligible, tally.n_labelled) == (10, 10, 10)


async def test_the_tally_is_part_of_the_state() -> None:
    ward = Ward()
    one, other = await ward.open("one"), await ward.open("other")
    ward.live(one, 0, 20, target=1)

    other.network.restore(one.network.capture(), None)

    assert measure_activity(other.network) == measure_activity(one.network)


async def test_pages_show_operations_and_joules() -> None:
    ward = Ward()
    session = await ward.open("a")
    ward.live(session, 0, 20, target=1)

    energy = measured(session.network)

    macs, accumulates = energy.inference
    assert energy.to_json()["inference"] == {
        "multiply_accumulates": macs,
        "accumulates": accumulates,
        "joules": pytest.approx(macs * 4.6e-12 + accumulates * 0.9e-12),
    }
