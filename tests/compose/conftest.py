"""The stack, up for all tests of this folder, and gone with its volumes afterwards."""

from collections.abc import Iterator

import pytest

from tests.compose.engine import CommandFailed, Engine, NoEngine, find_engine, state, wait_for

HEALTHY_S = 300.0
"""Longest wait for a container to be healthy; on an unknown processor the kernel is compiled."""

STAND_IN = """
FROM prom/prometheus:latest
USER root
RUN mkdir -p /prometheus && chown 65534 /prometheus
USER 65534
"""
"""A Prometheus of one's own making, with the folder for data that the published image has."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Bring the stack up; what can't be had of it is left out, Prometheus' picture excepted."""
    try:
        engine = find_engine()
    except NoEngine as reason:
        pytest.skip(f"no container engine: {reason}")
    for target in ("server", "replay"):
        engine.build(target)
    services = ["server", "replay", "replay-german", "prometheus"]
    pinned = engine.pinned_images()
    if not engine.has_image(pinned["prometheus"]):
        engine.environment["PROMETHEUS_IMAGE"] = engine.build_text(
            "tclif-test-prometheus", STAND_IN
        )
    if engine.has_image(pinned["grafana"]):
        services.append("grafana")
    try:
        engine.stack("down", "--volumes", "--remove-orphans")
        engine.stack("up", "--detach", *services)
        engine.services = tuple(services)
        wait_until_healthy(engine, "server")
        wait_until_healthy(engine, "prometheus")
        yield engine
    except (AssertionError, CommandFailed) as failure:
        failure.add_note(engine.stack("logs", "--tail", "50"))
        raise
    finally:
        engine.stack("down", "--volumes", "--remove-orphans")


def wait_until_healthy(engine: Engine, service: str) -> None:
    """Wait until the engine's own check of a container is content."""

    def look() -> bool | None:
        health = state(engine.inspect(service))["Health"]
        assert isinstance(health, dict)
        return health["Status"] == "healthy" or None

    wait_for(f"{service} healthy", look, HEALTHY_S)
