"""What ``open`` asks for: the sensor, how its stream is cut, the network and how it learns.

Everything in an ``open`` is form: a value outside its bounds is refused before a session is looked
up, so that a wild request costs no memory.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.wire_protocol.fields import (
    MAX_LIST_ITEMS,
    NUMBER_LIMIT,
    ClassName,
    ClassNames,
    JsonList,
    Number,
    WireForm,
)

MAX_INPUTS = 2**20
MAX_ADDRESSES = 2**24


class CochleaSensor(WireForm):
    """An artificial cochlea; an address is its channel."""

    kind: Literal["cochlea"] = "cochlea"
    channels: Annotated[int, Field(ge=1, le=MAX_INPUTS)]

    @property
    def n_addresses(self) -> int:
        """Addresses on the wire lie in ``[0, n_addresses)``."""
        return self.channels

    @property
    def n_inputs(self) -> int:
        """Input lines of the network."""
        return self.channels


class RawSensor(WireForm):
    """Any other source of events, addressed by a plain index."""

    kind: Literal["raw"] = "raw"
    addresses: Annotated[int, Field(ge=1, le=MAX_INPUTS)]

    @property
    def n_addresses(self) -> int:
        """Addresses on the wire lie in ``[0, n_addresses)``."""
        return self.addresses

    @property
    def n_inputs(self) -> int:
        """Input lines of the network."""
        return self.addresses


class DvsSensor(WireForm):
    """An event camera; an address is ``(polarity * height + y) * width + x``, never pooled.

    ``pool`` n makes n x n pixels one input line, sizes rounded up; polarities stay apart.
    """

    kind: Literal["dvs"] = "dvs"
    width: Annotated[int, Field(ge=1, le=8192)]
    height: Annotated[int, Field(ge=1, le=8192)]
    polarities: Literal[1, 2] = 2
    pool: Annotated[int, Field(ge=1, le=8192)] = 1

    @property
    def pooled_width(self) -> int:
        """Columns after pooling."""
        return -(-self.width // self.pool)

    @property
    def pooled_height(self) -> int:
        """Rows after pooling."""
        return -(-self.height // self.pool)

    @property
    def n_addresses(self) -> int:
        """Addresses on the wire lie in ``[0, n_addresses)``."""
        return self.polarities * self.height * self.width

    @property
    def n_inputs(self) -> int:
        """Input lines of the network, after pooling."""
        return self.polarities * self.pooled_height * self.pooled_width

    @model_validator(mode="after")
    def _fits(self) -> "DvsSensor":
        if self.n_addresses > MAX_ADDRESSES:
            raise ValueError(f"{self.n_addresses} addresses, at most {MAX_ADDRESSES} are allowed")
        if self.n_inputs > MAX_INPUTS:
            raise ValueError(f"{self.n_inputs} pooled inputs, at most {MAX_INPUTS} are allowed")
        return self


SensorRequest = Annotated[CochleaSensor | DvsSensor | RawSensor, Field(discriminator="kind")]


class SegmentedByClient(WireForm):
    """``segment`` messages say where a segment begins and ends."""

    by: Literal["client"] = "client"


class SegmentedBySilence(WireForm):
    """A segment begins at an event and ends once the gap has passed without one."""

    by: Literal["silence"] = "silence"
    gap_us: Annotated[int, Field(ge=1, lt=NUMBER_LIMIT)] = 200_000


class SegmentedByWindow(WireForm):
    """Segments of one length, back to back from the first event."""

    by: Literal["window"] = "window"
    length_us: Annotated[int, Field(ge=1, lt=NUMBER_LIMIT)] = 1_000_000


class Unsegmented(WireForm):
    """One endless segment; labels are for intervals."""

    by: Literal["none"] = "none"


Segmentation = Annotated[
    SegmentedByClient | SegmentedBySilence | SegmentedByWindow | Unsegmented,
    Field(discriminator="by"),
]

NeuronKind = Literal["adaptive_tclif", "learnable_tclif", "tclif", "two_compartment", "lif"]
LearningMode = Literal["off", "delayed", "ahead"]

LayerSizes = Annotated[
    tuple[Annotated[int, Field(ge=1, le=4096)], ...],
    JsonList,
    Field(min_length=1, max_length=8),
]
LayerRates = Annotated[
    tuple[Annotated[float, Field(ge=0, le=1000)], ...], JsonList, Field(max_length=9)
]
Kept = Annotated[float, Field(ge=0, le=0.999999)]
"""Share of a running mean, or of a velocity, that stays at each step."""

HyperparameterName = Annotated[str, Field(min_length=1, max_length=64)]
HyperparameterValue = (
    bool
    | Annotated[int, Field(gt=-NUMBER_LIMIT, lt=NUMBER_LIMIT)]
    | float
    | Annotated[str, Field(max_length=64)]
)


class NetworkRequest(WireForm):
    """A new network: hidden layers, classes, kind of neuron."""

    hidden: LayerSizes = (128, 128)
    recurrent: bool = True
    classes: Annotated[int, Field(ge=1, le=MAX_LIST_ITEMS)] | ClassNames
    neuron: NeuronKind = "adaptive_tclif"
    hyperparameters: dict[HyperparameterName, HyperparameterValue] = Field(
        default_factory=dict, max_length=64
    )
    """Of neuron and network, by the names of `tclif_core`; numbers, booleans and words only."""

    @property
    def class_names(self) -> tuple[ClassName, ...]:
        """The classes by index; a bare number n stands for the names ``"0"`` to ``"n-1"``."""
        if isinstance(self.classes, int):
            return tuple(str(index) for index in range(self.classes))
        return self.classes


class LearningRequest(WireForm):
    """When and how the weights move."""

    mode: LearningMode = "delayed"
    update: Literal["segment", "tick"] = "segment"
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    rate: Annotated[float, Field(ge=0, le=1)] = 0.001
    feedback: Literal["chain", "broadcast"] = "chain"
    """How errors reach the hidden layers: through the forward weights, or fixed random ones."""

    momentum: Kept = 0.0
    first_moment_decay: Kept = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1000)] = 0.0
    gradient_clip: Annotated[float, Field(ge=1e-12, le=1e18)] | None = None
    learn_decay_minima: bool = True
    learn_couplings: bool | None = None
    """``None``: for ``tclif`` neurons, not for the others."""

    layer_rates: LayerRates = ()
    """What multiplies the rate, for each hidden layer and then the readout; empty: 1 for all."""

    filter_readout_trace: bool = False


class ReportRequest(WireForm):
    """What the client wants to hear."""

    every_ticks: Number = 25
    """Ticks between predictions inside a segment; 0: final ones only."""

    probabilities: bool = False
    """Whether a prediction carries the probability of every class."""
