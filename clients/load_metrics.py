"""What the loaded server says of itself, from its metrics."""

import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from prometheus_client.parser import text_string_to_metric_families

from clients.connection_errors import ServerUnreachable
from clients.credentials import TOKEN_VARIABLE, authorization

_TIMEOUT_S = 30.0

Samples = dict[str, float]


def metrics_url(stream_url: str) -> str:
    """Return where a server has its metrics, if they have no port of their own."""
    parts = urlsplit(stream_url)
    scheme = {"ws": "http", "wss": "https"}[parts.scheme]
    return urlunsplit((scheme, parts.netloc, "/metrics", "", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The metrics of one moment; samples that differ in labels are added up.

    Attributes:
        at_s: When, on the monotonic clock.
        samples: By name.
    """

    at_s: float
    samples: Samples

    @property
    def resident_bytes(self) -> float:
        """Memory of the server's process; 0 on platforms that do not tell."""
        return self.samples.get("process_resident_memory_bytes", 0.0)


def read_metrics(url: str, token: str | None) -> Reading:
    """Ask a server for its metrics.

    Raises:
        ServerUnreachable: It does not answer, or refuses.
        ValueError: What it answers are no metrics.
    """
    # a proxy of the environment would look for its own loopback
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(url, headers=authorization(token))  # noqa: S310 - http or https
    at_s = time.monotonic()
    try:
        with direct.open(asked, timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"it answers HTTP {error.code}"
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            shown = "the token shown may not read them" if token else "no token was given"
            reason += f"; {shown}, {TOKEN_VARIABLE} or --token-file can hold an administrator's"
        raise ServerUnreachable(f"no metrics can be read at {url}: {reason}") from error
    except OSError as error:
        reason = str(getattr(error, "reason", error))
        raise ServerUnreachable(f"no server answers at {url}: {reason}") from error
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                samples[sample.name] = samples.get(sample.name, 0.0) + sample.value
    return Reading(at_s=at_s, samples=samples)


def server_use(idle: Reading, begin: Reading, end: Reading) -> dict[str, float]:
    """Return what a load took of the server.

    Args:
        idle: Before the first session.
        begin: At the begin of the measured time.
        end: At its end, all sessions still there.
    """
    seconds = end.at_s - begin.at_s

    def rise(name: str) -> float:
        return end.samples.get(name, 0.0) - begin.samples.get(name, 0.0)

    def since_idle(name: str) -> float:
        return end.samples.get(name, 0.0) - idle.samples.get(name, 0.0)

    n_sessions = max(1.0, since_idle("tclif_sessions"))
    rates = end.samples.get("tclif_session_firing_rate_gcount", 0.0)
    activity = end.samples.get("tclif_session_firing_rate_gsum", 0.0) / rates if rates else 0.0
    return {
        "cpu_cores": rise("process_cpu_seconds_total") / seconds,
        "ticks_per_s": rise("tclif_ticks_total") / seconds,
        "lesson_ticks_per_s": rise("tclif_lesson_ticks_total") / seconds,
        "batch_busy": rise("tclif_batch_seconds_sum") / seconds,
        "rows_per_batch": rise("tclif_batch_rows_sum") / max(1.0, rise("tclif_batch_rows_count")),
        "ticks_per_batch": rise("tclif_batch_ticks_sum")
        / max(1.0, rise("tclif_batch_ticks_count")),
        "snapshots": rise("tclif_snapshot_bytes_count"),
        "snapshot_failures": rise("tclif_snapshot_failures_total"),
        "dropped_events": since_idle("tclif_dropped_events_total"),
        "hidden_activity": activity,
        "resident_mib": end.resident_bytes / 2**20,
        "resident_mib_per_session": (end.resident_bytes - idle.resident_bytes) / n_sessions / 2**20,
        "network_mib_per_session": since_idle("tclif_session_bytes") / n_sessions / 2**20,
        "kept_mib_per_session": since_idle("tclif_kept_bytes") / n_sessions / 2**20,
    }
