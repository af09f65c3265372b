"""Which tokens the server honours: read at the start, and again when it is told to."""

import base64
import binascii
import hmac
from pathlib import Path

from service.access.principals import LOCAL, Principal
from service.access.token_file import TokenEntry, read_tokens, token_hash
from service.errors import Unauthorized

LONGEST_TOKEN = 512
"""Letters of a token that are looked at; ours have 43."""


class TokenBook:
    """The tokens of the file, or none at all: then everybody is ``LOCAL``."""

    def __init__(self, path: Path | None) -> None:
        """Read the file.

        Raises:
            TokensUnreadable: There should be one, and it can't be read.
        """
        self._path = path
        self._entries: tuple[TokenEntry, ...] = ()
        self.reload()

    def __len__(self) -> int:
        """How many tokens are honoured."""
        return len(self._entries)

    @property
    def is_configured(self) -> bool:
        """Whether credentials are asked for."""
        return self._path is not None

    def reload(self) -> None:
        """Read the file again.

        Raises:
            TokensUnreadable: It can't be read; the tokens stay as they were.
        """
        if self._path is not None:
            self._entries = read_tokens(self._path)

    def recognise(self, token: str) -> Principal | None:
        """Return who comes with a token, or None if nobody does."""
        if not 0 < len(token) <= LONGEST_TOKEN or not token.isascii():
            return None
        shown = token_hash(token)
        found: TokenEntry | None = None
        # every entry is compared, and each in the same time: how long it takes tells nothing
        for entry in self._entries:
            if hmac.compare_digest(entry.sha256, shown):
                found = entry
        return None if found is None else Principal(found.principal, found.role, found.id)

    def recognise_encoded(self, text: str) -> Principal | None:
        """Return who comes with a token in base64url, as in a subprotocol.

        A token of ours consists of base64url's letters already, so it may also stand there as it
        is.
        """
        if not 0 < len(text) <= 2 * LONGEST_TOKEN or not text.isascii():
            return None
        try:
            token = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            token = ""
        return self.recognise(token) or self.recognise(text)

    def check(self, principal: Principal) -> None:
        """Refuse somebody who was let in and would not be any more.

        Raises:
            Unauthorized: The token that they came with is gone.
        """
        if not self.honours(principal):
            raise Unauthorized("the token was revoked; expected one that is honoured")

    def honours(self, principal: Principal) -> bool:
        """Tell whether somebody who was let in would still be."""
        if not self.is_configured:
            return principal == LOCAL
        return any(
            (entry.principal, entry.role, entry.id)
            == (principal.name, principal.role, principal.token_id)
            for entry in self._entries
        )
