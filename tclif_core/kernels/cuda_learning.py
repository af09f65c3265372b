# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""How a program learns from a tick: errors on their way down, into a block that waits.

Equations are those of `eprop` and `reference_learning`. All outer products wait (`cuda_settling`);
signals read the weights as they are after the ticks that wait, without this one.

Shapes: M input lines, N neurons, C classes.
"""

import triton.language as tl

from tclif_core.kernels.cuda_compilation import part
from tclif_core.kernels.cuda_plan import LINES_AT_ONCE, LayerPlan, MatrixPlan, Plan
from tclif_core.kernels.cuda_settling import read_lines, settle, without_tiny
from tclif_core.kernels.cuda_values import Block, Pointer, Scalar, Walk
from tclif_core.optimizers import LARGEST_GRADIENT

_LINES: tl.constexpr = tl.constexpr(LINES_AT_ONCE)
_LARGEST: tl.constexpr = tl.constexpr(LARGEST_GRADIENT)


@part
def _signal_through(
    walk: Walk,
    layer: LayerPlan,
    above: MatrixPlan,
    scale: Scalar,
    n_waiting: Scalar,
    plan: Plan,
) -> None:
    """Write a layer's neuron errors, from the errors that its spikes reach through a matrix.

    Args:
        walk: The session.
        layer: Which one.
        above: Whose first lines are its neurons; its errors of the tick are in the block.
        scale: What multiplies those errors.
        n_waiting: Where in the block the tick is.
        plan: The bank's.
    """
    width: tl.constexpr = layer.matrix.width
    o_columns = tl.arange(0, above.block)
    p_source = walk.p_floats + above.errors_at + n_waiting * above.width
    b_source = scale * tl.load(p_source + o_columns, mask=o_columns < above.width, other=0.0)
    p_slopes = walk.p_state + layer.neurons_at + 3 * width
    p_errors = walk.p_floats + layer.matrix.errors_at + n_waiting * width
    for start in range(0, width, above.tile):
        b_lines = start + tl.arange(0, above.tile)
        b_active = b_lines < width
        b_slopes = tl.load(p_slopes + b_lines, mask=b_active, other=0.0)
        # where the pseudo-derivative is zero a signal reaches nothing
        b_weights = read_lines(walk, b_lines, b_slopes > 0.0, n_waiting, above, plan)
        b_signal = tl.sum(b_weights * b_source[None, :], axis=1)
        tl.store(p_errors + b_lines, without_tiny(b_signal * b_slopes), mask=b_active)


@part
def _signal_broadcast(walk: Walk, layer: LayerPlan, n_waiting: Scalar, plan: Plan) -> None:
    """Write a layer's neuron errors, from the readout's through the feedback weights."""
    width: tl.constexpr = layer.matrix.width
    readout: tl.constexpr = plan.readout
    o_neurons = tl.arange(0, layer.matrix.block)
    b_mask = o_neurons < width
    p_source = walk.p_floats + readout.errors_at + n_waiting * readout.width
    p_feedback = walk.p_feedback + layer.feedback_at
    b_total = tl.zeros((layer.matrix.tile, layer.matrix.block), tl.float32)
    for start in range(0, readout.width, layer.matrix.tile):
        o_classes = start + tl.arange(0, layer.matrix.tile)
        b_active = o_classes < readout.width
        b_source = tl.load(p_source + o_classes, mask=b_active, other=0.0)
        b_weights = tl.load(
            p_feedback + o_classes[:, None] * width + o_neurons[None, :],
            mask=b_active[:, None] & b_mask[None, :],
            other=0.0,
        )
        b_total += b_source[:, None] * b_weights
    b_slopes = tl.load(
        walk.p_state + layer.neurons_at + 3 * width + o_neurons, mask=b_mask, other=0.0
    )
    b_errors = without_tiny(tl.sum(b_total, axis=0) * b_slopes)
    p_errors = walk.p_floats + layer.matrix.errors_at + n_waiting * width
    tl.store(p_errors + o_neurons, b_errors, mask=b_mask)


@part
def _add_to_scalars(walk: Walk, layer: LayerPlan, n_waiting: Scalar, plan: Plan) -> None:
    """Add the tick's estimates for a layer's learnt numbers to their gradients."""
    width: tl.constexpr = layer.matrix.width
    o_neurons = tl.arange(0, layer.matrix.block)
    b_mask = o_neurons < width
    p_errors = walk.p_floats + layer.matrix.errors_at + n_waiting * width
    b_errors = tl.load(p_errors + o_neurons, mask=b_mask, other=0.0)
    p_traces = walk.p_state + layer.first_trace_at + width + o_neurons
    p_gradients = walk.p_gradients + layer.scalars_at - plan.accumulated_from
    for scalar in tl.static_range(4):
        if plan.traces[scalar] >= 0:
            p_trace = p_traces + 2 * width * plan.traces[scalar]
            b_traces = tl.load(p_trace, mask=b_mask, other=0.0)
            before = tl.load(p_gradients + scalar)
            tl.store(p_gradients + scalar, before + tl.sum(b_traces * b_errors, axis=0))


@part
def _square(p_numbers: Pointer, n_numbers: Scalar) -> Scalar:
    """Return the sum of squares of a vector, in double precision."""
    b_total = tl.zeros((_LINES,), tl.float64)
    for start in range(0, n_numbers, _LINES):
        o_numbers = start + tl.arange(0, _LINES)
        b_numbers = tl.load(p_numbers + o_numbers, mask=o_numbers < n_numbers, other=0.0)
        b_total += b_numbers.to(tl.float64) * b_numbers.to(tl.float64)
    return tl.sum(b_total, axis=0)


@part
def _square_of(walk: Walk, matrix: MatrixPlan, n_waiting: Scalar) -> Scalar:
    """Return the square of the length of a tick's outer product: that of the lengths' product."""
    p_traces = walk.p_floats + matrix.traces_at + n_waiting * matrix.n_lines
    p_errors = walk.p_floats + matrix.errors_at + n_waiting * matrix.width
    return _square(p_traces, matrix.n_lines) * _square(p_errors, matrix.width)


@part
def _fill(p_numbers: Pointer, n_numbers: Scalar, value: Scalar) -> None:
    for start in range(0, n_numbers, _LINES):
        o_numbers = start + tl.arange(0, _LINES)
        b_value = tl.full((_LINES,), value, tl.float32)
        tl.store(p_numbers + o_numbers, b_value, mask=o_numbers < n_numbers)


@part
def _drop(walk: Walk, matrix: MatrixPlan, n_waiting: Scalar) -> None:
    """Put zeros in the place of a tick's traces and errors."""
    _fill(walk.p_floats + matrix.traces_at + n_waiting * matrix.n_lines, matrix.n_lines, 0.0)
    _fill(walk.p_floats + matrix.errors_at + n_waiting * matrix.width, matrix.width, 0.0)


@part
def _shorten(walk: Walk, matrix: MatrixPlan, n_waiting: Scalar, factor: Scalar) -> None:
    o_columns = tl.arange(0, matrix.block)
    b_mask = o_columns < matrix.width
    p_errors = walk.p_floats + matrix.errors_at + n_waiting * matrix.width + o_columns
    b_errors = without_tiny(factor * tl.load(p_errors, mask=b_mask, other=0.0))
    tl.debug_barrier()
    tl.store(p_errors, b_errors, mask=b_mask)


@part
def _limit(walk: Walk, n_waiting: Scalar, plan: Plan) -> None:
    """Drop the tick's gradient estimate if it is not finite, shorten it to the clip if longer.

    A tick that is dropped is told to the next update by gradients that are no numbers.
    """
    square = _square_of(walk, plan.readout, n_waiting)
    for n in tl.static_range(len(plan.layers)):
        square += _square_of(walk, plan.layers[n].matrix, n_waiting)
    length = tl.sqrt(square)
    tl.debug_barrier()
    # a NaN compares false
    if length <= _LARGEST:
        if length > plan.gradient_clip:
            factor = ((1.0 / length) * plan.gradient_clip).to(tl.float32)
            _shorten(walk, plan.readout, n_waiting, factor)
            for n in tl.static_range(len(plan.layers)):
                _shorten(walk, plan.layers[n].matrix, n_waiting, factor)
    else:
        _fill(walk.p_gradients, plan.n_gradients, float("nan"))
        _drop(walk, plan.readout, n_waiting)
        for n in tl.static_range(len(plan.layers)):
            _drop(walk, plan.layers[n].matrix, n_waiting)
    tl.debug_barrier()


@part
def _find_errors(walk: Walk, n: Scalar, n_waiting: Scalar, plan: Plan) -> None:
    """Write a layer's neuron errors, and take them up in the gradients of its learnt numbers."""
    if plan.is_broadcast:
        _signal_broadcast(walk, plan.layers[n], n_waiting, plan)
    elif n == len(plan.layers) - 1:
        _signal_through(walk, plan.layers[n], plan.readout, 1.0, n_waiting, plan)
    else:
        above: tl.constexpr = plan.layers[n + 1]
        dendrite_to_soma = tl.load(walk.p_weights + above.scalars_at + 3)
        _signal_through(walk, plan.layers[n], above.matrix, dendrite_to_soma, n_waiting, plan)
    tl.debug_barrier()
    _add_to_scalars(walk, plan.layers[n], n_waiting, plan)


@part
def learn(walk: Walk, b_error: Block, n_waiting: Scalar, plan: Plan) -> None:
    """Put this tick's errors into the block beside its traces.

    Args:
        walk: The session.
        b_error: Of the readout ``[block]``.
        n_waiting: Where in the block the tick is.
        plan: The bank's.
    """
    readout: tl.constexpr = plan.readout
    o_classes = tl.arange(0, readout.block)
    p_error = walk.p_floats + readout.errors_at + n_waiting * readout.width
    tl.store(p_error + o_classes, b_error, mask=o_classes < readout.width)
    tl.debug_barrier()
    for down in tl.static_range(len(plan.layers)):
        _find_errors(walk, len(plan.layers) - 1 - down, n_waiting, plan)
    if plan.is_per_tick:
        _limit(walk, n_waiting, plan)


@part
def settle_all(walk: Walk, n_waiting: Scalar, plan: Plan) -> None:
    """Empty the block of every matrix."""
    settle(walk, n_waiting, plan.readout, plan)
    for n in tl.static_range(len(plan.layers)):
        settle(walk, n_waiting, plan.layers[n].matrix, plan)
    tl.debug_barrier()
