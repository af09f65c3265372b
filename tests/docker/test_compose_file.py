"""docker-compose.yml: every container is contained, every port stays on this machine."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STACK = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = STACK["services"]


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest) -> dict[str, object]:
    found: dict[str, object] = SERVICES[request.param]
    return found


def test_the_stack_has_what_its_readers_expect() -> None:
    assert {"tokens", "server", "server-gpu", "replay", "prometheus", "grafana"} <= set(SERVICES)


def test_a_container_can_change_nothing_and_gain_nothing(service: dict[str, object]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service


def test_a_container_takes_a_bounded_share(service: dict[str, object]) -> None:
    assert {"mem_limit", "cpus", "pids_limit", "logging", "restart"} <= set(service)


def test_ports_are_published_on_loopback_only(service: dict[str, object]) -> None:
    ports = service.get("ports", [])

    assert isinstance(ports, list)
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port), port


def test_no_secret_stands_in_the_file(service: dict[str, object]) -> None:
    environment = service.get("environment", {})

    assert isinstance(environment, dict)
    secret = [name for name in environment if re.search("PASSWORD|SECRET_KEY|TOKEN$", name)]
    assert secret == []


def test_files_of_the_project_are_mounted_for_reading_only(service: dict[str, object]) -> None:
    volumes = service.get("volumes", [])

    assert isinstance(volumes, list)
    mounted = [volume for volume in volumes if volume.startswith(".")]
    assert all(volume.endswith(":ro") for volume in mounted), mounted
    assert all((ROOT / volume.partition(":")[0]).is_dir() for volume in mounted), mounted


def test_each_token_is_seen_by_whom_it_belongs_to() -> None:
    readers = {
        volume: {
            name
            for name, service in SERVICES.items()
            if any(mount.startswith(f"{volume}:") for mount in service.get("volumes", ()))
        }
        for volume in ("tokens", "replay-token", "prometheus-token")
    }

    assert readers == {
        "tokens": {"tokens", "server", "server-gpu"},
        "replay-token": {"tokens", "replay", "replay-german", "replay-gpu"},
        "prometheus-token": {"tokens", "prometheus"},
    }


def test_either_profile_is_whole() -> None:
    for profile in ("cpu", "gpu"):
        started = {
            name
            for name, service in SERVICES.items()
            if profile in service.get("profiles", [profile])
        }
        awaited = {other for name in started for other in SERVICES[name].get("depends_on", ())}
        assert awaited <= started, profile
