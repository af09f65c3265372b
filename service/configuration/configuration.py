"""What a session was created as, and whether a later ``open`` asks for the same."""

from dataclasses import dataclass, replace
from typing import Self

from pydantic import BaseModel

from service.configuration.new_network import new_network
from service.configuration.stream_bounds import check_cuts, check_kept, check_lateness
from service.errors import ConfigMismatch, OpenRefused, UnknownModel
from service.settings import SessionSettings
from service.state_tree import Tree, branch, listed, text, whole
from service.storage.model_store import ModelVersion, StoredModel
from service.wire_protocol import Open, SensorRequest
from tclif_core import Learner, LearningSpec, NetworkSpec

DEFAULT_TICK_US = 4000
TICK_US_BOUNDS = (100, 1_000_000)

# decided anew by each connection, or changed by sequenced messages: no part of the comparison
_FREE_FIELDS: dict[str, bool | dict[str, bool]] = {
    "type": True,
    "session": True,
    "epoch": True,
    "seed": True,
    "report": True,
    "learning": {"mode": True, "rate": True},
}


@dataclass(frozen=True, slots=True)
class SessionConfiguration:
    """One session's creation, resolved: everything that stays fixed for its life.

    Attributes:
        request: The ``open`` that created it, defaults filled in.
        network: Shape and neurons, for the learner.
        learning: How weights move, for the learner.
        tick_us: Length of a tick.
        class_names: The classes by index.
        model: The stored model that its weights began from, if they did.
    """

    request: Open
    network: NetworkSpec
    learning: LearningSpec
    tick_us: int
    class_names: tuple[str, ...]
    model: ModelVersion | None = None

    @classmethod
    def resolve(
        cls, request: Open, settings: SessionSettings, stored: StoredModel | None = None
    ) -> Self:
        """Work out what an ``open`` for a new session asks for.

        Args:
            request: What the client asks for.
            settings: What sessions may hold.
            stored: The model that it names, if it names one.

        Raises:
            UnknownModel: It names a model, and none was found.
            OpenRefused: A value or an option that this server does not serve, or a sensor or a
                tick that the model was not made for.
        """
        if request.model is not None and stored is None:
            raise UnknownModel(f"model {request.model!r} came; expected one of GET /v1/models")
        if stored is None:
            request = _with_tick(request, DEFAULT_TICK_US)
            network, class_names, version = new_network(request), _class_names(request), None
        else:
            request = _with_tick(request, stored.model.tick_us)
            network = stored.model.network
            class_names, version = stored.model.classes, stored.version
            _check_sensor(request, stored)
        request = _filled_in(request, network)
        tick_us = _checked_tick(request)
        check_cuts(request, tick_us)
        check_lateness(request, tick_us, settings)
        try:
            learning = LearningSpec.from_dict(request.learning.model_dump(exclude={"mode", "rate"}))
            learning.rates_of_layers(network)
        except ValueError as error:
            raise OpenRefused(f"learning: {error}") from error
        check_kept(request, Learner.state_bytes(network, learning), settings)
        return cls(request, network, learning, tick_us, class_names, version)

    @classmethod
    def restored(cls, tree: Tree) -> Self:
        """Return the configuration that `capture` described.

        Raises:
            ValueError: It describes none.
        """
        request = Open.model_validate(branch(tree, "request"))
        names = tuple(str(name) for name in listed(tree, "class_names"))
        network = NetworkSpec.from_dict(branch(tree, "network"))
        learning = LearningSpec.from_dict(branch(tree, "learning"))
        model = None
        if tree.get("model") is not None:
            kept = branch(tree, "model")
            model = ModelVersion(text(kept, "owner"), text(kept, "name"), whole(kept, "version"))
        return cls(request, network, learning, whole(tree, "tick_us"), names, model)

    def capture(self) -> Tree:
        """Return the configuration as JSON values."""
        return {
            "request": describe(self.request),
            "network": self.network.to_dict(),
            "learning": self.learning.to_dict(),
            "tick_us": self.tick_us,
            "class_names": list(self.class_names),
            "model": None if self.model is None else dict(self.model._asdict()),
        }

    @property
    def sensor(self) -> SensorRequest:
        """Where the events come from."""
        return self.request.sensor

    def network_bytes(self, n_classes: int | None = None) -> int:
        """Return what the session's network takes, with so many classes or those it began with."""
        network = self.network if n_classes is None else replace(self.network, classes=n_classes)
        return Learner.session_bytes(network, self.learning)

    def check_same(self, request: Open, *, seed: int) -> None:
        """Compare a later ``open`` with the creation.

        Args:
            request: Its learning mode, rate and report are free; a seed may be absent.
            seed: What the session's weights began from, whoever chose it.

        Raises:
            ConfigMismatch: Naming the first field that differs.
        """
        if request.seed not in (None, seed):
            raise ConfigMismatch(f"seed: {request.seed} came; the session began from seed {seed}")
        asked = _filled_in(_with_tick(request, self.tick_us), self.network)
        difference = _first_difference(_comparable(self.request), _comparable(asked))
        if difference is not None:
            field, was, came = difference
            raise ConfigMismatch(f"{field}: {came!r} came; the session was created with {was!r}")


def _class_names(request: Open) -> tuple[str, ...]:
    assert request.network is not None, "an open has a network or a model"
    return request.network.class_names


def _check_sensor(request: Open, stored: StoredModel) -> None:
    n_inputs = stored.model.network.inputs
    if request.sensor.n_inputs != n_inputs:
        raise OpenRefused(
            f"sensor: {request.sensor.n_inputs} inputs came; model {stored.version.name!r} has"
            f" {n_inputs}"
        )


def _with_tick(request: Open, default_us: int) -> Open:
    if request.tick_us is not None:
        return request
    return request.model_copy(update={"tick_us": default_us})


def _checked_tick(request: Open) -> int:
    """Return the length of a tick; that of a model may lie outside what a session may have."""
    tick_us = request.tick_us
    assert tick_us is not None, "filled in before"
    low, high = TICK_US_BOUNDS
    if not low <= tick_us <= high:
        raise OpenRefused(
            f"tick_us: the model's {tick_us} came; expected an open with one from {low} to {high}"
        )
    return tick_us


def _filled_in(request: Open, network: NetworkSpec) -> Open:
    """Write down the defaults that depend on other fields, each in one way only.

    Per-tick updates are plain SGD where no optimiser is named. Layer rates of 1 for all are none,
    and so is what a kind of neuron does with couplings anyway.
    """
    learning = request.learning
    changed: dict[str, object] = {}
    if learning.update == "tick" and "optimizer" not in learning.model_fields_set:
        changed["optimizer"] = "sgd"
    if learning.layer_rates == (1.0,) * (len(network.hidden) + 1):
        changed["layer_rates"] = ()
    if learning.learn_couplings == (network.neuron.kind == "tclif"):
        changed["learn_couplings"] = None
    if not changed:
        return request
    return request.model_copy(update={"learning": learning.model_copy(update=changed)})


def _comparable(request: Open) -> dict[str, object]:
    fields = request.model_dump(exclude=_FREE_FIELDS)
    if request.network is not None:
        # a number of classes and their default names are the same thing
        fields["network"]["classes"] = request.network.class_names
    return fields


def _first_difference(
    was: object, came: object, path: str = ""
) -> tuple[str, object, object] | None:
    if isinstance(was, dict) and isinstance(came, dict):
        for name in [*was, *(name for name in came if name not in was)]:
            found = _first_difference(
                was.get(name), came.get(name), f"{path}.{name}" if path else str(name)
            )
            if found is not None:
                return found
        return None
    return None if was == came else (path, was, came)


def describe(request: BaseModel) -> dict[str, object]:
    """Return a request as JSON values, for the state page and the metadata of weights."""
    return request.model_dump(mode="json", exclude_none=True)
