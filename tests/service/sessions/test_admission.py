"""Who is let in: by measured load, by promises, by lag; known sessions before new ones."""

import math

import pytest

from service.errors import AtCapacity, CloseCode
from service.sessions.admission import BESIDE_BYTES, FADES_IN_S, Admission
from service.settings import AdmissionSettings
from tests.service.fake_clock import FakeClock

SETTINGS = AdmissionSettings(new_load=0.5, known_load=0.8, deadline_ms=50.0, retry_after_ms=4000)
LONG_S = 20 * FADES_IN_S


class Server:
    """An admission to which time passes by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.admission = Admission(SETTINGS, self.clock)

    def work(self, share: float, seconds: float, n_ticks_a_second: float = 1000.0) -> None:
        """Spend so large a share of some time on ticks of networks of no size, in real time."""
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)
            self.admission.computed(share / 100, n_ticks=int(n_ticks_a_second / 100), tick_bytes=0)

    def opens(self, *, is_known: bool = False, n_bytes: int = 0, tick_us: int = 1_000_000) -> bool:
        """Tell whether a session is let in."""
        try:
            self.admission.admit(tick_us=tick_us, n_bytes=n_bytes, is_known=is_known)
        except AtCapacity:
            return False
        return True


@pytest.fixture
def server() -> Server:
    return Server()


def test_the_load_is_the_share_of_time_that_was_spent(server: Server) -> None:
    server.work(0.3, LONG_S)

    assert server.admission.load == pytest.approx(0.3, rel=0.01)


def test_load_fades_once_nothing_is_computed_any_more(server: Server) -> None:
    server.work(0.3, LONG_S)
    server.clock.advance(FADES_IN_S)

    assert server.admission.load == pytest.approx(0.3 / math.e, rel=0.01)


def test_an_idle_server_lets_anybody_in(server: Server) -> None:
    assert server.opens()


def test_new_sessions_are_refused_before_known_ones(server: Server) -> None:
    # a session of one tick a second takes 2 * share / 1000: hardly anything
    let_in = []
    for share in (0.45, 0.6, 0.85):
        server.work(share, LONG_S)
        let_in.append((server.opens(), server.opens(is_known=True)))

    assert let_in == [(True, True), (False, True), (False, False)]


def test_a_refusal_says_why_and_when_to_come_back(server: Server) -> None:
    server.work(0.6, LONG_S)

    with pytest.raises(AtCapacity, match=r"0\.60 .* at most 0\.5 for a new one") as refusal:
        server.admission.admit(tick_us=1_000_000, n_bytes=0, is_known=False)

    error = refusal.value
    assert (error.code, error.reason, error.retry_after_ms) == ("overloaded", "load", 4000)
    assert error.close_code is CloseCode.TRY_AGAIN


def test_what_a_session_will_take_is_counted_before_it_is_let_in(server: Server) -> None:
    # a tick of a network of no size takes 0.3 s / 1000, one of BESIDE_BYTES twice that; 250 of them
    # a second and again in lessons: 500 * 0.6 ms = 0.3, and 0.3 + 0.3 > 0.5
    server.work(0.3, LONG_S)

    assert not server.opens(tick_us=4000, n_bytes=BESIDE_BYTES)
    # half as many fit: 0.3 + 0.15
    assert server.opens(tick_us=8000, n_bytes=BESIDE_BYTES)


def test_a_crowd_that_comes_at_once_is_not_let_in_for_what_one_takes(server: Server) -> None:
    # each takes 2 * 25 ticks of 0.2 ms, 0.01; what is there takes 0.2 and 0.3 are left
    server.work(0.2, LONG_S)

    n_let_in = sum(server.opens(tick_us=40_000) for _ in range(100))

    assert n_let_in in (29, 30)


def test_promises_fade_as_the_measurement_takes_their_place(server: Server) -> None:
    server.work(0.2, LONG_S)
    loads = []
    for _ in range(20):
        server.admission.admit(tick_us=40_000, n_bytes=0, is_known=False)
    for _ in range(30):
        server.work(0.4, 1.0)
        loads.append(server.admission.load)

    # 0.2 that is there and twenty times 0.01, first promised and then measured
    assert loads == pytest.approx([0.4] * 30, rel=0.03)


def test_who_promised_and_never_streams_takes_no_place_for_long(server: Server) -> None:
    server.work(0.2, LONG_S)
    while server.opens(tick_us=40_000):
        pass
    server.work(0.2, LONG_S)

    assert server.opens(tick_us=40_000)


def test_the_event_loop_counts_where_it_is_the_busier_one(server: Server) -> None:
    for _ in range(1000):
        server.work(0.2, 0.1)
        server.admission.delivered(10, 0)
        server.admission.looped(0.06)

    # 60 ms of every 100: three times the engine's
    assert server.admission.load == pytest.approx(0.6, rel=0.03)
    assert not server.opens()


def test_the_event_loop_counts_by_the_messages_of_sessions_in_real_time(server: Server) -> None:
    for _ in range(1000):
        server.work(0.2, 0.1)
        server.admission.delivered(10, 0)
        server.admission.delivered(0, 30)
        server.admission.looped(0.1)

    # a loop that never rests, three quarters of it with replays: 0.25
    assert server.admission.load == pytest.approx(0.25, rel=0.03)


def test_replays_alone_make_no_load(server: Server) -> None:
    for _ in range(1000):
        server.clock.advance(0.1)
        server.admission.delivered(0, 1000)
        server.admission.looped(0.1)

    assert server.admission.load == 0
    assert server.opens()


def answer(server: Server, n: int, n_close: int) -> None:
    """Count answers in real time, of which some took more than 0.6 of their 50 ms."""
    for number in range(n):
        server.admission.answered([0.0301 if number < n_close else 0.03])


@pytest.mark.parametrize(
    ("n", "n_close", "let_in"), [(200, 4, True), (200, 5, False), (99, 99, True)]
)
def test_nobody_new_comes_while_more_than_one_answer_in_fifty_is_close_to_its_deadline(
    server: Server, n: int, n_close: int, *, let_in: bool
) -> None:
    server.work(0.4, LONG_S)
    answer(server, n, n_close)

    assert server.opens() == let_in
    assert server.opens(is_known=True)


def test_late_answers_of_a_server_with_little_to_do_keep_nobody_out(server: Server) -> None:
    server.work(0.3, LONG_S)
    answer(server, 100, 100)

    assert server.opens()


def test_who_streamed_not_long_ago_is_measured_still(server: Server) -> None:
    now_s = server.clock()

    assert server.admission.is_measured(now_s - FADES_IN_S + 0.1)
    assert not server.admission.is_measured(now_s - FADES_IN_S)
