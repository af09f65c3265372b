"""The JavaScript client's own tests pass; they are written for Node's test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_web_client_passes_its_own_tests() -> None:
    assert NODE is not None
    files = sorted((ROOT / "tests" / "javascript").glob("*.test.mjs"))

    run = subprocess.run(  # noqa: S603 - our own files
        [NODE, "--test", "--test-reporter=tap", *files],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "# fail 0" in run.stdout, run.stdout + run.stderr
    assert run.returncode == 0, run.stderr
