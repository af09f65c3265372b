"""What a training tells on its way: after every update, after every pass, and where it ends."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

StopReason = Literal["passes", "patience"]


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """How far a pass has come.

    Attributes:
        pass_number: From 1.
        n_done: Examples of this pass that were learnt.
        n_examples: Examples in a pass.
        train_score: Share of right answers in this pass so far, each given before it was learnt.
        train_loss: Mean loss in this pass so far.
    """

    pass_number: int
    n_done: int
    n_examples: int
    train_score: float | None
    train_loss: float | None


@dataclass(frozen=True, slots=True)
class PassReport:
    """One pass over all examples.

    Attributes:
        pass_number: From 1.
        rate: Learning rate of its last update.
        train_score: Share of right answers, each given before it was learnt, on varied examples.
        train_loss: Mean loss, likewise.
        validation_score: Of the weights that would be kept now; None without validation.
        validation_loss: Likewise.
        firing_rates: Spikes a neuron and tick of each hidden layer, in validation; without one, on
            the first training examples as they were recorded.
        weight_change: How far each layer is from where it began, ``|W - W0| / |W0|``: hidden
            layers, then the readout.
        is_best: Whether no pass before had as good a validation; False without one.
    """

    pass_number: int
    rate: float
    train_score: float | None
    train_loss: float | None
    validation_score: float | None
    validation_loss: float | None
    firing_rates: tuple[float, ...]
    weight_change: tuple[float, ...]
    is_best: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; tuples become lists."""
        named = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in named.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build the report from what `to_dict` returned."""
        fields: dict[str, Any] = dict(values)
        for name in ("firing_rates", "weight_change"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


class NotFinite(ArithmeticError):
    """A gradient is not finite: training can't go on, and the weights are those of before.

    Attributes:
        pass_number: From 1.
        n_done: Examples of that pass that were learnt before.
    """

    def __init__(self, pass_number: int, n_done: int) -> None:
        super().__init__(
            f"the gradient is no longer finite in pass {pass_number}, after {n_done} examples:"
            " the weights stay those of the update before; a lower rate or a gradient_clip may help"
        )
        self.pass_number, self.n_done = pass_number, n_done


class OtherTraining(ValueError):
    """A state belongs to a training of other settings or examples.

    Attributes:
        field: What differs, such as ``training.rate``.
    """

    def __init__(self, field: str, held: object, came: object) -> None:
        super().__init__(f"{field} was {held!r} when training began and is {came!r} now")
        self.field = field
