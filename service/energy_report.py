"""What a session's arithmetic amounts to, and what it would cost on a chip."""

from typing import NamedTuple

from service.session_network import SessionNetwork
from tclif_core import (
    Activity,
    Operations,
    Strand,
    inference_operations,
    learning_operations,
)


class EnergyReport(NamedTuple):
    """Since the session began, ticks of lessons included.

    Attributes:
        spikes: Spikes of each hidden layer.
        inference: What predicting took.
        learning: What learning took.
    """

    spikes: tuple[int, ...]
    inference: Operations
    learning: Operations

    def to_json(self) -> dict[str, object]:
        """Return it as pages show it."""
        parts = {"inference": self.inference, "learning": self.learning}
        return {name: part._asdict() | {"joules": part.joules} for name, part in parts.items()}


def measure_energy(network: SessionNetwork) -> EnergyReport:
    """Work out a session's operations from what was counted; on the engine thread."""
    learner = network.learner
    live, n_live = learner.spike_counts(network.slot, Strand.LIVE)
    lesson, n_lesson = learner.spike_counts(network.slot, Strand.LESSON)
    activity = Activity(
        n_ticks=n_live + n_lesson,
        n_inputs=network.tally.n_inputs,
        spikes=tuple((live + lesson).tolist()),
        n_eligible=network.tally.n_eligible,
        n_labelled=network.tally.n_labelled,
        n_updates=network.n_lessons,
    )
    return EnergyReport(
        activity.spikes,
        inference_operations(learner.network, activity),
        learning_operations(learner.network, learner.learning, activity),
    )
