"""Which tokens are honoured, before and after the file changes."""

import base64
import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.principals import LOCAL, Principal, Role
from service.access.token_book import TokenBook
from service.access.token_file import TokenEntry, TokensUnreadable, new_token, write_tokens
from service.errors import Unauthorized

MADE = datetime(2026, 1, 2, tzinfo=UTC)


class Keys:
    """A file with the tokens of Alice, who is an administrator, and of Bob."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tokens.json"
        self.alice, alice_entry = new_token("alice", Role.ADMINISTRATOR, MADE)
        self.bob, bob_entry = new_token("bob", Role.CLIENT, MADE)
        self.entries: tuple[TokenEntry, ...] = (alice_entry, bob_entry)
        write_tokens(self.path, self.entries)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_a_token_tells_who_comes_and_what_they_may(keys: Keys) -> None:
    book = TokenBook(keys.path)

    alice, bob = book.recognise(keys.alice), book.recognise(keys.bob)

    assert alice == Principal("alice", Role.ADMINISTRATOR, keys.entries[0].id)
    assert bob == Principal("bob", Role.CLIENT, keys.entries[1].id)


def test_nothing_but_a_whole_token_lets_anybody_in(keys: Keys) -> None:
    book, token = TokenBook(keys.path), keys.alice

    near = ["", token[:-1], token + "A", token.swapcase(), " " + token, keys.entries[0].sha256]
    strange = ["ä", "\ud800", "A" * 513, "A" * 10**6, "\0"]

    assert [book.recognise(text) for text in near + strange] == [None] * 11
    assert [book.recognise_encoded(text) for text in near + strange] == [None] * 11


def test_a_token_in_a_subprotocol_is_in_base64url_or_as_it_is(keys: Keys) -> None:
    book = TokenBook(keys.path)
    encoded = base64.urlsafe_b64encode(keys.bob.encode()).decode()

    spellings = [encoded, encoded.rstrip("="), keys.bob]

    assert {book.recognise_encoded(text) for text in spellings} == {book.recognise(keys.bob)}
    # a header is not encoded
    assert book.recognise(encoded) is None


def test_every_hash_is_compared_in_constant_time(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = TokenBook(keys.path)
    compared: list[str] = []
    compare = hmac.compare_digest

    def note(one: str, other: str) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", note)
    book.recognise(keys.alice)

    # the first one matches, and the second is compared all the same
    assert compared == [entry.sha256 for entry in keys.entries]


def test_a_revoked_token_is_not_honoured_after_the_next_look(keys: Keys) -> None:
    book = TokenBook(keys.path)
    alice, bob = book.recognise(keys.alice), book.recognise(keys.bob)
    assert alice
    assert bob
    write_tokens(keys.path, keys.entries[1:])
    assert book.honours(alice)

    book.reload()

    assert not book.honours(alice)
    assert book.recognise(keys.alice) is None
    with pytest.raises(Unauthorized, match="revoked"):
        book.check(alice)
    book.check(bob)


def test_a_token_whose_role_changed_must_come_again(keys: Keys) -> None:
    book = TokenBook(keys.path)
    alice = book.recognise(keys.alice)
    assert alice
    demoted = keys.entries[0].model_copy(update={"role": Role.CLIENT})
    write_tokens(keys.path, (demoted,))

    book.reload()

    assert not book.honours(alice)


def test_a_file_that_broke_leaves_the_tokens_as_they_were(keys: Keys) -> None:
    book = TokenBook(keys.path)
    keys.path.write_text("{")

    with pytest.raises(TokensUnreadable):
        book.reload()

    assert book.recognise(keys.bob) is not None
    assert len(book) == 2


def test_without_a_file_everybody_is_local_and_no_token_is_known() -> None:
    book = TokenBook(None)

    assert not book.is_configured
    assert book.honours(LOCAL)
    assert book.recognise("anything") is None


def test_a_file_without_tokens_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    write_tokens(path, ())

    book = TokenBook(path)

    assert book.is_configured
    assert not book.honours(LOCAL)
