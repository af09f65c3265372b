"""Where, when and from what a figure was measured: what every entry of the log begins with."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version

from clients.training.surroundings import commit, machine


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
