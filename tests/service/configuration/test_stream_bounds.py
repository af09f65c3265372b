"""What may be kept of a stream is bounded before anything is allocated."""

import pytest

from service.configuration.configuration import SessionConfiguration
from service.configuration.stream_bounds import most_kept_bytes
from service.errors import QuotaExceeded
from service.settings import SessionSettings
from tclif_core import Learner, Strand
from tests.service.open_requests import open_request


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # 100 ticks of 8 bytes; five inputs in each, of 8 bytes again
        ({}, 800 + 4000),
        # more inputs than are kept at all
        ({"sensor": {"kind": "raw", "addresses": 1000}}, 800 + 8 * 5000),
        # three waiting segments and the open one, each with the state it began from
        ({"carry_state": True}, 800 + 4000 + 4 * 10),
        # a vote a tick, and a state every 32 ticks
        ({"segmentation": {"by": "none"}}, 1600 + 4000 + 4 * 10),
        ({"segmentation": {"by": "window"}, "carry_state": True}, 1600 + 4000 + 8 * 10),
        ({"segmentation": {"by": "silence"}}, 800 + 4000),
    ],
)
def test_the_most_that_is_kept_is_counted(fields: dict[str, object], expected: int) -> None:
    settings = SessionSettings(
        kept_ticks=100, kept_inputs=5000, kept_segments=3, checkpoint_ticks=32
    )

    assert most_kept_bytes(open_request(**fields), 10, settings) == expected


def test_a_stream_of_which_too_much_could_be_kept_is_refused() -> None:
    request = open_request(segmentation={"by": "none"})
    settings = SessionSettings(max_kept_bytes=1000)

    with pytest.raises(QuotaExceeded, match=r"could take .* bytes; expected at most 1000"):
        SessionConfiguration.resolve(request, settings)


def test_the_state_that_is_counted_is_the_one_that_is_kept() -> None:
    configuration = SessionConfiguration.resolve(open_request(), SessionSettings())
    learner = Learner(configuration.network, configuration.learning, kernel="reference")
    slot = learner.open(seed=0, rate=0.0)
    kept = learner.copy_state(slot, Strand.LIVE)

    assert Learner.state_bytes(configuration.network, configuration.learning) == kept.nbytes
