"""How loops are compiled, and when a compiled copy on disk is still good.

Numba keeps compiled functions on disk and compiles anew when the file that holds a function
changes. A loop here calls loops of other files and freezes constants of others still, so the copies
are tied to the sources of the whole package instead.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


PACKAGE = Path(__file__).parent
"""The folder of `tclif_core`."""


def hash_of_sources(package: Path) -> bytes:
    """Return a hash of all Python sources below a folder, their names included."""
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(source.relative_to(package).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.digest()


_SOURCES = hash_of_sources(PACKAGE)


def _compile(
    function: _Function,
    fastmath: set[str],
    *,
    inline: bool = False,
    counts: bool = False,
    lets_go: bool = True,
) -> _Function:
    # division by zero gives infinity: a check before each division would keep loops scalar
    jit: Any = numba.njit
    compiled: Any = jit(
        nogil=lets_go, fastmath=fastmath, error_model="numpy", forceinline=inline, _nrt=counts
    )(function)
    try:
        compiled.enable_caching()
    except RuntimeError:
        # neither the package's folder nor the user's can be written: compiled at each start
        return compiled  # type: ignore[no-any-return]  # a dispatcher is called like its function
    compiled._cache._cache_file._source_stamp = _SOURCES  # noqa: SLF001 - there is no public way
    return compiled  # type: ignore[no-any-return]  # as above


def compiled(function: _Function) -> _Function:
    """Compile a loop; multiply-adds may fuse, sums keep their order."""
    return _compile(function, {"contract"})


def inlined(function: _Function) -> _Function:
    """Compile a short loop into its callers, where a call would cost more than the loop."""
    return _compile(function, {"contract"}, inline=True)


def entrance(function: _Function) -> _Function:
    """Compile what Python calls with objects of compiled code; it counts references to arrays.

    What it calls does not: counting costs as much as the arithmetic of a short line, and the
    caller holds all arrays anyway. So nothing there may allocate an array.
    """
    return _compile(function, {"contract"}, counts=True)


def brief(function: _Function) -> _Function:
    """Compile a short loop, over one row as a rule, that keeps the interpreter lock.

    It lasts some microseconds; to ask for the lock again may last a thousand. Its sums may be
    reordered, so it counts or compares.
    """
    return _compile(function, {"contract", "reassoc"}, lets_go=False)


def reordered(function: _Function) -> _Function:
    """Compile a loop whose sum may be reordered, as a function of its length alone."""
    return _compile(function, {"contract", "reassoc"})
