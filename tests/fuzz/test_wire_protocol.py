"""Any bytes and any text become a message or a `ServiceError`, never anything else."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.errors import ProtocolViolation, ServiceError
from service.wire_protocol import (
    ClientMessage,
    CochleaSensor,
    Conversation,
    Disposition,
    EventFrame,
    Label,
    Open,
    SegmentMark,
    ServerMessage,
    decode_binary,
    decode_client_text,
    decode_server_text,
    encode,
    encode_event_frame,
)

numbers = st.integers(0, 2**53 - 1)
words = st.integers(0, 2**32 - 1)
events = st.lists(st.tuples(words, words), max_size=20)

KINDS = ["open", "segment", "label", "learning", "classes", "snapshot", "close"]
FIELDS = [
    *("session", "model", "network", "tick_us", "sensor", "segmentation", "carry_state"),
    *("late_us", "learning", "report", "seed", "epoch", "action", "segment", "t_us", "sequence"),
    *("from_us", "to_us", "target", "mode", "rate", "add", "kind", "channels", "by", "classes"),
]
WORDS = ["begin", "end", "delayed", "cochlea", "client", "a", "\ud800"]
# values that come near the protocol's own, in objects that come near its own
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
near_messages = st.builds(
    lambda kind, fields: json.dumps({"type": kind, **fields}),
    st.sampled_from(KINDS) | scalars,
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=8),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draw a valid frame."""
    pairs = draw(events)
    offsets = np.array([offset for offset, _ in pairs], np.int64)
    addresses = np.array([address for _, address in pairs], np.int64)
    base_us = draw(st.integers(0, 2**53 - 1 - int(offsets.max(initial=0))))
    return encode_event_frame(draw(numbers), base_us, offsets, addresses)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"\1\0\0\0" + tail))
def test_any_bytes_are_a_frame_or_a_service_error(data: bytes) -> None:
    try:
        outcome: EventFrame | ServiceError = decode_binary(data)
    except ServiceError as refused:
        outcome = refused

    if isinstance(outcome, ServiceError):
        assert len(outcome.message) < 500
    else:
        assert outcome.count == (len(data) - 24) // 8


@pytest.mark.parametrize("decode", [decode_client_text, decode_server_text])
@settings(deadline=None)
@given(text=st.text() | near_messages)
@example(text="[" * 5000)
@example(text='{"type":"close","sequence":1' + "0" * 10_000 + "}")
def test_any_text_is_a_message_or_a_service_error(
    decode: Callable[[str], ClientMessage | ServerMessage], text: str
) -> None:
    try:
        outcome: ClientMessage | ServerMessage | ServiceError = decode(text)
    except ServiceError as refused:
        outcome = refused

    if isinstance(outcome, ServiceError):
        assert len(outcome.message.encode()) < 1000
    else:
        assert decode(encode(outcome)) == outcome


@settings(deadline=None)
@given(st.data())
def test_a_valid_frame_is_read_back_byte_by_byte(data: st.DataObject) -> None:
    written = data.draw(frames())

    frame = decode_binary(written)
    again = encode_event_frame(frame.sequence, frame.base_us, frame.offsets_us, frame.addresses)

    assert again == written


@settings(deadline=None)
@given(st.data())
def test_a_frame_cut_anywhere_is_refused(data: st.DataObject) -> None:
    written = data.draw(frames())
    length = data.draw(st.integers(0, len(written) - 1))

    with pytest.raises(ProtocolViolation):
        decode_binary(written[:length])


@settings(deadline=None)
@given(st.data())
def test_a_message_cut_anywhere_is_refused(data: st.DataObject) -> None:
    text = encode(Label(segment=data.draw(numbers), target="seven", sequence=data.draw(numbers)))
    length = data.draw(st.integers(0, len(text) - 1))

    with pytest.raises(ProtocolViolation):
        decode_client_text(text[:length])


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), max_size=40))
def test_whatever_the_order_each_number_is_applied_once_and_in_order(sequences: list[int]) -> None:
    conversation = Conversation()
    conversation.receive(Open(model="m", sensor=CochleaSensor(channels=1)))
    conversation.opened(next_sequence=1, n_addresses=1)
    empty = np.empty(0, np.uint32)
    applied: list[int] = []

    for sequence in sequences:
        message: ClientMessage | EventFrame = EventFrame(sequence, 0, empty, empty)
        if sequence % 2:
            message = SegmentMark(action="begin", segment=0, t_us=0, sequence=sequence)
        try:
            if conversation.receive(message) is Disposition.APPLY:
                applied.append(sequence)
        except ServiceError:
            assert sequence > len(applied) + 1

    assert applied == list(range(1, len(applied) + 1))
