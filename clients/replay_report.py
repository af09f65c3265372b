"""What a replay says in plain text: lines on the way, a table and a line when it is over, JSON."""

import math

from clients.replay_progress import Phase, ReplayProgress, Score
from service.wire_protocol import ErrorMessage

_TABLE_ROWS = 20


def describe_phase(progress: ReplayProgress) -> str:
    """Say what the replay is doing, in two words."""
    if progress.phase is Phase.TESTING:
        return f"test {progress.test.n_segments}/{progress.test_segments}"
    if progress.phase is Phase.FINISHED:
        return "finished"
    number = max(1, len(progress.passes))
    return f"pass {number}" if progress.n_passes is None else f"pass {number}/{progress.n_passes}"


def describe_pace(progress: ReplayProgress) -> str:
    """Say how fast the replay was asked to be, and how fast it is."""
    asked = "max speed" if progress.speed is None else f"{progress.speed:g}x real time"
    return f"{asked}, {progress.pace:.1f}x reached" if progress.elapsed_s > 0 else asked


def progress_line(progress: ReplayProgress) -> str:
    """Say the present state in one line, for where there is no terminal to draw on."""
    line = (
        f"{describe_phase(progress)} · segment {progress.n_predicted} · "
        f"accuracy {_three(progress.accuracy)} · {progress.ticks_per_s:.0f} ticks/s · "
        f"{describe_pace(progress)} · lag p99 {_one(progress.lag_ms(99))} ms"
    )
    if progress.n_reconnections:
        line += f" · reconnected {progress.n_reconnections} times"
    if progress.trouble is not None:
        line += f" · reconnecting: {progress.trouble}"
    return line


def pass_table(progress: ReplayProgress) -> str:
    """Write one line for each of the last passes: mean accuracy, windowed accuracy at its end."""
    lines = ["pass  segments  accuracy  last 200"]
    for number, score in list(enumerate(progress.passes, start=1))[-_TABLE_ROWS:]:
        windowed = math.nan if score.windowed is None else score.windowed
        lines.append(
            f"{number:4d}  {score.n_segments:8d}  {_three(score.mean):>8}  {_three(windowed):>8}"
        )
    return "\n".join(lines)


def test_line(progress: ReplayProgress) -> str:
    """Write the accuracy on recordings that were never learnt."""
    score = progress.test
    return f"test_accuracy={_three(score.mean)} test_segments={score.n_segments}"


def refusal_line(error: ErrorMessage, n_errors: int) -> str:
    """Say how much the server refused, and what it said last."""
    return f"{n_errors} refusals or remarks, the last one: {error.message} ({error.code})"


def summary_line(progress: ReplayProgress) -> str:
    """Write the one line that scripts may read."""
    return (
        f"accuracy={_three(progress.accuracy)} segments={progress.n_learned} "
        f"ticks={progress.n_ticks} ticks_per_s={progress.ticks_per_s:.0f} "
        f"lag_p99_ms={_one(progress.lag_ms(99))}"
    )


def as_json(progress: ReplayProgress) -> dict[str, object]:
    """Gather the numbers of a replay, with the whole accuracy curve; nan becomes None.

    Events, ticks and pace are those of the passes; the test has a score of its own.
    """
    return {
        "source": progress.source,
        "session": progress.session,
        "segmentation": progress.segmentation.by,
        "speed": progress.speed,
        "pace": progress.pace,
        "classes": list(progress.classes),
        "chance": progress.chance,
        "accuracy": _number(progress.accuracy),
        "segments": progress.n_learned,
        "ticks": progress.n_ticks,
        "events": progress.n_events,
        "elapsed_s": progress.elapsed_s,
        "ticks_per_s": progress.ticks_per_s,
        "lag_p50_ms": _number(progress.lag_ms(50)),
        "lag_p99_ms": _number(progress.lag_ms(99)),
        "errors": progress.n_errors,
        "reconnections": progress.n_reconnections,
        "passes": [_score(score) for score in progress.passes],
        "test": _score(progress.test) if progress.test.n_segments else None,
        "curve": progress.curve,
    }


def _score(score: Score) -> dict[str, object]:
    return {
        "segments": score.n_segments,
        "accuracy": _number(score.mean),
        "windowed_accuracy": score.windowed,
    }


def _three(share: float) -> str:
    """Write a share with three digits; null while there is none, as in JSON."""
    return "null" if math.isnan(share) else f"{share:.3f}"


def _one(milliseconds: float) -> str:
    return "null" if math.isnan(milliseconds) else f"{milliseconds:.1f}"


def _number(value: float) -> float | None:
    # JSON has no nan
    return None if math.isnan(value) else value
