"""What a session's rooms hold, as plain values: for a snapshot, and back.

Every room with state captures it as a `Tree` and is restored from one; restored, it goes on as it
would have, bit for bit. Equal states give equal trees.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Tree = dict[str, object]
"""Names to JSON values, to arrays (float32, float64, int64) or to further trees."""

_Number = TypeVar("_Number", np.float32, np.float64, np.int64)


def branch(tree: Mapping[str, object], name: str) -> Tree:
    """Return a tree within a tree.

    Raises:
        ValueError: There is none of that name.
    """
    value = tree.get(name)
    if not isinstance(value, dict):
        raise _unfit(name, value, "a tree")
    return value


def listed(tree: Mapping[str, object], name: str) -> list[object]:
    """Return a list of JSON values.

    Raises:
        ValueError: There is none of that name.
    """
    value = tree.get(name)
    if not isinstance(value, list):
        raise _unfit(name, value, "a list")
    return value


def whole(tree: Mapping[str, object], name: str) -> int:
    """Return a whole number.

    Raises:
        ValueError: There is none of that name.
    """
    value = tree.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unfit(name, value, "a whole number")
    return value


def whole_or_none(tree: Mapping[str, object], name: str) -> int | None:
    """Return a whole number, or None where the state has none.

    Raises:
        ValueError: There is neither of that name.
    """
    return None if name in tree and tree[name] is None else whole(tree, name)


def truth(tree: Mapping[str, object], name: str) -> bool:
    """Return a truth value.

    Raises:
        ValueError: There is none of that name.
    """
    value = tree.get(name)
    if not isinstance(value, bool):
        raise _unfit(name, value, "true or false")
    return value


def text(tree: Mapping[str, object], name: str) -> str:
    """Return a string.

    Raises:
        ValueError: There is none of that name.
    """
    value = tree.get(name)
    if not isinstance(value, str):
        raise _unfit(name, value, "a string")
    return value


def array(tree: Mapping[str, object], name: str, dtype: type[_Number]) -> NDArray[_Number]:
    """Return an array of one type, as a copy that may be written.

    Raises:
        ValueError: There is none of that name and type.
    """
    value = tree.get(name)
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise _unfit(name, value, f"an array of {dtype.__name__}")
    return value.astype(dtype)


def _unfit(name: str, value: object, expected: str) -> ValueError:
    came = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
    return ValueError(f"state {name!r}: {came[:80]} came; expected {expected}")
