"""A whole network that learns, in NumPy float64: every neuron kind, loss, update and option.

Written from the equations of `docs/equations.md`; of `tclif_core` it reads specifications only. A
``lif`` is one compartment here, not a special dendrite.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclif_core import LearningSpec, NetworkSpec
from tests.oracles.tclif_by_hand import gamma_density

Array = NDArray[np.float64]

_MINIMA = ("dendrite_decay_minimum", "soma_decay_minimum")
_COUPLINGS = ("soma_to_dendrite", "dendrite_to_soma")


def pseudo_derivative(name: str, distance: Array, width: float) -> Array:
    """Return psi of a distance to the threshold."""
    if name == "triangular":
        return np.maximum(0.0, width - np.abs(distance)) / width**2
    if name == "rectangular":
        return np.where(np.abs(distance) <= width, 0.5 / width, 0.0)
    if name == "fast_sigmoid":
        return np.asarray((1.0 + np.abs(distance) / width) ** -2)
    return np.asarray(width / (width**2 + (np.pi * distance) ** 2))


class HandLayer:
    """One hidden layer: its neurons and their traces."""

    def __init__(self, network: NetworkSpec, learning: LearningSpec, index: int) -> None:
        """Begin at rest."""
        self.network, self.index, self.size = network, index, network.hidden[index]
        self.neuron = network.neuron
        below = network.hidden[index - 1] if index else network.inputs
        self.n_below = below
        n_lines = below + self.size * network.recurrent + 1
        self.dendrite, self.soma, self.spikes = np.zeros((3, self.size))
        self.lines_dendrite, self.lines_soma = np.zeros((2, n_lines))
        kind = self.neuron.kind
        couplings = (
            kind == "tclif" if learning.learn_couplings is None else learning.learn_couplings
        )
        names = _MINIMA * (learning.learn_decay_minima and kind != "tclif") + _COUPLINGS * couplings
        if kind == "lif":
            names = _MINIMA[1:] * learning.learn_decay_minima
        self.traces = {name: np.zeros((2, self.size)) for name in names}
        self.filtered: dict[str, Array] = {name: np.zeros(self.size) for name in names}
        self.filtered["lines"] = np.zeros((n_lines, self.size))
        self.psi = np.zeros(self.size)

    def tick(self, tick: int, below: Array, p: dict[str, Array]) -> Array:
        """Advance neurons and traces; return the spikes."""
        neuron, profile = self.neuron, self.neuron.profile
        weight = {
            name.partition(".")[2]: p[name] for name in p if name.startswith(f"layer{self.index}.")
        }
        rise = 0.0
        if profile.amplitude:
            peak = gamma_density(
                (profile.shape - 1) * profile.scale_ticks, profile.shape, profile.scale_ticks
            )
            rise = (
                profile.amplitude
                * gamma_density(tick + 1.0, profile.shape, profile.scale_ticks)
                / peak
            )
        own = self.spikes if self.network.recurrent else np.zeros(0)
        lines = np.concatenate([below, own, [1.0]])
        current = below @ weight["w"] + weight["b"]
        if self.network.recurrent:
            current = current + own @ weight["r"]
        g, th, z = neuron.dendritic_reset, neuron.threshold, self.spikes
        dendrite, soma = self.dendrite, self.soma
        late = 1.0
        if neuron.reset == "code":
            dendrite, soma, late = dendrite - g * z, soma - th * z, 0.0
        a_soma = weight["soma_decay_minimum"] + rise
        if neuron.kind == "lif":
            self.soma = a_soma * soma + current - late * th * z
            self.lines_soma = a_soma * self.lines_soma + lines
            for trace in self.traces.values():
                trace[1] = a_soma * trace[1] + soma
        else:
            a_dendrite = weight["dendrite_decay_minimum"] + rise
            b_dendrite, b_soma = weight["soma_to_dendrite"], weight["dendrite_to_soma"]
            self.dendrite = a_dendrite * dendrite + b_dendrite * soma + current - late * g * z
            self.soma = a_soma * soma + b_soma * self.dendrite - late * th * z
            self.lines_dendrite = (
                a_dendrite * self.lines_dendrite + b_dendrite * self.lines_soma + lines
            )
            self.lines_soma = a_soma * self.lines_soma + b_soma * self.lines_dendrite
            drives: dict[str, tuple[Any, Any]] = {
                _MINIMA[0]: (dendrite, 0.0),
                _MINIMA[1]: (0.0, soma),
                _COUPLINGS[0]: (soma, 0.0),
                _COUPLINGS[1]: (0.0, self.dendrite),
            }
            for name, trace in self.traces.items():
                trace[0] = a_dendrite * trace[0] + b_dendrite * trace[1] + drives[name][0]
                trace[1] = a_soma * trace[1] + b_soma * trace[0] + drives[name][1]
        distance = self.soma - th
        self.spikes = (distance >= 0).astype(np.float64)
        self.psi = pseudo_derivative(neuron.surrogate, distance, neuron.surrogate_width)
        kappa = self.network.readout_decay
        self.filtered["lines"] = kappa * self.filtered["lines"] + np.outer(
            self.lines_soma, self.psi
        )
        for name, trace in self.traces.items():
            self.filtered[name] = kappa * self.filtered[name] + trace[1] * self.psi
        return self.spikes

    def estimates(self, signal: Array, *, filters: bool) -> dict[str, Array]:
        """Return the gradient estimate of a tick by parameter name."""
        if filters:
            lines = self.filtered["lines"] * signal
            scalars = {name: self.filtered[name] @ signal for name in self.traces}
        else:
            lines = np.outer(self.lines_soma, signal * self.psi)
            scalars = {name: trace[1] @ (signal * self.psi) for name, trace in self.traces.items()}
        parts = {"w": lines[: self.n_below], "b": lines[-1]}
        if self.network.recurrent:
            parts["r"] = lines[self.n_below : -1]
        return {f"layer{self.index}.{name}": part for name, part in (parts | scalars).items()}


class HandLearner:
    """One session; `tick` and `update` do what a learner does at a tick and a segment's end."""

    def __init__(
        self,
        network: NetworkSpec,
        learning: LearningSpec,
        parameters: dict[str, Array],
        rate: float,
        feedback: dict[str, Array],
    ) -> None:
        """Take the first weights, by the names of `Learner.weights`, and the feedback matrices."""
        self.network, self.learning, self.rate, self.feedback = network, learning, rate, feedback
        self.p = {name: np.array(value, np.float64) for name, value in parameters.items()}
        self.gradient = {name: np.zeros_like(value) for name, value in self.p.items()}
        self.first = {name: np.zeros_like(value) for name, value in self.p.items()}
        self.second = {name: np.zeros_like(value) for name, value in self.p.items()}
        self.n_updates = 0
        rates = learning.layer_rates or (1.0,) * (len(network.hidden) + 1)
        rooms = [f"layer{n}" for n in range(len(network.hidden))] + ["readout"]
        self.layer_rate = dict(zip(rooms, rates, strict=True))
        self.spike_count = 0.0
        self.begin()

    def begin(self) -> None:
        """Start a segment."""
        self.layers = [
            HandLayer(self.network, self.learning, n) for n in range(len(self.network.hidden))
        ]
        self.logits = np.zeros(self.network.classes)
        self.trace, self.bias_trace = np.zeros(self.network.hidden[-1]), 0.0
        self.ticks = 0

    def tick(self, x: Array, target: object) -> tuple[Array, float]:
        """Advance by a tick and learn it; ``None`` is no target. Return logits and loss."""
        below = x
        for layer in self.layers:
            below = layer.tick(self.ticks, below, self.p)
            self.spike_count += below.sum()
        self.ticks += 1
        kappa = self.network.readout_decay
        self.logits = kappa * self.logits + below @ self.p["readout.w"] + self.p["readout.b"]
        self.trace = kappa * self.trace + below
        self.bias_trace = kappa * self.bias_trace + 1.0
        logits = self.logits.copy()
        if target is None:
            return logits, 0.0
        if self.learning.loss == "mean_squared":
            wanted = np.asarray(target, np.float64)
            loss = float(np.mean((logits - wanted) ** 2))
            error = 2.0 * (logits - wanted) / len(logits)
        else:
            assert isinstance(target, int)
            shares = np.exp(logits - logits.max())
            loss = float(-np.log(shares[target] / shares.sum()))
            error = shares / shares.sum() - np.eye(len(logits))[target]
        self._learn(self._estimates(error))
        return logits, loss

    def _estimates(self, error: Array) -> dict[str, Array]:
        top = len(self.layers) - 1
        signal = np.zeros(0)
        found: dict[str, Array] = {}
        for n in range(top, -1, -1):
            if self.learning.feedback == "broadcast":
                signal = error @ self.feedback[f"layer{n}.feedback"]
            elif n == top:
                signal = self.p["readout.w"] @ error
            else:
                coupling = self.p[f"layer{n + 1}.dendrite_to_soma"]
                signal = self.p[f"layer{n + 1}.w"] @ (signal * self.layers[n + 1].psi * coupling)
            found |= self.layers[n].estimates(signal, filters=self.learning.filter_hidden_traces)
        seen, bias = self.layers[top].spikes, 1.0
        if self.learning.filter_readout_trace:
            seen, bias = self.trace, self.bias_trace
        return found | {"readout.w": np.outer(seen, error), "readout.b": bias * error}

    def _learn(self, found: dict[str, Array]) -> None:
        learning = self.learning
        if learning.update == "frozen":
            return
        matrices = [name for name in found if name.rpartition(".")[2] in "wrb"]
        for name, estimate in found.items():
            if learning.update == "segment" or name not in matrices:
                self.gradient[name] = self.gradient[name] + estimate
        if learning.update == "segment":
            return
        length = np.sqrt(sum((found[name] ** 2).sum() for name in matrices))
        shrink = 1.0
        if learning.gradient_clip is not None and length > learning.gradient_clip:
            shrink = learning.gradient_clip / length
        for name in matrices:
            step = shrink * found[name]
            self.gradient[name] = self.gradient[name] + step
            self.first[name] = learning.momentum * self.first[name] + step
            scale: Array | float = 1.0
            if learning.optimizer == "rmsprop":
                scale = 1.0 / (np.sqrt(self.second[name]) + learning.preconditioner_epsilon)
            rate = self.rate * self.layer_rate[name.partition(".")[0]]
            self.p[name] = self.p[name] - rate * scale * self.first[name]

    def update(self) -> None:
        """Take the step of a segment's end."""
        learning = self.learning
        self.n_updates += 1
        learnt = {
            f"layer{n}.{name}" for n, layer in enumerate(self.layers) for name in layer.traces
        }
        is_squashed = self.network.neuron.kind == "tclif"
        if is_squashed:
            self._enter_logits(learnt)
        self._step_all(learnt)
        for name in learnt:
            if is_squashed:
                self.p[name] = _sign(name) / (1.0 + np.exp(-self.p[name]))
            else:
                self.p[name] = np.clip(self.p[name], *self._interval(name))
        for name in self.p:
            if name.rpartition(".")[2] in "wr":
                rate = self.rate * self.layer_rate[name.partition(".")[0]]
                self.p[name] = self.p[name] * (1.0 - rate * learning.weight_decay)
        self.gradient = {name: np.zeros_like(value) for name, value in self.p.items()}

    def _enter_logits(self, names: set[str]) -> None:
        for name in names:
            s = np.abs(self.p[name])
            self.gradient[name] = _sign(name) * s * (1.0 - s) * self.gradient[name]
            self.p[name] = np.log(s / (1.0 - s))

    def _interval(self, name: str) -> tuple[float, float]:
        if name.endswith("minimum"):
            return 0.0, 1.0 - self.network.neuron.profile.amplitude
        return (-1.0, 0.0) if _sign(name) < 0 else (0.0, 1.0)

    def _step_all(self, learnt: set[str]) -> None:
        learning, moving = self.learning, set(learnt)
        if learning.update == "segment":
            moving |= {name for name in self.p if name.rpartition(".")[2] in "wrb"}
        length = np.sqrt(sum((self.gradient[name] ** 2).sum() for name in moving))
        shrink = 1.0
        if learning.gradient_clip is not None and length > learning.gradient_clip:
            shrink = learning.gradient_clip / length
        for name in self.p:
            if name in moving:
                self._step(name, shrink * self.gradient[name])
            elif learning.update == "tick" and learning.optimizer == "rmsprop":
                fresh = (1.0 - learning.square_decay) * self.gradient[name] ** 2
                self.second[name] = learning.square_decay * self.second[name] + fresh

    def _step(self, name: str, g: Array) -> None:
        learning = self.learning
        rate = self.rate * self.layer_rate[name.partition(".")[0]]
        if rate == 0.0:
            return
        keep = (
            learning.second_moment_decay if learning.optimizer == "adam" else learning.square_decay
        )
        self.second[name] = keep * self.second[name] + (1.0 - keep) * g**2
        if learning.optimizer == "adam":
            b1, n = learning.first_moment_decay, self.n_updates
            self.first[name] = b1 * self.first[name] + (1.0 - b1) * g
            mean = self.first[name] / (1.0 - b1**n)
            step = mean / (np.sqrt(self.second[name] / (1.0 - keep**n)) + learning.epsilon)
        else:
            self.first[name] = learning.momentum * self.first[name] + g
            step = self.first[name]
            if learning.optimizer == "rmsprop":
                step = step / (np.sqrt(self.second[name]) + learning.epsilon)
        self.p[name] = self.p[name] - rate * step


def _sign(name: str) -> float:
    return -1.0 if name.endswith(_COUPLINGS[0]) else 1.0
