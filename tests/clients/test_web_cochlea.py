"""The cochlea in JavaScript hears what the one in Python hears, spike for spike."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clients.cochlea import Cochlea
from clients.cochlea_design import CochleaSpec

NODE = shutil.which("node")
COCHLEA = Path(__file__).parents[2] / "clients" / "web" / "cochlea.js"

SCRIPT = """
import { readFileSync } from "node:fs";
import { Cochlea } from "%s";
const { spec, samples, blocks } = JSON.parse(readFileSync(0, "utf8"));
const cochlea = new Cochlea(spec);
const heard = { tables: {}, timesUs: [], channels: [] };
for (const [name, table] of Object.entries(cochlea.tables)) {
  heard.tables[name] = typeof table === "number" ? table : Array.from(table);
}
let begin = 0;
for (const size of [...blocks, samples.length]) {
  const { timesUs, channels } = cochlea.process(samples.slice(begin, begin + size));
  heard.timesUs.push(...timesUs);
  heard.channels.push(...channels);
  begin += size;
}
console.log(JSON.stringify(heard));
"""


def sounds() -> npt.NDArray[np.float64]:
    """Return noise, silence, a voice-like sound and a tone that rises: 1.5 s."""
    random = np.random.default_rng(3)
    moments = np.arange(8_000) / 16_000
    harmonics = 120.0 * np.arange(1, 40)
    weights = sum(1.0 / (1.0 + ((harmonics - f) / 100.0) ** 2) for f in (600.0, 1800.0))
    voice = 0.1 * weights @ np.sin(2 * np.pi * np.outer(harmonics, moments))
    rising = 0.2 * np.sin(2 * np.pi * (60.0 * moments + 6_900.0 * moments**2))
    noise = 0.1 * random.standard_normal(4_000)
    return np.concatenate([noise, np.zeros(4_000), voice, rising])


def heard_in_javascript(
    spec: dict[str, float], samples: npt.NDArray[np.float64], blocks: list[int]
) -> dict[str, Any]:
    assert NODE is not None
    question = {"spec": spec, "samples": samples.tolist(), "blocks": blocks}
    run = subprocess.run(  # noqa: S603 - our own script
        [NODE, "--input-type=module", "--eval", SCRIPT % COCHLEA.as_uri()],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_700_channels_spike_alike_in_both_languages() -> None:
    samples = sounds()
    cochlea = Cochlea()
    times_us, channels = cochlea.process(samples)

    answer = heard_in_javascript({}, samples, [])

    assert len(times_us) > 20_000
    assert answer["timesUs"] == times_us.tolist()
    assert answer["channels"] == channels.tolist()


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_every_table_is_the_same_number_in_both_languages() -> None:
    tables = Cochlea().tables._asdict()

    answer = heard_in_javascript({}, np.zeros(0), [])

    expected = {
        camel_case(name): table.tolist() if isinstance(table, np.ndarray) else table
        for name, table in tables.items()
    }
    assert answer["tables"] == expected


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_blocks_of_any_size_and_another_spec_spike_alike_too() -> None:
    samples = sounds()
    spec = CochleaSpec(channels=70, level_floor=0.01, inhibition_erb=3.0, refractory_ms=1.25)
    times_us, channels = Cochlea(spec).process(samples)
    # nothing, less than a step, a step, what an AudioWorklet gives, more than all at the end
    blocks = [0, 3, 5, 8, *[128] * 40, 1, 0, 4_001]

    answer = heard_in_javascript(
        {"channels": 70, "levelFloor": 0.01, "inhibitionErb": 3.0, "refractoryMs": 1.25},
        samples,
        blocks,
    )

    assert len(times_us) > 1_000
    assert answer["timesUs"] == times_us.tolist()
    assert answer["channels"] == channels.tolist()
