"""The command line of ``tclif-train`` and what it means for the core."""

import shlex
from pathlib import Path

import pytest

from clients.datasets import open_source
from clients.training.arguments import Arguments, parse
from clients.training.defaults import LEARNING, READOUT_DECAY, TRAINING
from clients.training.settings import specify
from tclif_core import DecayProfile, NetworkSpec, NeuronSpec
from tests.clients.toy_recordings import ToySource


def test_a_source_alone_is_enough() -> None:
    arguments = parse(["toy"])

    network, learning, training = specify(arguments, ToySource(3))

    assert network == NetworkSpec(
        inputs=700, hidden=(128, 128), classes=3, readout_decay=READOUT_DECAY
    )
    assert learning == LEARNING["eprop"]
    assert training == TRAINING["eprop"]
    assert (arguments.output, arguments.report) == (
        Path("model.safetensors"),
        Path("model.report"),
    )
    assert arguments.checkpoint == Path("model.safetensors.resume")


def test_each_method_has_its_defaults() -> None:
    _, learning, training = specify(parse(["toy", "--method", "bptt"]), ToySource(3))

    assert (learning, training) == (LEARNING["bptt"], TRAINING["bptt"])


def test_what_is_given_is_asked_for() -> None:
    options = "--hidden 64,32 --feed-forward --neuron lif --optimizer rmsprop --passes 7 --rate 0.1"
    more = "--rate-schedule constant --examples-per-update 4 --event-drop-out 0.5 --patience 3"
    rest = "--channel-shift 5 --channel-jitter 1.5 --time-stretch 0.2 --average-last 2 --seed 9"

    arguments = parse(["toy", *options.split(), *more.split(), *rest.split()])
    network, learning, training = specify(arguments, ToySource(3))

    assert (network.hidden, network.recurrent, network.neuron.kind) == ((64, 32), False, "lif")
    assert learning.optimizer == "rmsprop"
    assert training.to_dict() == {
        "method": "eprop",
        "passes": 7,
        "rate": 0.1,
        "rate_schedule": "constant",
        "examples_per_update": 4,
        "event_drop_out": 0.5,
        "channel_shift": 5,
        "channel_jitter": 1.5,
        "time_stretch": 0.2,
        "patience": 3,
        "average_last": 2,
        "loss_form": "each_tick",
        "seed": 9,
    }


def test_any_hyperparameter_can_be_set() -> None:
    assignments = (
        "neuron.threshold=1.6",
        'neuron.decay_profile={"amplitude": 0.1}',
        "neuron.surrogate=arctan",
        "network.readout_decay=0.9",
        "learning.gradient_clip=2",
        "learning.layer_rates=[1, 1, 0.5]",
        "training.passes=4",
    )
    options = [text for assignment in assignments for text in ("--set", assignment)]

    network, learning, training = specify(parse(["toy", *options]), ToySource(3))

    assert network.neuron == NeuronSpec(
        threshold=1.6, decay_profile=DecayProfile(amplitude=0.1), surrogate="arctan"
    )
    assert network.readout_decay == 0.9
    assert (learning.gradient_clip, learning.layer_rates) == (2, (1, 1, 0.5))
    assert training.passes == 4


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("learning.loss=mean_squared", "recordings here have a class each, expected cross_entropy"),
        ("learning.update=frozen", "learns nothing, expected segment or tick"),
    ],
)
def test_what_recordings_with_classes_can_not_learn_is_refused(assignment: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"--set {assignment}: {words}"):
        specify(parse(["toy", "--set", assignment]), ToySource(3))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("network.classes", "this follows from SOURCE or an option of its own"),
        ("training.method", "this follows from SOURCE or an option of its own"),
        ("threshold", "there is no such hyperparameter; close to it are neuron.threshold"),
        ("neuron.treshold", "there is no such hyperparameter; close to it are neuron.threshold"),
        ("learning.xyzzyxyzzyxyzzy", "expected one of learning.epsilon, learning.feedback"),
        ("bogus.x", "expected a name that begins with neuron., network., learning., training."),
    ],
)
def test_only_free_hyperparameters_can_be_set(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"--set {name}: {words}") as caught:
        specify(parse(["toy", "--set", f"{name}=3"]), ToySource(3))

    # other rooms' names would bury those that help
    assert "network.readout_decay" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        ["--validate-share", "1"],
        ["--validate-share", "some"],
        ["--validate-speakers", "a,,b"],
        ["--validate-speakers", "a", "--validate-share", "0.2"],
        ["--hidden", "12,0"],
        ["--set", "threshold"],
    ],
)
def test_a_wrong_command_line_ends_with_code_2(options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["toy", *options])

    assert caught.value.code == 2


def test_the_example_in_the_help_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("  tclif-train ")]

    arguments = parse(shlex.split(line)[1:])

    source = open_source(arguments.source)
    assert (len(source), arguments.validate_speakers) == (600, ("6", "7"))


def test_speakers_are_read_as_names() -> None:
    arguments: Arguments = parse(["toy", "--validate-speakers", "ann, bo"])

    assert arguments.validate_speakers == ("ann", "bo")
