"""The progress bar of ``tclif-train``."""

import io

import pytest

pytest.importorskip("rich")

from rich.console import Console

from clients.training.terminal import BarView


def test_the_bar_counts_and_lines_stay() -> None:
    file = io.StringIO()
    view = BarView(Console(file=file, force_terminal=True, width=100))
    view.begin("loading toy", 0, 10)
    view.begin("training", 50, 200)
    view.show(150, "pass 3  train 0.800")

    view.say("pass 2/4 [best]")
    view.close()
    view.close()

    shown = file.getvalue()
    assert "pass 2/4 [best]" in shown
    assert "training" in shown
    assert "75%" in shown
    assert "pass 3  train 0.800" in shown
