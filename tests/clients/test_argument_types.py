import argparse

import pytest

from clients.argument_types import stream_url


@pytest.mark.parametrize("url", ["ws://h/v1/stream", "wss://h:1/v1/stream"])
def test_addresses_of_web_sockets_are_taken_as_they_are(url: str) -> None:
    assert stream_url(url) == url


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://h:1", "ws://h:1/v1/stream"),
        ("https://h", "wss://h/v1/stream"),
        ("localhost:8700", "ws://127.0.0.1:8700/v1/stream"),
    ],
)
def test_other_addresses_are_answered_with_the_one_that_was_meant(url: str, meant: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"like {meant} was expected"):
        stream_url(url)
