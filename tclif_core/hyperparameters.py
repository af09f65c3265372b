"""What a network and its learning are: numbers fixed when a session is created.

Frozen and hashable, so that networks of one kind can share one bank. Every class refuses values
outside their interval with a ``ValueError`` that states value and interval, and turns into plain
JSON and back (``to_dict``, ``from_dict``; unknown names are refused).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

NeuronKind = Literal["adaptive_tclif", "learnable_tclif", "tclif", "two_compartment", "lif"]
Reset = Literal["paper", "code"]
SurrogateName = Literal["triangular", "rectangular", "fast_sigmoid", "arctan"]
Update = Literal["segment", "tick", "frozen"]
OptimizerName = Literal["adam", "rmsprop", "sgd"]
Feedback = Literal["chain", "broadcast"]
Loss = Literal["cross_entropy", "mean_squared"]

COUPLING_MARGIN = 1e-6
"""How near to 0 and 1 the magnitude of a ``tclif`` coupling may come: a sigmoid reaches neither."""

_MOST_LAYERS = 16


def _check_real(name: str, value: object, low: float, high: float) -> None:
    # a NaN compares false with both ends, so it is refused here too
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number in [{low:g}, {high:g}], got {value!r}")


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be an integer in [{low}, {high}], got {value!r}")


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")  # noqa: TRY004 - one error kind for bad values


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


class _Dictionary:
    """Conversion to plain JSON values and back, for the dataclasses of this module."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; nested specifications become dictionaries, tuples lists."""
        named = asdict(self)  # type: ignore[call-overload]  # every subclass is a dataclass
        return {name: list(v) if isinstance(v, tuple) else v for name, v in named.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build the specification from plain JSON values; what is absent takes its default.

        Raises:
            ValueError: A name is unknown or missing, or a value lies outside its interval.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{cls.__name__} must be an object, got {values!r}")  # noqa: TRY004 - one error kind for bad values
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]  # as above
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"{cls.__name__} has no {unknown}; it has {sorted(known)}")
        try:
            return cls(**{name: cls._restored(name, value) for name, value in values.items()})
        except TypeError as error:
            raise ValueError(f"{cls.__name__}: {error}") from error

    @classmethod
    def _restored(cls, name: str, value: object) -> object:
        nested: dict[str, type[_Dictionary]] = {"neuron": NeuronSpec, "decay_profile": DecayProfile}
        if name in nested and isinstance(value, Mapping):
            return nested[name].from_dict(value)
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayProfile(_Dictionary):
    """How decays rise above their minima early in a segment: ``amplitude`` times a gamma density.

    The density is scaled to a peak of 1, reached ``(shape - 1) * scale_ticks`` ticks into the
    segment; see `decay_profile`.
    """

    shape: float = 2.0
    """k of the gamma density, at least 1 (1: falls from the first tick on)."""

    scale_ticks: float = 20.0
    """s of the gamma density, in ticks."""

    amplitude: float = 0.15
    """A: how far a decay rises above its minimum at the peak; 0 makes decays constant."""

    def __post_init__(self) -> None:
        _check_real("decay_profile.shape", self.shape, 1.0, 1e3)
        _check_real("decay_profile.scale_ticks", self.scale_ticks, 1e-3, 1e9)
        _check_real("decay_profile.amplitude", self.amplitude, 0.0, 1.0)


_CONSTANT_DECAYS = ("learnable_tclif", "tclif")


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronSpec(_Dictionary):
    """The neuron of all hidden layers; potentials are in units of the input current.

    ``adaptive_tclif`` has time-varying decays, ``learnable_tclif`` constant ones, and
    ``two_compartment`` constant ones unless a profile is given. ``tclif`` does not decay at all:
    the decay minima are not read for it, and its couplings are plus and minus a sigmoid. ``lif``
    has one compartment, the soma: fields that speak of the dendrite or of a coupling are not read
    for it.
    """

    kind: NeuronKind = "adaptive_tclif"

    threshold: float = 1.0
    """th: the soma spikes at or above it, and loses this much after a spike."""

    dendritic_reset: float = 0.5
    """g: what the dendrite loses after a spike."""

    dendrite_decay_minimum: float = 0.75
    """Share of the dendrite's potential that stays each tick, before the profile adds to it."""

    soma_decay_minimum: float = 0.8
    """The same of the soma."""

    soma_to_dendrite: float = -0.5
    """bD: the soma's pull on the dendrite of the next tick, usually negative."""

    dendrite_to_soma: float = 0.5
    """bS: the dendrite's drive of the soma in the same tick."""

    decay_profile: DecayProfile | None = None
    """``None``: `DecayProfile()` for ``adaptive_tclif``, constant decays for the other kinds."""

    surrogate: SurrogateName = "triangular"
    """Shape of the pseudo-derivative around the threshold, see `surrogate_gradient`."""

    surrogate_width: float = 1.0
    """w: half-width of the pseudo-derivative."""

    reset: Reset = "paper"
    """``paper``: a spike takes its share from the next tick's potentials, as the equations are
    printed; ``code``: from the potentials themselves, before they decay and couple, as in the
    published code of TC-LIF."""

    def __post_init__(self) -> None:
        _check_choice("neuron.kind", self.kind, get_args(NeuronKind))
        _check_real("neuron.threshold", self.threshold, 1e-6, 1e6)
        _check_real("neuron.dendritic_reset", self.dendritic_reset, 0.0, 1e6)
        _check_choice("neuron.surrogate", self.surrogate, get_args(SurrogateName))
        _check_real("neuron.surrogate_width", self.surrogate_width, 1e-6, 1e6)
        _check_choice("neuron.reset", self.reset, get_args(Reset))
        if self.decay_profile is not None and not isinstance(self.decay_profile, DecayProfile):
            raise ValueError(
                f"neuron.decay_profile must be a DecayProfile, got {self.decay_profile!r}"
            )
        if self.kind in _CONSTANT_DECAYS and self.profile.amplitude > 0.0:
            raise ValueError(
                f"neuron.decay_profile must have amplitude 0 for kind {self.kind!r},"
                f" got {self.profile.amplitude!r}"
            )
        self._check_couplings()
        self._check_decays()

    def _check_couplings(self) -> None:
        low, high = (COUPLING_MARGIN, 1.0 - COUPLING_MARGIN) if self.kind == "tclif" else (-10, 10)
        _check_real("neuron.soma_to_dendrite", self.soma_to_dendrite, -high, -low)
        _check_real("neuron.dendrite_to_soma", self.dendrite_to_soma, low, high)

    def _check_decays(self) -> None:
        if self.kind == "tclif":
            return
        # above 1 - A the decay would pass 1 at the profile's peak and the potential would run away
        highest = 1.0 - self.profile.amplitude
        _check_real("neuron.soma_decay_minimum", self.soma_decay_minimum, 0.0, highest)
        if self.kind != "lif":
            _check_real("neuron.dendrite_decay_minimum", self.dendrite_decay_minimum, 0.0, highest)

    @property
    def profile(self) -> DecayProfile:
        """The decay profile in force, the kind's own where none was given."""
        if self.decay_profile is not None:
            return self.decay_profile
        if self.kind == "adaptive_tclif":
            return DecayProfile()
        return DecayProfile(amplitude=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec(_Dictionary):
    """Sizes and constants of one session's network."""

    inputs: int
    """Input channels."""

    hidden: tuple[int, ...]
    """Neurons of each hidden layer, from the input upward."""

    classes: int

    recurrent: bool = True
    """Whether every hidden layer feeds its spikes back to itself one tick later."""

    neuron: NeuronSpec = NeuronSpec()

    readout_decay: float = 0.95
    """kappa: share of the logits that stays each tick."""

    input_gain: float = 3.0
    """Initial weights of the first layer spread over ``+-input_gain / sqrt(fan-in)``."""

    hidden_gain: float = 3.0
    """The same for feed-forward weights between hidden layers."""

    recurrent_gain: float = 1.0
    """The same for recurrent weights."""

    readout_gain: float = 1.0
    """The same for the readout's weights."""

    def __post_init__(self) -> None:
        _check_integer("inputs", self.inputs, 1, 2**24)
        hidden: object = self.hidden
        if not isinstance(hidden, tuple) or not 1 <= len(hidden) <= _MOST_LAYERS:
            raise ValueError(
                f"hidden must be a tuple of 1 to {_MOST_LAYERS} layer sizes, got {hidden!r}"
            )
        for size in self.hidden:
            _check_integer("hidden", size, 1, 2**16)
        _check_integer("classes", self.classes, 2, 2**16)
        _check_flag("recurrent", self.recurrent)
        if not isinstance(self.neuron, NeuronSpec):
            raise ValueError(f"neuron must be a NeuronSpec, got {self.neuron!r}")  # noqa: TRY004 - one error kind for bad values
        _check_real("readout_decay", self.readout_decay, 0.0, 1.0)
        _check_real("input_gain", self.input_gain, 0.0, 1e3)
        _check_real("hidden_gain", self.hidden_gain, 0.0, 1e3)
        _check_real("recurrent_gain", self.recurrent_gain, 0.0, 1e3)
        _check_real("readout_gain", self.readout_gain, 0.0, 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSpec(_Dictionary):
    """How weights move; the rate belongs to each session and is given when it opens."""

    update: Update = "segment"
    """``segment``: gradients add up until an update is asked for; ``tick``: weights move at every
    labelled tick; ``frozen``: nothing is learnt, and nothing kept for learning."""

    optimizer: OptimizerName = "adam"
    """What turns a gradient into a step.

    ``tick`` needs ``sgd``, or ``rmsprop`` for SGD scaled by the root mean square of *segment*
    gradients.
    """

    loss: Loss = "cross_entropy"
    """Of the probabilities with a class, or of the logits with numbers (``mean_squared``)."""

    feedback: Feedback = "chain"
    """``chain``: errors come down through the weights; ``broadcast``: through a fixed matrix."""

    filter_readout_trace: bool = False
    """Whether the readout's gradient uses lines filtered by its leak, which makes it exact."""

    filter_hidden_traces: bool = False
    """Whether hidden gradients use traces filtered by the readout's leak.

    One number for each weight more in each strand's state, where all else is one for each input
    line. With ``tick`` only kernel ``reference`` computes it.
    """

    learn_decay_minima: bool = True
    """Whether the decay minima move too, where the kind of neuron has any.

    They move at updates and stay inside [0, 1 - amplitude].
    """

    learn_couplings: bool | None = None
    """Whether the couplings move too; ``None``: for ``tclif``, not for the other kinds.

    Those of ``tclif`` move through the sigmoid; others are kept inside [-1, 0] and [0, 1] widened
    to where they start.
    """

    layer_rates: tuple[float, ...] = ()
    """Multiplies the session's rate, for each hidden layer and then the readout; 0 freezes a layer.

    Empty: 1 for all.
    """

    momentum: float = 0.0
    """SGD, RMSprop: share of the velocity that stays at each step; 0 keeps no velocity."""

    first_moment_decay: float = 0.9
    """Adam: share of the running mean of gradients that stays at each update.

    0 means no momentum and saves a number for each weight: where each update comes from one
    segment, momentum goes on pushing toward labels that have passed.
    """

    second_moment_decay: float = 0.999
    """Adam: the same of the running mean of squares."""

    square_decay: float = 0.99
    """RMSprop: share of the running mean of squares that stays at each update."""

    epsilon: float = 1e-8
    """Adam, RMSprop: added to the root of the mean square."""

    preconditioner_epsilon: float = 1e-2
    """The same for the weights of ``tick`` with ``rmsprop``.

    Larger, since a weight that no segment moved yet is moved by single ticks divided by it.
    """

    gradient_clip: float | None = None
    """Longest Euclidean length of a step's gradient; a longer one is shortened to it."""

    weight_decay: float = 0.0
    """Share of every weight, biases left out, that an update takes away for each unit of rate."""

    @property
    def keeps_first_moment(self) -> bool:
        """Whether the optimiser remembers a running mean of gradients, or a velocity."""
        if self.update == "frozen":
            return False
        return self.first_moment_decay > 0.0 if self.optimizer == "adam" else self.momentum > 0.0

    @property
    def keeps_second_moment(self) -> bool:
        """Whether the optimiser remembers a running mean of squared gradients."""
        return self.update != "frozen" and self.optimizer != "sgd"

    @property
    def is_preconditioned(self) -> bool:
        """Whether weights move at each tick, scaled by squares of segment gradients."""
        return self.update == "tick" and self.optimizer == "rmsprop"

    def __post_init__(self) -> None:
        _check_choice("update", self.update, get_args(Update))
        _check_choice("optimizer", self.optimizer, get_args(OptimizerName))
        _check_choice("loss", self.loss, get_args(Loss))
        _check_choice("feedback", self.feedback, get_args(Feedback))
        if self.update == "tick" and self.optimizer == "adam":
            raise ValueError("update 'tick' needs optimizer 'sgd' or 'rmsprop', got 'adam'")
        _check_flag("filter_readout_trace", self.filter_readout_trace)
        _check_flag("filter_hidden_traces", self.filter_hidden_traces)
        _check_flag("learn_decay_minima", self.learn_decay_minima)
        if self.learn_couplings is not None:
            _check_flag("learn_couplings", self.learn_couplings)
        self._check_numbers()

    def _check_numbers(self) -> None:
        rates: object = self.layer_rates
        if not isinstance(rates, tuple):
            raise ValueError(f"layer_rates must be a tuple of numbers, got {rates!r}")  # noqa: TRY004 - one error kind for bad values
        for rate in self.layer_rates:
            _check_real("layer_rates", rate, 0.0, 1e3)
        _check_real("momentum", self.momentum, 0.0, 0.999999)
        if self.momentum and self.optimizer == "adam":
            raise ValueError("momentum is for 'sgd' and 'rmsprop'; 'adam' has first_moment_decay")
        _check_real("first_moment_decay", self.first_moment_decay, 0.0, 0.999999)
        _check_real("second_moment_decay", self.second_moment_decay, 0.0, 0.9999999)
        _check_real("square_decay", self.square_decay, 0.0, 0.9999999)
        _check_real("epsilon", self.epsilon, 1e-12, 1.0)
        _check_real("preconditioner_epsilon", self.preconditioner_epsilon, 1e-12, 1e3)
        if self.gradient_clip is not None:
            _check_real("gradient_clip", self.gradient_clip, 1e-12, 1e18)
        _check_real("weight_decay", self.weight_decay, 0.0, 1e3)

    def rates_of_layers(self, network: NetworkSpec) -> tuple[float, ...]:
        """Return what multiplies the rate, for each hidden layer and then the readout.

        Raises:
            ValueError: ``layer_rates`` is for a network of another depth.
        """
        n_layers = len(network.hidden) + 1
        if not self.layer_rates:
            return (1.0,) * n_layers
        if len(self.layer_rates) != n_layers:
            raise ValueError(
                f"layer_rates must hold {n_layers} numbers, for {len(network.hidden)} hidden"
                f" layers and the readout, got {len(self.layer_rates)}"
            )
        return self.layer_rates
