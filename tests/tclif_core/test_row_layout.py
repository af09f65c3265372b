import pytest
import torch

from tclif_core import LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.row_layout import (
    RowLayout,
    accumulated_from,
    feedback_layout,
    learnt_scalars,
    line_field,
    n_lines,
    parameter_layout,
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
    ],
)
def test_which_scalars_are_learnt(
    kind: str,
    minima: bool,  # noqa: FBT001 - a row of the table
    couplings: bool,  # noqa: FBT001 - likewise
    expected: tuple[str, ...],
) -> None:
    network = NetworkSpec(
        inputs=1, hidden=(1,), classes=2, neuron=NeuronSpec.from_dict({"kind": kind})
    )
    learning = LearningSpec(learn_decay_minima=minima, learn_couplings=couplings)

    assert learnt_scalars(network, learning) == expected


def test_chained_feedback_needs_no_row() -> None:
    assert feedback_layout(small_network(), LearningSpec()).width == 0
