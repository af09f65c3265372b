import argparse
from collections.abc import AsyncIterator

import pytest

from clients.live_command import Live, add_session_options, run, session_request
from clients.live_moments import Moment
from service.wire_protocol import (
    NetworkRequest,
    RawSensor,
    SegmentedBySilence,
)

SENSOR = RawSensor(addresses=4)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_session_options(parser, classes="yes,no")
    return parser.parse_args(words)


async def nothing() -> AsyncIterator[Moment]:
    return
    yield


def test_options_say_which_session_is_opened() -> None:
    arguments = parsed("--session", "s", "--classes", "a, b", "--hidden", "7", "--tick-us", "900")

    request = session_request(arguments, SENSOR, SegmentedBySilence(gap_us=5))

    assert (request.session, request.tick_us, request.sensor) == ("s", 900, SENSOR)
    assert request.network == NetworkRequest(hidden=(7,), classes=("a", "b"))


def test_a_model_brings_its_network_and_its_tick() -> None:
    request = session_request(parsed("--model", "digits"), SENSOR, SegmentedBySilence(gap_us=5))

    assert (request.model, request.network, request.tick_us) == ("digits", None, None)


def test_a_server_that_is_not_there_is_one_sentence_and_the_sensor_is_let_go(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = parsed("--url", "ws://127.0.0.1:1/v1/stream")
    request = session_request(arguments, SENSOR, SegmentedBySilence(gap_us=5))
    closed: list[bool] = []
    live = Live(request, nothing(), account=lambda: "all", close=lambda: closed.append(True))

    assert run("tclif-x", arguments, lambda: live) == 1

    said = capsys.readouterr()
    assert (said.out, closed) == ("all\n", [True])
    assert said.err.startswith("tclif-x: no server answers at ws://127.0.0.1:1/v1/stream")
