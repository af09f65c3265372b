"""What is counted, and under which name."""

from importlib.metadata import version

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.access.principals import SessionKey
from service.errors import CloseCode
from service.network.visit import Delivery
from service.observation.telemetry import Telemetry
from service.stream.cutting import Counters
from service.wire_protocol import ErrorMessage, Learned, Prediction


def samples(telemetry: Telemetry) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return every sample by its name and the values of its labels."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in telemetry.families()
        for sample in family.samples
    }


def prediction(*, final: bool) -> Prediction:
    return Prediction(segment=0, tick=1, t_us=1, index=0, label="a", confidence=0.5, final=final)


def test_a_delivery_is_counted_by_what_it_brought() -> None:
    telemetry = Telemetry()
    delivery = Delivery(
        messages=[
            prediction(final=False),
            prediction(final=False),
            prediction(final=True),
            Learned(segment=0, target=1, correct=False, segments_labelled=1),
            ErrorMessage(code="bad_segment", message="no", fatal=False),
        ],
        applied=9,
        n_applied=4,
        n_ticks=30,
        n_lessons=1,
        n_lesson_ticks=20,
        answered_s=[99.75, 98.0],
    )

    telemetry.delivered([delivery], now_s=100.0)

    counted = samples(telemetry)
    assert counted["tclif_ticks_total", ()] == 30
    assert counted["tclif_lesson_ticks_total", ()] == 20
    assert counted["tclif_lessons_total", ()] == 1
    assert counted["tclif_messages_applied_total", ()] == 4
    assert counted["tclif_predictions_total", ("false",)] == 2
    assert counted["tclif_predictions_total", ("true",)] == 1
    assert counted["tclif_segments_labelled_total", ("false",)] == 1
    assert counted["tclif_errors_total", ("bad_segment", "false")] == 1
    # lags of 0.25 s and 2 s
    assert counted["tclif_lag_seconds_sum", ()] == 2.25
    assert counted["tclif_lag_seconds_bucket", ("0.5",)] == 1
    assert counted["tclif_lag_seconds_bucket", ("2.0",)] == 2


def test_events_and_fatal_errors_are_counted() -> None:
    telemetry = Telemetry()

    telemetry.events_came(12)
    telemetry.events_came(3)
    telemetry.error_told("bad_message", fatal=True)

    counted = samples(telemetry)
    assert counted["tclif_events_total", ()] == 15
    assert counted["tclif_errors_total", ("bad_message", "true")] == 1


def test_a_batch_without_ticks_is_no_batch() -> None:
    telemetry = Telemetry()

    telemetry.batch_done(n_rows=0, n_ticks=0, seconds=1.0)
    telemetry.batch_done(n_rows=3, n_ticks=50, seconds=0.25)

    counted = samples(telemetry)
    assert (counted["tclif_batch_rows_count", ()], counted["tclif_batch_rows_sum", ()]) == (1, 3)
    assert counted["tclif_batch_ticks_sum", ()] == 50
    assert counted["tclif_batch_seconds_sum", ()] == 0.25
    # 0.25 s for 50 ticks
    assert counted["tclif_tick_seconds_sum", ()] == pytest.approx(0.005)


def test_buckets_of_the_lag_are_fine_around_50_ms() -> None:
    telemetry = Telemetry()
    # 39, 41, 49, 51 and 61 ms
    lags = [0.039, 0.041, 0.049, 0.051, 0.061]

    telemetry.delivered([Delivery(answered_s=[-lag for lag in lags])], now_s=0.0)

    counted = samples(telemetry)
    at_most = [counted["tclif_lag_seconds_bucket", (edge,)] for edge in ("0.04", "0.05", "0.06")]
    assert at_most == [1, 3, 4]


def test_dropped_events_are_counted_by_reason() -> None:
    telemetry = Telemetry()
    before = Counters(n_outside=5, n_late=1, n_saturated=0)

    telemetry.events_dropped(before, Counters(n_outside=5, n_late=3, n_saturated=7))

    counted = samples(telemetry)
    assert counted["tclif_dropped_events_total", ("late",)] == 2
    assert counted["tclif_dropped_events_total", ("outside_segments",)] == 0
    assert counted["tclif_dropped_events_total", ("saturated",)] == 7


def test_snapshots_are_counted_by_what_became_of_them() -> None:
    telemetry = Telemetry()

    telemetry.snapshot_stored(SessionKey("p", "s"), seconds=0.03, n_bytes=1 << 20)
    telemetry.snapshot_stored(SessionKey("p", "s"), seconds=0.01, n_bytes=1 << 21)
    telemetry.snapshot_failed()

    counted = samples(telemetry)
    assert counted["tclif_snapshot_seconds_count", ()] == 2
    assert counted["tclif_snapshot_seconds_sum", ()] == pytest.approx(0.04)
    assert counted["tclif_snapshot_bytes_sum", ()] == 3 << 20
    assert counted["tclif_snapshot_failures_total", ()] == 1


def test_connections_come_and_go() -> None:
    telemetry = Telemetry()

    for _ in range(3):
        telemetry.connection_opened()
    telemetry.connection_closed(CloseCode.TRY_AGAIN)
    telemetry.connection_closed(None)
    telemetry.answered(401)

    counted = samples(telemetry)
    assert counted["tclif_connections", ()] == 1
    assert counted["tclif_connections_closed_total", ("1013",)] == 1
    assert counted["tclif_connections_closed_total", ("lost",)] == 1
    assert counted["tclif_http_responses_total", ("401",)] == 1


def test_what_has_not_happened_yet_is_zero_not_absent() -> None:
    # otherwise the first one would be no rise, and no alert would see it
    counted = samples(Telemetry())

    for code in ("internal", "slow_reader", "quota", "bad_message", "sequence_gap"):
        assert counted["tclif_errors_total", (code, "true")] == 0
    for code in ("late_events", "snapshot_failed", "label_too_late"):
        assert counted["tclif_errors_total", (code, "false")] == 0
    assert counted["tclif_http_responses_total", ("401",)] == 0
    assert counted["tclif_dropped_events_total", ("late",)] == 0


def test_the_page_tells_what_runs_and_how_the_process_is() -> None:
    counted = samples(Telemetry())

    [build] = [labels for name, labels in counted if name == "tclif_build_info"]
    assert version("tclif") in build
    assert counted["process_resident_memory_bytes", ()] > 0
    assert counted["process_open_fds", ()] > 0


def test_a_watched_value_is_read_when_the_page_is() -> None:
    telemetry = Telemetry()
    values = [3.0]
    telemetry.watch("sessions", "Sessions.", lambda: values[-1])
    assert samples(telemetry)["tclif_sessions", ()] == 3

    values.append(5.0)

    assert samples(telemetry)["tclif_sessions", ()] == 5


async def test_the_page_says_the_same_in_prometheus_own_format() -> None:
    telemetry = Telemetry()
    telemetry.delivered([Delivery(n_ticks=7, answered_s=[0.0])], now_s=0.02)

    page = (await telemetry.page()).decode()

    told = {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    moments = ("process_", "python_")
    for (name, labels), value in samples(telemetry).items():
        if not name.startswith(moments):
            assert told[name, frozenset(labels)] == value


def test_two_servers_of_one_process_count_apart() -> None:
    one, other = Telemetry(), Telemetry()

    one.events_came(1)

    assert samples(one)["tclif_events_total", ()] == 1
    assert samples(other)["tclif_events_total", ()] == 0
