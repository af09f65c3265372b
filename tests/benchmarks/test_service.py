"""The search for the most sessions: which runs it makes, and what its table says."""

from typing import Any

import pytest

from benchmarks import service


def report(n_sessions: int, *, held: bool, admitted: int | None = None) -> dict[str, Any]:
    return {
        "sessions": {"asked": n_sessions, "admitted": n_sessions if admitted is None else admitted},
        "workload": {"segments_end": "spread evenly over the segment"},
        "lag_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0 if held else None, "max": None},
        "frames": {"missed": 0},
        "quality": {"accuracy": None},
        "server": {
            "resident_mib_per_session": 3.0,
            "network_mib_per_session": 2.19,
            "cpu_cores": 1.0,
        },
        "load_cores": 0.1,
        "broken": [] if held else ["p99 lag is unbounded, expected at most 50 ms"],
    }


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have a server hold what does not exceed the number in the list."""
    limits = [130]

    def run(host: str, n_sessions: int, seconds: float, *, is_synchronised: bool) -> dict[str, Any]:
        del host, seconds, is_synchronised
        return report(n_sessions, held=n_sessions <= limits[0])

    monkeypatch.setattr(service, "run", run)
    return limits


def tried(reports: list[dict[str, Any]]) -> list[int]:
    return [each["sessions"]["asked"] for each in reports]


@pytest.mark.usefixtures("limit")
def test_the_search_doubles_then_halves_to_a_tenth() -> None:
    # 50 and 100 hold, 200 does not; between 100 and 200 lies 150, then 125; then 137
    assert tried(service.search("host", 1.0, 250)) == [50, 100, 200, 150, 125, 137]


def test_the_search_ends_where_it_was_told_to(limit: list[int]) -> None:
    limit[0] = 1000

    assert tried(service.search("host", 1.0, 120)) == [50, 100, 120]


def test_the_search_goes_below_its_first_guess(limit: list[int]) -> None:
    limit[0] = 20

    assert tried(service.search("host", 1.0, 250)) == [50, 25, 12, 18, 21, 19, 20]


def test_a_refused_session_means_that_so_many_are_not_held() -> None:
    assert not service.holds(report(100, held=True, admitted=99))
    assert service.line(report(100, held=True, admitted=99)).endswith("| refused |")
    assert service.line(report(100, held=True)).endswith("| yes |")
