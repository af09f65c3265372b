"""The clients of both languages in streams that the server cuts, and with classes that grow."""

from tests.end_to_end.both_languages import assert_as_raw, both
from tests.end_to_end.conversation_partner import (
    Message,
    begin_us,
    clock,
    codes,
    events,
    label,
    of_kind,
    segment,
    spikes,
)
from tests.end_to_end.running_server import RunningServer

# segments of these tests are 20 ms long and begin every 100 ms
BURSTS: list[Message] = [events(spikes(number)) for number in range(4)]


def interval(from_us: int, to_us: int, target: str) -> Message:
    """Tell the truth about a time."""
    return {"type": "label", "from_us": from_us, "to_us": to_us, "target": target}


@both
async def test_silence_cuts_the_stream(server: RunningServer, language: str) -> None:
    messages = [
        *BURSTS[:2],
        label(0, "one"),
        label(1, "two"),
        *BURSTS[2:],
        clock(begin_us(4)),
        label(3, "zero"),
    ]

    heard = await assert_as_raw(
        server, language, messages, segmentation={"by": "silence", "gap_us": 30_000}
    )

    finals = [p["segment"] for p in of_kind("prediction", heard) if p["final"]]
    assert finals == [0, 1, 2, 3]
    assert [learned["segment"] for learned in of_kind("learned", heard)] == [0, 1, 3]


@both
async def test_windows_are_labelled_by_number_and_by_time(
    server: RunningServer, language: str
) -> None:
    start = spikes(0)[0][0]
    messages = [
        *BURSTS,
        clock(begin_us(4)),
        label(0, 1),
        interval(start + 110_000, start + 118_000, "two"),
        label(10, "zero"),
    ]

    heard = await assert_as_raw(
        server, language, messages, segmentation={"by": "window", "length_us": 20_000}
    )

    assert len(of_kind("learned", heard)) == 3


@both
async def test_an_endless_stream_is_labelled_by_time(server: RunningServer, language: str) -> None:
    messages = [
        *BURSTS[:2],
        interval(begin_us(1) + 2000, begin_us(1) + 15_000, "one"),
        *BURSTS[2:],
        interval(begin_us(2) + 5000, begin_us(2) + 25_000, "two"),
        # reaches beyond what is complete
        interval(begin_us(3), begin_us(5), "two"),
        interval(begin_us(2) + 6000, begin_us(2) + 7000, "two"),
    ]

    heard = await assert_as_raw(server, language, messages, segmentation={"by": "none"})

    assert codes(heard) == ["unknown_segment", "label_duplicate"]
    assert len(of_kind("learned", heard)) == 2


@both
async def test_a_session_learns_classes_that_came_later(
    server: RunningServer, language: str
) -> None:
    grow: Message = {"type": "classes", "add": ["three", "four"]}
    messages = [
        *segment(0, 1),
        grow,
        *segment(1),
        label(1, "four"),
        *segment(2, 3),
        *segment(3, 0),
    ]

    heard = await assert_as_raw(server, language, messages)

    assert codes(heard) == []
    assert [learned["target"] for learned in of_kind("learned", heard)] == [1, 4, 3, 0]
    finals = [p for p in of_kind("prediction", heard) if p["final"]]
    assert [str(p["probabilities"]).count(",") for p in finals] == [2, 4, 4, 4]
