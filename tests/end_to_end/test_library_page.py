"""What the page of the library shows works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "library.md"


def test_the_examples_run_in_their_order_and_learn(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))

    done = subprocess.run(  # noqa: S603 - what runs is our own page
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PAGE.parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    first, last = map(float, re.findall(r"right: (.*) at first, (.*) at last", done.stdout)[0])
    assert last > max(first, 0.9)
    early, late = map(float, re.findall(r"loss (.*) at first, (.*) at last", done.stdout)[0])
    assert late < early / 2
    assert len(re.findall(r"^[123] [\d.]+ [\d.]+$", done.stdout, re.MULTILINE)) == 3
