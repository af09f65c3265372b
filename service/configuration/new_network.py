"""The network that an ``open`` describes, in the words of `tclif_core`."""

from service.errors import OpenRefused
from service.wire_protocol import NetworkRequest, Open
from tclif_core import NetworkSpec

_PROFILE_FIELDS = {
    "decay_shape": "shape",
    "decay_scale_ticks": "scale_ticks",
    "decay_amplitude": "amplitude",
}
_NEURON_FIELDS = (
    "threshold",
    "dendritic_reset",
    "dendrite_decay_minimum",
    "soma_decay_minimum",
    "soma_to_dendrite",
    "dendrite_to_soma",
    "surrogate",
    "surrogate_width",
    "reset",
)
_NETWORK_FIELDS = (
    "readout_decay",
    "input_gain",
    "hidden_gain",
    "recurrent_gain",
    "readout_gain",
)


def new_network(request: Open) -> NetworkSpec:
    """Return the network that an ``open`` describes.

    Raises:
        OpenRefused: There can be no such network.
    """
    asked = request.network
    assert asked is not None, "an open has a network or a model"
    try:
        return _described(asked, request.sensor.n_inputs)
    except ValueError as error:
        raise OpenRefused(f"network: {error}") from error


def _described(asked: NetworkRequest, n_inputs: int) -> NetworkSpec:
    values: dict[str, object] = dict(asked.hyperparameters)
    profile = {
        name: values.pop(wire_name)
        for wire_name, name in _PROFILE_FIELDS.items()
        if wire_name in values
    }
    neuron: dict[str, object] = {
        name: values.pop(name) for name in _NEURON_FIELDS if name in values
    }
    network = {name: values.pop(name) for name in _NETWORK_FIELDS if name in values}
    if values:
        known = sorted([*_PROFILE_FIELDS, *_NEURON_FIELDS, *_NETWORK_FIELDS])
        raise ValueError(
            f"hyperparameters {sorted(values)} are unknown; expected some of {', '.join(known)}"
        )
    if profile:
        neuron["decay_profile"] = profile
    return NetworkSpec.from_dict(
        {
            "inputs": n_inputs,
            "hidden": asked.hidden,
            "classes": len(asked.class_names),
            "recurrent": asked.recurrent,
            "neuron": {"kind": asked.neuron, **neuron},
            **network,
        }
    )
