"""Lines that a person reads during a training."""

from clients.training.progress import activity_warnings, clock_face, pass_line, shown
from tclif_core.training.reports import PassReport


def report(firing_rates: tuple[float, ...], validation: float | None = 0.25) -> PassReport:
    return PassReport(
        pass_number=7,
        rate=0.0005,
        train_score=0.5,
        train_loss=1.25,
        validation_score=validation,
        validation_loss=validation,
        firing_rates=firing_rates,
        weight_change=(0.1, 0.2),
        is_best=True,
    )


def test_a_pass_is_one_line() -> None:
    assert pass_line(report((0.1, 0.05)), 20, " (best)") == (
        "pass  7/20  train 0.500  validation 0.250 (best)  loss 1.250 0.250"
        "  fires 0.100 0.050  rate 0.0005"
    )


def test_a_pass_without_validation_shows_dashes() -> None:
    assert "validation -  loss 1.250 -" in pass_line(report((0.1,), None), 9, "")


def test_layers_between_the_bounds_raise_no_warning() -> None:
    assert activity_warnings(report((0.005, 0.4))) == []


def test_each_layer_outside_the_bounds_is_named() -> None:
    quiet, loud = activity_warnings(report((0.0049, 0.1, 0.41)))

    assert quiet.startswith("layer 0 fires 0.0049 spikes a neuron and tick, below 0.005")
    assert loud.startswith("layer 2 fires 0.4100 spikes a neuron and tick, above 0.4")


def test_durations_are_written_as_on_a_clock() -> None:
    assert [clock_face(seconds) for seconds in (0, 59.6, 3599, 3661)] == [
        "0:00",
        "1:00",
        "59:59",
        "1:01:01",
    ]


def test_a_number_that_is_not_there_is_a_dash() -> None:
    assert (shown(None), shown(0.12345)) == ("-", "0.123")
