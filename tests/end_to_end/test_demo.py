"""The demo as a person starts it: a server process of its own, a replay, a summary line."""

import re

import pytest

from clients import demo
from clients.local_server import ServerFailed, local_server

SUMMARY = re.compile(
    r"^accuracy=\d\.\d{3} segments=(\d+) ticks=\d+ ticks_per_s=\d+ lag_p99_ms=\d+\.\d$",
    re.MULTILINE,
)


def test_demo_ends_by_itself_with_the_summary_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("espeakng_loader", reason="speech needs the extra 'clients'")
    monkeypatch.setattr(demo, "SOURCE", "digits:english?n=12&voices=2")
    monkeypatch.setattr(demo, "SPEED", "max")

    code = demo.main()

    said = capsys.readouterr().out
    assert code == 0, said
    assert [found[1] for found in SUMMARY.finditer(said)] == ["12"]


def test_local_server_says_why_it_did_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLIF_ENGINE__KERNEL", "abacus")

    with pytest.raises(ServerFailed, match="abacus"), local_server():
        pass
