import pytest
import torch

from tclif_core import LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.row_layout import (
    RowLayout,
    accumulated_from,
    feedback_layout,
    learnt_scalars,
    line_field,
    logit_memory,
    n_lines,
    parameter_layout,
    rate_spans,
    scalars_offset,
    state_layout,
)
from tests.tclif_core.streams import SEGMENT_SGD, TICK_SGD, small_network


def _places(layout: RowLayout) -> list[int]:
    """Return every number that some field covers."""
    row = torch.arange(layout.width)
    return [place for view in layout.views(row).values() for place in view.flatten().tolist()]


@pytest.mark.parametrize(
    "layout",
    [
        parameter_layout(small_network()),
        parameter_layout(small_network(recurrent=False, hidden=(3,))),
        state_layout(small_network(), SEGMENT_SGD),
        state_layout(
            small_network(), LearningSpec(filter_readout_trace=True, filter_hidden_traces=True)
        ),
        feedback_layout(small_network(), LearningSpec(feedback="broadcast")),
    ],
)
def test_fields_follow_each_other_without_gap_or_overlap(layout: RowLayout) -> None:
    places = _places(layout)

    assert places == list(range(len(places)))
    assert layout.width % 16 == 0
    assert layout.width - len(places) < 16


def test_a_layers_matrices_are_one_matrix_of_lines() -> None:
    network = small_network(inputs=2, hidden=(3,))
    layout = parameter_layout(network)
    row = torch.arange(layout.width)

    lines = line_field(network, layout, 0).view(row)

    # 2 channels, 3 neurons of its own, 1 bias
    assert n_lines(network, 0) == 6
    views = layout.views(row)
    stacked = torch.cat([views["layer0.w"], views["layer0.r"], views["layer0.b"][None]])
    assert torch.equal(lines, stacked)


def test_a_feed_forward_layer_has_no_lines_of_its_own() -> None:
    network = small_network(inputs=2, hidden=(3, 4), recurrent=False)

    assert [n_lines(network, layer) for layer in range(2)] == [3, 4]
    assert "layer0.r" not in parameter_layout(network).fields


def test_the_scalars_end_the_row() -> None:
    layout = parameter_layout(small_network())

    names = [
        name for name, field in layout.fields.items() if field.offset >= scalars_offset(layout)
    ]

    assert len(names) == 2 * 4
    assert all(layout.fields[name].shape == () for name in names)


def test_per_tick_updates_accumulate_gradients_of_scalars_alone() -> None:
    layout = parameter_layout(small_network())

    assert accumulated_from(layout, SEGMENT_SGD) == 0
    assert accumulated_from(layout, TICK_SGD) == scalars_offset(layout)


@pytest.mark.parametrize(
    ("kind", "minima", "couplings", "expected"),
    [
        ("adaptive_tclif", True, False, ("dendrite_decay_minimum", "soma_decay_minimum")),
        ("adaptive_tclif", False, True, ("soma_to_dendrite", "dendrite_to_soma")),
        ("adaptive_tclif", False, False, ()),
        ("lif", True, True, ("soma_decay_minimum",)),
        ("lif", False, True, ()),
        # without decay there are couplings alone, and they are learnt unless it is asked not to
        ("tclif", True, None, ("soma_to_dendrite", "dendrite_to_soma")),
        ("tclif", True, False, ()),
        ("learnable_tclif", True, None, ("dendrite_decay_minimum", "soma_decay_minimum")),
        ("lif", True, None, ("soma_decay_minimum",)),
    ],
)
def test_which_scalars_are_learnt(
    kind: str,
    minima: bool,  # noqa: FBT001 - a row of the table
    couplings: bool | None,  # noqa: FBT001 - likewise
    expected: tuple[str, ...],
) -> None:
    network = NetworkSpec(
        inputs=1, hidden=(1,), classes=2, neuron=NeuronSpec.from_dict({"kind": kind})
    )
    learning = LearningSpec(learn_decay_minima=minima, learn_couplings=couplings)

    assert learnt_scalars(network, learning) == expected


def test_chained_feedback_needs_no_row() -> None:
    assert feedback_layout(small_network(), LearningSpec()).width == 0


def test_a_preconditioned_tick_accumulates_every_gradient_and_a_frozen_one_none() -> None:
    layout = parameter_layout(small_network())

    assert accumulated_from(layout, LearningSpec(update="tick", optimizer="rmsprop")) == 0
    assert accumulated_from(layout, LearningSpec(update="frozen")) == layout.width


def test_filtered_traces_follow_the_logits_and_are_cleared_with_them() -> None:
    network = small_network(inputs=2, hidden=(3,))
    learning = LearningSpec(filter_readout_trace=True, filter_hidden_traces=True)
    layout = state_layout(network, learning)
    row = torch.ones(layout.width)

    logit_memory(layout, row).zero_()

    views = layout.views(row)
    # 2 channels, 3 neurons and a bias; a number each for the two decay minima
    assert views["layer0.filtered"].shape == (6, 3)
    assert views["layer0.soma_decay_minimum.filtered"].shape == (3,)
    cleared = {name for name, view in views.items() if not view.any()}
    assert cleared == {"logits", "readout.trace"} | {n for n in views if n.endswith("filtered")}


def test_frozen_state_has_no_traces() -> None:
    layout = state_layout(small_network(hidden=(3,)), LearningSpec(update="frozen"))

    views = layout.views(torch.zeros(layout.width))
    # four numbers a neuron, three classes
    assert sum(view.numel() for view in views.values()) == 4 * 3 + 3


def test_pieces_of_equal_rate_are_joined_and_cover_the_row() -> None:
    network = small_network(inputs=2, hidden=(3,), classes=2)
    layout = parameter_layout(network)

    # layer: 2*3 + 3*3 + 3 = 18; readout: 3*2 + 2 = 8; scalars of the layer: 4
    assert rate_spans(network, LearningSpec(), layout) == ((0, 30, 1.0),)
    assert rate_spans(network, LearningSpec(layer_rates=(0.5, 2.0)), layout) == (
        (0, 18, 0.5),
        (18, 26, 2.0),
        (26, 30, 0.5),
    )


def test_frozen_networks_need_no_feedback() -> None:
    learning = LearningSpec(feedback="broadcast", update="frozen")

    assert feedback_layout(small_network(), learning).width == 0
