"""What tells the recordings of an interrupted run from those that came to go on with it."""

from collections.abc import Mapping
from typing import Any

from clients.training.arguments import Arguments
from clients.training.recordings import Division

_WORDS = {
    "source": "the source",
    "training": "the number of recordings to learn",
    "validation": "the number of recordings to validate",
    "held_out": "what is held out",
    "seed": "the seed",
}


def described(arguments: Arguments, division: Division, seed: int) -> dict[str, Any]:
    """Describe recordings for `difference`, as plain JSON values.

    Args:
        arguments: Name the source.
        division: Who learns and who judges.
        seed: Of the training, which draws recordings too.
    """
    return {
        "source": arguments.source,
        "training": len(division.training),
        "validation": len(division.validation),
        "held_out": division.held_out,
        "seed": seed,
    }


def difference(held: Mapping[str, Any], came: Mapping[str, Any]) -> str:
    """Say in words how recordings differ whose digests do.

    Args:
        held: What `described` returned when training began; a field may be missing.
        came: The same for those that came.
    """
    said = [
        f"{words} was {held[name]} and is {came[name]} now"
        for name, words in _WORDS.items()
        if name in held and held[name] != came[name]
    ]
    differs = "; ".join(said) or "they are as many, but not the same ones or in another order"
    return f"--resume: the recordings are not those that training began with: {differs}"
