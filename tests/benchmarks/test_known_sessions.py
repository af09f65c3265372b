"""What known sessions cost, written as a table."""

from benchmarks import known_sessions


def test_the_table_sets_many_beside_one() -> None:
    row = {
        "sessions": 5000,
        "in_memory": 64,
        "resident_mib": [450.4, 500.6],
        "page_ms": [
            {"/metrics": 6.0, "/v1/sessions?limit=100": 2.0},
            {"/metrics": 17.04, "/v1/sessions?limit=100": 8.0},
        ],
        "new_ms": [24.0, 48.0],
        "wake_ms": [16.0, 26.4],
    }

    lines = known_sessions.table(row).splitlines()

    assert lines[0] == "| | 1 known session | 5000 |"
    assert "| resident memory | 450 MiB | 501 MiB |" in lines
    assert "| /metrics | 6.0 ms | 17.0 ms |" in lines
    assert lines[-1] == "| waking one, p50 and p99 | | 16 and 26 ms |"
