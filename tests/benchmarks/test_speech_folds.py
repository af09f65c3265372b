"""The table of the five folds, from toy answers."""

import numpy as np
import pytest

from benchmarks import speech_folds
from benchmarks.digit_folds import N_CLASSES, N_FOLDS, N_INPUTS, Digits
from benchmarks.training_runs import Desk, Result
from tclif_core import EventBlock
from tclif_core.training.examples import Example


def toy_digits(n: int) -> Digits:
    """Return recordings of one empty tick whose folds and classes go round."""
    block = EventBlock.from_dense([np.zeros((1, N_INPUTS))])
    labels = np.arange(n) // N_FOLDS % N_CLASSES
    examples = tuple(Example.of_class(block, int(label), group="a") for label in labels)
    return Digits(examples, np.zeros((n, 4)), labels, np.arange(n) % N_FOLDS)


def results_of(name: str, by_fold: list[list[int]]) -> dict[str, Result]:
    return {
        f"{name}-{fold}": {
            "answers": [[right, 1] for right in answers],
            "history": [{"train_score": 0.2 * fold}, {"train_score": 0.5}],
        }
        for fold, answers in enumerate(by_fold)
    }


def test_answers_of_the_folds_come_back_in_the_order_of_the_recordings() -> None:
    results = results_of("eprop", [[1, 0], [0, 0], [1, 1], [0, 1], [0, 0]])

    right = speech_folds.answers_of(results, "eprop", toy_digits(10))

    # recordings 0 to 4 are the first of each fold, 5 to 9 the second
    assert right.tolist() == [1, 0, 1, 0, 0, 0, 0, 1, 1, 0]


def test_the_table_pairs_answers_and_tells_the_free_folds_apart() -> None:
    digits = toy_digits(500)
    eprop = np.ones(500, np.int64)
    # wrong on all of fold 0 and on half of fold 1: 150 of 500, 50 of the 400 of the free folds
    other = ((digits.folds > 1) | ((digits.folds == 1) & (np.arange(500) < 250))).astype(np.int64)

    table = speech_folds.table_of({"eprop": eprop, "linear": other}, digits)

    assert "eprop_minus_this" not in table["eprop"]
    assert table["eprop"]["accuracy"] == (1.0, 1.0, 1.0)
    row = table["linear"]
    assert row["accuracy"][0] == pytest.approx(0.7)
    assert row["accuracy_of_free_folds"][0] == pytest.approx(0.875)
    assert row["accuracy_by_fold"] == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert row["eprop_minus_this"][0] == pytest.approx(0.3)
    assert row["eprop_minus_this_free_folds"][0] == pytest.approx(0.125)
    # 1.96 sqrt(0.3 x 0.7 / 500) = 0.040
    assert row["eprop_minus_this"][1] == pytest.approx(0.26, abs=0.005)


def test_the_curve_is_the_mean_over_folds() -> None:
    curve = speech_folds.mean_curve(results_of("eprop", [[1]] * 5), "eprop")

    assert curve == pytest.approx([0.4, 0.5])


@pytest.mark.parametrize("name", ["eprop", "shuffled"])
def test_a_fold_is_judged_by_a_network_that_has_not_learnt_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = toy_digits(50)
    seen: dict[str, list[Example]] = {}

    def watched(_: Desk, learnt: list[Example], judged: list[Example]) -> Result:
        seen["learnt"], seen["judged"] = learnt, judged
        return {}

    monkeypatch.setattr(speech_folds, "digits_once", lambda: digits)
    monkeypatch.setattr(speech_folds, "Training", lambda *settings: settings[-1])
    monkeypatch.setattr(speech_folds, "train_and_judge", watched)

    speech_folds.judge(Desk(None, print, print), name=name, fold=2)  # type: ignore[arg-type]  # no state is kept

    assert [id(e) for e in seen["judged"]] == [id(e) for e in digits.examples[2::5]]
    labels = np.delete(digits.labels, np.s_[2::5]).tolist()
    learnt = [example.label for example in seen["learnt"]]
    assert sorted(map(int, labels)) == sorted(label for label in learnt if label is not None)
    assert (learnt == labels) == (name == "eprop")
