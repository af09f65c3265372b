"""What a person reads while a network is trained: a line a pass, and how far the whole run is."""

import sys
import time
from collections.abc import Callable
from typing import Protocol

from clients.training.defaults import HIGHEST_FIRING_RATE, LOWEST_FIRING_RATE
from tclif_core.training.reports import PassReport, UpdateReport


class View(Protocol):
    """Shows a person how a run goes."""

    def say(self, line: str) -> None:
        """Write a line that stays."""
        ...

    def begin(self, title: str, n_done: int, n_all: int) -> None:
        """Start to count; what was counted before is over."""
        ...

    def show(self, n_done: int, text: str) -> None:
        """Show how far the count is."""
        ...

    def close(self) -> None:
        """Show nothing more; a second call does nothing."""
        ...


class PlainView:
    """Writes lines; while it counts, one now and then."""

    def __init__(
        self, *, interval_s: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval_s, self._clock = interval_s, clock
        self._title, self._n_first, self._n_all = "", 0, 0
        self._began_s = self._said_s = 0.0

    def say(self, line: str) -> None:
        """Write a line."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def begin(self, title: str, n_done: int, n_all: int) -> None:
        """Start to count."""
        self._title, self._n_first, self._n_all = title, n_done, n_all
        self._began_s = self._said_s = self._clock()

    def show(self, n_done: int, text: str) -> None:
        """Write a line if the last one is some time ago."""
        now_s = self._clock()
        if now_s - self._said_s < self._interval_s or n_done <= self._n_first:
            return
        self._said_s = now_s
        left_s = (now_s - self._began_s) * (self._n_all - n_done) / (n_done - self._n_first)
        done = f"{self._title} {n_done / self._n_all:.0%}"
        self.say("  ".join(part for part in (done, text, f"{clock_face(left_s)} left") if part))

    def close(self) -> None:
        """Leave the lines as they are."""


def pass_line(report: PassReport, n_passes: int, kept: str) -> str:
    """Write what a pass brought, in columns.

    Args:
        report: The pass.
        n_passes: Passes that are planned.
        kept: A word behind the validation score, such as ``best``.
    """
    width = len(str(n_passes))
    rates = " ".join(f"{rate:.3f}" for rate in report.firing_rates)
    parts = [
        f"pass {report.pass_number:{width}d}/{n_passes}",
        f"train {shown(report.train_score)}",
        f"validation {shown(report.validation_score)}{kept}",
        f"loss {shown(report.train_loss)} {shown(report.validation_loss)}",
        f"fires {rates}",
        f"rate {report.rate:.2g}",
    ]
    return "  ".join(parts)


def update_text(report: UpdateReport) -> str:
    """Write how far a pass is."""
    return f"pass {report.pass_number}  train {shown(report.train_score)}"


def activity_warnings(report: PassReport) -> list[str]:
    """Say which hidden layers fire too little or too much to learn well."""
    warnings = []
    for layer, rate in enumerate(report.firing_rates):
        where = f"layer {layer} fires {rate:.4f} spikes a neuron and tick"
        if rate < LOWEST_FIRING_RATE:
            warnings.append(
                f"{where}, below {LOWEST_FIRING_RATE:g}: it has next to nothing to learn from"
                " (raise network.input_gain or hidden_gain, or lower neuron.threshold)"
            )
        elif rate > HIGHEST_FIRING_RATE:
            warnings.append(
                f"{where}, above {HIGHEST_FIRING_RATE:g}: its spikes tell little apart"
                " (lower the gains or the rate, or raise neuron.threshold)"
            )
    return warnings


def shown(value: float | None) -> str:
    """Write a number with three digits, a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def clock_face(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
