"""The stack of docker-compose.yml, brought up for real by whatever container engine is here."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import yaml

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = "tclif-test"

# not the stack's own ports: one may be running here
PORTS: Final = {"SERVER_PORT": "18700", "PROMETHEUS_PORT": "19090", "GRAFANA_PORT": "13000"}

_BUILD_S = 1200
_COMMAND_S = 300
_LOOK_EVERY_S = 1.0

T = TypeVar("T")


class NoEngine(Exception):
    """There is no container engine that answers."""


class CommandFailed(Exception):
    """A command of the engine ended with an error; what it said is the message."""


@dataclass
class Engine:
    """The engine's commands.

    Attributes:
        compose: The command that reads docker-compose.yml, old or new.
        environment: What the file's variables get.
        services: What was brought up.
    """

    compose: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=lambda: {**PORTS})
    services: tuple[str, ...] = ()

    def docker(self, *arguments: str, timeout_s: float = _COMMAND_S) -> str:
        """Run ``docker`` and return what it wrote.

        Raises:
            CommandFailed: It ended with an error.
        """
        return self._run(["docker", *arguments], timeout_s)

    def stack(self, *arguments: str) -> str:
        """Run the compose command on the stack and return what it wrote.

        Raises:
            CommandFailed: It ended with an error.
        """
        return self._run([*self.compose, "-p", PROJECT, *arguments], _COMMAND_S)

    def pinned_images(self) -> dict[str, str]:
        """Return the images that the stack takes from elsewhere, by service."""
        services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        return {
            name: re.sub(r"^\$\{\w+:-(.+)\}$", r"\1", service["image"])
            for name, service in services.items()
            if not service["image"].startswith("tclif-")
        }

    def has_image(self, name: str) -> bool:
        """Tell whether an image is here, or can be fetched."""
        for command in (("image", "inspect", name), ("pull", "--quiet", name)):
            try:
                self.docker(*command)
            except CommandFailed:
                continue
            return True
        return False

    def build(self, target: str) -> None:
        """Build one of the project's images under the name of its target."""
        self.docker(
            *("build", "--network", "host", "--file", "docker/Dockerfile"),
            *("--target", target, "--tag", f"tclif-{target}", "."),
            timeout_s=_BUILD_S,
        )

    def build_text(self, name: str, dockerfile: str) -> str:
        """Build an image that needs no files, and return its name."""
        self._run(["docker", "build", "--quiet", "--tag", name, "-"], _COMMAND_S, dockerfile)
        return name

    def container(self, service: str) -> str:
        """Return the id of a service's container."""
        return self.stack("ps", "-q", service).strip()

    def inspect(self, service: str) -> dict[str, object]:
        """Return what the engine knows of a service's container."""
        [found] = json.loads(self.docker("inspect", self.container(service)))
        assert isinstance(found, dict)
        return found

    def execute(self, service: str, *command: str) -> str:
        """Run a command inside a service's container and return what it wrote.

        Raises:
            CommandFailed: It ended with an error.
        """
        return self.docker("exec", self.container(service), *command)

    def shell(self, commands: str, archive: Path) -> None:
        """Run lines of the operations page, on this stack and with this file for ``tclif.tar``.

        Raises:
            CommandFailed: The last of them ended with an error.
        """
        compose = " ".join((*self.compose, "-p", PROJECT))
        lines = commands.replace("docker compose", compose).replace("tclif.tar", str(archive))
        self._run(["sh", "-ec", lines], _COMMAND_S)

    def _run(self, command: list[str], timeout_s: float, text: str | None = None) -> str:
        outcome = subprocess.run(  # noqa: S603 - our own commands
            command,
            cwd=ROOT,
            input=text,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if outcome.returncode != 0:
            said = (outcome.stdout + outcome.stderr)[-4000:]
            raise CommandFailed(f"{' '.join(command)} ended with {outcome.returncode}: {said}")
        return outcome.stdout


def find_engine() -> Engine:
    """Return the engine of this machine.

    Raises:
        NoEngine: None answers, or there is no compose command for it.
    """
    if shutil.which("docker") is None:
        raise NoEngine("there is no command docker")
    engine = Engine(compose=("docker", "compose"))
    try:
        engine.docker("info")
    except CommandFailed as failure:
        raise NoEngine(str(failure).splitlines()[-1]) from failure
    try:
        engine.stack("version")
    except CommandFailed:
        if shutil.which("docker-compose") is None:
            raise NoEngine("there is no command docker compose, nor docker-compose") from None
        engine.compose = ("docker-compose",)
    return engine


def wait_for(what: str, look: Callable[[], T | None], within_s: float = 120.0) -> T:
    """Look again and again until there is something to see; containers tell nobody.

    Raises:
        AssertionError: There is nothing after that time.
    """
    deadline_s = time.monotonic() + within_s
    while (seen := look()) is None:
        assert time.monotonic() < deadline_s, f"{what}: not within {within_s:g} s"
        time.sleep(_LOOK_EVERY_S)
    return seen


def state(inspected: Mapping[str, object]) -> dict[str, object]:
    """Return the part of an inspection that tells how the container is."""
    found = inspected["State"]
    assert isinstance(found, dict)
    return found
