"""`tclif-mic`: teach a network your own words by microphone, in a terminal.

    tclif-mic --classes yes,no,stop --session my-voice

Say a word; where you are silent again it is told what the network took it for. Press the number of
what it was, and the network learns it. With ``--file`` a recording is heard as if it were said now.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from clients.argument_types import count
from clients.cochlea import Cochlea
from clients.cochlea_design import CochleaSpec
from clients.error_sentences import sentence
from clients.live_command import KEYS, Live, add_session_options, run, session_request
from clients.live_moments import heard
from clients.optional_packages import MissingPackage
from clients.sound_input import FileInput, MicrophoneInput, NoSound, SoundInput, devices
from service.wire_protocol import CochleaSensor, SegmentedBySilence


def main(command_line: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parse(command_line)
    if arguments.list_devices:
        return _list_devices()
    return run("tclif-mic", arguments, lambda: _prepare(arguments))


def _parse(command_line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tclif-mic",
        description="Teach a network your own words by microphone: say one, and press the number"
        " of what it was.",
        epilog=KEYS,
    )
    add_session_options(parser, classes="yes,no,stop")
    add = parser.add_argument
    add("--channels", type=count, default=700, help="of the cochlea (default %(default)s)")
    add("--gap-ms", type=count, default=250, help="silence that ends a word (default %(default)s)")
    add("--device", help="a microphone's number or a part of its name")
    add("--list-devices", action="store_true", help="list the microphones and end")
    add("--file", type=Path, help="hear this wav or flac file in place of a microphone")
    add("--fast", action="store_true", help="hear the file as fast as the server takes it")
    return parser.parse_args(command_line)


def _list_devices() -> int:
    try:
        listed = "".join(f"{line}\n" for line in devices())
    except (MissingPackage, NoSound) as error:
        sys.stderr.write(f"tclif-mic: {sentence(error)}\n")
        return 1
    sys.stdout.write(listed or "no microphone\n")
    return 0


def _prepare(arguments: argparse.Namespace) -> Live:
    sound = _sound(arguments)
    request = session_request(
        arguments,
        CochleaSensor(channels=arguments.channels),
        SegmentedBySilence(gap_us=1000 * arguments.gap_ms),
    )
    moments = heard(sound, Cochlea(CochleaSpec(channels=arguments.channels)))
    return Live(request, moments, account=lambda: "", close=lambda: None)


def _sound(arguments: argparse.Namespace) -> SoundInput:
    if arguments.file is not None:
        return FileInput(arguments.file, is_paced=not arguments.fast)
    device = arguments.device
    return MicrophoneInput(int(device) if device is not None and device.isdecimal() else device)


if __name__ == "__main__":
    sys.exit(main())
