"""What a client of HTTP/2 may do that costs the edge more than itself: each is bounded, ends with GOAWAY and
ENHANCE_YOUR_CALM where it goes on, and leaves other connections alone."""

import struct
import threading
import time

import pytest

from lab import h2_wire as h2
from lab.h2_wire import H2Wire, frame
from lab.origin import Origin
from lab.place import is_sanitized
from lab.process import wait_until

NAME = "shop.brand.test"
MIB = 1024 * 1024


class App:
    """Counts how many requests it works on at a time."""

    def __init__(self):
        self.lock, self.now, self.most, self.total = threading.Lock(), 0, 0, 0
        self.seconds = 0

    def __call__(self, request):
        with self.lock:
            self.now, self.total = self.now + 1, self.total + 1
            self.most = max(self.most, self.now)
        try:
            if request.target == "/slow":
                time.sleep(self.seconds)
            if request.target == "/upload":
                time.sleep(3)
            request.answer(b"b" * (MIB if request.target == "/big" else 10))
            return request.target != "/early"
        finally:
            with self.lock:
                self.now -= 1


@pytest.fixture(scope="module")
def place(shared_lab):
    platform = shared_lab.prepare(edges=1)
    platform.script = App()
    platform.origin = shared_lab.use(Origin(platform.ground.address(4), platform.script))
    platform.edge.settings.update(upstream=platform.origin.url, write_timeout="2s", min_rate="240")
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    return platform


@pytest.fixture
def stage(place):
    """Memory is bounded and others are served, whatever the test does."""
    neighbour = H2Wire(place, NAME)
    assert neighbour.get().status == 200
    before = place.edge.process.rss()
    script = place.script
    script.most = script.total = 0
    yield place
    start = time.monotonic()
    assert neighbour.get().status == 200
    assert time.monotonic() - start < 1
    if not is_sanitized("postern-edge"):
        assert place.edge.process.rss() - before < 24 * MIB
    neighbour.close()


def flood(wire, chunk, seconds=10):
    """The same bytes again and again until the edge has enough; how many were sent."""
    sent = 0
    wire.sock.settimeout(0.5)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            wire.sock.sendall(chunk)
            sent += len(chunk)
        except (TimeoutError, OSError):
            break
    return sent


def calmed(wire):
    """GOAWAY with ENHANCE_YOUR_CALM was the last word, if it could still be heard."""
    try:
        wire.to_the_end()
    except (AssertionError, OSError):
        pass
    errors = [goaway.error for goaway in wire.goaways]
    assert h2.ENHANCE_YOUR_CALM in errors or wire.closed and not errors, wire.frames[-5:]


def ends(place, cause):
    return place.edge.metric("postern_edge_h2_connections_ended_total", cause=cause)


FLOODS = {
    "PING": ("idle_frames", frame(h2.PING, 0, 0, b"12345678") * 50),
    "SETTINGS": ("idle_frames", frame(h2.SETTINGS) * 50),
    "PRIORITY": ("idle_frames", frame(h2.PRIORITY, 0, 1, b"\0\0\0\0\1") * 50),
    "PRIORITY_UPDATE": ("idle_frames", frame(h2.PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1") * 50),
    "WINDOW_UPDATE": ("idle_frames", frame(h2.WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 50),
    "unknown frames": ("idle_frames", frame(99, 0, 0, b"x") * 50),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_frames_that_carry_nothing(stage, kind):
    cause, chunk = FLOODS[kind]
    before = ends(stage, cause) + ends(stage, "unread_answers")
    wire = H2Wire(stage, NAME)
    wire.request(path="/slow")
    flood(wire, chunk)
    calmed(wire)
    wait_until(lambda: ends(stage, cause) + ends(stage, "unread_answers") == before + 1)
    wire.close()


def test_empty_data(stage):
    before = ends(stage, "idle_frames")
    wire = H2Wire(stage, NAME)
    stream = wire.request(path="/upload", method="POST", end=False)
    flood(wire, frame(h2.DATA, 0, stream) * 50)
    calmed(wire)
    wait_until(lambda: ends(stage, "idle_frames") == before + 1)
    wire.close()


@pytest.mark.parametrize("whose,cause", [("the client's", "stream_errors"), ("ours", "idle_frames")])
def test_data_for_a_stream_that_is_over(stage, whose, cause):
    """nghttp2 throws it away without a word, and would do so for ever."""
    before = ends(stage, cause)
    wire = H2Wire(stage, NAME)
    if whose == "ours":
        stream = wire.request(path="/early", method="POST", end=False)
        wire.until(lambda: wire.answer(stream).reset is not None)
    else:
        stream = wire.request()
        assert wire.finish(stream).status == 200
    flood(wire, frame(h2.DATA, 0, stream) * 50)
    calmed(wire)
    wait_until(lambda: ends(stage, cause) == before + 1)
    wire.close()


def test_rapid_reset(stage):
    """Slots stay taken for a while after the reset, and too many resets end it."""
    stage.script.seconds = 1
    before = ends(stage, "client_resets")
    wire = H2Wire(stage, NAME)
    wire.sock.settimeout(5)
    try:
        for _ in range(2000):
            wire.reset(wire.request(path="/slow"))
    except OSError:
        pass
    calmed(wire)
    wait_until(lambda: ends(stage, "client_resets") == before + 1)
    assert stage.script.most <= 256, stage.script.most
    wire.close()
    wait_until(lambda: stage.script.now == 0)


def test_slots_of_streams_that_were_reset_stay_taken(stage):
    """The app is at work for two seconds, whether anybody waits for it or not."""
    stage.script.seconds = 2
    wire = H2Wire(stage, NAME)
    first = None
    for batch in (1, 2):
        streams = [wire.request(path="/slow") for _ in range(120)]
        wait_until(lambda: stage.script.total == batch * 120)
        first = first or time.monotonic()
        for stream in streams:
            wire.reset(stream)
    streams = [wire.request(path="/slow") for _ in range(120)]
    took = time.monotonic() - first
    answers = [wire.answer(stream) for stream in streams]
    wire.until(lambda: all(answer.ended or answer.reset is not None for answer in answers), 20)
    refused = sum(answer.reset == h2.REFUSED_STREAM for answer in answers)
    # 128 a second come free: where machines are slow, all of them.
    assert refused > 0 or took > 0.5, took
    assert stage.script.total == 3 * 120 - refused
    wire.close()
    wait_until(lambda: stage.script.now == 0)


def test_made_you_reset(stage):
    """The edge resets, the client only asks for it: WINDOW_UPDATE that overflows, a stream's own."""
    stage.script.seconds = 1
    before = ends(stage, "stream_errors")
    wire = H2Wire(stage, NAME)
    wire.sock.settimeout(5)
    try:
        for _ in range(1000):
            wire.window(wire.request(path="/slow"), 0x7fffffff)
    except OSError:
        pass
    calmed(wire)
    wait_until(lambda: ends(stage, "stream_errors") == before + 1)
    assert stage.script.most <= 256, stage.script.most
    wire.close()
    wait_until(lambda: stage.script.now == 0)


def test_malformed_without_end(stage):
    wire = H2Wire(stage, NAME)
    wire.sock.settimeout(5)
    try:
        for _ in range(1000):
            wire.request(wire.head(extra=[("Bad", "1")]))
    except OSError:
        pass
    calmed(wire)
    assert stage.script.total == 0
    wire.close()


def test_continuation_without_end(stage):
    before = ends(stage, "continuations") + ends(stage, "head_work") + ends(stage, "protocol")
    wire = H2Wire(stage, NAME)
    wire.send(frame(h2.HEADERS, h2.END_STREAM, 1, wire.block(wire.head())))
    flood(wire, frame(h2.CONTINUATION, 0, 1, b"\0\1x\1y" * 100))
    calmed(wire)
    wait_until(lambda: ends(stage, "continuations") + ends(stage, "head_work") + ends(stage, "protocol") == before + 1)
    wire.close()


def test_empty_continuations_without_end(stage):
    wire = H2Wire(stage, NAME)
    wire.send(frame(h2.HEADERS, h2.END_STREAM, 1, wire.block(wire.head())))
    flood(wire, frame(h2.CONTINUATION, 0, 1) * 50)
    calmed(wire)
    wire.close()


def test_hpack_bomb(stage):
    """A field of 4 KB in the table, then thousands of references of a byte each."""
    before = ends(stage, "head_work")
    wire = H2Wire(stage, NAME)
    big = wire.block(wire.head(extra=[("x-bomb", "b" * 3900)]))
    wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, big))
    assert wire.finish(1).status == 200
    wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 3, wire.block(wire.head()) + b"\xbe" * 16000))
    calmed(wire)
    wait_until(lambda: ends(stage, "head_work") == before + 1)
    wire.close()


def test_zero_windows(stage):
    """128 large answers that the client lets not begin: given up after write-timeout."""
    wire = H2Wire(stage, NAME, settings={h2.INITIAL_WINDOW_SIZE: 0})
    streams = [wire.request(path="/big") for _ in range(128)]
    wire.until(lambda: all(wire.answer(stream).reset is not None for stream in streams), 20)
    assert {wire.answer(stream).reset for stream in streams} == {h2.CANCEL}
    wire.close()


def test_a_byte_at_a_time(stage):
    """The client takes a response in windows of one byte."""
    wire = H2Wire(stage, NAME, settings={h2.INITIAL_WINDOW_SIZE: 0})
    wire.updates = False
    stream = wire.request(path="/big")
    wire.sock.settimeout(5)
    try:
        for _ in range(20000):
            wire.window(stream, 1)
    except OSError:
        pass
    calmed(wire)
    wire.close()


def test_more_streams_than_were_offered(stage):
    stage.script.seconds = 1
    wire = H2Wire(stage, NAME)
    wire.until(lambda: wire.their)
    wire.get()
    streams = [wire.request(path="/slow") for _ in range(140)]
    wire.until(lambda: wire.goaways or all(wire.answer(s).status or wire.answer(s).reset is not None for s in streams), 20)
    assert stage.script.most <= 128
    wire.close()
    wait_until(lambda: stage.script.now == 0)


def test_client_that_never_reads(stage):
    wire = H2Wire(stage, NAME, settings={h2.INITIAL_WINDOW_SIZE: 0x7fffffff}, read_ahead=4096)
    wire.window(0, 0x7fff0000 - 65535)
    for _ in range(100):
        wire.request(path="/big")
    before = ends(stage, "write_timeout")
    wait_until(lambda: ends(stage, "write_timeout") == before + 1, 20)
    wire.close()


def test_head_that_does_not_end(lab):
    platform = lab.platform(edges=1, edge={"header_timeout": "500ms", "idle_timeout": "700ms"})
    platform.activate(NAME)
    wire = H2Wire(platform, NAME)
    wire.get()
    wire.send(frame(h2.HEADERS, h2.END_STREAM, 3, wire.block(wire.head())))
    wire.to_the_end()
    assert wire.goaways[-1].error == h2.ENHANCE_YOUR_CALM
    idle = H2Wire(platform, NAME)
    idle.get()
    idle.to_the_end()
    assert [goaway.error for goaway in idle.goaways] == [h2.NO_ERROR] * len(idle.goaways) and idle.goaways
