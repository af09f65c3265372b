"""The dashboard as data: its panels and what each of them asks Prometheus."""

import json
from pathlib import Path
from typing import NamedTuple

GRAFANA = Path(__file__).resolve().parents[2] / "docker" / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "tclif.json"

JsonObject = dict[str, object]

VARIABLES = {"$__rate_interval": "20s", "$principal": ".*", "$session": ".*"}
"""What Grafana puts in, as this project's dashboard uses it, for all sessions."""


class Query(NamedTuple):
    """What a panel asks.

    Attributes:
        expression: With Grafana's variables put in.
        legend: How a series is called, ``{{label}}`` standing for a label.
    """

    expression: str
    legend: str


class Panel(NamedTuple):
    """One picture of the dashboard.

    Attributes:
        title: What stands above it.
        kind: Grafana's name of its sort.
        row: The title of its group.
        unit: Grafana's name of its unit.
        queries: What it asks.
    """

    title: str
    kind: str
    row: str
    unit: str
    queries: tuple[Query, ...]


def document() -> JsonObject:
    """Read the dashboard's file."""
    dashboard: JsonObject = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return dashboard


def raw_panels() -> list[JsonObject]:
    """Return the panels as they are written, the heads of groups included."""
    panels = document()["panels"]
    assert isinstance(panels, list)
    return panels


def read_panels() -> list[Panel]:
    """Return the panels without the heads of groups."""
    row, panels = "", []
    for raw in raw_panels():
        title, kind = str(raw["title"]), str(raw["type"])
        if kind == "row":
            row = title
            continue
        config, targets = raw["fieldConfig"], raw["targets"]
        assert isinstance(config, dict)
        assert isinstance(targets, list)
        queries = tuple(Query(_filled(t["expr"]), t["legendFormat"]) for t in targets)
        panels.append(Panel(title, kind, row, config["defaults"].get("unit", "short"), queries))
    return panels


def _filled(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, f"a variable that is not known: {expression}"
    return expression
