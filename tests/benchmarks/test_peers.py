"""Peers are other people's code: absent or broken ones are named, and ratios are of medians."""

import io
import sys
from typing import Self

import pytest

from benchmarks import peer_runs, peers


class _Scripted:
    """A peer that says what it was told to."""

    def __init__(self, _: str, name: str, n_sessions: int) -> None:
        self.absent = "No module named 'snntorch'" if name == "snnTorch" else None
        self.versions = None if self.absent else "1.0"
        self._times = iter([9.0, 1.0, 2.0] if name == "ours" else [n_sessions * 3.0] * 3)

    def round(self) -> float:
        return next(self._times)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def test_ratios_are_of_medians_and_absent_peers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_peer", _Scripted)

    lines = {line["peer"]: line for line in peers.measure("python", (1,), 3)}

    # the median of ours is 2
    assert lines["torch eager"]["times_ours"] == 1.5
    assert lines["torch eager"]["wanted"] == 20.0
    assert lines["snnTorch"]["microseconds"] is None
    rows = peers.table(list(lines.values()))
    assert "| snnTorch | 1 | absent: No module named 'snntorch' | | | |" in rows
    assert "| ours | 1 | 2.0 (1.0 to 9.0) | 500,000 | 1.0 |  |" in rows


def test_one_session_takes_no_turns_and_every_peer_says_what_differs() -> None:
    assert not [name for name in peers.names(1) if name.endswith("in turn")]
    assert peers.names(64) == list(peer_runs.PEERS) == list(peers.DIFFERENCES)
    assert {name for name, _ in peers.WANTED} <= set(peer_runs.PEERS)


def _serve(monkeypatch: pytest.MonkeyPatch, peer: object) -> None:
    monkeypatch.setattr(peer_runs, "PEERS", {"toy": peer})
    # the tests' own process keeps its cores
    monkeypatch.setattr(peer_runs, "keep_to_one_core", lambda: None)
    monkeypatch.setattr(sys, "argv", ["peer_runs", "toy", "2"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n"))
    assert peer_runs.main() == 0


@pytest.mark.parametrize(
    "error", [ImportError("No module named 'toy'"), RuntimeError("no kernel\nfor this")]
)
def test_a_peer_that_cant_begin_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def broken(_: int) -> peer_runs.Round:
        raise error

    _serve(monkeypatch, broken)

    assert capsys.readouterr().out == f"absent: {str(error).splitlines()[0]}\n"


def test_a_peer_is_warm_before_it_is_ready_and_learns_segments_for_each_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    n_rounds = 0

    def learn() -> None:
        nonlocal n_rounds
        n_rounds += 1

    _serve(monkeypatch, lambda _: learn)

    greeting, *times = capsys.readouterr().out.splitlines()
    assert greeting.startswith("ready: torch 2")
    assert len([float(time) for time in times]) == 2
    # once to be warm; twice as many as 1000 session-ticks take, of 100 ticks and 2 sessions each
    assert n_rounds == 1 + 2 * 5


def test_input_is_dense_with_other_channels_in_each_tick_and_session() -> None:
    x = peer_runs.inputs(2)

    assert x.shape == (100, 2, 700)
    assert (x.sum(axis=2) == 45).all()
    assert (x[0, 0] != x[0, 1]).any()
    assert (x[0, 0] != x[1, 0]).any()


def test_our_runner_learns(capsys: pytest.CaptureFixture[str]) -> None:
    peer_runs.PEERS["ours, 20 ticks a call"](2)()

    assert capsys.readouterr().err == ""
