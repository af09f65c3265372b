"""Spans: of what, with which attributes, and nothing at all when they are switched off."""

import sys
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from service.__main__ import main
from service.observation.telemetry import Telemetry
from service.observation.tracing import NO_TRACING, Tracing, TracingUnavailable, open_tracing
from service.settings import TracingSettings
from tests.end_to_end.conversation_partner import connected, lessons
from tests.end_to_end.running_server import server_thread, visited

ON = TracingSettings(enabled=True)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Iterator[Tracing]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traced = Tracing(provider)
    yield traced
    traced.close()


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def told(spans: Sequence[ReadableSpan], name: str) -> list[dict[str, object]]:
    """Return the attributes of the spans of that name."""
    return [attributes(span) for span in spans if span.name == name]


def test_a_span_tells_what_was_done_and_about_whom(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with tracing.span("open", principal="alice", session="kitchen"):
        assert exporter.get_finished_spans() == ()

    [span] = exporter.get_finished_spans()
    assert span.name == "open"
    assert attributes(span) == {"tclif.principal": "alice", "tclif.session": "kitchen"}


def test_what_is_raised_marks_the_span_and_goes_on(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with pytest.raises(ArithmeticError), tracing.span("open"):
        raise ArithmeticError

    [span] = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


def test_what_has_ended_is_recorded_with_its_duration(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    tracing.record("batch", seconds=0.25, sessions=["a/s", "b/s"], ticks=7)

    [span] = exporter.get_finished_spans()
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 250_000_000
    assert attributes(span) == {"tclif.sessions": ("a/s", "b/s"), "tclif.ticks": 7}


def test_switched_off_nothing_is_made_and_no_package_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    tracing = open_tracing(TracingSettings())

    assert tracing is NO_TRACING is Telemetry().tracing
    assert not tracing.is_on
    with tracing.span("open", session="s"):
        tracing.record("batch", seconds=1.0)
    tracing.close()


@pytest.mark.parametrize(
    "missing",
    ["opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"],
)
def test_missing_packages_are_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(TracingUnavailable, match=r"pip install 'tclif\[tracing\]'") as raised:
        open_tracing(ON)

    assert missing in str(raised.value)


def test_the_command_says_which_extra_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.setenv("TCLIF_TRACING__ENABLED", "true")

    assert main([]) == 2

    assert "tclif[tracing]" in capsys.readouterr().err


def test_the_share_of_none_keeps_no_trace(
    monkeypatch: pytest.MonkeyPatch, exporter: InMemorySpanExporter
) -> None:
    monkeypatch.setattr("service.observation.tracing.span_exporter", lambda _: exporter)
    tracing = open_tracing(TracingSettings(enabled=True, sampled_share=0.0))

    tracing.record("batch", seconds=0.1)
    tracing.close()

    assert exporter.get_finished_spans() == ()


async def test_a_server_traces_opens_batches_lessons_and_snapshots(
    monkeypatch: pytest.MonkeyPatch, exporter: InMemorySpanExporter
) -> None:
    monkeypatch.setattr("service.observation.tracing.span_exporter", lambda _: exporter)
    sections: dict[str, dict[str, object]] = {
        "engine": {"kernel": "reference"},
        "tracing": {"enabled": True},
    }
    with server_thread(sections) as running:
        async with visited(running) as server, connected(server.url) as partner:
            await partner.open(session="kitchen")
            await partner.send(*lessons(range(2)))
            await partner.settle()

    # the server has sent what waited before it ended
    spans = exporter.get_finished_spans()
    owner = {"tclif.principal": "local", "tclif.session": "kitchen"}
    assert told(spans, "open") == [owner]
    assert all(span["tclif.sessions"] == ("local/kitchen",) for span in told(spans, "batch"))
    # two segments of 20 ticks, each computed and then learnt
    assert sum(int(str(span["tclif.ticks"])) for span in told(spans, "batch")) == 80
    assert sum(int(str(span["tclif.ticks"])) for span in told(spans, "lesson")) == 40
    assert all(owner.items() <= span.items() for span in told(spans, "lesson"))
    # the first one comes before the session is opened
    stored = told(spans, "snapshot")
    assert all(owner.items() <= span.items() for span in stored)
    assert all(int(str(span["tclif.bytes"])) > 1000 for span in stored)
    assert stored
    assert {span.resource.attributes["service.name"] for span in spans} == {"tclif"}
