import subprocess
import sys
from pathlib import Path

import pytest

import clients.speech_synthesis

espeakng_loader = pytest.importorskip("espeakng_loader")

WORKER = Path(clients.speech_synthesis.__file__).with_name("speech_worker.py")


def run_worker(library: str, data: str, voice: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-I", "-S", str(WORKER), library, data, voice]
    return subprocess.run(  # noqa: S603 -- our own program
        [*command, "175", "50", "50", "one"], capture_output=True, check=False
    )


def test_output_is_a_sample_rate_and_then_whole_samples() -> None:
    library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()

    spoken = run_worker(library, data, "en-us")

    assert spoken.returncode == 0
    assert spoken.stderr == b""
    assert int.from_bytes(spoken.stdout[:4], "little") == 22_050
    assert len(spoken.stdout) > 10_000
    assert len(spoken.stdout) % 2 == 0


def test_noise_of_a_breathy_voice_comes_from_the_fixed_seed_and_not_from_the_clock() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import speech_worker;"
        "speech_worker.NOISE_SEED = int(sys.argv.pop(1)); speech_worker.main()"
    )

    def spoken(seed: str) -> bytes:
        command = [sys.executable, "-I", "-S", "-c", program, str(WORKER.parent), seed]
        text = [espeakng_loader.get_library_path(), espeakng_loader.get_data_path(), "en-us+f3"]
        return subprocess.run(  # noqa: S603 -- our own program
            [*command, *text, "175", "50", "50", "seven"], capture_output=True, check=True
        ).stdout

    # espeak-ng's own seed is the second of the day, mostly the same for both
    assert spoken("1") == spoken("1")
    assert spoken("1") != spoken("2")


def test_a_library_that_is_none_ends_with_a_sentence(tmp_path: Path) -> None:
    spoken = run_worker(str(tmp_path / "absent.so"), espeakng_loader.get_data_path(), "en-us")

    assert spoken.returncode == 1
    assert b"absent.so" in spoken.stderr
    assert b"Traceback" not in spoken.stderr


def test_data_without_voices_end_with_a_sentence(tmp_path: Path) -> None:
    spoken = run_worker(espeakng_loader.get_library_path(), str(tmp_path), "en-us")

    assert spoken.returncode == 1
    assert b"finds no voices" in spoken.stderr
    assert b"Traceback" not in spoken.stderr
