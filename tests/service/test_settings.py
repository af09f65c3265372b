"""Settings: defaults, the environment, and what is refused at the start."""

import pytest
from pydantic import ValidationError

from service.settings import EngineSettings, SessionSettings, Settings, SocketSettings


def test_defaults_are_those_the_protocol_states() -> None:
    settings = Settings()

    assert settings.listener.host == "127.0.0.1"
    assert settings.socket.open_timeout_s == 10
    # an ack within 50 ms of a change, and at least once a second
    assert settings.socket.ack_delay_ms <= 50
    assert settings.socket.ack_every_s <= 1
    assert settings.session.accuracy_window == 200


def test_the_environment_sets_one_value_and_leaves_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TCLIF_ENGINE__KERNEL", "reference")
    monkeypatch.setenv("TCLIF_SESSION__KEPT_TICKS", "77")

    settings = Settings()

    assert settings.engine == EngineSettings(kernel="reference")
    assert settings.session == SessionSettings(kept_ticks=77)
    assert settings.socket == SocketSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TCLIF_ENGINE__KERNAL", "cpu"),
        ("TCLIF_ENGIN__KERNEL", "cpu"),
        ("TCLIF_KERNEL", "cpu"),
        ("TCLIF_ENGINE__BATCH_ROWS", "0"),
        ("TCLIF_SOCKET__ACK_DELAY_MS", "51"),
        ("TCLIF_SOCKET__ACK_EVERY_S", "1.5"),
        ("TCLIF_SOCKET__IDLE_S", "soon"),
        ("TCLIF_LISTENER__PORT", "65536"),
    ],
)
def test_unknown_names_and_illegal_values_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError):
        Settings()


def test_settings_are_frozen() -> None:
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.engine = EngineSettings()


def test_the_outbox_has_room_for_what_a_resumed_connection_is_told() -> None:
    # opened, an ack, and the last 64 finals and lessons
    with pytest.raises(ValidationError):
        SocketSettings(outbox_messages=2 + 64 - 1)
