"""Compiled loops for hidden traces that the readout's leak filters: a number for each synapse.

Equations are (9) of `eprop`. All traces move at every tick and all gradients at every labelled
one, so nothing waits in blocks here: a tick costs as much as the layer has synapses.

Shapes: M input lines, N neurons.
"""

import numpy as np

from tclif_core.compilation import compiled
from tclif_core.kernels.compiled_layers import N_SCALARS
from tclif_core.kernels.compiled_vectors import TINY, ZERO, dot, fill
from tclif_core.kernels.cpu_plan import (
    ELIGIBILITY_AT,
    FILTERED_AT,
    FIRST_TRACE_AT,
    LINES_AT,
    N_LINES,
    N_NEURONS,
    NEURONS_BEFORE,
    SCALARS_AT,
    STATE_AT,
    Floats,
    Plan,
    Workspace,
)


@compiled
def _filter(filtered: Floats, trace: Floats, pseudo_derivative: Floats, keep: np.float32) -> None:
    """Move the filtered traces of a line or number ``[N]`` by its trace at each neuron ``[N]``."""
    for j in range(len(filtered)):
        moved = keep * filtered[j] + trace[j] * pseudo_derivative[j]
        filtered[j] = ZERO if abs(moved) < TINY else moved


@compiled
def filter_traces(plan: Plan, state: Floats, work: Workspace) -> None:
    """Move the filtered traces of all layers by one tick, after their neurons moved."""
    for layer in range(len(plan.layers)):
        n_lines, n_neurons = plan.layers[layer, N_LINES], plan.layers[layer, N_NEURONS]
        at = plan.layers[layer, STATE_AT] + 3 * n_neurons
        pseudo_derivative = state[at : at + n_neurons]
        soma_at = plan.layers[layer, ELIGIBILITY_AT] + n_lines
        at = plan.layers[layer, FILTERED_AT]
        spread = work.vectors[3, :n_neurons]
        for i in range(n_lines):
            # the trace of a line is the same at each of its neurons
            fill(spread, state[soma_at + i])
            _filter(state[at : at + n_neurons], spread, pseudo_derivative, plan.readout_decay)
            at += n_neurons
        for scalar in range(N_SCALARS):
            if plan.traces[scalar] >= 0:
                trace_at = plan.layers[layer, FIRST_TRACE_AT]
                trace_at += n_neurons * (2 * plan.traces[scalar] + 1)
                trace = state[trace_at : trace_at + n_neurons]
                _filter(state[at : at + n_neurons], trace, pseudo_derivative, plan.readout_decay)
                at += n_neurons


@compiled
def add_filtered(plan: Plan, gradients: Floats, state: Floats, work: Workspace) -> None:
    """Add a labelled tick's filtered traces, times the learning signals, to all gradients."""
    for layer in range(len(plan.layers)):
        n_lines, n_neurons = plan.layers[layer, N_LINES], plan.layers[layer, N_NEURONS]
        at = plan.layers[layer, NEURONS_BEFORE]
        signal = work.signals[at : at + n_neurons]
        at = plan.layers[layer, FILTERED_AT]
        filtered = state[at : at + n_lines * n_neurons].reshape((n_lines, n_neurons))
        at_line = plan.layers[layer, LINES_AT]
        matrix = gradients[at_line : at_line + n_lines * n_neurons].reshape((n_lines, n_neurons))
        for i in range(n_lines):
            for j in range(n_neurons):
                matrix[i, j] += filtered[i, j] * signal[j]
        at += n_lines * n_neurons
        for scalar in range(N_SCALARS):
            if plan.traces[scalar] >= 0:
                place = plan.layers[layer, SCALARS_AT] + scalar - plan.accumulated_from
                gradients[place] += dot(state[at : at + n_neurons], signal)
                at += n_neurons
