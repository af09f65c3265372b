# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""How a program advances the neurons of a hidden layer by one tick, and their traces.

Equations are those of `two_compartment`, `surrogate_gradient` and `eligibility`. Potentials and
traces below `TINY` become zero.

The threads of a program hand numbers to each other through the session's rows and scratch: a
barrier stands between a store and a load of the same place, and between a load and a store.

Shapes: M input lines, N neurons.
"""

import triton.language as tl

from tclif_core.kernels.cuda_compilation import part
from tclif_core.kernels.cuda_plan import LINES_AT_ONCE, LayerPlan, Plan
from tclif_core.kernels.cuda_settling import without_tiny
from tclif_core.kernels.cuda_values import Block, Dynamics, Pointer, Scalar, Walk

_LINES: tl.constexpr = tl.constexpr(LINES_AT_ONCE)
_PI: tl.constexpr = tl.constexpr(3.141592653589793)


@part
def find_profile(clock: Scalar, plan: Plan) -> Scalar:
    """Return f of `decay_profile` at a tick of the segment, in double precision."""
    time = clock.to(tl.float64) + 1.0
    if plan.dendrite_amplitude == 0.0 and plan.soma_amplitude == 0.0:
        profile = time * 0.0
    elif plan.profile_shape == 1.0:
        profile = tl.exp(-time / plan.profile_scale_ticks)
    else:
        peak = (plan.profile_shape - 1.0) * plan.profile_scale_ticks
        growth = tl.log(time / peak) * (plan.profile_shape - 1.0)
        profile = tl.exp(growth - (time - peak) / plan.profile_scale_ticks)
    return profile


@part
def find_dynamics(walk: Walk, profile: Scalar, layer: LayerPlan, plan: Plan) -> Dynamics:
    """Return a layer's decays and couplings at a tick with that profile."""
    p_scalars = walk.p_weights + layer.scalars_at
    dendrite_minimum = tl.load(p_scalars).to(tl.float64)
    soma_minimum = tl.load(p_scalars + 1).to(tl.float64)
    return Dynamics(
        (dendrite_minimum + profile * plan.dendrite_amplitude).to(tl.float32),
        (soma_minimum + profile * plan.soma_amplitude).to(tl.float32),
        tl.load(p_scalars + 2),
        tl.load(p_scalars + 3),
    )


@part
def advance_eligibility(
    walk: Walk,
    p_below: Pointer,
    p_traces: Pointer,
    dynamics: Dynamics,
    layer: LayerPlan,
    plan: Plan,
) -> None:
    """Move the pair of every input line of a layer, whose neurons have not moved yet.

    Args:
        walk: The session.
        p_below: What comes from below at this tick, one number a line.
        p_traces: Where eS of the tick is left for its outer product ``[M]``.
        dynamics: Of this tick.
        layer: Which one.
        plan: The bank's.
    """
    n_lines: tl.constexpr = layer.matrix.n_lines
    p_dendrite = walk.p_state + layer.eligibility_at
    p_soma = p_dendrite + n_lines
    p_spikes = walk.p_state + layer.neurons_at + 2 * layer.matrix.width
    for start in range(0, n_lines, _LINES):
        o_lines = start + tl.arange(0, _LINES)
        b_active = o_lines < n_lines
        b_input = tl.load(p_below + o_lines, mask=o_lines < layer.n_below, other=0.0)
        if plan.is_recurrent:
            is_own = (o_lines >= layer.n_below) & (o_lines < n_lines - 1)
            b_input += tl.load(p_spikes + o_lines - layer.n_below, mask=is_own, other=0.0)
        b_input = tl.where(o_lines == n_lines - 1, 1.0, b_input)
        b_dendrite = tl.load(p_dendrite + o_lines, mask=b_active, other=0.0)
        b_soma = tl.load(p_soma + o_lines, mask=b_active, other=0.0)
        b_dendrite = dynamics.dendrite_decay * b_dendrite + dynamics.soma_to_dendrite * b_soma
        b_dendrite += b_input
        b_soma = dynamics.soma_decay * b_soma + dynamics.dendrite_to_soma * b_dendrite
        b_soma = without_tiny(b_soma)
        tl.debug_barrier()
        tl.store(p_dendrite + o_lines, without_tiny(b_dendrite), mask=b_active)
        tl.store(p_soma + o_lines, b_soma, mask=b_active)
        tl.store(p_traces + o_lines, b_soma, mask=b_active)


@part
def _find_slope(b_distance: Block, plan: Plan) -> Block:
    """Return the pseudo-derivatives at distances to the threshold."""
    width: tl.constexpr = plan.surrogate_width
    if plan.surrogate == "triangular":
        b_near = -tl.abs(b_distance) + width
        b_slope = tl.where(b_near > 0.0, b_near * (1.0 / (width * width)), 0.0)
    elif plan.surrogate == "rectangular":
        b_slope = tl.where(tl.abs(b_distance) <= width, 1.0 / (width + width), 0.0)
    elif plan.surrogate == "fast_sigmoid":
        b_far = 1.0 + tl.abs(b_distance) / width
        b_slope = without_tiny(1.0 / (b_far * b_far))
    else:
        b_far = b_distance * (_PI / width)
        b_slope = without_tiny(1.0 / ((1.0 + b_far * b_far) * width))
    return b_slope


@part
def _advance_trace(
    p_trace: Pointer,
    b_mask: Block,
    dynamics: Dynamics,
    b_dendrite_drive: Block,
    b_soma_drive: Block,
    width: Scalar,
) -> None:
    """Move the pair ``[2, N]`` of one of a layer's learnt numbers."""
    b_dendrite = tl.load(p_trace, mask=b_mask, other=0.0)
    b_soma = tl.load(p_trace + width, mask=b_mask, other=0.0)
    b_dendrite = dynamics.dendrite_decay * b_dendrite + dynamics.soma_to_dendrite * b_soma
    b_dendrite += b_dendrite_drive
    b_soma = dynamics.soma_decay * b_soma + dynamics.dendrite_to_soma * b_dendrite + b_soma_drive
    tl.debug_barrier()
    tl.store(p_trace, without_tiny(b_dendrite), mask=b_mask)
    tl.store(p_trace + width, without_tiny(b_soma), mask=b_mask)


@part
def advance_neurons(
    walk: Walk,
    b_current: Block,
    dynamics: Dynamics,
    learns: Scalar,
    layer: LayerPlan,
    plan: Plan,
) -> Block:
    """Move a layer's neurons, and the traces of its learnt numbers; return its spikes ``[block]``.

    Args:
        walk: The session.
        b_current: Weighted synaptic input ``[block]``.
        dynamics: Of this tick.
        learns: Whether traces move.
        layer: Which one.
        plan: The bank's.
    """
    width: tl.constexpr = layer.matrix.width
    o_neurons = tl.arange(0, layer.matrix.block)
    b_mask = o_neurons < width
    p_neurons = walk.p_state + layer.neurons_at + o_neurons
    b_spikes = tl.load(p_neurons + 2 * width, mask=b_mask, other=0.0)
    b_dendrite_before = tl.load(p_neurons, mask=b_mask, other=0.0)
    b_dendrite_before -= b_spikes * plan.early_dendritic_reset
    b_soma_before = tl.load(p_neurons + width, mask=b_mask, other=0.0)
    b_soma_before -= b_spikes * plan.early_soma_reset
    b_dendrite = dynamics.dendrite_decay * b_dendrite_before
    b_dendrite += dynamics.soma_to_dendrite * b_soma_before + b_current
    b_dendrite -= b_spikes * plan.dendritic_reset
    b_soma = dynamics.soma_decay * b_soma_before + dynamics.dendrite_to_soma * b_dendrite
    b_soma -= b_spikes * plan.soma_reset
    b_distance = b_soma - plan.threshold
    b_spikes = tl.where((b_distance >= 0.0) & b_mask, 1.0, 0.0)
    b_dendrite = without_tiny(b_dendrite)
    tl.debug_barrier()
    tl.store(p_neurons, b_dendrite, mask=b_mask)
    tl.store(p_neurons + width, without_tiny(b_soma), mask=b_mask)
    tl.store(p_neurons + 2 * width, b_spikes, mask=b_mask)
    tl.store(p_neurons + 3 * width, _find_slope(b_distance, plan), mask=b_mask)
    if learns:
        # each of the four numbers enters one compartment only, see the table of `eligibility`
        p_traces = walk.p_state + layer.first_trace_at + o_neurons
        b_none = tl.zeros((layer.matrix.block,), tl.float32)
        if plan.traces[0] >= 0:
            p_trace = p_traces + 2 * width * plan.traces[0]
            _advance_trace(p_trace, b_mask, dynamics, b_dendrite_before, b_none, width)
        if plan.traces[1] >= 0:
            p_trace = p_traces + 2 * width * plan.traces[1]
            _advance_trace(p_trace, b_mask, dynamics, b_none, b_soma_before, width)
        if plan.traces[2] >= 0:
            p_trace = p_traces + 2 * width * plan.traces[2]
            _advance_trace(p_trace, b_mask, dynamics, b_soma_before, b_none, width)
        if plan.traces[3] >= 0:
            p_trace = p_traces + 2 * width * plan.traces[3]
            _advance_trace(p_trace, b_mask, dynamics, b_none, b_dendrite, width)
    return b_spikes
