"""Packages that only some clients need, imported when they are needed.

The server and a bare client run without the `clients` extra. Who asks for more than is installed
gets a sentence that names the extra, not a traceback through somebody else's package.
"""

import importlib
from types import ModuleType


class MissingPackage(ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


def import_optional(name: str, purpose: str, *, extra: str = "clients") -> ModuleType:
    """Import a module that belongs to an extra of this project.

    Args:
        name: The module to import, such as ``"h5py"``.
        purpose: What it is wanted for, in the words of the message: ``"to read HDF5 files"``.
        extra: The extra of this project that installs it.

    Returns:
        The module.

    Raises:
        MissingPackage: It is not installed, or something that it imports itself is not.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackage(
            f"the package {name!r} is needed {purpose} and can't be imported ({error}); "
            f"install the extra {extra!r}: pip install 'tclif[{extra}]'",
            name=name,
        ) from error
