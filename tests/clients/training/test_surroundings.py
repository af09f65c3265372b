"""What a report says of where a training took place."""

import subprocess
from pathlib import Path

import pytest

from clients.training.surroundings import commit

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no working tree of git")
def test_the_commit_is_that_of_the_working_tree() -> None:
    described = commit()

    assert described is not None
    assert _hash_of(described.removesuffix("-dirty")) == _hash_of("HEAD")


def _hash_of(name: str) -> str:
    command = ["git", "rev-parse", f"{name}^{{commit}}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - names of commits
    return done.stdout
