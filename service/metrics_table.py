"""``python -m service.metrics_table``: docs/metrics.md, written from the server's registry."""

import asyncio
import sys
import time
from pathlib import Path

from prometheus_client.metrics_core import Metric

from service.access.token_book import TokenBook
from service.access.traffic_quota import TrafficQuota
from service.application import Service
from service.settings import Settings
from service.storage.data_lock import DataFolder, Lease
from service.storage.storage import Storage

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
"""Where the page lies in a checkout."""

_HEAD = """\
# Metrics

Made by `make metrics` from the server's registry; edit the code, not this page.

What `GET /metrics` tells, in Prometheus' text format.

A counter's series ends in `_total` and only rises; a histogram has `_bucket`, `_sum` and `_count`.
A distribution over sessions has the shape of a histogram, but it tells what is now: its series end
in `_bucket`, `_gsum` and `_gcount`, and take no `rate()`:

    histogram_quantile(0.5, tclif_session_accuracy_bucket)

Counters and histograms of the server have a further series each, ending in `_created`: when
counting began.

Series of single sessions, `tclif_single_…`, exist for the `telemetry.single_sessions` most recently
active ones (50 by default, 0 turns them off) and carry `principal` and `session`; a session that
falls out of them, or is deleted, leaves none behind.
"""

_LABELS = {
    "tclif_build": "`version`, `python`, `numpy`, `torch`",
    "tclif_connections_closed": "`code`: the close code, `lost` if the peer left without one",
    "tclif_device_memory_bytes": "`device`, `kind`: `allocated`, `reserved`",
    "tclif_dropped_events": "`reason`: `late`, `outside_segments`, `saturated`",
    "tclif_errors": "`code` of the wire protocol, `fatal`: `true`, `false`",
    "tclif_http_responses": "`status`",
    "tclif_predictions": "`final`: `true`, `false`",
    "tclif_segments_labelled": "`correct`: `true`, `false`",
    "tclif_sessions": "`state`: `attached`, `detached`, `quarantined`; `parked`: not in memory",
    "tclif_single_firing_rate": "`principal`, `session`, `layer`: from 0",
    "tclif_single_weight_change": "`principal`, `session`, `layer`: from 0, and `readout`",
}

_KINDS = {"gaugehistogram": "distribution"}
_SUFFIXES = {"counter": "_total", "info": "_info"}


def metrics_page() -> str:
    """Return docs/metrics.md as it should be: a table for each kind of subject."""
    families = sorted(asyncio.run(_families()), key=lambda family: family.name)
    single = [family for family in families if family.name.startswith("tclif_single_")]
    process = [family for family in families if not family.name.startswith("tclif_")]
    server = [family for family in families if family not in single and family not in process]
    tables = {"The server": server, "Single sessions": single, "The process": process}
    return "\n".join([_HEAD, *(_table(title, rows) for title, rows in tables.items())])


async def _families() -> list[Metric]:
    settings, loop = Settings(), asyncio.get_running_loop()
    traffic = TrafficQuota(settings.quota)
    storage = Storage("memory://metrics")
    data = DataFolder(storage, Lease(storage, 1.0, time.time, time.sleep))
    return Service(settings, TokenBook(None), traffic, data, loop).telemetry.families()


def _table(title: str, families: list[Metric]) -> str:
    rows = "".join(_row(family) for family in families)
    return f"## {title}\n\n| series | kind, labels | |\n|---|---|---|\n{rows}"


def _row(family: Metric) -> str:
    is_single = family.name.startswith("tclif_single_")
    labels = _LABELS.get(family.name, "`principal`, `session`" if is_single else "")
    kind = ", ".join(filter(None, (_KINDS.get(family.type, family.type), labels)))
    series = family.name + _SUFFIXES.get(family.type, "")
    return f"| `{series}` | {kind} | {family.documentation} |\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(metrics_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
