"""What a session's arithmetic amounts to, and what it would cost on a chip."""

from typing import NamedTuple

from service.network.session_network import SessionNetwork
from tclif_core import (
    Activity,
    Learner,
    Operations,
    Strand,
    inference_operations,
    learning_operations,
)


class EnergyReport(NamedTuple):
    """Since the session began, ticks of lessons included.

    Attributes:
        inference: What predicting took.
        learning: What learning took.
    """

    inference: Operations
    learning: Operations

    @property
    def joules(self) -> float:
        """Both together."""
        return self.inference.joules + self.learning.joules

    def to_json(self) -> dict[str, object]:
        """Return it as pages show it."""
        parts = {"inference": self.inference, "learning": self.learning}
        return {name: part._asdict() | {"joules": part.joules} for name, part in parts.items()}


def measure_activity(network: SessionNetwork) -> Activity:
    """Copy what was counted of a session's ticks; on the engine thread."""
    learner = network.learner
    live, n_live = learner.spike_counts(network.slot, Strand.LIVE)
    lesson, n_lesson = learner.spike_counts(network.slot, Strand.LESSON)
    return Activity(
        n_ticks=n_live + n_lesson,
        n_inputs=network.tally.n_inputs,
        spikes=tuple((live + lesson).tolist()),
        n_eligible=network.tally.n_eligible,
        n_labelled=network.tally.n_labelled,
        n_updates=network.teaching.n_lessons,
    )


def report_energy(learner: Learner, activity: Activity) -> EnergyReport:
    """Work out the operations of what was counted; on any thread."""
    return EnergyReport(
        inference_operations(learner.network, activity),
        learning_operations(learner.network, learner.learning, activity),
    )
