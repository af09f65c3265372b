"""Where a measurement was taken: the processor and the commit."""

import platform
import subprocess
from pathlib import Path


def machine() -> str:
    """Return the processor's name and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [text for text in cpuinfo.read_text().splitlines() if "model name" in text]
        name = names[0].partition(":")[2].strip() if names else name
    return f"{name}, one core used"


def commit() -> str:
    """Return the commit of the working tree, marked where files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - the git of the user's path
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "no commit"
