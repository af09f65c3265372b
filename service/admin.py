"""The command ``tclif-admin``: who may come in, and from which models sessions may begin."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from service.access.principals import Role
from service.access.token_file import (
    TokensUnreadable,
    new_token,
    read_tokens,
    tokens_locked,
    write_tokens,
)
from service.errors import ServiceError
from service.settings import Settings
from service.storage.model_store import EVERYBODY, ModelStore
from service.storage.storage import Storage
from service.wire_protocol.fields import StoredName
from tclif_core import read_model

if TYPE_CHECKING:
    # the class is named by an underscore, and can't be written with its parameter at run time
    Subjects = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

RELOAD_HINT = "a running server learns of it at SIGHUP: kill -HUP PID"


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.do(options)
    except ValidationError as error:
        # of the settings: the command has checked what it was told
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        sys.stderr.write(f"tclif-admin: {'; '.join(faults)}\n")
        return 2
    except (ValueError, OSError, TokensUnreadable, ServiceError) as error:
        # a model file that can't be read is a ValueError too
        sys.stderr.write(f"tclif-admin: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tclif-admin",
        description="Say who may use a tclif server, and from which models its sessions may begin.",
    )
    subjects = parser.add_subparsers(dest="subject", required=True)
    _add_token_commands(subjects)
    _add_model_commands(subjects)
    return parser


def _add_model_commands(subjects: "Subjects") -> None:
    models = subjects.add_parser("model", help="models that sessions may begin from")
    actions = models.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="publish a model file, as tclif-train writes it")
    add.add_argument("file", type=Path, help="the model file")
    add.add_argument(
        "--name",
        required=True,
        help="what it is to be called; a name that is there gets a new version",
    )
    add.set_defaults(do=lambda options: _add_model(_models(options), options.file, options.name))
    everything = actions.add_parser("list", help="show which models there are")
    everything.set_defaults(do=lambda options: _list_models(_models(options), options.owner))
    remove = actions.add_parser("remove", help="delete an older version, or a whole model")
    remove.add_argument("name", help="what it is called")
    remove.add_argument("--version", type=int, help="which one (default: all)")
    remove.set_defaults(
        do=lambda options: _remove_model(
            _models(options), options.owner, options.name, options.version
        )
    )
    for action in (everything, remove):
        action.add_argument(
            "--owner", default=EVERYBODY, help="whose model (default: what is published)"
        )
    for action in (add, everything, remove):
        action.add_argument("--data", help="the data folder (default: TCLIF_STORAGE__URL)")


def _add_token_commands(subjects: "Subjects") -> None:
    tokens = subjects.add_parser("token", help="tokens of principals").add_subparsers(
        dest="action", required=True
    )
    new = tokens.add_parser("new", help="make a token and print it, once")
    new.set_defaults(
        do=lambda options: _make_token(_tokens_file(options), options.name, Role(options.role))
    )
    new.add_argument("name", help="the principal: 1 to 64 of A-Z a-z 0-9 . _ -")
    new.add_argument(
        "--role",
        default=Role.CLIENT.value,
        choices=[role.value for role in Role],
        help="client: own sessions and models; administrator: also publishes models and reads"
        " metrics; metrics: nothing but metrics (default client)",
    )
    everything = tokens.add_parser("list", help="show whose tokens there are")
    everything.set_defaults(do=lambda options: _list_tokens(_tokens_file(options)))
    revoke = tokens.add_parser("revoke", help="take tokens away")
    revoke.add_argument("which", help="a token's id, or a principal's name: all of its tokens")
    revoke.set_defaults(do=lambda options: _revoke_tokens(_tokens_file(options), options.which))
    for action in (new, everything, revoke):
        action.add_argument(
            "--tokens-file", type=Path, help="the file (default: TCLIF_ACCESS__TOKENS_FILE)"
        )


def _tokens_file(options: argparse.Namespace) -> Path:
    path: Path | None = options.tokens_file or Settings().access.tokens_file
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


def _models(options: argparse.Namespace) -> ModelStore:
    settings = Settings()
    return ModelStore(Storage(options.data or settings.storage.url), settings.quota)


def _add_model(models: ModelStore, file: Path, name: str) -> None:
    try:
        TypeAdapter(StoredName).validate_python(name)
    except ValidationError:
        raise ValueError(
            f"name {name!r} came; expected 1 to 128 of A-Z a-z 0-9 . _ -, not dots only"
        ) from None
    version = models.add(EVERYBODY, name, read_model(file))
    sys.stdout.write(f"{version.name}  {version.version}\n")


def _remove_model(models: ModelStore, owner: str, name: str, version: int | None) -> None:
    for gone in models.remove(owner, name, version):
        sys.stdout.write(f"{gone.name}  {gone.version}\n")


def _list_models(models: ModelStore, owner: str) -> None:
    for known in models.visible(owner):
        if known.version.owner != owner:
            continue
        network = known.document["network"]
        shape = "-".join(
            str(n) for n in (network["inputs"], *network["hidden"], network["classes"])
        )
        sys.stdout.write(f"{known.version.name}  {known.version.version}  {shape}\n")


if __name__ == "__main__":
    sys.exit(main())
