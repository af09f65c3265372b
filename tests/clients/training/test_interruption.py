"""Signals as a wish to stop."""

import os
import signal

import pytest

from clients.training.interruption import Interruption


def test_the_first_signal_is_noted_and_the_second_ends_the_program() -> None:
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.received == signal.SIGINT
        assert interruption.exit_code == 130

        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_first_signal_is_acknowledged(capfd: pytest.CaptureFixture[str]) -> None:
    with Interruption():
        assert capfd.readouterr().err == ""
        os.kill(os.getpid(), signal.SIGINT)

        assert "noted, stopping in order; a second Ctrl-C ends" in capfd.readouterr().err


def test_a_signal_that_can_not_be_acknowledged_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> int:
        raise BrokenPipeError

    with Interruption() as interruption:
        monkeypatch.setattr(os, "write", closed)
        os.kill(os.getpid(), signal.SIGINT)

        assert interruption.received == signal.SIGINT


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    with Interruption() as interruption:
        pass

    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == before
    assert interruption.received is None
