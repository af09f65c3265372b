"""What a session takes: bytes by hand, and a stream that adds none."""

import numpy as np

from benchmarks import session_memory
from benchmarks.live_memory import reachable_bytes
from service.stream.segments import Stretch
from tclif_core import Learner, LearningSpec, NetworkSpec

TINY = NetworkSpec(inputs=20, hidden=(6, 5), classes=3)


def test_a_stream_adds_no_arrays() -> None:
    row = session_memory.measure(TINY, "SGD at each tick", n_sessions=3, n_ticks=500)

    assert row["session_bytes"] == Learner.session_bytes(
        TINY, LearningSpec(update="tick", optimizer="sgd")
    )
    assert row["arrays_a_session"] >= row["session_bytes"]
    assert row["arrays_grew"] == 0
    assert row["stream_ticks"] == 500


def test_additions_are_rows_as_wide_as_the_parameters() -> None:
    network = session_memory.NETWORK
    rules = list(session_memory.RULES.values())[:5]
    sgd, momentum, segments, rmsprop, adam = (Learner.session_bytes(network, r) for r in rules)
    # 700-128-128-20 with both layers recurrent, biases and four numbers a layer
    n_parameters = 828 * 128 + 128 + 256 * 128 + 128 + 128 * 20 + 20 + 8

    assert sgd <= session_memory.MOST_FOR_SGD * 4 * n_parameters
    # a gradient or a moment is one number a parameter, rows padded to 16 numbers; those of SGD at
    # each tick hold the eight scalars alone
    row_bytes = 4 * (-(-n_parameters // 16) * 16)
    assert momentum - sgd == adam - rmsprop == rmsprop - segments == row_bytes
    assert row_bytes - 64 <= segments - sgd <= row_bytes


def test_a_kept_segment_takes_eight_bytes_an_input_and_a_tick() -> None:
    kept = session_memory.kept_segment(session_memory.NETWORK, LearningSpec())

    assert kept["counted_bytes"] == 8 * (250 * 45 + 250)
    # an offset more for each frame
    assert kept["counted_bytes"] <= kept["arrays"] <= 1.05 * kept["counted_bytes"]
    assert kept["counted_bytes"] + kept["state_bytes"] < kept["most_bytes"]


def test_arrays_in_slots_are_found() -> None:
    stretch = Stretch(0, state=np.zeros(5))

    assert reachable_bytes([stretch]) == 40


def test_the_table_tells_bytes_and_growth() -> None:
    row = {"learning": "SGD", "session_bytes": 1200, "times_parameters": 1.2, "stream_ticks": 1000}
    row |= {"arrays_a_session": 1300.0, "process_a_session": 1400.0}
    row |= {"arrays_grew": 0, "process_grew": 4096}

    assert session_memory.table([row])[2] == (
        "| SGD | 1,200 | 1.200 | 1,300 | 1,400 | 1,000 | 0 | 4,096 |"
    )
