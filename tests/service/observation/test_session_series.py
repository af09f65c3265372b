"""Metrics about sessions: states, distributions, and series of a bounded number of single ones."""

from service.access.principals import SessionKey
from service.errors import CloseCode, InternalFailure
from tests.service.ward import Samples, Ward


def singles(samples: Samples) -> set[str]:
    """Return the names of the sessions that have series of their own."""
    return {
        series.split("{session=")[1].rstrip("}")
        for series in samples
        if series.startswith("tclif_single_ticks_total")
    }


async def test_sessions_are_counted_by_state() -> None:
    ward = Ward()
    await ward.open("attached")
    detached = await ward.open("detached")
    detached.dismiss("closed", CloseCode.ORDERLY)
    broken = await ward.open("broken")
    broken.failure = InternalFailure("a defect")

    samples = await ward.scrape()

    assert samples["tclif_sessions{state=attached}"] == 1
    assert samples["tclif_sessions{state=detached}"] == 1
    assert samples["tclif_sessions{state=quarantined}"] == 1
    assert samples["tclif_sessions{state=parked}"] == 0


async def test_accuracies_are_a_distribution_over_the_sessions_that_have_one() -> None:
    ward = Ward()
    for name, outcomes in {"a": [True], "b": [True, False], "c": [False], "d": []}.items():
        session = await ward.open(name)
        for correct in outcomes:
            session.network.teaching.accuracy.score(correct=correct)

    samples = await ward.scrape()

    # 1, 0.5 and 0
    assert samples["tclif_session_accuracy_gcount"] == 3
    assert samples["tclif_session_accuracy_gsum"] == 1.5
    edges = {"0.1": 1, "0.4": 1, "0.5": 2, "0.99": 2, "1.0": 3, "+Inf": 3}
    assert {edge: samples[f"tclif_session_accuracy_bucket{{le={edge}}}"] for edge in edges} == edges


async def test_a_distribution_tells_what_is_now() -> None:
    ward = Ward()
    session = await ward.open("a")
    session.network.teaching.accuracy.score(correct=False)
    before = await ward.scrape()
    for _ in range(3):
        session.network.teaching.accuracy.score(correct=True)

    after = await ward.scrape()

    assert before["tclif_session_accuracy_bucket{le=0.1}"] == 1
    # three of four are right
    assert after["tclif_session_accuracy_bucket{le=0.7}"] == 0
    assert after["tclif_session_accuracy_bucket{le=0.8}"] == 1
    assert after["tclif_session_accuracy_gcount"] == 1


async def test_firing_rates_are_a_distribution_over_layers() -> None:
    ward = Ward()
    for name in "ab":
        ward.live(await ward.open(name), 0, 30)

    samples = await ward.scrape()

    # two layers each
    assert samples["tclif_session_firing_rate_gcount"] == 4
    rates = [
        value for series, value in samples.items() if series.startswith("tclif_single_firing_rate")
    ]
    assert len(rates) == 4
    assert samples["tclif_session_firing_rate_gsum"] == sum(rates) > 0


async def test_a_session_has_series_with_its_name_and_its_principal() -> None:
    ward = Ward()
    session = await ward.open("kitchen", "alice")
    ward.live(session, 0, 20, target=1)
    await ward.scrape()

    samples = await ward.scrape()

    owner = "{principal=alice}{session=kitchen}"
    assert samples[f"tclif_single_ticks_total{owner}"] == 20
    assert samples[f"tclif_single_events_total{owner}"] == 20
    assert samples[f"tclif_single_segments_labelled_total{owner}"] == 1
    assert samples[f"tclif_single_lessons_total{owner}"] == 1
    assert samples[f"tclif_single_attached{owner}"] == 1
    assert samples[f"tclif_single_drifting{owner}"] == 0
    assert f"tclif_single_accuracy{owner}" in samples
    layers = ["0", "1", "readout"]
    changes = [samples[f"tclif_single_weight_change{{layer={layer}}}{owner}"] for layer in layers]
    assert changes == session.network.learner.weight_change(session.network.slot)


async def test_only_the_most_recently_active_sessions_have_series() -> None:
    ward = Ward(single_sessions=2)
    sessions = [await ward.open(name) for name in ("a", "b", "c")]
    for session in sessions:
        ward.clock.advance(1.0)
        ward.live(session, 0, 5)

    first = singles(await ward.scrape())
    ward.clock.advance(1.0)
    ward.live(sessions[0], 1, 5)
    second = singles(await ward.scrape())

    assert first == {"b", "c"}
    assert second == {"a", "c"}


async def test_a_bound_of_zero_turns_single_series_off_and_leaves_the_others() -> None:
    ward = Ward(single_sessions=0)
    ward.live(await ward.open("a"), 0, 5)

    samples = await ward.scrape()

    assert not [series for series in samples if series.startswith("tclif_single_")]
    assert samples["tclif_session_firing_rate_gcount"] == 2


async def test_a_deleted_session_leaves_no_series() -> None:
    ward = Ward()
    for name in ("a", "b"):
        ward.live(await ward.open(name), 0, 5)
    assert singles(await ward.scrape()) == {"a", "b"}

    await ward.registry.delete(SessionKey("p", "a"))

    assert singles(await ward.scrape()) == {"b"}


async def test_drifting_sessions_and_those_that_learn_no_more_are_counted() -> None:
    ward = Ward()
    drifting, stopped = await ward.open("drifting"), await ward.open("stopped")
    await ward.open("well")
    for number in range(600):
        drifting.network.teaching.accuracy.score(correct=number < 400)
    stopped.network.teaching.learning_stopped = True

    samples = await ward.scrape()

    assert samples["tclif_sessions_drifting"] == 1
    assert samples["tclif_sessions_learning_stopped"] == 1


async def test_what_waits_and_what_is_kept_is_summed() -> None:
    ward = Ward()
    for name in ("a", "b"):
        session = await ward.open(name)
        ward.live(session, 0, 20)

    samples = await ward.scrape()

    assert samples["tclif_backlog_ticks"] == samples["tclif_backlog_messages"] == 0
    # of two sessions 20 ticks with an input each, of 16 bytes together
    assert samples["tclif_kept_bytes"] == 2 * 20 * 16
    assert samples["tclif_slot_bank_bytes"] == ward.engine.bank_bytes()


async def test_the_age_of_what_is_safe_counts_from_its_last_move_while_more_waits() -> None:
    ward = Ward()
    session = await ward.open("a")
    # each look is 10 s after the one before
    ages = [(await ward.scrape())["tclif_snapshot_age_seconds"]]
    session.applied = 5
    ages += [(await ward.scrape())["tclif_snapshot_age_seconds"] for _ in range(3)]
    session.durable = 3
    ages += [(await ward.scrape())["tclif_snapshot_age_seconds"] for _ in range(2)]
    session.durable = 5
    ages.append((await ward.scrape())["tclif_snapshot_age_seconds"])

    assert ages == [0, 0, 10, 20, 0, 10, 0]


async def test_layers_are_named_alike_before_the_first_tick() -> None:
    ward = Ward()
    session = await ward.open("a")
    # a label for a segment without ticks: there is no firing rate yet
    ward.live(session, 0, 0, target=1)
    session.network.teaching.n_lessons = 1
    await ward.scrape()

    samples = await ward.scrape()

    layers = {
        series.split("{layer=")[1].partition("}")[0]
        for series in samples
        if series.startswith("tclif_single_weight_change")
    }
    assert layers == {"0", "1", "readout"}
