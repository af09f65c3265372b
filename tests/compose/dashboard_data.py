"""Asks a Prometheus what every panel of the dashboard asks, as Grafana would."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from tests.docker.dashboard import Panel, Query, read_panels

STEP_S = 5
TIMEOUT_S = 30.0

Points = tuple[tuple[float, float], ...]
"""Unix time and value; what is not a number is left out."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a picture."""

    labels: dict[str, str]
    points: Points

    def named(self, legend: str) -> str:
        """Return what the legend calls it."""
        for label, value in self.labels.items():
            legend = legend.replace("{{" + label + "}}", value)
        return legend


def ask(prometheus: str, query: Query, *, start_s: float, end_s: float) -> list[Series]:
    """Return the series of a query over a stretch of time."""
    answer = httpx.get(
        f"{prometheus}/api/v1/query_range",
        params={
            "query": query.expression,
            "start": start_s,
            "end": end_s,
            "step": STEP_S,
        },
        timeout=TIMEOUT_S,
        trust_env=False,
    )
    body = answer.json()
    assert body["status"] == "success", f"{query.expression}: {body}"
    return [Series(found["metric"], _numbers(found["values"])) for found in body["data"]["result"]]


def without_data(prometheus: str, *, start_s: float, end_s: float) -> list[tuple[str, str]]:
    """Return the panels and queries that show nothing, or nothing but what is not a number."""
    return [
        (_place(panel), query.expression)
        for panel in read_panels()
        for query in panel.queries
        if not any(s.points for s in ask(prometheus, query, start_s=start_s, end_s=end_s))
    ]


def _place(panel: Panel) -> str:
    return f"{panel.row} / {panel.title}"


def _numbers(values: Sequence[Sequence[object]]) -> Points:
    pairs = ((float(str(time)), float(str(value))) for time, value in values)
    return tuple((time, value) for time, value in pairs if math.isfinite(value))
