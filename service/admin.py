"""The command ``tclif-admin``: who may come in."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from service.principals import Role
from service.settings import Settings
from service.token_file import (
    TokensUnreadable,
    new_token,
    read_tokens,
    tokens_locked,
    write_tokens,
)

RELOAD_HINT = "a running server learns of it at SIGHUP: kill -HUP PID"


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        path = _tokens_file(options.tokens_file)
        match options.action:
            case "new":
                _make_token(path, options.name, Role(options.role))
            case "list":
                _list_tokens(path)
            case "revoke":
                _revoke_tokens(path, options.which)
    except (ValueError, OSError, TokensUnreadable) as error:
        sys.stderr.write(f"tclif-admin: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tclif-admin", description="Say who may use a tclif server."
    )
    subjects = parser.add_subparsers(dest="subject", required=True)
    tokens = subjects.add_parser("token", help="tokens of principals").add_subparsers(
        dest="action", required=True
    )
    new = tokens.add_parser("new", help="make a token and print it, once")
    new.add_argument("name", help="the principal: 1 to 64 of A-Z a-z 0-9 . _ -")
    new.add_argument(
        "--role",
        default=Role.CLIENT.value,
        choices=[role.value for role in Role],
        help="client: own sessions and models; administrator: also publishes models and reads"
        " metrics; metrics: nothing but metrics (default client)",
    )
    everything = tokens.add_parser("list", help="show whose tokens there are")
    revoke = tokens.add_parser("revoke", help="take tokens away")
    revoke.add_argument("which", help="a token's id, or a principal's name: all of its tokens")
    for action in (new, everything, revoke):
        action.add_argument(
            "--tokens-file", type=Path, help="the file (default: TCLIF_ACCESS__TOKENS_FILE)"
        )
    return parser


def _tokens_file(asked: Path | None) -> Path:
    path = asked or Settings().access.tokens_file
    if path is None:
        raise ValueError(
            "no file of tokens is named; expected --tokens-file or TCLIF_ACCESS__TOKENS_FILE"
        )
    return path


def _make_token(path: Path, name: str, role: Role) -> None:
    try:
        token, entry = new_token(name, role, datetime.now(UTC).replace(microsecond=0))
    except ValidationError:
        raise ValueError(f"name {name!r} came; expected 1 to 64 of A-Z a-z 0-9 . _ -") from None
    with tokens_locked(path):
        entries = read_tokens(path) if path.exists() else ()
        write_tokens(path, (*entries, entry))
    # the only line on standard output, so that a script can keep it
    sys.stdout.write(f"{token}\n")
    sys.stderr.write(
        f"token {entry.id} of {name} ({role}) is in {path}; it is shown this once.\n{RELOAD_HINT}\n"
    )


def _list_tokens(path: Path) -> None:
    for entry in read_tokens(path):
        sys.stdout.write(
            f"{entry.id}  {entry.created.isoformat()}  {entry.role:13}  {entry.principal}\n"
        )


def _revoke_tokens(path: Path, which: str) -> None:
    with tokens_locked(path):
        entries = read_tokens(path)
        gone = [entry for entry in entries if entry.id == which] or [
            entry for entry in entries if entry.principal == which
        ]
        if not gone:
            raise ValueError(
                f"{which!r} came; expected an id or a name of `tclif-admin token list`"
            )
        write_tokens(path, tuple(entry for entry in entries if entry not in gone))
    for entry in gone:
        sys.stdout.write(f"{entry.id}  {entry.principal}\n")
    sys.stderr.write(f"{RELOAD_HINT}\n")


if __name__ == "__main__":
    sys.exit(main())
