"""``python -m service.settings_table``: docs/settings.md, written from the settings themselves."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
"""Where the page lies in a checkout."""

_HEAD = """\
# Settings

Made by `make settings` from `service/settings/`; edit that package, not this page.

Each setting is an environment variable.
Lists are JSON, for example `TCLIF_LISTENER__ALLOWED_HOSTS='["localhost", "spikes.example.org"]'`.
A value that is not allowed, and a `TCLIF_…` variable that is none of these, end `tclif-serve` at
the start with a sentence.
"""

_BOUNDS = {
    annotated_types.Ge: ("ge", "at least"),
    annotated_types.Gt: ("gt", "above"),
    annotated_types.Le: ("le", "at most"),
    annotated_types.Lt: ("lt", "below"),
    annotated_types.MinLen: ("min_length", "length at least"),
    annotated_types.MaxLen: ("max_length", "length at most"),
}

_KINDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    NoneType: "nothing",
}


def settings_page() -> str:
    """Return docs/settings.md as it should be: a table for each room."""
    return "\n".join([_HEAD, *(line for room in _rooms() for line in room)])


def _rooms() -> Iterator[list[str]]:
    for room, field in Settings.model_fields.items():
        settings = field.default
        assert isinstance(settings, BaseModel), f"the room {room} is {settings!r}"
        yield [
            f"## `{room}`",
            "",
            _sentence(settings.__doc__),
            "",
            "| variable | default | values | meaning |",
            "|---|---|---|---|",
            *(_row(room, name, inner) for name, inner in type(settings).model_fields.items()),
            "",
        ]


def _row(room: str, name: str, field: FieldInfo) -> str:
    variable = f"TCLIF_{room}__{name}".upper()
    cells = (f"`{variable}`", _default(field), _values(field), _sentence(field.description))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, tuple | bool):
        return f"`{json.dumps(value)}`"
    if isinstance(value, int) and value >= 1 << 20 and value % (1 << 20) == 0:
        return f"`{value}` ({value >> 20} Mi)"
    return f"`{value}`"


def _values(field: FieldInfo) -> str:
    bounds = [
        f"{word} {getattr(bound, name)}"
        for bound in field.metadata
        for name, word in [_BOUNDS.get(type(bound), (None, None))]
        if name is not None
    ]
    return ", ".join([_kind(field.annotation), *bounds])


def _kind(annotation: Any) -> str:  # noqa: ANN401 - whatever stands behind the field's colon
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _kind(inner[0])
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_kind(choice) for choice in inner if choice is not NoneType)
    if get_origin(annotation) is tuple:
        return f"list of {_kind(inner[0])}"
    return _KINDS[annotation]


def _sentence(text: str | None) -> str:
    assert text, "a setting without a sentence under it"
    return " ".join(text.replace("``", "`").split())


def main() -> int:
    """Write the page."""
    PAGE.write_text(settings_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
