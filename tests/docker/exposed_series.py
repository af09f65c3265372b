"""The series that a server can expose, by name."""

import asyncio
import time

from prometheus_client.metrics_core import Metric

from service.access.token_book import TokenBook
from service.access.traffic_quota import TrafficQuota
from service.application import Service
from service.settings import Settings
from service.storage.data_lock import DataFolder, Lease
from service.storage.storage import Storage

_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
    "gauge": ("",),
}


def exposed_series() -> set[str]:
    """Return the names of all series in the registry of a server that does not run."""

    async def families() -> list[Metric]:
        settings, loop = Settings(), asyncio.get_running_loop()
        traffic = TrafficQuota(settings.quota)
        storage = Storage("memory://series")
        data = DataFolder(storage, Lease(storage, 1.0, time.time, time.sleep))
        return Service(settings, TokenBook(None), traffic, data, loop).telemetry.families()

    return {
        family.name + suffix
        for family in asyncio.run(families())
        for suffix in _SUFFIXES[family.type]
    }
