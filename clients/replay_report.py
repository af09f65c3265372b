"""What a replay says in plain text: lines on the way, a table and a line when it is over, JSON."""

from clients.replay_progress import Phase, ReplayProgress, Score


def describe_phase(progress: ReplayProgress) -> str:
    """Say what the replay is doing, in two words."""
    if progress.phase is Phase.TESTING:
        return f"test {progress.test.n_segments}/{progress.test_segments}"
    if progress.phase is Phase.FINISHED:
        return "finished"
    return f"pass {max(1, len(progress.passes))}/{progress.n_passes}"


def progress_line(progress: ReplayProgress) -> str:
    """Say the present state in one line, for where there is no terminal to draw on."""
    return (
        f"{describe_phase(progress)} · segment {progress.n_predicted} · "
        f"accuracy {progress.accuracy:.3f} · {progress.ticks_per_s:.0f} ticks/s · "
        f"lag p99 {progress.lag_ms(99):.1f} ms"
    )


def pass_table(progress: ReplayProgress) -> str:
    """Write one line for each pass: mean accuracy over it, windowed accuracy at its end."""
    lines = ["pass  segments  accuracy  last 200"]
    for number, score in enumerate(progress.passes, start=1):
        windowed = float("nan") if score.windowed is None else score.windowed
        lines.append(f"{number:4d}  {score.n_segments:8d}  {score.mean:8.3f}  {windowed:8.3f}")
    return "\n".join(lines)


def test_line(progress: ReplayProgress) -> str:
    """Write the accuracy on recordings that were never learnt."""
    score = progress.test
    return f"test_accuracy={score.mean:.3f} test_segments={score.n_segments}"


def summary_line(progress: ReplayProgress) -> str:
    """Write the one line that scripts may read."""
    return (
        f"accuracy={progress.accuracy:.3f} segments={progress.n_learned} "
        f"ticks={progress.n_ticks} ticks_per_s={progress.ticks_per_s:.0f} "
        f"lag_p99_ms={progress.lag_ms(99):.1f}"
    )


def as_json(progress: ReplayProgress) -> dict[str, object]:
    """Gather the numbers of a replay, with the whole accuracy curve; nan becomes None."""
    return {
        "source": progress.source,
        "session": progress.session,
        "speed": progress.speed,
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


def _number(value: float) -> float | None:
    # JSON has no nan, and the only number that differs from itself is that one
    return None if value != value else value  # noqa: PLR0124
