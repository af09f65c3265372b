"""The dashboard's file: well formed, well laid out, and about what the server exposes."""

import re
from collections import Counter
from itertools import combinations

import pytest
import yaml

from tests.docker.dashboard import (
    DASHBOARD,
    GRAFANA,
    Panel,
    document,
    raw_panels,
    read_panels,
)
from tests.docker.exposed_series import exposed_series

COLUMNS = 24
OF_PROMETHEUS = {"up", "ALERTS"}
KINDS = {"row", "stat", "timeseries", "heatmap", "table"}


def provisioned(path: str) -> dict[str, object]:
    found = yaml.safe_load((GRAFANA / "provisioning" / path).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_groups_are_those_a_person_looks_for() -> None:
    rows = [panel["title"] for panel in raw_panels() if panel["type"] == "row"]

    assert rows == [
        "Overview",
        "Learning",
        "Latency",
        "Snapshots",
        "Connections and refusals",
        "Machine",
        "Single sessions",
    ]


@pytest.mark.parametrize("panel", read_panels(), ids=lambda panel: panel.title)
def test_a_panel_asks_for_series_that_the_server_exposes(panel: Panel) -> None:
    exposed = exposed_series() | OF_PROMETHEUS

    for query in panel.queries:
        asked = set(re.findall(r"\b(?:tclif|process|python)_\w+|\bup\b|\bALERTS\b", query[0]))
        assert asked, f"a query is about something: {query.expression}"
        assert asked <= exposed


def test_every_family_of_series_that_people_watch_is_on_the_dashboard() -> None:
    asked = " ".join(query.expression for panel in read_panels() for query in panel.queries)
    # told elsewhere, or of use to whoever asks for it
    left_out = {"tclif_build_info", "tclif_ready", "tclif_messages_applied_total"}
    left_out |= {"tclif_device_memory_bytes", "tclif_paced_seconds_total"}
    left_out |= {"tclif_single_events_total"}

    families = {re.sub(r"_(bucket|sum|count|gsum|gcount)$", "", s) for s in exposed_series()}
    watched = {family for family in families if family.startswith("tclif_")}
    assert {family for family in watched - left_out if family not in asked} == set()


def test_every_panel_has_an_id_of_its_own_a_title_and_a_meaning() -> None:
    panels = raw_panels()

    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["type"] == "row" or str(panel["description"]).endswith(".")
    titles = Counter((panel.row, panel.title) for panel in read_panels())
    assert set(titles.values()) == {1}


def test_panels_fill_the_width_and_never_overlap() -> None:
    cells = []
    for panel in raw_panels():
        grid = panel["gridPos"]
        assert isinstance(grid, dict)
        x, y, w, h = (grid[name] for name in "xywh")
        assert 0 <= x < x + w <= COLUMNS
        cells.append({(column, line) for column in range(x, x + w) for line in range(y, y + h)})

    for one, other in combinations(cells, 2):
        assert not one & other
    covered = set().union(*cells)
    assert len(covered) == COLUMNS * (1 + max(line for _, line in covered)), "no holes"


def test_every_query_goes_to_the_provisioned_source() -> None:
    sources = provisioned("datasources/prometheus.yml")["datasources"]
    assert isinstance(sources, list)
    expected = {"type": sources[0]["type"], "uid": sources[0]["uid"]}

    for panel in raw_panels():
        if panel["type"] != "row":
            targets = panel["targets"]
            assert isinstance(targets, list)
            assert [panel["datasource"]] + [t["datasource"] for t in targets] == [expected] * (
                1 + len(targets)
            )
            assert len({target["refId"] for target in targets}) == len(targets)


def test_the_dashboard_lies_where_it_is_looked_for_and_has_a_fixed_address() -> None:
    providers = provisioned("dashboards/tclif.yml")["providers"]

    assert isinstance(providers, list)
    assert providers[0]["options"]["path"] == f"/etc/grafana/{DASHBOARD.parent.name}"
    assert (document()["uid"], document()["id"]) == ("tclif", None)
