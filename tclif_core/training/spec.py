"""How a network is trained offline: numbers fixed when a training begins."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

Method = Literal["eprop", "bptt"]
RateSchedule = Literal["constant", "cosine"]
LossForm = Literal["each_tick", "summed_logits"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "method": get_args(Method),
    "rate_schedule": get_args(RateSchedule),
    "loss_form": get_args(LossForm),
}
_INTEGERS = {
    "passes": (1, 10**6),
    "examples_per_update": (1, 2**16),
    "channel_shift": (0, 2**16),
    "patience": (0, 10**6),
    "average_last": (0, 1000),
    "seed": (0, 2**63 - 1),
}
_REALS = {
    "rate": (0.0, 100.0),
    "event_drop_out": (0.0, 1.0),
    "channel_jitter": (0.0, 1e4),
    "time_stretch": (0.0, 0.9),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """How often, how fast and on what variations of the recordings a network is trained.

    Raises:
        ValueError: A value lies outside its interval, or belongs to the other method.
    """

    method: Method = "eprop"
    """``eprop``: forward in time, as sessions learn; ``bptt``: backpropagation through time."""

    passes: int = 10
    """How often every example is learnt."""

    rate: float = 0.001
    """Learning rate at the start."""

    rate_schedule: RateSchedule = "constant"
    """``cosine``: the rate falls to zero over all passes, along half a cosine."""

    examples_per_update: int = 1
    """Examples whose gradients make one step of the optimiser.

    With ``eprop`` they add up, with ``bptt`` their mean is taken.
    """

    event_drop_out: float = 0.0
    """Share of the events of a training example that are left out, others each time."""

    channel_shift: int = 0
    """Most channels by which all events of a training example move, up or down."""

    channel_jitter: float = 0.0
    """Standard deviation of how far each event of a training example moves by itself, in
    channels."""

    time_stretch: float = 0.0
    """Largest share by which a training example becomes longer or shorter."""

    patience: int = 0
    """Passes without a better validation after which training stops; 0: it never stops early.

    With patience the weights of the best pass are kept, without it those of the last one.
    """

    average_last: int = 0
    """Passes whose weights are averaged, the latest ones; 0 and 1: none.

    Validation judges the average, so that what is kept is what was validated.
    """

    loss_form: LossForm = "each_tick"
    """``bptt`` only, see `bptt.objective`."""

    seed: int = 0
    """Decides initial weights, order of examples and their variations."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                expected = f"one of {', '.join(choices)}"
                raise ValueError(f"{name} must be {expected}, got {getattr(self, name)!r}")
        for name, (low, high) in _INTEGERS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} must be an integer in [{low}, {high}], got {value!r}")
        for name, interval in _REALS.items():
            _check_real(name, getattr(self, name), *interval)
        if self.loss_form != "each_tick" and self.method != "bptt":
            raise ValueError(f"loss_form {self.loss_form!r} needs method 'bptt'")

    @property
    def varies_examples(self) -> bool:
        """Whether training examples are changed before they are learnt."""
        shares = (self.event_drop_out, self.channel_jitter, self.time_stretch)
        return self.channel_shift > 0 or any(share > 0.0 for share in shares)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build the specification from plain JSON values; what is absent takes its default.

        Raises:
            ValueError: A name is unknown, or a value lies outside its interval.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"{cls.__name__} has no {unknown}; it has {sorted(known)}")
        return cls(**values)


def _check_real(name: str, value: object, low: float, high: float) -> None:
    # a NaN compares false with both ends, so it is refused here too
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number in [{low:g}, {high:g}], got {value!r}")
