"""The options behind the question mark of a source: ``name?option=value&option=value``."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl

T = TypeVar("T")


class SourceOptions:
    """Options of one source, each taken once."""

    def __init__(self, name: str, query: str) -> None:
        """Split them.

        Args:
            name: Of the source, for messages.
            query: What stands behind its question mark.

        Raises:
            ValueError: It is no list of options.
        """
        self._name = name
        self._given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        self._taken: list[str] = []

    def take(self, option: str, parse: Callable[[str], T], default: T) -> T:
        """Read an option, or take its default.

        Raises:
            ValueError: It can't have that value.
        """
        self._taken.append(option)
        text = self._given.pop(option, None)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f"{self._name}: {option} can't be {text!r}: {error}") from error

    def refuse_others(self) -> None:
        """Refuse what was given and not taken.

        Raises:
            ValueError: There is some; the message lists what is known.
        """
        if self._given:
            raise ValueError(
                f"{self._name} has no option {', '.join(self._given)}; "
                f"known are {', '.join(self._taken)}"
            )
