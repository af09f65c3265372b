"""What the settings of every room have in common."""

from pydantic import ConfigDict

STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
"""Nothing unknown, nothing changed later; the sentence under a field is its meaning."""
