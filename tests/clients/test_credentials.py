"""A token reaches the server and nobody else."""

import logging
from pathlib import Path

import pytest

from clients.client_options import ClientOptions
from clients.credentials import (
    HideAuthorization,
    authorization,
    check_token,
    socket_logger,
    token_from_environment,
    token_from_file,
)

TOKEN = "kX3-_example.of~a+token/with=="  # noqa: S105 - of no server


def test_a_token_is_taken_from_a_file_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")

    assert token_from_file(path) == TOKEN


def test_a_token_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLIF_TOKEN", f" {TOKEN} ")

    assert token_from_environment() == TOKEN


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_there_is_no_token(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TCLIF_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("TCLIF_TOKEN", value)

    assert token_from_environment() is None


@pytest.mark.parametrize("wrong", ["", "two words", "line\nbreak", "umläut", "==", "a" * 5000])
def test_what_can_be_no_token_is_refused_without_repeating_it(wrong: str) -> None:
    with pytest.raises(ValueError, match="no token; one line of letters") as refused:
        check_token(wrong, "here")

    assert not wrong or wrong not in str(refused.value).removeprefix("here holds")


def test_a_file_that_is_no_text_holds_no_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(ValueError, match="is no text file"):
        token_from_file(path)


def test_options_do_not_show_their_token() -> None:
    options = ClientOptions(token=f"{TOKEN}\n")

    assert options.token == TOKEN
    assert TOKEN not in repr(options)
    with pytest.raises(ValueError, match="the token given"):
        ClientOptions(token="two words")  # noqa: S106 - of no server


def test_the_header_is_that_of_the_protocol() -> None:
    assert authorization(TOKEN) == {"Authorization": f"Bearer {TOKEN}"}
    assert authorization(None) == {}


def test_a_logged_header_has_its_value_hidden() -> None:
    said = []
    logger = socket_logger()
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        logger.debug("> %s: %s", "Authorization", f"Bearer {TOKEN}")
        logger.debug("> %s: %s", "Host", "localhost")
        logger.debug("= connection is %s", "OPEN")
        logger.debug("plain")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)

    assert said == [
        "> Authorization: (not logged)",
        "> Host: localhost",
        "= connection is OPEN",
        "plain",
    ]


def test_the_socket_logger_hides_once_however_often_it_is_asked_for() -> None:
    socket_logger()

    filters = socket_logger().filters
    assert [type(one) for one in filters] == [HideAuthorization]
