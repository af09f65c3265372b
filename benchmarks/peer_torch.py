"""This very model in plain torch, many sessions at once: the peer that everybody could write.

The equations of `tclif_core` as functions over tensors ``[S, …]``, every session with weights of
its own, so that a product over all sessions is one batched call. Written for `torch.compile` too:
nothing is written in place but the gradients, and no Python value changes by tick. Left out in its
favour: learning of the decay minima, checks, sparse input (a tick's input is dense and made
beforehand).

Shapes: S sessions, N neurons, M input lines (below, own, bias), C classes.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

from tclif_core import NetworkSpec
from tclif_core.decay_profile import gamma_profile
from tclif_core.two_compartment import neuron_constants

Weights = list[torch.Tensor]


class LayerState(NamedTuple):
    """One hidden layer between two ticks.

    Attributes:
        dendrite: ``[S, N]``.
        soma: ``[S, N]``.
        spikes: ``[S, N]``.
        eligibility_dendrite: ``[S, M]``.
        eligibility_soma: ``[S, M]``.
    """

    dendrite: torch.Tensor
    soma: torch.Tensor
    spikes: torch.Tensor
    eligibility_dendrite: torch.Tensor
    eligibility_soma: torch.Tensor


State = tuple[LayerState, LayerState, torch.Tensor]


class TorchSessions:
    """Sessions that learn by e-prop, a segment's gradient and then a step of Adam.

    Attributes:
        weights: Of each layer and of the readout ``[S, M, N]``, the bias last.
    """

    def __init__(self, spec: NetworkSpec, n_sessions: int, *, rate: float, compiles: bool) -> None:
        self._spec, self._rate = spec, rate
        self._n_sessions = n_sessions
        self._constants = neuron_constants(spec.neuron)
        generator = torch.Generator().manual_seed(1)
        n_below = spec.inputs
        self.weights: Weights = []
        for size in spec.hidden:
            lines = n_below + size + 1
            weights = torch.randn(n_sessions, lines, size, generator=generator)
            weights[:, :n_below] *= spec.input_gain / n_below**0.5
            weights[:, n_below:-1] *= 1 / size**0.5
            weights[:, -1] = 0.0
            self.weights.append(weights)
            n_below = size
        readout = torch.randn(n_sessions, n_below + 1, spec.classes, generator=generator)
        self.weights.append(readout / n_below**0.5)
        self._gradients = [torch.zeros_like(weights) for weights in self.weights]
        self._moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in self.weights]
        self._n_steps = 0
        self._tick = torch.compile(self._advance) if compiles else self._advance
        self.begin_segment()

    def begin_segment(self) -> None:
        """Set neurons, eligibility and logits to zero."""
        n_sessions = self._n_sessions
        layers = []
        n_below = self._spec.inputs
        for size in self._spec.hidden:
            neurons = [torch.zeros(n_sessions, size) for _ in range(3)]
            lines = [torch.zeros(n_sessions, n_below + size + 1) for _ in range(2)]
            layers.append(LayerState(*neurons, *lines))
            n_below = size
        self._state: State = (layers[0], layers[1], torch.zeros(n_sessions, self._spec.classes))

    @torch.no_grad()
    def learn(self, x: torch.Tensor, targets: torch.Tensor) -> None:
        """Run a segment and step.

        Args:
            x: Input of each tick ``[T, S, inputs]``.
            targets: One-hot ``[S, C]``.
        """
        self.begin_segment()
        profile = self._spec.neuron.profile
        for number, given in enumerate(x.unbind()):
            rise = torch.tensor(gamma_profile(number, profile.shape, profile.scale_ticks))
            self._state = self._tick(self._state, given, targets, rise)
        self._step()

    def _layer(
        self, state: LayerState, weights: torch.Tensor, below: torch.Tensor, rise: torch.Tensor
    ) -> LayerState:
        constants = self._constants
        minimum_d, minimum_s, down, up = constants.scalars
        decay_d = minimum_d + constants.dendrite_amplitude * rise
        decay_s = minimum_s + constants.soma_amplitude * rise
        lines = torch.cat([below, state.spikes, torch.ones_like(below[:, :1])], 1)
        current = torch.bmm(lines[:, None], weights)[:, 0]
        dendrite = decay_d * state.dendrite + down * state.soma + current
        dendrite = dendrite - constants.dendritic_reset * state.spikes
        soma = decay_s * state.soma + up * dendrite - constants.threshold * state.spikes
        trace_d = decay_d * state.eligibility_dendrite + down * state.eligibility_soma + lines
        trace_s = decay_s * state.eligibility_soma + up * trace_d
        spikes = (soma >= constants.threshold).float()
        return LayerState(dendrite, soma, spikes, trace_d, trace_s)

    def _error(self, signal: torch.Tensor, layer: LayerState) -> torch.Tensor:
        width = self._spec.neuron.surrogate_width
        distance = (layer.soma - self._constants.threshold).abs()
        return signal * (width - distance).clamp_min(0.0) / width**2

    def _advance(
        self, state: State, x: torch.Tensor, targets: torch.Tensor, rise: torch.Tensor
    ) -> State:
        first = self._layer(state[0], self.weights[0], x, rise)
        second = self._layer(state[1], self.weights[1], first.spikes, rise)
        top = torch.cat([second.spikes, torch.ones_like(second.spikes[:, :1])], 1)
        readout = self.weights[2]
        logits = self._spec.readout_decay * state[2] + torch.bmm(top[:, None], readout)[:, 0]
        error = functional.softmax(logits, 1) - targets
        upper = self._error(torch.bmm(readout[:, :-1], error[:, :, None])[:, :, 0], second)
        n_first = first.spikes.shape[1]
        chain = torch.bmm(self.weights[1][:, :n_first], upper[:, :, None])[:, :, 0]
        lower = self._error(chain * self._constants.scalars[3], first)
        self._gradients[0].baddbmm_(first.eligibility_soma[:, :, None], lower[:, None])
        self._gradients[1].baddbmm_(second.eligibility_soma[:, :, None], upper[:, None])
        self._gradients[2].baddbmm_(top[:, :, None], error[:, None])
        return first, second, logits

    def _step(self) -> None:
        """Take one step of Adam and clear the gradients."""
        self._n_steps += 1
        rate = self._rate * (1 - 0.999**self._n_steps) ** 0.5 / (1 - 0.9**self._n_steps)
        for weights, gradient, (mean, square) in zip(
            self.weights, self._gradients, self._moments, strict=True
        ):
            mean.lerp_(gradient, 0.1)
            square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            weights.addcdiv_(mean, square.sqrt().add_(1e-8), value=-rate)
            gradient.zero_()
