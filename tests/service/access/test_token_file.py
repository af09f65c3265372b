"""The file of tokens: what it keeps, what it refuses to be."""

import hashlib
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.access.principals import Role
from service.access.token_file import TokensUnreadable, new_token, read_tokens, write_tokens

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_token_is_256_bits_and_only_its_hash_is_kept() -> None:
    token, entry = new_token("kitchen", Role.CLIENT, MADE)

    # 32 bytes in base64url without padding: ceil(32 * 8 / 6) letters
    assert len(token) == 43
    assert entry.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert entry.id == entry.sha256[:12]
    assert token not in entry.model_dump_json()


def test_no_two_tokens_are_the_same() -> None:
    assert len({new_token("kitchen", Role.CLIENT, MADE)[0] for _ in range(100)}) == 100


@pytest.mark.parametrize("name", ["", "a b", "../etc", "ä", "x" * 65, "a\n"])
def test_a_principal_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError):
        new_token(name, Role.CLIENT, MADE)


def test_what_is_written_is_read_again_and_only_the_owner_may(tmp_path: Path) -> None:
    entries = tuple(new_token(name, Role.CLIENT, MADE)[1] for name in ("a", "b"))
    path = tmp_path / "tokens.json"

    write_tokens(path, entries)

    assert read_tokens(path) == entries
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(TokensUnreadable, match=r"tokens\.json' came and can't be read"):
        read_tokens(tmp_path / "tokens.json")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "sesame-open-now",
        '{"version": 2, "tokens": []}',
        '{"version": 1, "tokens": [{"id": "sesame-open-now"}]}',
        '{"version": 1, "tokens": [], "sesame-open-now": 1}',
    ],
)
def test_another_file_is_refused_without_quoting_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)

    with pytest.raises(TokensUnreadable) as refused:
        read_tokens(path)

    assert "sesame" not in str(refused.value)
    assert refused.value.__cause__ is None
