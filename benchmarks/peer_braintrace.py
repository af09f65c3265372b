"""braintrace learns a recurrent network of this size by its `pp_prop`, weights for each session.

Written from the documentation of braintrace and brainstate. braintrace takes any neuron that is
written down as states, so there are two: this model's two compartments, and a leaky one with less
to compute. Sessions lie along the first axis of every state, over which brainstate maps, so that a
product over all of them is one batched call; or they take turns, a compiled segment each.

Left out in the peer's favour: learning of the decay minima, checks, sparse input (dense input is
made beforehand), and with leaky neurons the memory of the readout.
"""

from typing import Any

import brainstate
import braintools
import braintrace
import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from tclif_core import NetworkSpec
from tclif_core.decay_profile import gamma_profile
from tclif_core.two_compartment import neuron_constants

LEAK = 0.9
# input gains at which the leaky layers fire in about a tenth of the ticks, as ours do
LEAKY_GAINS = (2.5, 1.5)
TRACE_DECAY = 0.9

Values = Any
"""What the peer maps over: values by the name of a state, or what its optimiser remembers."""


class Compartments(brainstate.nn.Module):  # type: ignore[misc]  # the peer has no types
    """A recurrent layer of this model's neurons."""

    def __init__(self, spec: NetworkSpec, size: int, start: jax.Array) -> None:
        super().__init__()
        self._size, self._width = size, spec.neuron.surrogate_width
        self._constants = neuron_constants(spec.neuron)
        self.lines = braintrace.nn.Linear(*start.shape, w_init=lambda *_, **__: start)

    def init_state(self, *_: object, **__: object) -> None:
        """Set both compartments to zero."""
        self.dendrite = brainstate.HiddenState(jnp.zeros(self._size))
        self.soma = brainstate.HiddenState(jnp.zeros(self._size))

    def spikes(self) -> jax.Array:
        """Return who spiked in the last tick ``[N]``."""
        distance = self.soma.value - self._constants.threshold
        return braintools.surrogate.relu_grad(distance, 1 / self._width**2, self._width)

    def update(self, below: jax.Array, rise: jax.Array) -> jax.Array:
        """Advance by a tick and return the spikes ``[N]``."""
        constants = self._constants
        minimum_d, minimum_s, down, up = constants.scalars
        own = self.spikes()
        current = self.lines(jnp.concatenate([below, own]))
        # as in this model, the spike that resets is taken as given
        own = jax.lax.stop_gradient(own)
        decay_d = minimum_d + constants.dendrite_amplitude * rise
        decay_s = minimum_s + constants.soma_amplitude * rise
        dendrite = decay_d * self.dendrite.value + down * self.soma.value + current
        dendrite = dendrite - constants.dendritic_reset * own
        soma = decay_s * self.soma.value + up * dendrite - constants.threshold * own
        self.dendrite.value, self.soma.value = dendrite, soma
        return self.spikes()


class Leaky(brainstate.nn.Module):  # type: ignore[misc]  # the peer has no types
    """A recurrent layer of leaky neurons."""

    def __init__(self, spec: NetworkSpec, size: int, start: jax.Array) -> None:
        super().__init__()
        self._size, self._threshold = size, spec.neuron.threshold
        self.lines = braintrace.nn.Linear(*start.shape, w_init=lambda *_, **__: start)

    def init_state(self, *_: object, **__: object) -> None:
        """Set the potentials to zero."""
        self.potential = brainstate.HiddenState(jnp.zeros(self._size))

    def spikes(self) -> jax.Array:
        """Return who spiked in the last tick ``[N]``."""
        return braintools.surrogate.relu_grad(self.potential.value - self._threshold, 1.0, 1.0)

    def update(self, below: jax.Array, _: jax.Array) -> jax.Array:
        """Advance by a tick and return the spikes ``[N]``."""
        own = self.spikes()
        current = self.lines(jnp.concatenate([below, own]))
        reset = self._threshold * jax.lax.stop_gradient(own)
        self.potential.value = LEAK * self.potential.value + current - reset
        return self.spikes()


class Network(brainstate.nn.Module):  # type: ignore[misc]  # the peer has no types
    """Two recurrent layers and a readout."""

    def __init__(self, spec: NetworkSpec, *, leaky: bool) -> None:
        super().__init__()
        generator = np.random.default_rng(1)
        gains = LEAKY_GAINS if leaky else (spec.input_gain, spec.hidden_gain)
        self.layers, n_below = [], spec.inputs
        for size, gain in zip(spec.hidden, gains, strict=True):
            start = generator.uniform(-1.0, 1.0, (n_below + size, size)) / size**0.5
            start[:n_below] *= gain * (size / n_below) ** 0.5
            kind = Leaky if leaky else Compartments
            self.layers.append(kind(spec, size, jnp.asarray(start, jnp.float32)))
            n_below = size
        self.readout = braintrace.nn.Linear(n_below, spec.classes)
        self._classes, self._decay = spec.classes, 0.0 if leaky else spec.readout_decay

    def init_state(self, *_: object, **__: object) -> None:
        """Set the logits to zero."""
        if self._decay:
            self.logits = brainstate.HiddenState(jnp.zeros(self._classes))

    def update(self, below: jax.Array, rise: jax.Array) -> jax.Array:
        """Advance by a tick and return the logits ``[C]``."""
        for layer in self.layers:
            below = layer(below, rise)
        logits: jax.Array = self.readout(below)
        if self._decay:
            logits = self._decay * self.logits.value + logits
            self.logits.value = logits
        return logits


class BraintraceSessions:
    """Sessions that learn by `pp_prop`, a segment's gradient and then a step of Adam."""

    def __init__(
        self,
        spec: NetworkSpec,
        x: NDArray[np.float32],
        *,
        rate: float,
        leaky: bool,
        in_turn: bool = False,
    ) -> None:
        """Compile.

        Args:
            spec: Sizes, neuron and gains.
            x: Input of each tick of the segment, and so how many sessions: ``[T, S, inputs]``.
            rate: Of Adam.
            leaky: With neurons of one compartment instead of this model's.
            in_turn: One session after the other instead of side by side.
        """
        n_ticks, n_sessions, _ = x.shape
        self._network = Network(spec, leaky=leaky)
        self._learner = braintrace.compile(
            self._network,
            braintrace.pp_prop,
            jnp.zeros(spec.inputs),
            jnp.zeros(()),
            decay_or_rank=TRACE_DECAY,
        )
        self._states, self._weights = self._learner.states(), self._learner.param_states
        profile = spec.neuron.profile
        self._rises = jnp.asarray(
            [gamma_profile(tick, profile.shape, profile.scale_ticks) for tick in range(n_ticks)]
        )
        self._alone = in_turn or n_sessions == 1
        given = jnp.asarray(x).swapaxes(0, 1)
        self._x = list(given) if self._alone else [given]
        if not self._alone:
            for state in self._states.values():
                state.value = jax.tree.map(lambda leaf: jnp.stack([leaf] * n_sessions), state.value)
        self._adam = optax.adam(rate)
        moments = self._adam.init({name: state.value for name, state in self._weights.items()})
        begin = self._values()
        weights = {id(state) for state in self._weights.values()}
        # what a segment begins with: everything but the weights
        self._begin = {n: v for n, v in begin.items() if id(self._states[n]) not in weights}
        self._sessions = [(begin, moments)] * len(self._x)
        self._compiled = brainstate.transform.jit(self._segment)

    def learn(self, target: int) -> None:
        """Run a segment of every session and step; return when all of it is computed."""
        stepped = []
        for x, (values, moments) in zip(self._x, self._sessions, strict=True):
            self._restore(values)
            after = self._compiled(x, target, moments)
            stepped.append((self._values(), after))
        self._sessions = stepped
        jax.block_until_ready(stepped)

    def weights(self) -> list[NDArray[np.float32]]:
        """Return those of each layer and of the readout ``[M, N]`` of session 0, the bias last."""
        values = self._first()
        self._restore(values)
        linear = [layer.lines for layer in self._network.layers] + [self._network.readout]
        parts = [layer.weight.value for layer in linear]
        return [np.vstack([part["weight"], part["bias"]]) for part in parts]

    def activity(self) -> list[float]:
        """Return the spikes of each hidden layer of session 0, by neuron and tick of a segment."""
        values = self._first()
        at_rest = jax.tree.map(jnp.zeros_like, {name: values[name] for name in self._begin})
        self._restore(values | at_rest)
        totals = np.zeros(len(self._network.layers))
        x = self._x[0] if self._alone else self._x[0][0]
        for given, rise in zip(x, self._rises, strict=True):
            self._network(given, rise)
            totals += [float(layer.spikes().mean()) for layer in self._network.layers]
        return [float(total) / len(x) for total in totals]

    def _first(self) -> Values:
        values = self._sessions[0][0]
        return values if self._alone else jax.tree.map(lambda leaf: leaf[0], values)

    def _values(self) -> Values:
        return {name: state.value for name, state in self._states.items()}

    def _restore(self, values: Values) -> None:
        for name, value in values.items():
            self._states[name].value = value

    def _segment(self, x: jax.Array, target: int, moments: Values) -> Values:
        self._restore(self._begin)
        gradient = self._gradient
        if not self._alone:
            gradient = brainstate.transform.vmap(
                gradient, in_axes=(0, None), in_states=self._states, out_states=self._states
            )
        steps, after = self._adam.update(gradient(x, target), moments)
        for name, state in self._weights.items():
            state.value = jax.tree.map(jnp.add, state.value, steps[name])
        return after

    def _gradient(self, x: jax.Array, target: int) -> Values:
        def loss(given: jax.Array, rise: jax.Array) -> jax.Array:
            logits = self._learner(given, rise)
            return jax.nn.logsumexp(logits) - logits[target]

        return self._learner.etrace_grad(x, self._rises, step_fn=loss, reduction="sum")
