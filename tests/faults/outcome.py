"""What a session came to, to be held bit for bit against what another one came to."""

from typing import NamedTuple, Protocol

from tests.end_to_end.conversation_partner import Heard
from tests.end_to_end.running_server import Weights, same_weights
from tests.faults.lesson_stream import LessonStream
from tests.faults.resuming_client import ResumingClient

_COUNTED = (
    *("applied", "ticks", "events", "segments", "dropped_events"),
    *("learning", "prequential_accuracy", "firing_rates", "weight_change"),
)


class Server(Protocol):
    """Where sessions can be looked at."""

    async def state(self, session: str = "s") -> dict[str, object]:
        """Return a session's state page."""

    async def weights(self, session: str = "s") -> Weights:
        """Download a session's weights."""


class Outcome(NamedTuple):
    """All that a stream can change, and all that its client must have been told.

    Attributes:
        weights: Of the network.
        counted: Counters, scores and rates of its page.
        finals: Final predictions by segment.
        learned: Lessons by segment.
    """

    weights: Weights
    counted: dict[str, object]
    finals: dict[object, Heard]
    learned: dict[object, Heard]


async def outcome(server: Server, client: ResumingClient, session: str = "s") -> Outcome:
    """Look at what a client's session came to."""
    page = await server.state(session)
    counted = {name: page[name] for name in _COUNTED}
    return Outcome(await server.weights(session), counted, client.finals, client.learned)


async def undisturbed(
    server: Server, url: str, stream: LessonStream, session: str = "undisturbed"
) -> Outcome:
    """Stream without any disturbance."""
    client = ResumingClient(url, stream, session=session)
    await client.run()
    assert client.n_connections == 1
    reached = await outcome(server, client, session)
    assert_every_lesson_once(reached, stream)
    return reached


def assert_every_lesson_once(reached: Outcome, stream: LessonStream) -> None:
    """Assert that each label was learnt, and none of them twice."""
    segments, learning = reached.counted["segments"], reached.counted["learning"]
    assert isinstance(segments, dict)
    assert isinstance(learning, dict)
    n = stream.n_segments
    assert (segments["labelled"], learning["lessons"]) == (n, n)
    assert (len(reached.finals), len(reached.learned)) == (n, n)


def assert_same(reached: Outcome, expected: Outcome) -> None:
    """Assert that two sessions came to the same, to the last bit."""
    assert reached.counted == expected.counted
    assert same_weights(reached.weights, expected.weights)
    assert reached.learned == expected.learned
    assert reached.finals == expected.finals
