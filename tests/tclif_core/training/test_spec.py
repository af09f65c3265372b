"""Settings of a training."""

import pytest

from tclif_core.training.spec import TrainingSpec


def test_a_specification_survives_json() -> None:
    spec = TrainingSpec(method="bptt", passes=3, rate=0.01, patience=2, loss_form="summed_logits")

    assert TrainingSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("method", "magic", "one of eprop, bptt"),
        ("rate_schedule", "linear", "one of constant, cosine"),
        ("passes", 0, r"an integer in \[1, 1000000\]"),
        ("passes", True, "an integer"),
        ("patience", -1, r"an integer in \[0, 1000000\]"),
        ("seed", 2**63, "an integer"),
        ("rate", float("nan"), r"a number in \[0, 100\]"),
        ("event_drop_out", 1.1, r"a number in \[0, 1\]"),
        ("time_stretch", 1.0, r"a number in \[0, 0.9\]"),
        ("channel_shift", 1.5, "an integer"),
    ],
)
def test_a_value_outside_its_interval_is_refused(name: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be {expected}"):
        TrainingSpec.from_dict({name: value})


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has no \['speed'\]"):
        TrainingSpec.from_dict({"speed": 3})


def test_the_form_of_the_loss_is_for_backpropagation() -> None:
    with pytest.raises(ValueError, match="'summed_logits' needs method 'bptt'"):
        TrainingSpec(loss_form="summed_logits")
