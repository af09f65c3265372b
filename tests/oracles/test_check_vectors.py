"""The comparison with vector files, and that it can fail."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.oracles.check_vectors import BACKENDS, compare, main
from tests.oracles.vectors import VECTOR_FOLDER, UnreadableVectorsError, read_vectors

FILES = sorted(VECTOR_FOLDER.glob("*.npz"))
needs_vectors = pytest.mark.skipif(not FILES, reason=f"no vector files in {VECTOR_FOLDER}")


def _arrays(name: str) -> dict[str, Any]:
    with np.load(VECTOR_FOLDER / name) as archive:
        return {key: archive[key].copy() for key in archive.files}


def _write(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


@needs_vectors
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_backend_agrees_with_every_vector_file(path: Path, backend: str) -> None:
    findings, remark = compare(read_vectors(path), backend)

    assert [finding for finding in findings if finding.failed] == []
    assert remark == ""
    assert all(finding.n_numbers > 0 for finding in findings)


COMPUTED = [
    "layer0.dendrite",
    "layer1.soma",
    "layer0.spikes",
    "layer1.pseudo_derivative",
    "logits",
    "probabilities",
    "layer0.eligibility.dendrite",
    "layer1.eligibility.soma",
    "layer0.w.gradient",
    "layer1.r.gradient",
    "readout.b.gradient",
    "layer0.dendrite_decay_minimum.gradient",
    "layer1.dendrite_to_soma.gradient",
    "layer0.w.after",
    "readout.w.after",
]


@needs_vectors
@pytest.mark.parametrize("key", COMPUTED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_wrong_number_is_found(tmp_path: Path, backend: str, key: str) -> None:
    arrays = _arrays("two_segments_sgd.npz")
    wrong = arrays[key].reshape(-1)
    # as little as each backend's tolerance promises to tell apart; a spike can only be flipped
    size = max(1.0, float(np.abs(wrong).max()))
    by = 1e-8 if backend == "reference float64" else 2e-3
    wrong[-1] = 1.0 - wrong[-1] if key.endswith("spikes") else wrong[-1] + by * size
    if backend != "reference float64" and key.endswith("gradient"):
        # weights of float32 divided by the rate: gradients are known to 1e-2 only
        wrong[-1] += 0.1 * size
    path = _write(tmp_path / "wrong.npz", arrays | {key: wrong.reshape(arrays[key].shape)})

    findings, remark = compare(read_vectors(path), backend)

    assert remark == ""
    assert any(finding.failed for finding in findings)


@needs_vectors
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("readout_decay", 0.91),
        ("dendritic_reset", 0.51),
        ("scale_ticks", 6.1),
        ("surrogate_width", 1.01),
        ("rate", 0.0021),
        ("segment_starts", [0, 37]),
    ],
)
def test_a_wrong_hyperparameter_is_found(tmp_path: Path, field: str, value: object) -> None:
    arrays = _arrays("two_segments_sgd.npz")
    meta = json.loads(str(arrays["meta"])) | {field: value}
    path = _write(tmp_path / "wrong.npz", arrays | {"meta": json.dumps(meta)})

    for backend in BACKENDS:
        findings, _ = compare(read_vectors(path), backend)
        assert any(finding.failed for finding in findings)


@needs_vectors
def test_a_spike_within_rounding_of_its_threshold_is_told_and_is_no_error(tmp_path: Path) -> None:
    arrays = _arrays("one_layer_feedforward.npz")
    soma, spikes = arrays["layer0.soma"], arrays["layer0.spikes"]
    tick, neuron = np.argwhere(spikes == 1)[5]
    # as if the independent implementation had put it just below the threshold
    soma[tick, neuron] = 1.0 - 1e-7
    spikes[tick, neuron] = 0.0
    path = _write(tmp_path / "near.npz", arrays)

    _, remark = compare(read_vectors(path), "cpu float32")

    assert "1 neurons of layer0.spikes sit within 1e-05 of the threshold" in remark


@needs_vectors
def test_the_command_ends_with_zero_only_if_all_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(VECTOR_FOLDER / "lif.npz")
    arrays = _arrays("lif.npz")
    arrays["logits"][3, 0] += 1e-3
    bad = str(_write(tmp_path / "bad.npz", arrays))

    assert main([good]) == 0
    assert main([good, bad]) == 1
    assert "FAIL" in capsys.readouterr().out


@needs_vectors
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"logits": None}, "lacks logits"),
        ({"layer0.feedback": np.zeros((4, 16))}, "holds unknown layer0.feedback"),
        ({"logits": np.zeros((60, 5))}, r"logits is \(60, 5\), expected \(60, 4\)"),
        ({"layer0.soma": np.full((60, 16), np.nan)}, "layer0.soma holds numbers that are not"),
        ({"meta": None}, "lacks 'meta'"),
        ({"meta": "{"}, "Expecting property name"),
        ({"meta.neuron": "izhikevich"}, "neuron must be one of"),
        ({"meta.segment_starts": [5]}, "segment_starts must rise from 0"),
        ({"meta.threshold": -1.0}, "threshold must be a number in"),
        ({"meta.rate": None}, "not supported between instances of 'NoneType'"),
    ],
)
def test_a_file_that_does_not_fit_is_unreadable_and_says_why(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    arrays = _arrays("lif.npz")
    for name, value in changes.items():
        if name.startswith("meta."):
            meta = json.loads(str(arrays["meta"])) | {name.removeprefix("meta."): value}
            arrays["meta"] = json.dumps(meta)
        elif value is None:
            del arrays[name]
        else:
            arrays[name] = value
    path = _write(tmp_path / "unfit.npz", arrays)

    with pytest.raises(UnreadableVectorsError, match=text):
        read_vectors(path)


@needs_vectors
def test_what_a_file_may_leave_out_is_left_out_of_the_comparison(tmp_path: Path) -> None:
    arrays = _arrays("lif.npz")
    shorter = {
        name: array
        for name, array in arrays.items()
        if not name.endswith((".after", ".dendrite", "dendrite_decay_minimum.gradient"))
    }
    path = _write(tmp_path / "shorter.npz", shorter)

    findings, _ = compare(read_vectors(path), "reference float64")

    assert not any(finding.failed for finding in findings)
    assert [f.quantity for f in findings if f.n_numbers == 0] == ["dendrite"]


def test_a_file_that_is_no_archive_fails_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "noise.npz"
    path.write_bytes(b"not a zip")

    assert main([str(path)]) == 1
    assert main([str(tmp_path / "absent.npz")]) == 1
    assert capsys.readouterr().out.count("UNREADABLE") == 2


def test_the_command_without_files_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
