"""JSON that files of ours hold: plain values only, each name once, and faults with their place."""

import json
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from operator import itemgetter
from typing import Any

_DEEPEST, _HIGHEST_INTEGER = 32, 2**63


class FileFault(ValueError):
    """What is wrong with a file, or with what should go into one.

    Attributes:
        field: Name of the entry or tensor at fault, ``None`` where it has none.
        byte: Where in the file it shows, from 0, ``None`` where there is no such place.
    """

    def __init__(self, problem: str, *, field: str | None = None, byte: int | None = None) -> None:
        super().__init__(problem)
        self.field = field
        self.byte = byte


def plain_json(value: object, name: str, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON gives it back, tuples as lists.

    Raises:
        FileFault: It, or something in it, is no plain JSON value; the name says where.
    """
    if depth > _DEEPEST:
        raise FileFault(f"{name} nests deeper than {_DEEPEST}", field=name)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise FileFault(f"{name} has the key {key!r}, expected a text", field=name)
        return {key: plain_json(v, f"{name}.{key}", depth + 1) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(v, f"{name}[{n}]", depth + 1) for n, v in enumerate(value)]
    is_number = (isinstance(value, float) and math.isfinite(value)) or (
        isinstance(value, int) and abs(value) < _HIGHEST_INTEGER
    )
    if value is None or isinstance(value, str) or is_number:
        return value
    raise FileFault(f"{name} must be a plain JSON value, got {value!r:.100}", field=name)


def json_object(text: str, what: str, byte_after: Callable[[str], int]) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        text: Of which each object names a member once.
        what: What the text is, for the error.
        byte_after: Where in the file the text goes on after a part of it.

    Raises:
        FileFault: It is no JSON object, with the byte where that shows.
    """
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        byte = byte_after(text[: error.pos])
        raise FileFault(f"{what} is no JSON at byte {byte}: {error.msg}", byte=byte) from error
    except FileFault:
        raise
    except (ValueError, RecursionError) as error:
        raise FileFault(f"{what} can't be read: {error}", field=what) from error
    if not isinstance(value, dict):
        raise FileFault(f"{what} must be a JSON object, got {value!r:.100}", field=what)
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for (name, _), (following, _) in pairwise(sorted(pairs, key=itemgetter(0))):
        if name == following:
            raise FileFault(f"{name} stands twice in one object", field=name)
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise FileFault(f"{name} is no JSON number")
