"""The command line of ``tclif-replay``."""

import itertools
from pathlib import Path

import pytest

from clients.datasets import open_source
from clients.replay_arguments import DEFAULT_URL, parse
from service.wire_protocol import (
    CochleaSensor,
    DvsSensor,
    LearningRequest,
    NetworkRequest,
    ReportRequest,
    Segmentation,
    SegmentedByClient,
    SegmentedBySilence,
    SegmentedByWindow,
    Unsegmented,
)
from tests.clients.toy_recordings import CLASSES, ToySource


def test_a_source_alone_is_enough() -> None:
    arguments = parse(["toy"])

    request = arguments.request(ToySource(3), with_picture=False)

    assert (arguments.url, arguments.speed, arguments.passes) == (DEFAULT_URL, 1.0, 1)
    assert request.sensor == CochleaSensor(channels=700)
    assert request.network == NetworkRequest(hidden=(128, 128), classes=CLASSES)
    assert request.learning == LearningRequest(mode="delayed", optimizer="adam", rate=0.0005)
    assert request.report == ReportRequest(every_ticks=0, probabilities=False)
    assert (request.session, request.tick_us, request.seed) == (None, 5000, None)


def test_a_camera_is_asked_for_as_it_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "left_1.bin").write_bytes(b"")
    source = open_source(f"{tmp_path}?pool=2&polarity=merged")

    request = parse(["folder"]).request(source, with_picture=False)

    # 34 x 34 pixels, pooled
    assert request.sensor == DvsSensor(width=17, height=17, polarities=1)


def test_what_is_given_is_asked_for() -> None:
    arguments = parse(
        [
            "toy",
            "--session",
            "mine",
            "--hidden",
            "64,32",
            "--tick-us",
            "4000",
            "--rate",
            "0.01",
            "--optimizer",
            "sgd",
            "--seed",
            "7",
        ]
    )

    request = arguments.request(ToySource(3), with_picture=False)

    assert request.network is not None
    assert request.network.hidden == (64, 32)
    assert (request.session, request.tick_us, request.seed) == ("mine", 4000, 7)
    assert (request.learning.rate, request.learning.optimizer) == (0.01, "sgd")


@pytest.mark.parametrize(("speed", "every_ticks"), [("max", 0), ("1", 8), ("2.5", 20), ("0.01", 1)])
def test_a_picture_wants_predictions_on_the_way_if_there_is_time_to_see_them(
    speed: str, every_ticks: int
) -> None:
    request = parse(["toy", "--speed", speed]).request(ToySource(3), with_picture=True)

    # 25 a second: every 40 ms, which are 8 ticks of 5 ms at speed 1
    assert request.report == ReportRequest(every_ticks=every_ticks, probabilities=True)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--speed", "0"],
        ["--speed", "-1"],
        ["--speed", "inf"],
        ["--speed", "fast"],
        ["--passes", "0"],
        ["--limit", "0"],
        ["--hidden", "128,0"],
        ["--hidden", ""],
        ["--optimizer", "magic"],
        ["--forever", "--passes", "2"],
        ["--segmentation", "fate"],
    ],
)
def test_a_wrong_value_is_refused_with_a_usage_line(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["toy", *wrong])

    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_every_pass_has_the_same_recordings_in_a_fresh_order() -> None:
    first, second = parse(["toy", "--passes", "2"]).orders(50)

    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_a_limit_chooses_the_same_recordings_for_all_passes() -> None:
    first, second = parse(["toy", "--passes", "2", "--limit", "5"]).orders(50)

    assert sorted(first) == sorted(second)
    assert len(set(first)) == 5


def test_forever_has_a_fresh_order_for_every_pass() -> None:
    given = parse(["toy", "--forever", "--limit", "5"])

    orders = list(itertools.islice(given.orders(50), 1000))

    assert len({tuple(order) for order in orders}) > 100
    assert given.pass_segments(50) == 5
    assert given.pass_segments(3) == 3


@pytest.mark.parametrize(
    ("options", "segmentation"),
    [
        ([], SegmentedByClient()),
        (["--segmentation", "silence", "--gap-ms", "150"], SegmentedBySilence(gap_us=150_000)),
        (["--segmentation", "window"], SegmentedByWindow(length_us=1_000_000)),
        (["--segmentation", "none"], Unsegmented()),
    ],
)
def test_the_server_may_cut_the_stream(options: list[str], segmentation: Segmentation) -> None:
    request = parse(["toy", *options]).request(ToySource(1), with_picture=False)

    assert request.segmentation == segmentation


def test_an_order_is_decided_by_its_seed() -> None:
    orders = [list(parse(["toy", "--order-seed", seed]).orders(50)) for seed in ("3", "3", "4")]

    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_the_truth_is_told_unless_labels_are_shuffled() -> None:
    recordings = list(ToySource(300))
    tell = parse(["toy"]).tell(3)
    tell_shuffled = parse(["toy", "--shuffle-labels"]).tell(3)

    told = [tell_shuffled(recording) for recording in recordings]

    assert [tell(recording) for recording in recordings] == [0, 1, 2] * 100
    # equal by chance for a third: 100 of 300 with a standard deviation of 8
    assert 60 < sum(label == index % 3 for index, label in enumerate(told)) < 140
    assert set(told) == {0, 1, 2}


def test_shuffled_labels_are_drawn_anew_each_time() -> None:
    recording = ToySource(1).load(0)
    tell = parse(["toy", "--shuffle-labels"]).tell(3)

    assert len({tell(recording) for _ in range(50)}) == 3
