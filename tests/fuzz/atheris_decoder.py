"""The decoders under a fuzzer that watches which lines are reached: atheris, where it is installed.

python -m tests.fuzz.atheris_decoder -runs=200000
"""

import importlib
import importlib.util
import sys
from typing import Any


def main() -> int:
    """Run atheris with the command line's arguments, or say that it is not here."""
    if importlib.util.find_spec("atheris") is None:
        sys.stdout.write("atheris is not installed (pip install atheris): nothing was run\n")
        return 0
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["service"]):
        errors = importlib.import_module("service.errors")
        wire_protocol = importlib.import_module("service.wire_protocol")

    def judge(data: bytes) -> None:
        try:
            if data[:1] == b"\1":
                wire_protocol.decode_binary(data)
            else:
                wire_protocol.decode_client_text(data.decode(errors="surrogateescape"))
        except errors.ServiceError:
            return

    atheris.Setup(sys.argv, judge)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
