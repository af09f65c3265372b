"""One session's network and e-prop in plain torch eager, written with speed in mind: a peer.

The same equations as `tclif_core` (see `two_compartment`, `eligibility`, `eprop`), tick by tick, in
as few torch calls as we could manage, all writing into memory allocated once. A neuron and the
eligibility vector of an input line follow the same recursion, which is linear apart from the spike,
so one product of a 2 x 4 matrix moves both:

    [UD, eD]          [  aD           bD         -g          1 ]   [UD, eD]
    [US, eS]  [t]  =  [bS aD     aS + bS bD   -th - bS g    bS ] . [US, eS]  [t-1]         (1)
                                                                   [ z,  0]  [t-1]
                                                                   [ I,  x]  [t]

Left out, in this peer's favour: learning of the decay minima, checks of the input, batches of
events (input is dense and made beforehand), counters, the test for finite gradients. float32, one
segment at a time, chain feedback, recurrent layers.

Shapes: T ticks of a call, N neurons, M input lines (below, own, bias), C classes.
"""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core import NetworkSpec
from tclif_core.decay_profile import gamma_profile
from tclif_core.two_compartment import neuron_constants


class _Face(NamedTuple):
    """Views of one of a layer's two boards and of what a tick writes; the boards take turns."""

    board: torch.Tensor  # the right-hand vectors of eq. (1), [4, N + M]
    current: torch.Tensor  # [N]
    lines: torch.Tensor  # [M]
    below: torch.Tensor  # [inputs below]
    moved: torch.Tensor  # the left-hand side of eq. (1), in the other board, [2, N + M]
    soma: torch.Tensor  # [N], of this tick
    spikes: torch.Tensor  # [N], of this tick
    own: torch.Tensor  # where the next tick reads them as input lines, [N]
    trace: torch.Tensor  # eligibility of this tick, a column [M, 1]


class _Layer:
    """A hidden layer's weights, gradient, neurons and eligibility.

    Attributes:
        weights: ``[M, N]``: from below, recurrent, bias.
        gradient: Likewise.
        error: d of this tick ``[N]``.
    """

    def __init__(self, weights: torch.Tensor, gradient: torch.Tensor, spec: NetworkSpec) -> None:
        n_lines, size = weights.shape
        self.weights, self.gradient, self.error = weights, gradient, torch.zeros(size)
        self._into_neurons = weights.t()
        self._to_below = weights[: n_lines - size - 1]
        self._row = self.error[None]
        # vectors: torch takes longer over a Python number than over a hundred elements
        self._threshold = torch.full((size,), spec.neuron.threshold)
        self._width = torch.full((size,), spec.neuron.surrogate_width)
        self._slope = torch.zeros(size)
        self._boards = [torch.zeros(4, size + n_lines) for _ in range(2)]
        self._faces = [self._face(*self._boards), self._face(*reversed(self._boards))]
        self.begin_segment()

    def _face(self, board: torch.Tensor, other: torch.Tensor) -> _Face:
        n_lines, size = self.weights.shape
        lines, n_below = board[3, size:], n_lines - size - 1
        own = other[3, size + n_below : -1]
        soma, spikes, trace = other[1, :size], other[2, :size], other[1, size:, None]
        current, below = board[3, :size], lines[:n_below]
        return _Face(board, current, lines, below, other[:2], soma, spikes, own, trace)

    def begin_segment(self) -> None:
        for board in self._boards:
            board.zero_()
            board[3, -1] = 1.0

    def advance(self, below: torch.Tensor, coefficients: torch.Tensor, parity: int) -> torch.Tensor:
        """Move neurons and eligibility by one tick; return the spikes ``[N]``."""
        face = self._faces[parity]
        face.below.copy_(below)
        torch.mv(self._into_neurons, face.lines, out=face.current)
        torch.mm(coefficients, face.board, out=face.moved)
        torch.ge(face.soma, self._threshold, out=face.spikes)
        face.own.copy_(face.spikes)
        return face.spikes

    def spikes(self, parity: int) -> torch.Tensor:
        return self._faces[parity].spikes

    def find_error(self, signal: torch.Tensor, parity: int) -> None:
        """Set ``error`` from a learning signal ``[N]`` that holds the factor 1 / width^2."""
        slope = self._slope
        torch.sub(self._faces[parity].soma, self._threshold, out=slope)
        torch.sub(self._width, slope.abs_(), out=slope)
        torch.mul(signal, slope.relu_(), out=self.error)

    def signal_below(self, factor: float, out: torch.Tensor) -> torch.Tensor:
        """Write the chain's signal for the layer below ``[inputs below]``, times a factor."""
        return torch.addmv(out, self._to_below, self.error, beta=0, alpha=factor, out=out)

    def add_outer_product(self, into: torch.Tensor, factor: float, parity: int) -> None:
        """Add this tick's estimate; ``addmm_`` takes 0.6 of the time of ``addr_`` here."""
        into.addmm_(self._faces[parity].trace, self._row, alpha=factor)


class EagerNetwork:
    """One session: advance by ticks, learn by e-prop, step by Adam at a segment's end."""

    def __init__(
        self, spec: NetworkSpec, weights: Mapping[str, NDArray[np.floating]], *, rate: float
    ) -> None:
        """Copy the weights of a learner's session.

        Args:
            spec: Recurrent, with neurons of any kind.
            weights: As `Learner.weights` returns them; couplings and decay minima are not read.
            rate: Learning rate.

        Raises:
            ValueError: The network is not recurrent.
        """
        if not spec.recurrent:
            raise ValueError("the eager network is recurrent, got a feed-forward specification")
        self._spec, self._rate = spec, rate
        blocks = [
            np.concatenate(
                [weights[f"layer{n}.w"], weights[f"layer{n}.r"], [weights[f"layer{n}.b"]]]
            )
            for n in range(len(spec.hidden))
        ]
        blocks.append(np.concatenate([weights["readout.w"], [weights["readout.b"]]]))
        # one row of all parameters: Adam passes over it once
        self._parameters = torch.from_numpy(np.concatenate([b.ravel() for b in blocks])).float()
        self._parameters.grad = torch.zeros_like(self._parameters)
        self._adam = torch.optim.Adam([self._parameters], lr=rate, fused=True)
        ends = list(accumulate((block.size for block in blocks), initial=0))
        matrices = [
            [
                row[low:high].view(block.shape)
                for (low, high), block in zip(pairwise(ends), blocks, strict=True)
            ]
            for row in (self._parameters, self._parameters.grad)
        ]
        self._layers = [
            _Layer(w, g, spec) for w, g in zip(matrices[0][:-1], matrices[1][:-1], strict=True)
        ]
        self._readout, self._readout_gradient = matrices[0][-1], matrices[1][-1]
        self._top = torch.ones(spec.hidden[-1] + 1)
        self._signals = [torch.zeros(size) for size in spec.hidden]
        self._error = torch.zeros(spec.classes)
        self._logits = torch.zeros(spec.classes)
        self._dendrite_to_soma = neuron_constants(spec.neuron).scalars[3]
        self._coefficients: list[torch.Tensor] = []
        self._tick = 0

    def gradients(self) -> list[torch.Tensor]:
        """Return what has added up: each hidden layer ``[M, N]``, the readout ``[N + 1, C]``."""
        return [*(layer.gradient for layer in self._layers), self._readout_gradient]

    def weights(self) -> list[torch.Tensor]:
        """Return the weights, shaped like `gradients`."""
        return [*(layer.weights for layer in self._layers), self._readout]

    def spikes(self) -> list[torch.Tensor]:
        """Return the spikes of each hidden layer in the last tick."""
        return [layer.spikes(1 - self._tick & 1) for layer in self._layers]

    def begin_segment(self) -> None:
        """Set neurons, eligibility, logits and the clock to zero."""
        for layer in self._layers:
            layer.begin_segment()
        self._logits.zero_()
        self._tick = 0

    @torch.no_grad()
    def advance(self, x: torch.Tensor, target: int, update: str) -> torch.Tensor:
        """Advance by some ticks.

        Args:
            x: Input ``[T, inputs]``.
            target: Class of all ticks.
            update: ``segment`` adds up gradients, ``tick`` moves weights, ``off`` only infers.

        Returns:
            Logits ``[T, C]``.
        """
        self._extend_coefficients(self._tick + len(x))
        logits = torch.empty(len(x), self._spec.classes)
        onehot = torch.zeros(self._spec.classes)
        onehot[target] = 1.0
        weights, top = self._readout.t(), self._top
        hidden, kappa = top[:-1], self._spec.readout_decay
        before = self._logits
        for given, now in zip(x.unbind(), logits.unbind(), strict=True):
            parity, spikes = self._tick & 1, given
            for layer in self._layers:
                spikes = layer.advance(spikes, self._coefficients[self._tick], parity)
            hidden.copy_(spikes)
            torch.addmv(before, weights, top, beta=kappa, out=now)
            before = now
            if update != "off":
                torch.softmax(now, 0, out=self._error)
                self._learn(self._error.sub_(onehot), update, parity)
            self._tick += 1
        self._logits.copy_(before)
        return logits

    def _learn(self, error: torch.Tensor, update: str, parity: int) -> None:
        slope = 1.0 / self._spec.neuron.surrogate_width**2
        signal = self._signals[-1]
        # every signal first: they all use the weights as they were before this tick's update
        torch.addmv(signal, self._readout[:-1], error, beta=0, alpha=slope, out=signal)
        for n in range(len(self._layers) - 1, -1, -1):
            self._layers[n].find_error(signal, parity)
            if n:
                factor = slope * self._dendrite_to_soma
                signal = self._layers[n].signal_below(factor, self._signals[n - 1])
        moves = update == "tick"
        factor = -self._rate if moves else 1.0
        for layer in self._layers:
            layer.add_outer_product(layer.weights if moves else layer.gradient, factor, parity)
        into = self._readout if moves else self._readout_gradient
        into.addmm_(self._top[:, None], error[None], alpha=factor)

    def apply_update(self) -> None:
        """Take one step of Adam and clear the gradient."""
        self._adam.step()
        assert self._parameters.grad is not None, "it is allocated with the network"
        self._parameters.grad.zero_()

    def _extend_coefficients(self, n_ticks: int) -> None:
        """Know the matrix of eq. (1) for the segment's first ticks."""
        constants, profile = neuron_constants(self._spec.neuron), self._spec.neuron.profile
        minimum_d, minimum_s, down, up = constants.scalars
        threshold, reset = constants.threshold, constants.dendritic_reset
        for tick in range(len(self._coefficients), n_ticks):
            rise = gamma_profile(tick, profile.shape, profile.scale_ticks)
            decay_d = minimum_d + constants.dendrite_amplitude * rise
            decay_s = minimum_s + constants.soma_amplitude * rise
            first = [decay_d, down, -reset, 1.0]
            second = [up * decay_d, decay_s + up * down, -threshold - up * reset, up]
            self._coefficients.append(torch.tensor([first, second]))
