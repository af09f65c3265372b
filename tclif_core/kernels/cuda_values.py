"""What the programs of the CUDA backend hold while they run: places on the device, numbers, groups.

Names say which: ``p_`` a place, ``o_`` offsets from one, ``b_`` a block of numbers in registers.
"""

from typing import NamedTuple, TypeAlias

import triton.language as tl

Pointer: TypeAlias = tl.tensor
"""Where an array begins on the device."""

Scalar: TypeAlias = tl.tensor
"""A number in a program."""

Block: TypeAlias = tl.tensor
"""Some numbers in a program's registers."""


class Rows(NamedTuple):
    """The bank's rows on the device, see `slot_bank.SlotBank`."""

    parameters: Pointer
    gradients: Pointer
    first_moment: Pointer
    second_moment: Pointer
    feedback: Pointer
    state: Pointer
    sums: Pointer
    counters: Pointer
    updates: Pointer
    rates: Pointer


class BatchRows(NamedTuple):
    """What comes in, on the device, see `batch.Batch`; all but the last three are int64.

    Attributes:
        labels: Which ticks have a target ``[B]``: its class, 0 for numbers, -1 without one.
        channels: int32.
        event_values: float32.
        target_values: What the logits should be, float32 ``[B, C]``; empty where targets are
            classes.
    """

    slots: Pointer
    strands: Pointer
    learn: Pointer
    row_ticks: Pointer
    tick_events: Pointer
    labels: Pointer
    channels: Pointer
    event_values: Pointer
    target_values: Pointer


class Walk(NamedTuple):
    """One session on its way through a program: its rows, and the program's scratch.

    Attributes:
        p_weights: The session's row of parameters, as the following are its rows.
        p_gradients: Likewise.
        p_velocity: Likewise.
        p_squares: Likewise.
        p_feedback: Likewise.
        p_state: Of the strand.
        p_sums: Likewise.
        p_counters: Likewise.
        p_updates: Of the session.
        rate: The session's, in double precision.
        p_floats: Scratch ``[n_floats]``; the tick's input, one number a channel, comes first.
        p_integers: Scratch ``[n_integers]``.
    """

    p_weights: Pointer
    p_gradients: Pointer
    p_velocity: Pointer
    p_squares: Pointer
    p_feedback: Pointer
    p_state: Pointer
    p_sums: Pointer
    p_counters: Pointer
    p_updates: Pointer
    rate: Scalar
    p_floats: Pointer
    p_integers: Pointer


class Events(NamedTuple):
    """The events of a tick: pairs ``first`` up to ``last`` of the batch's."""

    p_channels: Pointer
    p_values: Pointer
    first: Scalar
    last: Scalar


class Answer(NamedTuple):
    """What the readout says at a tick.

    Attributes:
        b_logits: ``[block]``.
        b_probabilities: Likewise.
        log_total: The logarithm of the sum of the exponentials of the logits.
    """

    b_logits: Block
    b_probabilities: Block
    log_total: Scalar


class Tile(NamedTuple):
    """Some lines of a matrix.

    Attributes:
        b_lines: Which ``[tile]``.
        b_active: Which of them count ``[tile]``.
        b_places: Where their numbers lie in a row ``[tile, block]``.
        b_mask: Which of those numbers there are ``[tile, block]``.
    """

    b_lines: Block
    b_active: Block
    b_places: Block
    b_mask: Block


class Dynamics(NamedTuple):
    """Decays and couplings of a layer at a tick."""

    dendrite_decay: Scalar
    soma_decay: Scalar
    soma_to_dendrite: Scalar
    dendrite_to_soma: Scalar
