"""The segment that runs: what it is taken for so far, and when that is told."""

import numpy as np
from numpy.typing import NDArray

from service.configuration.configuration import SessionConfiguration
from service.network.running_mean import RunningMean
from service.network.visit import Answer
from service.state_tree import Tree, array, branch, listed, whole
from service.stream.segments import Segment, Stretch
from service.wire_protocol import Prediction, ReportRequest, Unsegmented


class RunningSegment:
    """Predictions of one session's running segment, one segment after the other.

    Attributes:
        report: What the connection wants to hear.
        class_names: The classes by index.
        n_ticks: Ticks of the segment so far.
    """

    def __init__(self, configuration: SessionConfiguration) -> None:
        self.report: ReportRequest = configuration.request.report
        self.class_names = configuration.class_names
        self.n_ticks = 0
        self._tick_us = configuration.tick_us
        self._segment: Segment | None = None
        self._mean = self.uniform()
        # a mean over a segment without end would freeze: there, predictions are of late ticks
        is_endless = isinstance(configuration.request.segmentation, Unsegmented)
        self._recent = RunningMean(len(self.class_names)) if is_endless else None

    def begin(self, segment: Segment) -> None:
        """Start with the next segment."""
        self._segment, self.n_ticks = segment, 0
        self._mean = self.uniform()

    def advance(self, answer: Answer, stretch: Stretch | None) -> list[Prediction]:
        """Take in what was computed for the next ticks.

        Args:
            answer: The answer of each tick.
            stretch: Where to note which class each of them takes the input for, if anywhere.

        Returns:
            The predictions that fall due in them.
        """
        told = []
        means, logits = answer.mean_probabilities, answer.logits
        first, n_heard = self.n_ticks, 0
        for n_ticks in self._due(first, first + len(means)):
            mean = means[n_ticks - first - 1]
            if self._recent is not None:
                self._recent.add(logits[n_heard : n_ticks - first])
                mean, n_heard = self._recent.take(), n_ticks - first
            told.append(self._predict(mean, n_ticks, final=False))
        if self._recent is not None:
            self._recent.add(logits[n_heard:])
        if stretch is not None:
            stretch.votes.append(logits.argmax(axis=1).astype(np.int64))
        self.n_ticks += len(means)
        self._mean = means[-1]
        return told

    def end(self) -> Prediction:
        """Return the final prediction, and note it in the segment."""
        prediction = self._predict(self._mean, self.n_ticks, final=True)
        assert self._segment is not None, "a segment that ends has begun"
        self._segment.final_index = prediction.index
        self._segment = None
        return prediction

    def grow(self, class_names: tuple[str, ...]) -> None:
        """Go on with more classes, of which the segment's ticks so far were none."""
        n_more = len(class_names) - len(self.class_names)
        # before its first tick a segment is taken for any of them alike
        grown = np.pad(self._mean, (0, n_more)).astype(np.float32)
        self.class_names = class_names
        self._mean = grown if self.n_ticks else self.uniform()
        if self._recent is not None:
            self._recent.grow(len(class_names))

    def uniform(self) -> NDArray[np.float32]:
        """Return the probabilities of a guess."""
        return np.full(len(self.class_names), 1 / len(self.class_names), np.float32)

    def capture(self) -> Tree:
        """Return what a restored one needs beside the open segment."""
        return {
            "class_names": list(self.class_names),
            "n_ticks": self.n_ticks,
            "mean": self._mean.copy(),
            "recent": None if self._recent is None else self._recent.capture(),
        }

    def restore(self, tree: Tree, open_segment: Segment | None) -> None:
        """Go on from what `capture` returned.

        Raises:
            ValueError: The tree does not fit.
        """
        self.class_names = tuple(str(name) for name in listed(tree, "class_names"))
        self.n_ticks = whole(tree, "n_ticks")
        self._segment = open_segment
        self._mean = array(tree, "mean", np.float32)
        if self._recent is not None:
            self._recent.restore(branch(tree, "recent"))

    def _due(self, n_before: int, n_after: int) -> range:
        """Return after which of some ticks a prediction is told."""
        every = self.report.every_ticks
        return range(n_before - n_before % every + every, n_after + 1, every) if every else range(0)

    def _predict(self, mean: NDArray[np.float32], n_ticks: int, *, final: bool) -> Prediction:
        segment = self._segment
        assert segment is not None, "a prediction belongs to a segment"
        probabilities = mean.tolist()
        confidence = max(probabilities)
        index = probabilities.index(confidence)
        end_us = segment.begin_us + n_ticks * self._tick_us
        return Prediction(
            segment=segment.number,
            tick=n_ticks,
            t_us=segment.end_us if final and segment.end_us is not None else end_us,
            index=index,
            label=self.class_names[index],
            confidence=confidence,
            probabilities=tuple(probabilities) if self.report.probabilities else None,
            final=final,
        )
