"""Files that are there whole or not at all, whatever happens while they are written."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, contents: bytes) -> None:
    """Put a file in place of what is at the path, so that a reader sees one of the two, whole.

    When this returns, the file outlives a loss of power, on POSIX its name too.

    Raises:
        OSError: It can't be written; it names the path, and what was there stays.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        _write(partial, contents)
        partial.replace(path)
        _keep_name(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        # a full disk is reported without a name, other faults with that of the partial file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write(path: Path, contents: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(contents)
        stream.flush()
        os.fsync(stream.fileno())


def _keep_name(folder: Path) -> None:
    if os.name != "posix":
        return
    # the name itself is kept by the folder
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
