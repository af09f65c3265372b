"""The command of administrators: tokens made, listed and revoked; models published."""

from pathlib import Path

import pytest

from service.access.principals import Principal, Role
from service.access.token_book import TokenBook
from service.access.token_file import read_tokens
from service.admin import main
from service.settings import QuotaSettings
from service.storage.model_store import EVERYBODY, ModelStore
from service.storage.storage import Storage
from tclif_core import write_model
from tests.service.small_models import small_model


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "etc" / "tokens.json"
    monkeypatch.setenv("TCLIF_ACCESS__TOKENS_FILE", str(path))
    return path


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Make a token and return the only line of standard output."""
    assert main(["token", "new", *arguments]) == 0
    [token] = capsys.readouterr().out.splitlines()
    return token


def test_a_new_token_lets_its_principal_in(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = made(capsys, "kitchen")

    entry = read_tokens(path)[0]
    assert TokenBook(path).recognise(token) == Principal("kitchen", Role.CLIENT, entry.id)
    assert token not in path.read_text()


def test_a_role_can_be_given(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(capsys, "root", "--role", "administrator")
    made(capsys, "prometheus", "--role", "metrics")

    assert [entry.role for entry in read_tokens(path)] == [Role.ADMINISTRATOR, Role.METRICS]


def test_the_file_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(capsys, "kitchen", "--tokens-file", str(tmp_path / "t.json"))

    assert len(read_tokens(tmp_path / "t.json")) == 1


def test_the_list_shows_everything_but_secrets(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = [made(capsys, name) for name in ("a", "b")]

    assert main(["token", "list"]) == 0

    told = capsys.readouterr().out
    assert [line.split()[-1] for line in told.splitlines()] == ["a", "b"]
    assert all(entry.id in told and entry.sha256 not in told for entry in read_tokens(path))
    assert not any(token in told for token in tokens)


def test_a_principal_loses_one_token_or_all(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "a", "a", "b"):
        made(capsys, name)
    first, *others = read_tokens(path)

    assert main(["token", "revoke", first.id]) == 0
    assert list(read_tokens(path)) == others
    assert main(["token", "revoke", "a"]) == 0

    assert [entry.principal for entry in read_tokens(path)] == ["b"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["token", "new", "a b"], "name 'a b' came; expected 1 to 64 of"),
        (["token", "revoke", "nobody"], "'nobody' came; expected an id or a name"),
    ],
)
def test_what_cant_be_done_is_told(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    made(capsys, "a")
    before = path.read_bytes()

    assert main(arguments) == 2

    assert sentence in capsys.readouterr().err
    assert path.read_bytes() == before


def test_without_a_file_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "list"]) == 2

    assert "expected --tokens-file or TCLIF_ACCESS__TOKENS_FILE" in capsys.readouterr().err


# --- models


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TCLIF_STORAGE__URL", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_model_file_is_published_as_the_next_version(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (1, 2):
        write_model(tmp_path / "digits.safetensors", small_model(seed))
        file = str(tmp_path / "digits.safetensors")
        assert main(["model", "add", file, "--name", "digits"]) == 0

    assert capsys.readouterr().out.splitlines() == ["digits  1", "digits  2"]
    stored = ModelStore(Storage(str(data)), QuotaSettings()).newest("anybody", "digits")
    assert stored.version == (EVERYBODY, "digits", 2)
    assert stored.model.provenance["seed"] == 2


def test_published_models_are_listed_with_their_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "elsewhere")
    store = ModelStore(Storage(place), QuotaSettings())
    store.add(EVERYBODY, "digits", small_model())
    store.add("alice", "secret", small_model())

    assert main(["model", "list", "--data", place]) == 0

    assert capsys.readouterr().out.splitlines() == ["digits  1  5-4-3-3"]


def test_models_are_removed_by_name_and_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "elsewhere")
    store = ModelStore(Storage(place), QuotaSettings())
    for owner in (EVERYBODY, "alice", "alice"):
        store.add(owner, "digits", small_model())

    remove = ["model", "remove", "digits", "--data", place]
    assert main([*remove, "--owner", "alice", "--version", "1"]) == 0
    assert main([*remove, "--version", "7"]) == 2
    assert main(["model", "list", "--owner", "alice", "--data", place]) == 0
    assert main(remove) == 0

    told = capsys.readouterr()
    assert told.out.splitlines() == ["digits  1", "digits  2  5-4-3-3", "digits  1"]
    assert "model 'digits' version 7 came; expected" in told.err
    assert [known.version for known in store.visible("alice")] == [("alice", "digits", 2)]


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 129])
def test_a_model_needs_a_name_that_an_open_can_say(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write_model(tmp_path / "m", small_model())

    assert main(["model", "add", str(tmp_path / "m"), "--name", name]) == 2

    assert f"name {name!r} came; expected 1 to 128" in capsys.readouterr().err
    assert not (data / "models").exists()


def test_a_file_that_is_no_model_is_not_published(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m").write_bytes(b"PK\x03\x04 no model")

    assert main(["model", "add", str(tmp_path / "m"), "--name", "m"]) == 2

    assert f"tclif-admin: {tmp_path / 'm'}: " in capsys.readouterr().err
    assert not (data / "models").exists()


def test_a_setting_that_is_none_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCLIF_QUOTA__MODELS", "0")

    assert main(["model", "list"]) == 2

    assert "quota.models: " in capsys.readouterr().err
