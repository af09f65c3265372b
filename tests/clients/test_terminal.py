"""The picture fits its terminal and says what the state says, without colour too."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from clients.replay_progress import Phase, ReplayProgress, Score, SentSegment
from clients.terminal import LiveView, render
from service.wire_protocol import Prediction

DIGITS = tuple(f"digit-{k}" for k in range(10))


def segment(*, label: int = 3, told: int | None = 3) -> SentSegment:
    return SentSegment(
        key=41,
        pass_index=0,
        label=label,
        told=told,
        begin_us=1_000_000,
        times_us=np.arange(0, 400_000, 100, dtype=np.int64),
        addresses=np.arange(4000, dtype=np.uint32) % 700,
        duration_us=400_000,
        n_ticks=80,
    )


def prediction(*, index: int = 3, final: bool = True, t_us: int = 1_400_000) -> Prediction:
    probabilities = tuple(0.55 if k == index else 0.05 for k in range(10))
    return Prediction(
        segment=41,
        tick=80,
        t_us=t_us,
        index=index,
        label=DIGITS[index],
        confidence=0.55,
        probabilities=probabilities,
        final=final,
    )


@pytest.fixture
def state() -> ReplayProgress:
    return ReplayProgress(
        source="train.h5",
        classes=DIGITS,
        n_channels=700,
        n_passes=4,
        pass_segments=250,
        test_segments=0,
        speed=2.0,
        session="kitchen-mic-7",
        n_events=500_000,
        n_ticks=20_000,
        n_predicted=250,
        n_learned=250,
        passes=[Score(200, 100)],
        curve=[(n, n / 250) for n in range(1, 251)],
        shown=(segment(), prediction()),
        lags_s=[0.004, 0.006],
        elapsed_s=100.0,
    )


def picture(state: ReplayProgress, width: int = 100, height: int = 30) -> list[str]:
    """Return the lines of the picture, without colour."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(render(state, width=width, height=height), height=height)
    return captured.get().splitlines()


def line_with(lines: list[str], words: str) -> str:
    """Return the one line that has those words."""
    [line] = [line for line in lines if words in line]
    return line


@pytest.mark.parametrize(("width", "height"), [(100, 30), (80, 24), (200, 60), (60, 15)])
def test_the_picture_fills_its_terminal_and_no_more(
    state: ReplayProgress, width: int, height: int
) -> None:
    lines = picture(state, width, height)

    assert len(lines) == height
    assert {len(line) for line in lines} == {width}


@pytest.mark.parametrize(("width", "height"), [(100, 30), (80, 24)])
def test_all_digits_and_all_counters_have_room(
    state: ReplayProgress, width: int, height: int
) -> None:
    text = "\n".join(picture(state, width, height))

    # 500,000 events and 20,000 ticks in 100 s; the percentile 99 of 4 and 6 ms is 5.98
    for words in (*DIGITS, "kitchen-mic-7", "2x real time", "pass 1/4", "0.500"):
        assert words in text
    for value in ("250", "200", "5,000", "5.0 ms", "6.0 ms"):
        assert value in text


def test_the_header_says_how_far_it_is_and_how_long_it_takes(state: ReplayProgress) -> None:
    # 250 of 1000 in 100 s: 300 s are left
    line = line_with(picture(state), "left")

    assert " 25% " in line
    assert "5:00 left" in line


def test_the_header_says_that_the_server_is_away(state: ReplayProgress) -> None:
    state.trouble = "no server answers; attempt 3 of 60 follows"
    state.n_reconnections = 7

    lines = picture(state)

    assert line_with(lines, "reconnecting: no server answers; attempt 3 of 60 follows")
    assert "7" in line_with(lines, "reconnected")


def test_the_pace_reached_stands_beside_the_speed_asked_for(state: ReplayProgress) -> None:
    # 190 s of sound in 100 s
    state.heard_us = 190_000_000

    assert "2x real time, 1.9x reached" in picture(state)[0]


def test_hours_are_told_as_hours(state: ReplayProgress) -> None:
    state.elapsed_s = 1200.0 + 1 / 3

    # three times that is 3601 s
    assert "1:00:01 left" in line_with(picture(state), "left")


def test_the_truth_and_the_prediction_are_marked_without_colour(state: ReplayProgress) -> None:
    state.shown = segment(told=7), prediction(index=3)

    lines = picture(state)

    assert "▸digit-3" in line_with(lines, "▸")
    assert "55%" in line_with(lines, "▸")
    truth = line_with([line for line in lines if "truth" not in line], "◂")
    assert "digit-7" in truth
    assert "✗ wrong" in line_with(lines, "#41")


def test_a_right_prediction_is_said_to_be_right(state: ReplayProgress) -> None:
    assert "✓ right" in line_with(picture(state), "#41")


def test_in_a_test_the_truth_is_that_of_the_recording(state: ReplayProgress) -> None:
    state.phase = Phase.TESTING
    state.test = Score(8, 6)
    state.shown = segment(label=5, told=None), prediction(index=5)

    lines = picture(state)

    assert "digit-5" in line_with([line for line in lines if "truth" not in line], "◂")
    assert "test 8/0" in line_with(lines, "25%")
    assert "0.750" in "\n".join(lines)


def test_a_verdict_waits_for_the_final_prediction(state: ReplayProgress) -> None:
    state.shown = segment(), prediction(final=False)

    assert "right" not in "\n".join(picture(state))


def test_the_raster_shows_what_the_prediction_has_heard(state: ReplayProgress) -> None:
    def shaded_columns(lines: list[str]) -> int:
        """Count columns of the raster in which something is drawn, in any of its rows."""
        columns = zip(*(line[2:58] for line in lines[4:17]), strict=True)
        return sum(not set("░▒▓█").isdisjoint(column) for column in columns)

    state.shown = segment(), prediction()
    whole = shaded_columns(picture(state))
    state.shown = segment(), prediction(final=False, t_us=1_100_000)
    quarter = shaded_columns(picture(state))

    # 100 of 400 ms are a quarter of 56 columns
    assert (whole, quarter) == (56, 14)


def test_where_classes_are_too_many_the_likeliest_and_the_truth_are_listed(
    state: ReplayProgress,
) -> None:
    names = tuple(f"word-{k:02d}" for k in range(40))
    probabilities = tuple((40 - k) / 820 for k in range(40))
    shown = prediction(index=0).model_copy(update={"probabilities": probabilities})
    many = dataclasses.replace(state, classes=names, shown=(segment(told=39), shown))

    text = "\n".join(picture(many))

    # 80 x 24 and 100 x 30 have 13 rows and fewer: the truth and the first of the ranking
    assert "word-39" in text
    assert "word-00" in text
    assert "word-11" in text
    assert "word-20" not in text


def test_without_probabilities_the_confidence_is_shown(state: ReplayProgress) -> None:
    state.shown = segment(), prediction().model_copy(update={"probabilities": None})

    lines = picture(state)

    assert "55%" in line_with(lines, "▸digit-3")
    assert "  0%" in line_with(lines, "digit-4")


def test_before_anything_is_known_the_picture_waits() -> None:
    empty = ReplayProgress(
        source="toy", classes=DIGITS, n_channels=700, n_passes=1, pass_segments=1
    )

    lines = picture(empty)

    assert len(lines) == 30
    assert "waiting for the first prediction" in "\n".join(lines)
    assert "max speed" in "\n".join(lines)
    assert "left" not in lines[1]


def test_chance_is_a_line_of_its_own(state: ReplayProgress) -> None:
    lines = picture(state)

    # a tenth of the way up the plot of ten rows
    assert "┄┄┄" in line_with(lines, "0.10 ")


def test_refusals_are_counted_if_there_are_any(state: ReplayProgress) -> None:
    assert "refusals" not in "\n".join(picture(state))
    state.n_errors = 3
    assert "3" in line_with(picture(state), "refusals")


def test_a_live_view_draws_on_the_whole_terminal_and_gives_it_back(
    state: ReplayProgress,
) -> None:
    file = io.StringIO()
    view = LiveView(Console(width=80, height=24, file=file, force_terminal=True))

    view.show(state)
    view.show(state)
    view.close()

    written = file.getvalue()
    # the control sequences that enter and leave the alternate screen
    assert written.count("\x1b[?1049h") == written.count("\x1b[?1049l") == 1
    assert "kitchen-mic-7" in written


def test_a_live_view_that_never_drew_leaves_the_terminal_alone() -> None:
    file = io.StringIO()

    LiveView(Console(width=80, height=24, file=file, force_terminal=True)).close()

    assert file.getvalue() == ""
