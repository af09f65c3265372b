"""The command: what it is told, what it refuses, and how it builds the server."""

from pathlib import Path

import pytest
import uvicorn

from service import __main__
from service.__main__ import DrainingServer, build_server, main
from service.access.token_file import write_tokens
from service.settings import ListenerSettings, Settings, SocketSettings, StorageSettings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[uvicorn.Config]:
    """Note what would be served instead of serving it."""
    monkeypatch.setenv("TCLIF_STORAGE__URL", str(tmp_path / "data"))
    configs: list[uvicorn.Config] = []

    def note(server: DrainingServer) -> None:
        configs.append(server.config)

    monkeypatch.setattr(__main__.DrainingServer, "run", note)
    # the test's own log must not be set up anew
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    return configs


def test_without_arguments_it_listens_on_loopback(served: list[uvicorn.Config]) -> None:
    assert main([]) == 0

    [config] = served
    assert (config.host, config.port) == ("127.0.0.1", 8700)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_arguments_come_before_the_environment(
    served: list[uvicorn.Config], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("TCLIF_LISTENER__PORT", "1111")
    monkeypatch.setenv("TCLIF_LISTENER__HOST", "127.0.0.9")

    assert main(["--host", host, "--port", "0"]) == 0

    assert (served[0].host, served[0].port) == (host, 0)


def test_the_environment_comes_before_the_defaults(
    served: list[uvicorn.Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCLIF_LISTENER__PORT", "1111")

    assert main(["--log-level", "warning"]) == 0

    assert served[0].port == 1111


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])  # noqa: S104
def test_it_listens_nowhere_but_on_this_machine(
    served: list[uvicorn.Config], capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert main(["--host", host]) == 2

    assert served == []
    assert f"host {host!r} came without tokens; expected a loopback" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "example.org"])  # noqa: S104
def test_with_tokens_it_listens_anywhere(
    served: list[uvicorn.Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    write_tokens(tmp_path / "tokens.json", ())
    monkeypatch.setenv("TCLIF_ACCESS__TOKENS_FILE", str(tmp_path / "tokens.json"))

    assert main(["--host", host]) == 0

    assert served[0].host == host


def test_the_data_folder_is_told_by_an_argument_and_one_server_s_own(
    served: list[uvicorn.Config], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "other"

    assert main(["--data", str(folder)]) == 0
    assert folder.is_dir()
    # the first one, which only seemed to end, still holds it
    assert main(["--data", str(folder)]) == 2

    assert len(served) == 1
    assert f"data folder '{folder}' came, which process" in capsys.readouterr().err


def test_a_data_folder_that_nothing_serves_is_refused(
    served: list[uvicorn.Config], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", "nosuch://place"]) == 2

    assert served == []
    assert "tclif-serve: can't open 'nosuch://place'" in capsys.readouterr().err


def test_without_the_file_of_tokens_that_is_named_it_does_not_start(
    served: list[uvicorn.Config],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TCLIF_ACCESS__TOKENS_FILE", str(tmp_path / "tokens.json"))

    assert main([]) == 2

    assert served == []
    assert "tokens.json' came and can't be read" in capsys.readouterr().err


def test_a_certificate_needs_its_key(
    served: list[uvicorn.Config],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TCLIF_LISTENER__CERTIFICATE_FILE", str(tmp_path / "c.pem"))
    assert main([]) == 2
    assert "one of certificate_file and key_file came" in capsys.readouterr().err

    monkeypatch.setenv("TCLIF_LISTENER__KEY_FILE", str(tmp_path / "k.pem"))
    assert main([]) == 2
    assert "expected two PEM files that belong together" in capsys.readouterr().err

    assert served == []


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--port", "-1"]])
def test_a_port_that_is_none_is_refused(
    served: list[uvicorn.Config], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2

    assert served == []
    assert "port" in capsys.readouterr().err


def test_a_setting_that_is_none_is_refused(
    served: list[uvicorn.Config],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TCLIF_ENGINE__KERNAL", "cpu")

    assert main([]) == 2

    assert served == []
    assert "kernal" in capsys.readouterr().err.lower()


def test_an_unknown_argument_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--prot", "1"])

    assert refused.value.code == 2
    assert "tclif-serve" in capsys.readouterr().err


def test_the_server_is_built_as_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(
        storage=StorageSettings(url=str(tmp_path)),
        listener=ListenerSettings(host="::1", port=5),
        socket=SocketSettings(max_message_bytes=4096, ping_interval_s=3),
    )

    config = build_server(settings, log_level="warning").config

    assert (config.host, config.port) == ("::1", 5)
    # a message just beyond the limit is read, so that it can be answered
    assert config.ws_max_size > settings.socket.max_message_bytes
    assert config.ws_ping_interval == 3
    # a peer that does not answer pings is let go
    assert config.ws_ping_timeout
    assert config.ws_per_message_deflate is False
