"""The table of the electrocardiograms, from toy answers."""

import numpy as np
import pytest

from benchmarks import ecg
from benchmarks.ecg_sequences import Sequences
from benchmarks.training_runs import Desk, Result
from tclif_core.training.examples import Example


def result(answers: list[list[int]]) -> Result:
    history = [{"train_score": 0.25}, {"train_score": 0.75}]
    return {"answers": answers, "seconds": 2.0, "firing_rates": [0.1], "history": history}


def test_a_row_adds_up_all_seeds() -> None:
    # of 30 ticks 20, 25 and 30 are right
    answers = ([[8, 10], [12, 20]], [[10, 10], [15, 20]], [[10, 10], [20, 20]])
    results = {f"eprop-{seed}": result(a) for seed, a in zip(ecg.SEEDS, answers, strict=True)}

    row = ecg.row_of(results, "eprop")

    assert row["accuracy_by_seed"] == pytest.approx([20 / 30, 25 / 30, 1.0])
    assert row["accuracy"].mean == pytest.approx(75 / 90)
    # the same sequence twice: the second has 47 of 60, the first 28 of 30
    assert (row["accuracy"].low, row["accuracy"].high) == pytest.approx((47 / 60, 28 / 30))
    assert row["seconds"] == [2.0, 2.0, 2.0]
    assert row["curve"] == [0.25, 0.75]


def test_a_difference_compares_means_of_seeds_sequence_by_sequence() -> None:
    results = {
        "eprop-1": result([[8, 10], [12, 20]]),
        "eprop-2": result([[10, 10], [15, 20]]),
        "eprop-3": result([[9, 10], [12, 20]]),
        "linear-1": result([[7, 10], [14, 20]]),
    }

    mean, low, high = ecg.difference_to(results, "linear")

    # means 9 and 13 against 7 and 14: +1 of 30; the first alone +2 of 10, the second -1 of 20
    assert (mean, low, high) == pytest.approx((1 / 30, -0.05, 0.2))


def test_runs_of_every_method_and_seed_differ_in_name_and_settings() -> None:
    runs = ecg.runs_of(list(ecg.MEANINGS))

    assert len(runs) == 3 * 3 + 3 + 2
    settings = [repr(run.settings) for run in runs.values()]
    assert len(set(settings)) == len(runs)


@pytest.mark.parametrize("name", ["eprop", "shuffled"])
def test_only_the_control_learns_targets_of_other_sequences(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = np.arange(8)[:, None] % 6 * np.ones((1, 3), np.int64)
    parts = {
        "train": Sequences(np.zeros((8, 3, 4), np.float32), targets),
        "test": Sequences(np.ones((2, 3, 4), np.float32), targets[:2]),
    }
    seen: dict[str, list[Example]] = {}

    def watched(_: Desk, learnt: list[Example], judged: list[Example]) -> Result:
        seen["learnt"], seen["judged"] = learnt, judged
        return {}

    monkeypatch.setattr(ecg, "load_sequences", parts.__getitem__)
    monkeypatch.setattr(ecg, "Training", lambda *settings: settings[-1])
    monkeypatch.setattr(ecg, "train_and_judge", watched)

    ecg.judge(Desk(None, print, print), name=name, training=ecg.METHODS[name].training)  # type: ignore[arg-type]  # no state is kept

    learnt = [example.targets[0] for example in seen["learnt"]]
    assert sorted(learnt) == sorted(targets[:, 0])
    assert (learnt == targets[:, 0].tolist()) == (name == "eprop")
    assert [example.targets[0] for example in seen["judged"]] == [0, 1]
