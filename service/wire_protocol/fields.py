"""The field types that several messages share: numbers, names and their bounds.

Types are strict: a JSON ``"1"``, ``1.0`` or ``true`` is not an integer. Bounds here are those of
*form*, which a message must keep to be read at all; whether a value makes sense to the session is
asked later, after the sequence number (`conversation`).
"""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

NUMBER_LIMIT: Final = 2**53
"""Sequence numbers, segment numbers and microseconds lie below it: exact in every JSON reader."""

MAX_MESSAGE_BYTES: Final = 2**20
"""Longest message that is decoded unless the caller says otherwise: about 131,000 events."""

MAX_LIST_ITEMS: Final = 10_000
"""Longest list in a client's message, and so most classes of a network."""


class WireForm(BaseModel):
    """A JSON object of the client's: frozen, strictly typed, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _not_dots_only(name: str) -> str:
    if not name.strip("."):
        raise ValueError("a name of dots only is not allowed")
    return name


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("names must differ from each other")
    return names


def _as_tuple(items: object) -> object:
    if not isinstance(items, list):
        return items
    # counted before each is looked at: half a million wrong ones would take a second to describe
    if len(items) > MAX_LIST_ITEMS:
        raise ValueError(f"a list of {len(items)} came, at most {MAX_LIST_ITEMS} are expected")
    return tuple(items)


Number = Annotated[int, Field(ge=0, lt=NUMBER_LIMIT)]
"""A counter or a time: 0 <= n < 2**53."""

StoredName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$"), AfterValidator(_not_dots_only)
]
"""Name of a session or a model."""

ClassName = Annotated[str, Field(min_length=1, max_length=128)]

JsonList = BeforeValidator(_as_tuple)
"""Lets a tuple be read from a JSON list; its elements stay strict."""

ClassNames = Annotated[
    tuple[ClassName, ...], JsonList, Field(min_length=1), AfterValidator(_unique)
]
