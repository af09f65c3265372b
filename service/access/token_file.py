"""The file of tokens: who may come, by the hashes of what they show.

A token is 256 random bits, so one round of SHA-256 hides it for good: a slow hash protects secrets
that can be guessed, and these can't. The file holds no secret; whoever can write it can let anybody
in.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.access.principals import Role

PRINCIPAL_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"
"""What a principal may be called."""

_STRICT = ConfigDict(frozen=True, extra="forbid")


class TokensUnreadable(Exception):
    """The file of tokens is not there or not what it should be; its message never quotes it."""


class TokenEntry(BaseModel):
    """One token as the file knows it."""

    model_config = _STRICT

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    """The first twelve digits of the hash: what lists and logs call the token."""

    principal: Annotated[str, Field(pattern=PRINCIPAL_PATTERN)]
    """Who comes with it."""

    role: Role
    """What it lets its bearer do."""

    created: datetime
    """When it was made."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the token's letters, hexadecimal."""


class _TokenFile(BaseModel):
    model_config = _STRICT

    version: Literal[1] = 1
    tokens: tuple[TokenEntry, ...] = ()


def new_token(principal: str, role: Role, created: datetime) -> tuple[str, TokenEntry]:
    """Make a token; return its letters, which are kept nowhere, and what the file keeps of it.

    Raises:
        ValidationError: The principal's name is none.
    """
    token = secrets.token_urlsafe(32)
    sha256 = token_hash(token)
    return token, TokenEntry(
        id=sha256[:12], principal=principal, role=role, created=created, sha256=sha256
    )


def token_hash(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_tokens(path: Path) -> tuple[TokenEntry, ...]:
    """Read the file.

    Raises:
        TokensUnreadable: It can't be read, or is no such file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TokensUnreadable(
            f"tokens file {str(path)!r} came and can't be read ({error.strerror}); expected one"
            " that `tclif-admin token new` made"
        ) from None
    try:
        return _TokenFile.model_validate_json(content).tokens
    except ValidationError as error:
        raise TokensUnreadable(f"tokens file {str(path)!r}: {_faults(error)}") from None


def _faults(error: ValidationError) -> str:
    """Say what is wrong with a file, without a word of it: somebody may have put a token there."""
    told: list[str] = []
    for fault in error.errors(include_input=False, include_url=False):
        # where a field is too much, the last part of the place is what came
        place = fault["loc"][: -1 if fault["type"] == "extra_forbidden" else None]
        told.append(f"{'.'.join(str(part) for part in place) or 'file'}: {fault['msg']}")
    return "; ".join(told)


def write_tokens(path: Path, entries: tuple[TokenEntry, ...]) -> None:
    """Replace the file as a whole; only its owner may read it."""
    content = _TokenFile(tokens=entries).model_dump_json(indent=1).encode()
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    # a revoked token must not come back with the power: the folder keeps the file's name
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def tokens_locked(path: Path) -> Iterator[None]:
    """Hold the file against others who would change it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
