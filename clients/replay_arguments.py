"""The command line of ``tclif-replay``, and what it means for the session and the order."""

import argparse
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from clients.argument_types import count, sizes, stream_url
from clients.credentials import TOKEN_VARIABLE
from clients.datasets import KNOWN, Recording, Source
from clients.recordings import EventCamera
from service.wire_protocol import (
    CochleaSensor,
    DvsSensor,
    LearningRequest,
    NetworkRequest,
    Open,
    ReportRequest,
    Segmentation,
    SegmentedByClient,
    SegmentedBySilence,
    SegmentedByWindow,
    Unsegmented,
)

DEFAULT_URL = "ws://127.0.0.1:8700/v1/stream"

# a little more than a person sees
_PREDICTIONS_PER_S = 25
# apart from the orders of the passes, which are (order_seed, pass)
_SHUFFLED_LABELS = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was asked for on the command line; `parse` documents each."""

    source: str
    url: str
    speed: float | None
    passes: int
    forever: bool
    session: str | None
    test: str | None
    limit: int | None
    order_seed: int
    shuffle_labels: bool
    hidden: tuple[int, ...]
    segmentation: Literal["client", "silence", "window", "none"]
    gap_ms: int
    window_ms: int
    tick_us: int
    rate: float
    optimizer: Literal["adam", "rmsprop", "sgd"]
    seed: int | None
    token_file: Path | None
    plain: bool
    json: Path | None

    def request(self, source: Source, *, with_picture: bool) -> Open:
        """Describe the session that is to learn from a source.

        Args:
            source: Names the sensor and the classes.
            with_picture: Whether a person looks on, who wants to see probabilities.

        Raises:
            pydantic.ValidationError: A value is outside of what the protocol allows.
        """
        every_ticks = 0
        if with_picture and self.speed is not None:
            every_ticks = max(1, round(self.speed / _PREDICTIONS_PER_S / self.tick_us * 1e6))
        return Open(
            session=self.session,
            sensor=_sensor(source),
            network=NetworkRequest(hidden=self.hidden, classes=source.classes),
            tick_us=self.tick_us,
            segmentation=self._segmentation(),
            learning=LearningRequest(optimizer=self.optimizer, rate=self.rate),
            report=ReportRequest(every_ticks=every_ticks, probabilities=with_picture),
            seed=self.seed,
        )

    def _segmentation(self) -> Segmentation:
        match self.segmentation:
            case "client":
                return SegmentedByClient()
            case "silence":
                return SegmentedBySilence(gap_us=self.gap_ms * 1000)
            case "window":
                return SegmentedByWindow(length_us=self.window_ms * 1000)
            case "none":
                return Unsegmented()

    def pass_segments(self, n_recordings: int) -> int:
        """Count the recordings of a pass."""
        return n_recordings if self.limit is None else min(self.limit, n_recordings)

    def orders(self, n_recordings: int) -> Iterator[list[int]]:
        """Choose the recordings of each pass: the same ones, each time in a fresh order."""
        chosen = np.random.default_rng(self.order_seed).permutation(n_recordings)[: self.limit]
        for number in itertools.count() if self.forever else range(self.passes):
            yield np.random.default_rng((self.order_seed, number)).permutation(chosen).tolist()

    def tell(self, n_classes: int) -> Callable[[Recording], int]:
        """Choose the label that is told: the true one, or one drawn anew each time.

        Nothing can be learnt from labels that are drawn, not even by heart: an accuracy above
        chance would show that predictions have seen their labels.
        """
        if not self.shuffle_labels:
            return lambda recording: recording.label
        drawn = np.random.default_rng((self.order_seed, _SHUFFLED_LABELS))
        return lambda _: int(drawn.integers(n_classes))


def parse(command_line: Sequence[str] | None) -> Arguments:
    """Read the command line; ends the program with code 2 and a usage line if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="tclif-replay",
        description="Stream recordings to a server as live input; its network learns as they come.",
        epilog=f"A SOURCE is {', '.join(KNOWN)}.",
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help="recordings to learn; see below")
    add("--url", type=stream_url, default=DEFAULT_URL, help="of the stream (default %(default)s)")
    add(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="1|N|max",
        help="times real time, or as fast as the server takes it (default 1)",
    )
    how_often = parser.add_mutually_exclusive_group()
    how_often.add_argument(
        "--passes", type=count, default=1, help="how often to go through SOURCE (default 1)"
    )
    how_often.add_argument(
        "--forever", action="store_true", help="begin again and again until SIGTERM or Ctrl-C"
    )
    add("--session", metavar="NAME", help="session to begin or to go on with; default: a new one")
    add("--test", metavar="SOURCE", help="recordings to test with afterwards, learning off")
    add("--limit", type=count, metavar="N", help="use only N recordings of SOURCE")
    add("--order-seed", type=int, default=0, metavar="N", help="decides the order (default 0)")
    add("--shuffle-labels", action="store_true", help="control: tell random labels")
    add("--hidden", type=sizes, default=(128, 128), metavar="N,N", help="default 128,128")
    add(
        "--segmentation",
        choices=("client", "silence", "window", "none"),
        default="client",
        help="who cuts the stream: each recording a segment (default), or the server",
    )
    add("--gap-ms", type=count, default=200, metavar="MS", help="of silence, default 200")
    add("--window-ms", type=count, default=1000, metavar="MS", help="of window, default 1000")
    add("--tick-us", type=count, default=5000, metavar="US", help="length of a tick, default 5000")
    add("--rate", type=float, default=0.0005, help="learning rate (default 0.0005)")
    add("--optimizer", choices=("adam", "rmsprop", "sgd"), default="adam", help="default adam")
    add("--seed", type=int, metavar="N", help="of the initial weights (default: any)")
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"holds the credential to show (default: that of {TOKEN_VARIABLE}, if any)",
    )
    add("--plain", action="store_true", help="write lines instead of drawing a picture")
    add("--json", type=Path, metavar="FILE", help="write the result and the accuracy curve there")
    return Arguments(**vars(parser.parse_args(command_line)))


def _sensor(source: Source) -> CochleaSensor | DvsSensor:
    sensor = source.sensor
    if isinstance(sensor, EventCamera):
        return DvsSensor(width=sensor.width, height=sensor.height, polarities=sensor.polarities)
    return CochleaSensor(channels=sensor.channels)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} came, 'max' or a number above 0 was expected")
    return speed
