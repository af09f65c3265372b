# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""How a program finds what comes in: events, spikes, and the lines of weights that they activate.

Input is sparse. A current gathers the lines that are active: channels with events, neurons that
spiked, the bias.

Shapes: M input lines, N neurons or classes; a tile holds some lines.
"""

import triton.language as tl

from tclif_core.kernels.cuda_compilation import part
from tclif_core.kernels.cuda_plan import EVENTS_AT_ONCE, LINES_AT_ONCE, LayerPlan, MatrixPlan, Plan
from tclif_core.kernels.cuda_settling import read_lines
from tclif_core.kernels.cuda_values import Block, Events, Scalar, Walk

_EVENTS: tl.constexpr = tl.constexpr(EVENTS_AT_ONCE)
_LINES: tl.constexpr = tl.constexpr(LINES_AT_ONCE)


@part
def spread_events(walk: Walk, events: Events, plan: Plan) -> None:
    """Write a tick's input to the begin of scratch, one number a channel ``[inputs]``."""
    n_inputs: tl.constexpr = plan.n_inputs
    for start in range(0, n_inputs, _LINES):
        o_inputs = start + tl.arange(0, _LINES)
        b_none = tl.zeros((_LINES,), tl.float32)
        tl.store(walk.p_floats + o_inputs, b_none, mask=o_inputs < n_inputs)
    for start in range(events.first, events.last, _EVENTS):
        o_events = start + tl.arange(0, _EVENTS)
        b_active = o_events < events.last
        b_channels = tl.load(events.p_channels + o_events, mask=b_active, other=-1)
        b_values = tl.load(events.p_values + o_events, mask=b_active, other=0.0)
        # pairs of one channel all get their sum, so it does not matter which of them is stored
        b_same = b_channels[:, None] == b_channels[None, :]
        b_sums = tl.sum(tl.where(b_same, b_values[None, :], 0.0), axis=1)
        tl.debug_barrier()
        b_before = tl.load(walk.p_floats + b_channels, mask=b_active, other=0.0)
        tl.debug_barrier()
        tl.store(walk.p_floats + b_channels, b_before + b_sums, mask=b_active)
    tl.debug_barrier()


@part
def add_events(
    b_total: Block,
    walk: Walk,
    events: Events,
    n_waiting: Scalar,
    matrix: MatrixPlan,
    plan: Plan,
) -> Block:
    """Add the lines of a tick's events, weighted, to a tile's sums ``[tile, block]``."""
    for start in range(events.first, events.last, matrix.tile):
        o_events = start + tl.arange(0, matrix.tile)
        b_active = o_events < events.last
        b_channels = tl.load(events.p_channels + o_events, mask=b_active, other=0)
        b_values = tl.load(events.p_values + o_events, mask=b_active, other=0.0)
        b_weights = read_lines(walk, b_channels, b_active, n_waiting, matrix, plan)
        b_total += b_values[:, None] * b_weights
    return b_total


@part
def add_spikes(
    b_total: Block,
    walk: Walk,
    source: LayerPlan,
    offset: Scalar,
    n_waiting: Scalar,
    matrix: MatrixPlan,
    plan: Plan,
) -> Block:
    """Add the lines of the neurons that spiked last to a tile's sums.

    Args:
        b_total: The sums so far ``[tile, block]``.
        walk: The session.
        source: The layer that spiked.
        offset: The line of its first neuron.
        n_waiting: How many ticks wait.
        matrix: Whose lines.
        plan: The bank's.
    """
    p_spiking = walk.p_integers + source.spiking_at
    n_spiking = tl.load(p_spiking + source.matrix.width)
    for start in range(0, n_spiking, matrix.tile):
        o_spikes = start + tl.arange(0, matrix.tile)
        b_active = o_spikes < n_spiking
        b_lines = offset + tl.load(p_spiking + o_spikes, mask=b_active, other=0)
        b_total += read_lines(walk, b_lines, b_active, n_waiting, matrix, plan)
    return b_total


@part
def sum_with_bias(
    b_total: Block, walk: Walk, n_waiting: Scalar, matrix: MatrixPlan, plan: Plan
) -> Block:
    """Return the sums of a tile's columns and the bias line ``[block]``."""
    o_tile = tl.arange(0, matrix.tile)
    b_lines = o_tile + matrix.n_lines - 1
    b_bias = read_lines(walk, b_lines, o_tile < 1, n_waiting, matrix, plan)
    return tl.sum(b_total + b_bias, axis=0)


@part
def list_spikes(b_spikes: Block, walk: Walk, layer: LayerPlan) -> Scalar:
    """List the neurons of a layer that spiked; return how many they are.

    Args:
        b_spikes: 1 where a neuron spiked, 0 elsewhere ``[block]``.
        walk: The session.
        layer: Whose.
    """
    b_spiked = b_spikes.to(tl.int32)
    b_places = tl.cumsum(b_spiked, axis=0) - 1
    n_spiking = tl.sum(b_spiked, axis=0)
    p_spiking = walk.p_integers + layer.spiking_at
    tl.debug_barrier()
    tl.store(p_spiking + b_places, tl.arange(0, layer.matrix.block), mask=b_spiked > 0)
    tl.store(p_spiking + layer.matrix.width, n_spiking)
    tl.debug_barrier()
    return n_spiking
