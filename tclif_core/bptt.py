"""The same networks under autograd: backpropagation through time, the yardstick and pre-trainer.

Neurons, decays, readout and pseudo-derivatives are those of the modules that e-prop uses; what is
here is the order of the work. A layer's spikes at a tick depend on the layer below at that tick
and never on the one above, so a layer runs through all ticks before the next one starts, and what
comes from below is one product for all ticks:

    I[:] = x[:] W + b                         one product for T ticks                    (1)
    for t = 0, 1, ...:   I[t] += z[t-1] R, then `two_compartment.advance`                (2)

The spikes' derivative is the pseudo-derivative. It runs through reset and recurrence too, unless
the network is detached: then z[t-1] is a constant there, which is the view e-prop takes.

Source: Zhang et al. 2024 for training by backpropagation through time. Memory grows with T.

Shapes: T ticks, S sequences, N neurons of a layer, C classes.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from tclif_core import readout, two_compartment
from tclif_core.decay_profile import decay_at
from tclif_core.hyperparameters import (
    COUPLING_MARGIN,
    LearningSpec,
    Loss,
    NetworkSpec,
    SurrogateName,
)
from tclif_core.initial_weights import initial_parameters
from tclif_core.row_layout import learnt_scalars, parameter_layout
from tclif_core.scalar_intervals import scalar_intervals
from tclif_core.slot_bank import SlotBank
from tclif_core.surrogate_gradient import SURROGATES
from tclif_core.two_compartment import SCALARS, Dynamics, NeuronState

LossForm = Literal["each_tick", "summed_logits"]

_DECAYS, _COUPLINGS = SCALARS[:2], SCALARS[2:]
_SIGNS = {_COUPLINGS[0]: -1.0, _COUPLINGS[1]: 1.0}


class Unrolled(NamedTuple):
    """What a network answered to a batch of sequences; gradients run through both."""

    logits: torch.Tensor
    """Of each tick ``[T, S, C]``."""
    spike_rates: torch.Tensor
    """Mean spikes of a neuron in a tick ``[layers]``, over all ticks, padding included."""


class UnrolledNetwork(torch.nn.Module):
    """A network of `NetworkSpec` that autograd trains; its weights are those of a session.

    Couplings of ``tclif`` are held as logits, so that an optimiser moves them through the sigmoid;
    `weights` and `load_weights` speak of the couplings themselves.
    """

    def __init__(
        self,
        network: NetworkSpec,
        learning: LearningSpec,
        *,
        seed: int,
        dtype: torch.dtype = torch.float32,
        is_detached: bool = False,
    ) -> None:
        """Make the network that a session of the same seed starts with.

        Args:
            network: Sizes and constants.
            learning: Says which of a layer's four numbers are learnt; the rest of it is not read.
            seed: Of the initial weights, from 0 on.
            dtype: ``torch.float32`` or ``torch.float64``.
            is_detached: Whether z[t-1] is taken as a constant in reset and recurrence.
        """
        super().__init__()
        self.network, self.learning, self.is_detached = network, learning, is_detached
        self._constants = two_compartment.neuron_constants(network.neuron)
        self._layout = parameter_layout(network)
        learnt = learnt_scalars(network, learning)
        for name, value in self._held(initial_parameters(network, seed)).items():
            is_scalar = name.partition(".")[2] in SCALARS
            requires_grad = not is_scalar or name.partition(".")[2] in learnt
            parameter = torch.nn.Parameter(value.to(dtype), requires_grad=requires_grad)
            self.register_parameter(_attribute(name), parameter)

    @override
    def forward(self, x: torch.Tensor) -> Unrolled:
        """Run all sequences from the begin of a segment.

        Args:
            x: Input ``[T, S, inputs]`` of the network's type, at least one tick; pad short
                sequences at the end and give the padding no target.

        Raises:
            ValueError: ``x`` has another shape.
        """
        if x.ndim != 3 or not len(x) or x.shape[2] != self.network.inputs:  # noqa: PLR2004 - ticks, sequences, channels
            raise ValueError(
                f"x must be [ticks, sequences, {self.network.inputs}] with at least one tick,"
                f" got {list(x.shape)}"
            )
        rates = []
        for layer in range(len(self.network.hidden)):
            x = torch.stack(self._layer(layer, x))
            rates.append(x.mean())
        logits = x.new_zeros(x.shape[1], self.network.classes)
        answers = []
        w_out, b_out = self._value("readout.w"), self._value("readout.b")
        for spikes in x.unbind():
            logits = readout.advance(logits, spikes, w_out, b_out, self.network.readout_decay)
            answers.append(logits)
        return Unrolled(torch.stack(answers), torch.stack(rates))

    def weights(self) -> dict[str, NDArray[np.floating]]:
        """Return copies of all parameters, by the names and shapes of `Learner.weights`."""
        return {
            name: self._value(name).detach().cpu().numpy().copy() for name in self._layout.fields
        }

    def load_weights(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        """Put weights in place of the present ones.

        Args:
            weights: All parameters by name, as `weights` and `Learner.weights` return them; left
                untouched.

        Raises:
            ValueError: A parameter is missing, unknown, of another shape, not finite, or outside
                its interval; nothing changed.
        """
        # a bank of one session has the checks, and the row, that a learner would have
        bank = SlotBank(self.network, LearningSpec(update="frozen"), dtype=torch.float64)
        slot = bank.open(seed=0, rate=0.0)
        bank.load_parameters(slot, {n: torch.from_numpy(np.array(v)) for n, v in weights.items()})
        with torch.no_grad():
            for name, value in self._held(bank.parameters[slot].numpy()).items():
                self._parameter(name).copy_(value)

    @torch.no_grad()
    def keep_in_bounds(self) -> None:
        """Bring learnt decay minima and couplings back into their intervals, after a step."""
        intervals = scalar_intervals(self.network)
        furthest = float(torch.logit(torch.tensor(1.0 - COUPLING_MARGIN, dtype=torch.float64)))
        for layer in range(len(self.network.hidden)):
            for name in learnt_scalars(self.network, self.learning):
                low, high = intervals[name]
                if self._holds_logit(name):
                    low, high = -furthest, furthest
                self._parameter(f"layer{layer}.{name}").clamp_(low, high)

    def _layer(self, layer: int, below: torch.Tensor) -> list[torch.Tensor]:
        """Return a layer's spikes ``[S, N]`` of each tick, given what comes from below."""
        currents = below @ self._value(f"layer{layer}.w") + self._value(f"layer{layer}.b")
        recurrent = self._value(f"layer{layer}.r") if self.network.recurrent else None
        surrogate, width = self.network.neuron.surrogate, self.network.neuron.surrogate_width
        is_early = self.network.neuron.reset == "code"
        rest = torch.zeros_like(currents[0])
        state = NeuronState(rest, rest, rest)
        spikes = []
        for current, dynamics in zip(
            currents.unbind(), self._dynamics(layer, currents), strict=True
        ):
            before = two_compartment.reset_early(state, self._constants) if is_early else state
            total = current
            if recurrent is not None:
                total = torch.addmm(current, before.spikes, recurrent)
            after, distance = two_compartment.advance(before, total, dynamics, self._constants)
            fired: torch.Tensor = _Spike.apply(distance, after.spikes, surrogate, width)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            spikes.append(fired)
            state = after._replace(spikes=fired.detach() if self.is_detached else fired)
        return spikes

    def _dynamics(self, layer: int, currents: torch.Tensor) -> list[Dynamics]:
        """Return the coefficients of a layer at each tick of its currents ``[T, S, N]``."""
        amplitudes = (self._constants.dendrite_amplitude, self._constants.soma_amplitude)
        profile = self.network.neuron.profile
        decays = []
        for name, amplitude in zip(_DECAYS, amplitudes, strict=True):
            rises = [decay_at(tick, 0.0, amplitude, profile) for tick in range(len(currents))]
            minimum = self._value(f"layer{layer}.{name}")
            decays.append((minimum + currents.new_tensor(rises)).unbind())
        couplings = [self._value(f"layer{layer}.{name}") for name in _COUPLINGS]
        return [Dynamics(*pair, *couplings) for pair in zip(*decays, strict=True)]

    def _held(self, row: NDArray[np.float64]) -> dict[str, torch.Tensor]:
        """Return the parameters of a row by name as they are held: couplings may be logits."""
        views = self._layout.views(torch.from_numpy(row))
        return {
            name: torch.logit(view.abs()) if self._holds_logit(name) else view
            for name, view in views.items()
        }

    def _value(self, name: str) -> torch.Tensor:
        """Return a parameter as the equations use it."""
        parameter = self._parameter(name)
        if self._holds_logit(name):
            return _SIGNS[name.rpartition(".")[2]] * torch.sigmoid(parameter)
        return parameter

    def _holds_logit(self, name: str) -> bool:
        return self.network.neuron.kind == "tclif" and name.rpartition(".")[2] in _COUPLINGS

    def _parameter(self, name: str) -> torch.nn.Parameter:
        return self.get_parameter(_attribute(name))


def objective(
    logits: torch.Tensor, targets: torch.Tensor, loss: Loss, form: LossForm = "each_tick"
) -> torch.Tensor:
    """Return what training minimises, a scalar: the mean over sequences of each one's loss.

    Args:
        logits: ``[T, S, C]``.
        targets: Classes ``[T, S]`` int64, -1 where there is none; with loss ``mean_squared`` what
            the logits should be ``[T, S, C]``, NaN where there is none. A sequence without any
            target adds 0.
        loss: Of one tick, see `readout`.
        form: ``each_tick`` adds up the losses of a sequence's labelled ticks, as e-prop does.
            ``summed_logits`` is the loss of the published code of TC-LIF: the cross-entropy of
            currents into the readout, summed over a sequence's ticks up to its last target. With a
            readout decay of 1, which it takes for granted, the logits of that tick are that sum.

    Raises:
        ValueError: Targets have another shape or type, or a class is out of range; or
            ``summed_logits`` is asked for with another loss than cross-entropy.
    """
    n_ticks, n_sequences, n_classes = logits.shape
    if loss == "mean_squared":
        if form != "each_tick":
            raise ValueError(f"loss 'mean_squared' has the form 'each_tick' only, got {form!r}")
        if targets.shape != logits.shape:
            raise ValueError(f"targets must be {list(logits.shape)}, got {list(targets.shape)}")
        is_labelled = ~targets[..., 0].isnan()
        # a NaN would come back in the gradient, even from a tick that is not counted
        losses = readout.mean_squared(logits, targets.nan_to_num().to(logits.dtype))
        return (losses * is_labelled).sum() / n_sequences
    if targets.shape != logits.shape[:2] or targets.dtype != torch.int64:
        raise ValueError(
            f"targets must be int64 {[n_ticks, n_sequences]},"
            f" got {targets.dtype} {list(targets.shape)}"
        )
    if not -1 <= int(targets.min()) <= int(targets.max()) < n_classes:
        raise ValueError(
            f"targets must lie in [-1, {n_classes - 1}],"
            f" got {int(targets.min())} to {int(targets.max())}"
        )
    if form == "summed_logits":
        ticks = torch.arange(n_ticks, device=targets.device)[:, None]
        last = torch.where(targets >= 0, ticks, -1).amax(dim=0)
        targets = torch.where(ticks == last, targets, -1)
    total = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum"
    )
    return total / n_sequences


class _Spike(torch.autograd.Function):
    """Spikes as they are on the way forward, the pseudo-derivative on the way back."""

    @override
    @staticmethod
    def forward(
        ctx: Any, distance: torch.Tensor, spikes: torch.Tensor, name: SurrogateName, width: float
    ) -> torch.Tensor:
        ctx.save_for_backward(distance)
        ctx.name, ctx.width = name, width
        return spikes.view_as(spikes)

    @override
    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (distance,) = ctx.saved_tensors
        return gradients[0] * SURROGATES[ctx.name](distance, ctx.width), None, None, None


def _attribute(name: str) -> str:
    # torch refuses dots in names of parameters
    return name.replace(".", "_")
