# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Outer products that wait in a block of ticks, and the matrices that take them up.

A labelled tick adds ``eS d^T`` to a matrix of weights or gradients. The pairs (eS, d) of up to
`BLOCK` such ticks wait in scratch; a call ends with none. Who reads weights meanwhile replays the
waiting ticks on the lines that it reads, in registers:

    plain           w += c eS d,   c = minus the rate, or 1 into gradients        (1)
    velocity        V = m V + eS d;   w -= rate P V                               (2)
    preconditioned  G = G + eS d                                                  (3)

P and the order of steps are those of `reference_learning`. Each number takes its ticks one by one,
in their order, so no bit depends on when a block is emptied; and one program owns a session, so no
two add to one number.

Shapes: M input lines, N neurons or classes; a tile holds some lines.
"""

import triton.language as tl

from tclif_core.kernels.cuda_compilation import part
from tclif_core.kernels.cuda_plan import MatrixPlan, Plan
from tclif_core.kernels.cuda_values import Block, Scalar, Tile, Walk

TINY: tl.constexpr = tl.constexpr(1e-18)
"""Below it a potential, trace or error counts as zero."""

_TINY_MOMENT: tl.constexpr = tl.constexpr(1e-25)


@part
def without_tiny(b_numbers: Block) -> Block:
    """Return numbers, or zero where they are tiny; a NaN stays one: gradients must not hide it."""
    return tl.where(tl.abs(b_numbers) < TINY, 0.0, b_numbers)


@part
def _find_tile(b_lines: Block, b_active: Block, matrix: MatrixPlan) -> Tile:
    """Return places and mask ``[tile, block]`` of some lines of a matrix."""
    o_columns = tl.arange(0, matrix.block)
    b_places = matrix.at + b_lines[:, None] * matrix.width + o_columns[None, :]
    b_mask = b_active[:, None] & (o_columns < matrix.width)[None, :]
    return Tile(b_lines, b_active, b_places, b_mask)


@part
def _estimate(walk: Walk, tile: Tile, tick: Scalar, scale: Scalar, matrix: MatrixPlan) -> Block:
    """Return ``scale * eS d`` of a waiting tick ``[tile, block]``."""
    o_columns = tl.arange(0, matrix.block)
    p_traces = walk.p_floats + matrix.traces_at + tick * matrix.n_lines
    p_errors = walk.p_floats + matrix.errors_at + tick * matrix.width
    b_traces = tl.load(p_traces + tile.b_lines, mask=tile.b_active, other=0.0)
    b_errors = tl.load(p_errors + o_columns, mask=o_columns < matrix.width, other=0.0)
    return (scale * b_traces)[:, None] * b_errors[None, :]


@part
def _find_steps(walk: Walk, tile: Tile, matrix: MatrixPlan, plan: Plan) -> Block:
    """Return how far each weight of a tile moves for its estimate: rate P."""
    rate = (walk.rate * matrix.rate).to(tl.float32)
    b_steps = tl.where(tile.b_mask, rate, 0.0)
    if plan.is_preconditioned:
        b_squares = tl.load(walk.p_squares + tile.b_places, mask=tile.b_mask, other=1.0)
        b_steps = b_steps / (tl.sqrt(b_squares) + plan.preconditioner_epsilon)
    return b_steps


@part
def _load_velocity(walk: Walk, tile: Tile, plan: Plan) -> Block:
    """Return the velocities of a tile; zero where none are kept."""
    b_velocity = tl.where(tile.b_mask, 0.0, 0.0)
    if plan.momentum > 0.0:
        b_velocity = tl.load(walk.p_velocity + tile.b_places, mask=tile.b_mask, other=0.0)
    return b_velocity


@part
def _move(
    b_weights: Block,
    b_velocity: Block,
    walk: Walk,
    tile: Tile,
    n_waiting: Scalar,
    matrix: MatrixPlan,
    plan: Plan,
) -> tuple[Block, Block]:
    """Return weights and velocities of a tile after the waiting ticks, eq. (2)."""
    b_steps = _find_steps(walk, tile, matrix, plan)
    for tick in range(n_waiting):
        b_estimate = _estimate(walk, tile, tick, 1.0, matrix)
        # fused by hand: left to the compiler, readers and settlers might round another product
        b_velocity = tl.fma(b_velocity, plan.momentum, b_estimate)
        b_velocity = tl.where(tl.abs(b_velocity) < _TINY_MOMENT, 0.0, b_velocity)
        b_weights -= b_steps * b_velocity
    return b_weights, b_velocity


@part
def read_lines(
    walk: Walk,
    b_lines: Block,
    b_active: Block,
    n_waiting: Scalar,
    matrix: MatrixPlan,
    plan: Plan,
) -> Block:
    """Return lines of weights ``[tile, block]`` as they are after the waiting ticks.

    Args:
        walk: The session.
        b_lines: Which lines ``[tile]``.
        b_active: Which of them count ``[tile]``; the others, and what is beyond the width, are 0.
        n_waiting: How many ticks wait.
        matrix: Whose lines.
        plan: The bank's.
    """
    tile = _find_tile(b_lines, b_active, matrix)
    b_weights = tl.load(walk.p_weights + tile.b_places, mask=tile.b_mask, other=0.0)
    if plan.has_moments:
        b_velocity = _load_velocity(walk, tile, plan)
        b_weights, b_velocity = _move(b_weights, b_velocity, walk, tile, n_waiting, matrix, plan)
    elif plan.is_per_tick:
        scale = -(walk.rate * matrix.rate).to(tl.float32)
        for tick in range(n_waiting):
            b_weights += _estimate(walk, tile, tick, scale, matrix)
    return b_weights


@part
def _settle_with_moments(
    walk: Walk, tile: Tile, n_waiting: Scalar, matrix: MatrixPlan, plan: Plan
) -> None:
    b_weights = tl.load(walk.p_weights + tile.b_places, mask=tile.b_mask, other=0.0)
    b_velocity = _load_velocity(walk, tile, plan)
    b_weights, b_velocity = _move(b_weights, b_velocity, walk, tile, n_waiting, matrix, plan)
    tl.debug_barrier()
    tl.store(walk.p_weights + tile.b_places, b_weights, mask=tile.b_mask)
    if plan.momentum > 0.0:
        tl.store(walk.p_velocity + tile.b_places, b_velocity, mask=tile.b_mask)
    if plan.is_preconditioned:
        p_gradients = walk.p_gradients + tile.b_places
        b_gradients = tl.load(p_gradients, mask=tile.b_mask, other=0.0)
        for tick in range(n_waiting):
            b_gradients += _estimate(walk, tile, tick, 1.0, matrix)
        tl.store(p_gradients, b_gradients, mask=tile.b_mask)


@part
def _settle_sums(walk: Walk, tile: Tile, n_waiting: Scalar, matrix: MatrixPlan, plan: Plan) -> None:
    if plan.is_per_tick:
        p_numbers = walk.p_weights + tile.b_places
        scale = -(walk.rate * matrix.rate).to(tl.float32)
    else:
        p_numbers = walk.p_gradients + tile.b_places
        scale = 1.0
    b_numbers = tl.load(p_numbers, mask=tile.b_mask, other=0.0)
    for tick in range(n_waiting):
        b_numbers += _estimate(walk, tile, tick, scale, matrix)
    tl.debug_barrier()
    tl.store(p_numbers, b_numbers, mask=tile.b_mask)


@part
def settle(walk: Walk, n_waiting: Scalar, matrix: MatrixPlan, plan: Plan) -> None:
    """Empty the block of a matrix: into weights with per-tick updates, else into gradients."""
    for first in range(0, matrix.n_lines, matrix.tile):
        b_lines = first + tl.arange(0, matrix.tile)
        tile = _find_tile(b_lines, b_lines < matrix.n_lines, matrix)
        if plan.has_moments:
            _settle_with_moments(walk, tile, n_waiting, matrix, plan)
        else:
            _settle_sums(walk, tile, n_waiting, matrix, plan)
