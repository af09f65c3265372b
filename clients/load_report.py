"""What came of a load: numbers for programs, a table for people, and which promise was broken."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from clients.load_arguments import Arguments
from clients.load_tally import QUALITY_FROM_SEGMENT, Tally, percentiles, timeline
from clients.load_task import ACTIVE_CHANNELS, CHANNELS, CLASSES, FRAME_S, SEGMENT_S, TICK_US

SLICE_S = 10.0
"""The timeline has an entry for so much of the measured time."""

FEW_JUDGED = 100
"""Fewer segments than that say too little of the quality."""

LATE_MS = 20.0
"""A load whose frames leave later than that is too slow itself to measure anything."""

Report = dict[str, Any]


def summed_up(
    arguments: Arguments, tally: Tally, begin_s: float, use: dict[str, float] | None
) -> Report:
    """Return everything that was measured, as JSON has it.

    Args:
        arguments: What was asked for.
        tally: Of all processes together.
        begin_s: Begin of the measured time, on the monotonic clock.
        use: What the load took of the server; None where it does not tell.
    """
    lags_ms = tally.lags_ms()
    n_judged = sum(n for segment, n in tally.judged.items() if segment >= QUALITY_FROM_SEGMENT)
    report = {
        "workload": _workload(arguments),
        "sessions": {
            "asked": arguments.sessions,
            "admitted": tally.n_admitted,
            "refused": dict(tally.refused),
            "reconnections": dict(tally.reconnections),
        },
        "frames": {
            "sent": tally.n_frames,
            "unanswered": tally.n_unanswered,
            "missed": int(np.count_nonzero(lags_ms > arguments.deadline_ms)),
            "deadline_ms": arguments.deadline_ms,
        },
        "lag_ms": percentiles(lags_ms),
        "late_sends_ms": percentiles(np.frombuffer(tally.late_s, np.float64) * 1000),
        "events": tally.n_events,
        "lessons": tally.n_learned,
        "skipped_predictions": tally.n_skipped,
        "errors": dict(tally.errors),
        "quality": {
            "accuracy": tally.accuracy_from(QUALITY_FROM_SEGMENT),
            "from_segment": QUALITY_FROM_SEGMENT,
            "segments": n_judged,
            "worst_session": min(tally.accuracies, default=None),
            "floor": arguments.quality_floor,
            "chance": 1 / CLASSES,
        },
        "load_cores": tally.cores,
        "server": use,
        "timeline": timeline(tally, begin_s, SLICE_S),
    }
    return report | {"broken": list(_broken(report))}


def _workload(arguments: Arguments) -> Report:
    low, high = arguments.label_delay_ms
    ends = "at the same moments" if arguments.synchronised else "spread evenly over the segment"
    return {
        "network": f"{CHANNELS}-128-128-{CLASSES}, recurrent, learning on",
        "ticks_per_s": 1e6 / TICK_US,
        "active_channels": ACTIVE_CHANNELS,
        "frame_ms": 1000 * FRAME_S,
        "segment_s": SEGMENT_S,
        "seconds": arguments.seconds,
        "processes": arguments.processes,
        "segments_end": ends,
        "labels": f"{low} to {high} ms after the segment's end",
    }


def _broken(report: Report) -> Iterable[str]:
    """Name every promise that was not held."""
    if not report["frames"]["sent"]:
        n_admitted = report["sessions"]["admitted"]
        yield f"{n_admitted} sessions were admitted, and no frame was due in the measured time"
        return
    yield from _late(report)
    yield from _lost(report)
    quality = report["quality"]
    if quality["segments"] >= FEW_JUDGED and quality["accuracy"] < quality["floor"]:
        yield f"accuracy is {quality['accuracy']:.2f}, expected at least {quality['floor']:g}"


def _late(report: Report) -> Iterable[str]:
    lag_ms, deadline_ms = report["lag_ms"]["p99"], report["frames"]["deadline_ms"]
    late_ms = report["late_sends_ms"]["p99"]
    if late_ms is not None and late_ms > LATE_MS:
        yield f"the load itself sent its frames {late_ms:.0f} ms late (p99): it lacks a CPU"
    if lag_ms is None or lag_ms > deadline_ms:
        text = "unbounded" if lag_ms is None else f"{lag_ms:.1f} ms"
        yield f"p99 lag is {text}, expected at most {deadline_ms:g} ms"


def _lost(report: Report) -> Iterable[str]:
    server = report["server"] or {"dropped_events": 0}
    lost = {
        "frames were never answered": report["frames"]["unanswered"],
        "connections were lost": sum(report["sessions"]["reconnections"].values()),
        "messages were refused": sum(report["errors"].values()),
        "predictions were skipped": report["skipped_predictions"],
        "events were dropped": server["dropped_events"],
    }
    for what, count in lost.items():
        if count:
            yield f"{count:,.0f} {what}"


def table(report: Report) -> str:
    """Describe a load in a few lines."""
    sessions, frames, quality = report["sessions"], report["frames"], report["quality"]
    came = f"{sessions['asked']} asked for, {sessions['admitted']} admitted"
    lost = f"refused: {_counts(sessions['refused'])}"
    lost += f", reconnections: {_counts(sessions['reconnections'])}"
    missed = f"{frames['missed']:,} of {frames['sent']:,} frames over {frames['deadline_ms']:g} ms"
    dropped = f"{report['skipped_predictions']:,} predictions"
    lines = [
        f"sessions  {came}, {lost}",
        f"lag       {_times(report['lag_ms'])}",
        f"missed    {missed}, {frames['unanswered']:,} of them never answered",
        f"sent late {_times(report['late_sends_ms'])}",
        f"dropped   {dropped}; refused messages: {_counts(report['errors'])}",
        f"quality   {_quality(quality)}",
        f"load      {report['load_cores']:.2f} cores",
    ]
    if report["server"] is not None:
        lines.append(_server(report["server"]))
    lines += [f"BROKEN    {sentence}" for sentence in report["broken"]]
    return "\n".join(lines)


def _quality(quality: Report) -> str:
    if quality["segments"] < FEW_JUDGED:
        return f"not judged: too few segments after the first {quality['from_segment']}"
    return (
        f"accuracy {quality['accuracy']:.3f} over {quality['segments']:,} segments after the first"
        f" {quality['from_segment']}, worst session {quality['worst_session']:.3f}, chance"
        f" {quality['chance']:g}"
    )


def _server(use: dict[str, float]) -> str:
    return (
        f"server    {use['cpu_cores']:.2f} cores, {use['ticks_per_s']:,.0f} ticks/s and"
        f" {use['lesson_ticks_per_s']:,.0f} in lessons, {use['ticks_per_batch']:.0f} ticks of"
        f" {use['rows_per_batch']:.1f} sessions a batch, hidden activity"
        f" {use['hidden_activity']:.3f}\n"
        f"memory    {use['resident_mib_per_session']:.2f} MiB a session more in the process;"
        f" accounted for: network {use['network_mib_per_session']:.2f}, kept ticks"
        f" {use['kept_mib_per_session']:.2f} MiB\n"
        f"safety    {use['snapshots']:,.0f} snapshots, {use['snapshot_failures']:,.0f} failed,"
        f" {use['dropped_events']:,.0f} events dropped"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items())) or "none"


def _times(times: dict[str, float | None]) -> str:
    return ", ".join(
        f"{name} {'never' if value is None else f'{value:.1f} ms'}" for name, value in times.items()
    )
