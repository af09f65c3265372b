"""Where, when and from what a figure was measured, and the log of all measurements."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from clients.training.surroundings import commit, machine

LOG = Path(__file__).parent / "RESULTS.md"


def facts(command: str) -> dict[str, str]:
    """Return the facts of a measurement that ends now.

    Args:
        command: What repeats it.
    """
    packages = ("torch", "numpy", "uvicorn", "websockets")
    versions = [f"{name} {version(name)}" for name in packages]
    return {
        "machine": machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit() or "unknown",
        "command": command,
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
    }


def append(title: str, about: Mapping[str, str], table: Sequence[str]) -> None:
    """Append an entry to the log of all measurements.

    Args:
        title: Its heading.
        about: What `facts` returned, and what else is to be known.
        table: Lines of Markdown.
    """
    described = "\n".join(f"- {name}: {value}" for name, value in about.items())
    with LOG.open("a") as log:
        log.write(f"\n## {title}\n\n{described}\n\n" + "\n".join(table) + "\n")
