"""How a program advances the readout by one tick, and what error it made.

Equations are those of `readout`; what is labelled is learnt by `cuda_learning`.

Shapes: N neurons of the top layer, C classes, B ticks of a batch.
"""

import triton.language as tl

from tclif_core.kernels.cuda_compilation import part
from tclif_core.kernels.cuda_input import add_spikes, sum_with_bias
from tclif_core.kernels.cuda_plan import LINES_AT_ONCE, Plan
from tclif_core.kernels.cuda_settling import without_tiny
from tclif_core.kernels.cuda_values import Answer, Block, Pointer, Scalar, Walk

_LINES: tl.constexpr = tl.constexpr(LINES_AT_ONCE)


@part
def advance_readout(walk: Walk, n_waiting: Scalar, plan: Plan) -> Answer:
    """Move the logits by the spikes of the top layer; return what they say."""
    readout: tl.constexpr = plan.readout
    o_classes = tl.arange(0, readout.block)
    b_mask = o_classes < readout.width
    b_total = tl.zeros((readout.tile, readout.block), tl.float32)
    b_total = add_spikes(
        b_total, walk, plan.layers[len(plan.layers) - 1], 0, n_waiting, readout, plan
    )
    b_sums = sum_with_bias(b_total, walk, n_waiting, readout, plan)
    p_logits = walk.p_state + plan.logits_at + o_classes
    b_logits = tl.load(p_logits, mask=b_mask, other=0.0) * plan.readout_decay + b_sums
    tl.debug_barrier()
    tl.store(p_logits, b_logits, mask=b_mask)
    b_known = tl.where(b_mask, b_logits, float("-inf"))
    highest = tl.max(b_known, axis=0)
    b_powers = tl.exp(b_known - highest)
    total = tl.sum(b_powers, axis=0)
    return Answer(b_logits, b_powers / total, highest + tl.log(total))


@part
def add_to_mean(walk: Walk, answer: Answer, n_ticks: Scalar, plan: Plan) -> Block:
    """Add probabilities to their sum; return their mean over the segment's ticks ``[block]``."""
    o_classes = tl.arange(0, plan.readout.block)
    b_mask = o_classes < plan.readout.width
    b_sums = tl.load(walk.p_sums + o_classes, mask=b_mask, other=0.0)
    b_sums += answer.b_probabilities.to(tl.float64)
    tl.debug_barrier()
    tl.store(walk.p_sums + o_classes, b_sums, mask=b_mask)
    return (b_sums / n_ticks.to(tl.float64)).to(tl.float32)


@part
def find_loss(answer: Answer, label: Scalar, p_values: Pointer, plan: Plan) -> tuple[Scalar, Block]:
    """Return the loss of a labelled tick, and its derivative by the logits ``[block]``.

    Args:
        answer: Of the tick.
        label: The class, read by the cross-entropy.
        p_values: What the logits should be ``[C]``, read by the other loss.
        plan: The bank's.
    """
    readout: tl.constexpr = plan.readout
    o_classes = tl.arange(0, readout.block)
    b_mask = o_classes < readout.width
    if plan.is_mean_squared:
        b_values = tl.load(p_values + o_classes, mask=b_mask, other=0.0)
        b_difference = tl.where(b_mask, answer.b_logits - b_values, 0.0)
        loss = tl.sum(b_difference * b_difference, axis=0) / readout.width
        b_error = (b_difference + b_difference) / readout.width
    else:
        is_target = o_classes == label
        loss = answer.log_total - tl.sum(tl.where(is_target, answer.b_logits, 0.0), axis=0)
        b_error = answer.b_probabilities - tl.where(is_target, 1.0, 0.0)
    return loss, b_error


@part
def leave_readout_traces(walk: Walk, n_waiting: Scalar, plan: Plan) -> None:
    """Leave what came in on the readout's lines at this tick for its outer product ``[N + 1]``."""
    readout: tl.constexpr = plan.readout
    top: tl.constexpr = plan.layers[len(plan.layers) - 1]
    p_spikes = walk.p_state + top.neurons_at + 2 * top.matrix.width
    p_waiting = walk.p_floats + readout.traces_at + n_waiting * readout.n_lines
    for start in range(0, readout.n_lines, _LINES):
        o_lines = start + tl.arange(0, _LINES)
        b_active = o_lines < readout.n_lines
        b_traces = tl.load(p_spikes + o_lines, mask=o_lines < top.matrix.width, other=1.0)
        if plan.filters_readout_trace:
            p_traces = walk.p_state + plan.readout_trace_at + o_lines
            b_before = tl.load(p_traces, mask=b_active, other=0.0)
            b_traces = without_tiny(b_before * plan.readout_decay + b_traces)
            tl.debug_barrier()
            tl.store(p_traces, b_traces, mask=b_active)
        tl.store(p_waiting + o_lines, b_traces, mask=b_active)
    tl.debug_barrier()
