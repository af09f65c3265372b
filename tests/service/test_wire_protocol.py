"""The wire protocol: every malformed message refused, every good one read back, every state."""

import json
import struct
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from service.errors import BadAddress, FrameTooLarge, ProtocolViolation, Refusal, SequenceGap
from service.wire_protocol import (
    Ack,
    AddClasses,
    ClientMessage,
    Close,
    CochleaSensor,
    ConnectionState,
    Conversation,
    Disposition,
    DvsSensor,
    ErrorMessage,
    EventFrame,
    Goodbye,
    Label,
    Learned,
    LearningChange,
    LearningRequest,
    Limits,
    NetworkRequest,
    Open,
    Opened,
    Prediction,
    RawSensor,
    ReportRequest,
    SegmentedBySilence,
    SegmentedByWindow,
    SegmentMark,
    ServerMessage,
    SnapshotRequest,
    Unsegmented,
    decode_binary,
    decode_client_text,
    decode_server_text,
    encode,
    encode_event_frame,
    events_within,
)

LIMIT = 2**53
OPEN_TEXT = '{"type":"open","network":{"classes":10},"sensor":{"kind":"cochlea","channels":700}%s}'

# --- the binary message


def frame_bytes(
    *,
    kind: int = 1,
    reserved_byte: int = 0,
    reserved_word: int = 0,
    count: int = 2,
    sequence: int = 7,
    base_us: int = 1000,
    pairs: tuple[int, ...] = (5, 3, 4, 699),
) -> bytes:
    """Write a frame by the table of the protocol, field by field, right or wrong."""
    header = struct.pack("<BBHIQQ", kind, reserved_byte, reserved_word, count, sequence, base_us)
    return header + struct.pack(f"<{len(pairs)}I", *pairs)


def test_a_frame_is_read_by_the_table_of_bytes() -> None:
    # kind, reserved u8, reserved u16, count 1, sequence 2, base_us 258, offset 3, address 256
    data = bytes.fromhex("01 00 0000 01000000 0200000000000000 0201000000000000 03000000 00010000")

    frame = decode_binary(data)

    assert (frame.sequence, frame.base_us, frame.count) == (2, 258, 1)
    assert frame.times_us.tolist() == [261]
    assert frame.addresses.tolist() == [256]


def test_a_frame_is_written_by_the_table_of_bytes() -> None:
    written = encode_event_frame(7, 1000, np.array([5, 4]), np.array([3, 699]))

    assert written == frame_bytes()


def test_a_frame_without_events_carries_the_clock_alone() -> None:
    frame = decode_binary(frame_bytes(count=0, pairs=(), base_us=LIMIT - 1))

    assert (frame.count, frame.base_us) == (0, LIMIT - 1)
    assert frame.times_us.size == 0


def test_the_arrays_of_a_frame_are_read_only_views_of_its_bytes() -> None:
    data = bytearray(frame_bytes())

    frame = decode_binary(bytes(data))

    assert not frame.offsets_us.flags.owndata
    assert not frame.offsets_us.flags.writeable
    assert not frame.addresses.flags.writeable


@pytest.mark.parametrize(
    ("data", "sentence", "sequence"),
    [
        (b"", "0 bytes came, the header alone has 24", None),
        (frame_bytes()[:23], "23 bytes came, the header alone has 24", None),
        (frame_bytes(kind=2), "kind 2 came", 7),
        (frame_bytes(kind=0), "kind 0 came", 7),
        (frame_bytes(reserved_byte=1), "reserved bytes hold 1 and 0", 7),
        (frame_bytes(reserved_word=256), "reserved bytes hold 0 and 256", 7),
        (frame_bytes(count=1), "1 events came in 40 bytes, 32 were expected", 7),
        (frame_bytes(count=3), "3 events came in 40 bytes, 48 were expected", 7),
        (frame_bytes(count=2**32 - 1), "in 40 bytes, 34359738384 were expected", 7),
        (frame_bytes() + b"\0", "2 events came in 41 bytes", 7),
        (frame_bytes(sequence=LIMIT), "sequence is 9007199254740992", None),
        (frame_bytes(base_us=LIMIT), "base_us is 9007199254740992", 7),
        (frame_bytes(base_us=LIMIT - 5), "last event's time is 9007199254740992", 7),
    ],
)
def test_a_malformed_frame_is_refused_with_what_came(
    data: bytes, sentence: str, sequence: int | None
) -> None:
    with pytest.raises(ProtocolViolation, match=sentence) as refused:
        decode_binary(data)

    assert refused.value.sequence == sequence
    assert refused.value.code == "bad_message"


def test_a_frame_at_the_last_instant_is_read() -> None:
    frame = decode_binary(frame_bytes(sequence=LIMIT - 1, base_us=LIMIT - 6))

    # offsets 5 and 4 after 2**53 - 6
    assert frame.times_us.tolist() == [LIMIT - 1, LIMIT - 2]


def test_a_frame_longer_than_the_limit_is_too_large() -> None:
    with pytest.raises(FrameTooLarge, match="40 bytes came, at most 39 are read") as refused:
        decode_binary(frame_bytes(), max_bytes=39)

    assert refused.value.sequence == 7


@pytest.mark.parametrize(
    ("message_bytes", "expected"), [(0, 0), (24, 0), (31, 0), (32, 1), (40, 2), (1 << 20, 131_069)]
)
def test_events_that_fit_a_message_leave_room_for_the_header(
    message_bytes: int, expected: int
) -> None:
    # (2**20 - 24) // 8 = 131,069
    assert events_within(message_bytes) == expected


@pytest.mark.parametrize(
    ("sequence", "base_us", "offsets", "addresses", "sentence"),
    [
        (-1, 0, [0], [0], "sequence is -1"),
        (LIMIT, 0, [0], [0], "sequence is"),
        (0, LIMIT, [], [], "base_us is"),
        (0, 0, [-1], [0], "an offset lies outside"),
        (0, 0, [0], [2**32], "an address lies outside"),
        (0, LIMIT - 1, [1], [0], "an event's time reaches"),
        (0, 0, [0, 1], [0], r"offsets \(2,\) and addresses \(1,\)"),
        (0, 0, [[0]], [[0]], r"offsets \(1, 1\)"),
    ],
)
def test_a_frame_that_could_not_be_read_back_is_not_written(
    sequence: int, base_us: int, offsets: list[int], addresses: list[int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        encode_event_frame(
            sequence, base_us, np.array(offsets, np.int64), np.array(addresses, np.int64)
        )


def test_the_first_address_outside_the_sensor_is_named() -> None:
    frame = decode_binary(frame_bytes())

    frame.check_addresses(700)
    with pytest.raises(BadAddress, match="event 1 has address 699, the sensor's are 0 to 698"):
        frame.check_addresses(699)


# --- text


CLIENT_MESSAGES: list[ClientMessage] = [
    Open(network=NetworkRequest(classes=10), sensor=CochleaSensor(channels=700)),
    Open(
        session="kitchen-mic_7.a",
        model="digits-700",
        tick_us=100,
        sensor=DvsSensor(width=34, height=34, polarities=1, pool=4),
        segmentation=SegmentedBySilence(gap_us=5),
        carry_state=True,
        late_us=9,
        learning=LearningRequest(mode="off", update="tick", optimizer="sgd", rate=0.5),
        report=ReportRequest(every_ticks=0, probabilities=True),
        seed=LIMIT - 1,
        epoch=0,
    ),
    Open(
        network=NetworkRequest(
            hidden=(1, 4096),
            recurrent=False,
            classes=("yes", "nö"),
            neuron="lif",
            hyperparameters={"threshold": 1.5, "learn": True, "n": -3, "reset": "paper"},
        ),
        sensor=RawSensor(addresses=1),
        segmentation=SegmentedByWindow(),
        learning=LearningRequest(feedback="broadcast"),
    ),
    Open(model="m", sensor=RawSensor(addresses=1), segmentation=Unsegmented()),
    SegmentMark(action="begin", segment=0, t_us=LIMIT - 1, sequence=1),
    SegmentMark(action="end", segment=3, t_us=4, sequence=5),
    Label(segment=3, target="seven", sequence=5),
    Label(from_us=1, to_us=2, target=-1, sequence=6),
    LearningChange(mode="off", sequence=1),
    LearningChange(rate=0.25, sequence=1),
    AddClasses(add=("eight", "nine"), sequence=1),
    SnapshotRequest(),
    SnapshotRequest(sequence=4),
    Close(),
    Close(sequence=4),
]

LIMITS = Limits(
    max_message_bytes=1 << 20, max_advance_ticks=9, kept_segments=8, kept_ticks=7, idle_s=300.0
)
OPENED = Opened(
    session="a",
    resumed=False,
    epoch=3,
    next_sequence=1,
    credit_ticks=64,
    classes=("yes", "no"),
    tick_us=4000,
    seed=7,
    kernel="cpu",
    limits=LIMITS,
    server="0.1.0",
)
PREDICTION = Prediction(
    segment=2, tick=25, t_us=100_000, index=1, label="no", confidence=0.75, final=False
)
LEARNED = Learned(
    segment=2, target=1, correct=True, loss=0.3, prequential_accuracy=0.5, segments_labelled=4
)
SERVER_MESSAGES: list[ServerMessage] = [
    OPENED,
    PREDICTION,
    PREDICTION.model_copy(update={"probabilities": (0.25, 0.75), "final": True, "skipped": 3}),
    LEARNED,
    Learned(from_us=1, to_us=9, target=0, correct=False, loss=2.0, segments_labelled=0),
    Ack(applied=3, durable=0, credit_ticks=9),
    ErrorMessage(code="bad_segment", message="…", sequence=4, fatal=False),
    ErrorMessage(code="bad_message", message="…", fatal=True),
    Goodbye(reason="draining", durable=4, retry_after_ms=100),
]


@pytest.mark.parametrize("message", CLIENT_MESSAGES, ids=lambda message: message.type)
def test_a_client_message_is_read_back_as_it_was_written(message: ClientMessage) -> None:
    assert decode_client_text(encode(message)) == message


@pytest.mark.parametrize("message", SERVER_MESSAGES, ids=lambda message: message.type)
def test_a_server_message_is_read_back_as_it_was_written(message: ServerMessage) -> None:
    assert decode_server_text(encode(message)) == message


def test_names_on_the_wire_are_those_of_the_protocol() -> None:
    assert json.loads(encode(PREDICTION)) == {
        "type": "prediction",
        "segment": 2,
        "tick": 25,
        "t_us": 100_000,
        "index": 1,
        "label": "no",
        "confidence": 0.75,
        "final": False,
        "skipped": 0,
    }
    assert json.loads(encode(SERVER_MESSAGES[4])) == {
        "type": "learned",
        "from_us": 1,
        "to_us": 9,
        "target": 0,
        "correct": False,
        "loss": 2.0,
        "segments_labelled": 0,
    }


def test_an_open_has_the_defaults_of_the_protocol() -> None:
    opened = decode_client_text(OPEN_TEXT % "")

    assert opened == Open(
        network=NetworkRequest(
            hidden=(128, 128), recurrent=True, classes=10, neuron="adaptive_tclif"
        ),
        sensor=CochleaSensor(channels=700),
        tick_us=None,
        carry_state=False,
        late_us=0,
        learning=LearningRequest(
            mode="delayed", update="segment", optimizer="adam", rate=0.001, feedback="chain"
        ),
        report=ReportRequest(every_ticks=25, probabilities=False),
    )
    assert opened.segmentation.by == "client"


def test_a_server_field_of_a_later_version_is_ignored() -> None:
    text = '{"type":"ack","applied":1,"durable":0,"credit_ticks":2,"weather":"fine"}'

    assert decode_server_text(text) == Ack(applied=1, durable=0, credit_ticks=2)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_never_reaches_the_wire(number: float) -> None:
    with pytest.raises(ValidationError):
        Learned(segment=0, target=0, correct=True, loss=number, segments_labelled=1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not JSON came: Expecting value at character 0"),
        ('{"type":"close"', "at character 15"),
        ('{"type":"close"} x', "Extra data"),
        ("\ufeff{}", "not JSON"),
        ("[]", "an object was expected"),
        ("7", "an object was expected"),
        ("{}", "message type None came, one of open, segment"),
        ('{"type":7}', "message type 7 came"),
        ('{"type":["close"]}', "message type"),
        ('{"type":"events"}', "message type 'events' came"),
        ('{"type":"close","sequence":1,"sequence":1}', "the field 'sequence' came twice"),
        ('{"type":"close","sequence":NaN}', "NaN came"),
        ('{"type":"close","sequence":-Infinity}', "-Infinity came"),
        ('{"type":"close","sequence":1e999}', "the number 1e999 came"),
        ('{"type":"close","sequence":' + "9" * 5000 + "}", "an integer of 5000 characters"),
        ('{"type":"label","segment":1,"target":"\\ud800","sequence":1}', "lone surrogate"),
        ('{"type":"label","segment":1,"target":"\ud800","sequence":1}', "lone surrogate"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"type":"close","sequence":9007199254740992}', "close.sequence: .*less than"),
        ('{"type":"close","sequence":-1}', "close.sequence: .*greater than or equal to 0"),
        ('{"type":"close","sequence":1.0}', "close.sequence: .*integer, 1.0 came"),
        ('{"type":"close","sequence":true}', "close.sequence: .*integer, True came"),
        ('{"type":"close","sequence":"1"}', "close.sequence: .*integer, '1' came"),
        ('{"type":"close","why":[1]}', r"close.why: Extra .*, \[1\] came"),
        ('{"type":"segment","action":"begin","segment":1,"t_us":0}', "segment.sequence: Field req"),
        (
            '{"type":"segment","action":"middle","segment":1,"t_us":0,"sequence":1}',
            "segment.action: .*'begin' or 'end', 'middle' came",
        ),
        (
            '{"type":"label","target":1,"sequence":1}',
            "label: either 'segment' or both 'from_us' and 'to_us' are expected",
        ),
        ('{"type":"label","segment":1,"from_us":1,"target":1,"sequence":1}', "label: either"),
        ('{"type":"label","from_us":1,"target":1,"sequence":1}', "label: either"),
        (
            '{"type":"label","segment":1,"target":1.5,"sequence":1}',
            "label.target: .*integer; or: .*string, 1.5 came",
        ),
        ('{"type":"learning","rate":"fast","sequence":1}', "learning.rate: .*number"),
        ('{"type":"learning","mode":"fast","sequence":1}', "learning.mode: .*'off'"),
        ('{"type":"classes","add":"abc","sequence":1}', "classes.add: .*valid list"),
        ('{"type":"classes","add":[1],"sequence":1}', "classes.add.0: .*string, 1 came"),
        ('{"type":"open"}', "open.sensor: Field required"),
        ('{"type":"open","sensor":{"kind":"nose"},"model":"m"}', "open.sensor: .*'nose'"),
        (OPEN_TEXT % ',"model":"m"', "open: exactly one of 'model' and 'network'"),
        ('{"type":"open","sensor":{"kind":"raw","addresses":1}}', "open: exactly one of"),
        (OPEN_TEXT % ',"session":".."', "open.session: a name of dots only"),
        (OPEN_TEXT % ',"session":""', "open.session"),
        (OPEN_TEXT % ',"session":"a/b"', "open.session"),
        (OPEN_TEXT % ',"session":"a\\n"', "open.session"),
        (OPEN_TEXT % (',"session":"' + "a" * 129 + '"'), "open.session"),
        (OPEN_TEXT % ',"tick_us":99', "open.tick_us: .*greater than or equal to 100"),
        (OPEN_TEXT % ',"tick_us":1000001', "open.tick_us: .*less than or equal to 1000000"),
        (OPEN_TEXT % ',"learning":{"rate":1.5}', "open.learning.rate"),
        (OPEN_TEXT % ',"learning":{"rate":-0.1}', "open.learning.rate"),
        (OPEN_TEXT % ',"segmentation":{"by":"silence","gap_us":0}', "gap_us"),
        (OPEN_TEXT % ',"carry_state":0', "open.carry_state: .*boolean"),
        (OPEN_TEXT.replace("10", "0") % "", "open.network.classes: .*greater than or equal to 1"),
        (OPEN_TEXT.replace("10", "10001") % "", "open.network.classes: .*less than or equal"),
        (OPEN_TEXT.replace("10", '["a","a"]') % "", "names must differ"),
        (OPEN_TEXT.replace("10", '[""]') % "", "at least 1 character"),
        (OPEN_TEXT.replace("10", '{"a":1}') % "", "valid list"),
        (OPEN_TEXT.replace("10", "[" + "1," * 10_000 + "1]") % "", "a list of 10001 came"),
        ("{" + ",".join(f'"{i}":0' for i in range(65)) + "}", "65 fields came, at most 64"),
        (OPEN_TEXT.replace("700", "1048577") % "", "open.sensor.cochlea.channels"),
        (OPEN_TEXT.replace("700", "0") % "", "open.sensor.cochlea.channels"),
        (OPEN_TEXT.replace("10", '10,"hidden":[]') % "", "open.network.hidden: .*at least 1"),
        (OPEN_TEXT.replace("10", '10,"hidden":[4097]') % "", "open.network.hidden.0"),
        (OPEN_TEXT.replace("10", '10,"hyperparameters":{"a":[1]}') % "", r"hyperparameters.a: "),
    ],
)
def test_malformed_text_is_refused_with_what_came(text: str, sentence: str) -> None:
    with pytest.raises(ProtocolViolation, match=sentence) as refused:
        decode_client_text(text)

    assert len(refused.value.message) < 500


@pytest.mark.parametrize(
    ("text", "sequence"),
    [
        ('{"type":"close","sequence":12,"why":1}', 12),
        ('{"type":"closed","sequence":12}', 12),
        ('{"type":"closed","sequence":true}', None),
        ('{"type":"closed","sequence":-1}', None),
        ('{"type":"closed","sequence":9007199254740992}', None),
        ('{"type":"closed"}', None),
    ],
)
def test_a_refusal_names_the_sequence_number_that_could_be_read(
    text: str, sequence: int | None
) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        decode_client_text(text)

    assert refused.value.sequence == sequence


@pytest.mark.parametrize("kind", ["a" * 100_000, ["a"] * 10_000, {"a" * 100_000: 1}])
def test_a_refusal_stays_short_whatever_came(kind: object) -> None:
    text = json.dumps({"type": "close", "sequence": kind, "b" * 1000: 1})

    with pytest.raises(ProtocolViolation) as refused:
        decode_client_text(text)

    assert len(refused.value.message) < 500


@pytest.mark.parametrize("text", ['{"type":"close"}' + " " * 100, '{"type":"' + "ö" * 40 + '"}'])
def test_text_longer_than_the_limit_in_bytes_is_too_large(text: str) -> None:
    # the second has 51 characters of which 40 take two bytes: 91
    with pytest.raises(FrameTooLarge, match="at most 60"):
        decode_client_text(text, max_bytes=60)


def test_unknown_server_messages_are_refused() -> None:
    with pytest.raises(ProtocolViolation, match="one of opened, prediction"):
        decode_server_text('{"type":"close"}')


# --- what open asks for


@pytest.mark.parametrize(
    ("sensor", "n_addresses", "n_inputs"),
    [
        (CochleaSensor(channels=700), 700, 700),
        (RawSensor(addresses=4), 4, 4),
        # 2 x 34 x 34 = 2312; pooled by 4: 34 / 4 rounds up to 9, 2 x 9 x 9 = 162
        (DvsSensor(width=34, height=34, pool=4), 2312, 162),
        (DvsSensor(width=3, height=2, polarities=1), 6, 6),
        # polarities are never pooled together
        (DvsSensor(width=3, height=2, pool=8), 12, 2),
    ],
)
def test_a_sensor_counts_its_addresses_and_its_inputs(
    sensor: CochleaSensor | DvsSensor | RawSensor, n_addresses: int, n_inputs: int
) -> None:
    assert (sensor.n_addresses, sensor.n_inputs) == (n_addresses, n_inputs)


@pytest.mark.parametrize(
    ("size", "pool", "sentence"),
    [(8192, 8, "134217728 addresses, at most 16777216"), (1024, 1, "2097152 pooled inputs")],
)
def test_a_camera_too_large_to_hold_is_refused(size: int, pool: int, sentence: str) -> None:
    # 2 x 8192 x 8192 = 134,217,728; 2 x 1024 x 1024 = 2,097,152
    with pytest.raises(ValidationError, match=sentence):
        DvsSensor(width=size, height=size, pool=pool)


def test_a_number_of_classes_names_them_by_their_index() -> None:
    assert NetworkRequest(classes=3).class_names == ("0", "1", "2")
    assert NetworkRequest(classes=("a", "b")).class_names == ("a", "b")


# --- the conversation

EVENTS = decode_binary(frame_bytes(sequence=5, pairs=(5, 3, 4, 699)))
DUE: list[ClientMessage | EventFrame] = [
    EVENTS,
    SegmentMark(action="begin", segment=0, t_us=0, sequence=5),
    Label(segment=0, target=1, sequence=5),
    Label(from_us=0, to_us=1, target=1, sequence=5),
    LearningChange(mode="off", sequence=5),
    AddClasses(add=("a",), sequence=5),
    SnapshotRequest(sequence=5),
    SnapshotRequest(),
    Close(sequence=5),
    Close(),
]
OPEN = Open(model="m", sensor=CochleaSensor(channels=700))


def awaiting() -> Conversation:
    return Conversation()


def opening() -> Conversation:
    conversation = Conversation()
    conversation.receive(OPEN)
    return conversation


def attached(*, next_sequence: int = 5, n_addresses: int = 700) -> Conversation:
    conversation = opening()
    conversation.opened(next_sequence=next_sequence, n_addresses=n_addresses)
    return conversation


def closed() -> Conversation:
    conversation = attached()
    conversation.close()
    return conversation


def name_of(message: ClientMessage | EventFrame) -> str:
    return "events" if isinstance(message, EventFrame) else message.type


def test_the_table_of_states_and_messages_has_every_kind_of_message() -> None:
    kinds = {form.model_fields["type"].default for form in get_args(ClientMessage)} | {"events"}

    assert {name_of(message) for message in [OPEN, *DUE]} == kinds


@pytest.mark.parametrize("message", [OPEN, *DUE], ids=name_of)
@pytest.mark.parametrize(
    ("begin", "open_is", "others_are"),
    [
        (awaiting, Disposition.OPEN, ProtocolViolation),
        (opening, ProtocolViolation, ProtocolViolation),
        (attached, ProtocolViolation, Disposition.APPLY),
        (closed, Disposition.DROP, Disposition.DROP),
    ],
)
def test_every_state_knows_what_to_do_with_every_message(
    message: ClientMessage | EventFrame,
    begin: Callable[[], Conversation],
    open_is: Disposition | type[ProtocolViolation],
    others_are: Disposition | type[ProtocolViolation],
) -> None:
    conversation = begin()
    expected = open_is if isinstance(message, Open) else others_are

    if isinstance(expected, Disposition):
        assert conversation.receive(message) is expected
    else:
        with pytest.raises(expected, match=f"a message '{name_of(message)}' came") as refused:
            conversation.receive(message)
        assert refused.value.sequence == getattr(message, "sequence", None)
        assert conversation.state is ConnectionState.CLOSED


@pytest.mark.parametrize("message", DUE, ids=name_of)
def test_a_message_that_is_due_consumes_its_number_if_it_has_one(
    message: ClientMessage | EventFrame,
) -> None:
    conversation = attached(next_sequence=5)

    conversation.receive(message)

    numbered = getattr(message, "sequence", None) is not None
    assert conversation.next_sequence == (6 if numbered else 5)


@pytest.mark.parametrize("message", [*DUE[:7], Close(sequence=5)], ids=name_of)
def test_a_lower_number_is_a_resend_and_changes_nothing(
    message: ClientMessage | EventFrame,
) -> None:
    conversation = attached(next_sequence=6)

    assert conversation.receive(message) is Disposition.RESEND
    assert conversation.next_sequence == 6
    assert conversation.state is ConnectionState.ATTACHED


@pytest.mark.parametrize("message", [*DUE[:7], Close(sequence=5)], ids=name_of)
def test_a_skipped_number_is_fatal(message: ClientMessage | EventFrame) -> None:
    conversation = attached(next_sequence=4)

    with pytest.raises(SequenceGap, match="message 5 came, message 4 was due") as refused:
        conversation.receive(message)

    assert refused.value.sequence == 5
    assert conversation.next_sequence == 4
    assert conversation.state is ConnectionState.CLOSED


@pytest.mark.parametrize("next_sequence", [4, 5, 6])
def test_an_address_outside_the_sensor_is_fatal_whatever_the_number(next_sequence: int) -> None:
    conversation = attached(next_sequence=next_sequence, n_addresses=699)

    with pytest.raises(BadAddress) as refused:
        conversation.receive(EVENTS)

    assert refused.value.sequence == 5
    assert conversation.next_sequence == next_sequence
    assert conversation.state is ConnectionState.CLOSED


MEANINGLESS: list[tuple[ClientMessage, str]] = [
    (Label(from_us=2, to_us=2, target=1, sequence=5), r"the interval \[2, 2\) came"),
    (LearningChange(sequence=5), "neither 'mode' nor 'rate' came"),
    (LearningChange(rate=-0.5, sequence=5), "rate -0.5 came"),
    (LearningChange(rate=1.5, sequence=5), "rate 1.5 came"),
    (AddClasses(add=(), sequence=5), "one or more names"),
    (AddClasses(add=("",), sequence=5), "one or more names"),
    (AddClasses(add=("a" * 129,), sequence=5), "one or more names"),
    (AddClasses(add=("a", "a"), sequence=5), "a class name came twice"),
]


@pytest.mark.parametrize(("message", "sentence"), MEANINGLESS)
def test_a_value_that_makes_no_sense_is_refused_but_consumes_its_number(
    message: ClientMessage, sentence: str
) -> None:
    conversation = attached(next_sequence=5)

    with pytest.raises(Refusal, match=sentence) as refused:
        conversation.receive(message)

    assert (refused.value.code, refused.value.sequence) == ("bad_value", 5)
    assert conversation.next_sequence == 6
    assert conversation.state is ConnectionState.ATTACHED


@pytest.mark.parametrize(("message", "sentence"), MEANINGLESS)
def test_the_sequence_number_is_asked_before_the_meaning(
    message: ClientMessage, sentence: str
) -> None:
    del sentence

    assert attached(next_sequence=6).receive(message) is Disposition.RESEND
    with pytest.raises(SequenceGap):
        attached(next_sequence=4).receive(message)


def test_nothing_is_taken_after_a_close() -> None:
    conversation = attached(next_sequence=5)

    conversation.receive(Close())

    assert conversation.state is ConnectionState.CLOSED
    assert conversation.receive(EVENTS) is Disposition.DROP


@pytest.mark.parametrize("begin", [awaiting, attached, closed])
def test_only_an_open_can_be_answered(begin: Callable[[], Conversation]) -> None:
    with pytest.raises(RuntimeError, match="while"):
        begin().opened(next_sequence=1, n_addresses=1)
