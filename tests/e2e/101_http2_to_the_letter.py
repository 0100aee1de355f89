"""HTTP/2 frame by frame (RFC 9113): what is malformed costs its stream, what breaks the protocol the connection, and
neither reaches the app."""

import struct
import threading
import time

import pytest

from lab import h2_wire as h2
from lab.h2_wire import H2Wire, frame
from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"
MIB = 1024 * 1024


class App:
    def __init__(self):
        self.gates = {}

    def gate(self, path):
        return self.gates.setdefault(path, threading.Event())

    def __call__(self, request):
        if request.target.startswith("/wait"):
            self.gate(request.target).wait(20)
            request.answer(b"done")
        elif request.target.startswith("/big"):
            request.answer(b"b" * (8 * MIB))
        elif request.target == "/early":
            request.answer(b"enough", status="413 Content Too Large")
            return False
        elif request.target == "/cut":
            request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")
            return False
        elif request.target == "/chunks":
            request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            self.gate("/chunks").wait(20)
            request.sock.sendall(b"0\r\n\r\n")
        else:
            body = request.body()
            request.answer(request.head + b"\r\n\r\n" + body)
        return None


@pytest.fixture(scope="module")
def place(shared_lab):
    platform = shared_lab.prepare(edges=1)
    app = App()
    platform.origin = shared_lab.use(Origin(platform.ground.address(4), app))
    platform.script = app
    platform.edge.settings["upstream"] = platform.origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    return platform


@pytest.fixture
def wire(place):
    place.origin.requests.clear()
    connection = H2Wire(place, NAME)
    yield connection
    connection.close()


def ends_with(wire, *errors):
    wire.to_the_end()
    assert wire.goaways and wire.goaways[-1].error in errors, (wire.goaways, wire.frames[-4:])


def test_settings_come_first_and_say_the_limits(wire):
    assert wire.get().status == 200
    assert wire.frames[0].kind == h2.SETTINGS
    assert wire.their[h2.MAX_CONCURRENT_STREAMS] == 128 and wire.their[6] == 65536 and wire.their[9] == 1


MALFORMED = {
    "upper case": [("X-Name", "1")], "space in a name": [("a b", "1")], "no name": [("", "1")],
    "line feed": [("x", "a\nb")], "carriage return": [("x", "a\rb")], "NUL": [("x", "a\0b")],
    "white space around": [("x", " 1")], "connection": [("connection", "close")],
    "keep-alive": [("keep-alive", "1")], "proxy-connection": [("proxy-connection", "x")],
    "transfer-encoding": [("transfer-encoding", "chunked")], "upgrade": [("upgrade", "h2c")],
    "te": [("te", "gzip")], "late pseudo": [("x", "1"), (":path", "/")], "unknown pseudo": [(":x", "1")],
    "status": [(":status", "200")], "twice": [(":method", "GET")], "length of no body": [("content-length", "1")],
    "two lengths": [("content-length", "0"), ("content-length", "0")], "no number": [("content-length", "x")],
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_head_resets_its_stream_alone(wire, place, what):
    answer = wire.finish(wire.request(wire.head(extra=MALFORMED[what])))
    assert answer.reset == h2.PROTOCOL_ERROR and answer.status is None
    assert not place.origin.requests
    assert wire.get().status == 200


PSEUDO = {
    "no method": [(":scheme", "https"), (":path", "/"), (":authority", NAME)],
    "no scheme": [(":method", "GET"), (":path", "/"), (":authority", NAME)],
    "no path": [(":method", "GET"), (":scheme", "https"), (":authority", NAME)],
    "empty path": [(":method", "GET"), (":scheme", "https"), (":path", ""), (":authority", NAME)],
    "path without slash": [(":method", "GET"), (":scheme", "https"), (":path", "x"), (":authority", NAME)],
    "line feed in the path": [(":method", "GET"), (":scheme", "https"), (":path", "/a\nb"), (":authority", NAME)],
    "asterisk": [(":method", "GET"), (":scheme", "https"), (":path", "*"), (":authority", NAME)],
    "user": [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "me@" + NAME)],
    "method of two words": [(":method", "GET /"), (":scheme", "https"), (":path", "/"), (":authority", NAME)],
}


@pytest.mark.parametrize("what", PSEUDO)
def test_malformed_pseudo_fields(wire, place, what):
    assert wire.finish(wire.request(PSEUDO[what])).reset == h2.PROTOCOL_ERROR
    assert not place.origin.requests and wire.get().status == 200


@pytest.mark.parametrize("status,fields", [
    (400, [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", NAME), ("host", "other.test")]),
    (400, [(":method", "GET"), (":scheme", "https"), (":path", "/")]),
    (400, [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", NAME), ("content_length", "1")]),
    (421, [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "other.brand.test")]),
    (501, [(":method", "CONNECT"), (":authority", NAME + ":443")]),
    (501, [(":method", "TRACE"), (":scheme", "https"), (":path", "/"), (":authority", NAME)]),
    (414, [(":method", "GET"), (":scheme", "https"), (":path", "/" + "a" * 33000), (":authority", NAME)]),
    (431, [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", NAME),
           *[("x", "y" * 900)] * 80])], ids=lambda value: value if isinstance(value, int) else None)
def test_what_is_not_served_gets_its_status(wire, place, status, fields):
    payload = wire.block(fields)
    stream = wire.next_stream
    wire.next_stream += 2
    pieces = [payload[at:at + 16384] for at in range(0, len(payload), 16384)]
    for index, piece in enumerate(pieces):
        flags = (h2.END_HEADERS if index == len(pieces) - 1 else 0) | (h2.END_STREAM if index == 0 else 0)
        wire.send(frame(h2.CONTINUATION if index else h2.HEADERS, flags, stream, piece))
    assert wire.finish(stream).status == status
    assert not place.origin.requests and wire.get().status == 200


def test_body_that_is_not_as_long_as_it_said(wire):
    for sent, end in ((b"1234567", False), (b"123", True)):
        stream = wire.request(method="POST", extra=[("content-length", "5")], end=False)
        wire.data(stream, sent, end)
        assert wire.finish(stream).reset == h2.PROTOCOL_ERROR
    stream = wire.request(method="POST", extra=[("content-length", "5")], end=False)
    wire.data(stream, b"12345", True)
    answer = wire.finish(stream)
    assert answer.status == 200 and answer.body.endswith(b"Content-Length: 5\r\n\r\n12345") or answer.body.endswith(b"12345")


def test_bodies_of_unknown_length_and_trailers_go_on_in_chunks(wire, place):
    stream = wire.request(method="POST", extra=[("te", "trailers")], end=False)
    wire.data(stream, b"abc")
    wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, wire.block([("x-sum", "3")])))
    answer = wire.finish(stream)
    assert answer.status == 200 and answer.body.endswith(b"abc")
    assert place.origin.requests[-1].all("transfer-encoding") == ["chunked"]


@pytest.mark.parametrize("fields,end", [([(":path", "/")], True), ([("connection", "x")], True), ([("x", "1")], False)])
def test_malformed_trailers(wire, fields, end):
    stream = wire.request(method="POST", end=False)
    wire.data(stream, b"abc")
    wire.send(frame(h2.HEADERS, h2.END_HEADERS | (h2.END_STREAM if end else 0), stream, wire.block(fields)))
    assert wire.finish(stream).reset == h2.PROTOCOL_ERROR
    assert wire.get().status == 200


def test_cookies_in_crumbs_are_one_field_to_the_app(wire, place):
    wire.get(extra=[("cookie", "a=1"), ("x", "2"), ("cookie", "b=3")])
    assert place.origin.requests[-1].all("cookie") == ["a=1; b=3"]


BROKEN = {
    "not a preface": (lambda w: w.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (h2.PROTOCOL_ERROR,)),
    "DATA on stream 0": (lambda w: w.data(0, b"x"), (h2.PROTOCOL_ERROR,)),
    "DATA on an idle stream": (lambda w: w.data(7, b"x"), (h2.PROTOCOL_ERROR, h2.STREAM_CLOSED)),
    "even stream": (lambda w: w.request(stream=2), (h2.PROTOCOL_ERROR,)),
    "window of the connection overflows": (lambda w: w.window(0, 0x7fffffff), (h2.FLOW_CONTROL_ERROR,)),
    "window update of nothing": (lambda w: w.window(0, 0), (h2.PROTOCOL_ERROR,)),
    "frame too large": (lambda w: w.send(frame(h2.DATA, 0, 1, b"x" * 20000)), (h2.FRAME_SIZE_ERROR,)),
    "short PING": (lambda w: w.send(frame(h2.PING, 0, 0, b"1234567")), (h2.FRAME_SIZE_ERROR,)),
    "odd SETTINGS": (lambda w: w.send(frame(h2.SETTINGS, 0, 0, b"1")), (h2.FRAME_SIZE_ERROR,)),
    "huge window in SETTINGS": (lambda w: w.send(frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31))),
                                (h2.FLOW_CONTROL_ERROR,)),
    "PUSH_PROMISE": (lambda w: w.send(frame(h2.PUSH_PROMISE, 4, 1, b"\0\0\0\2\x82")), (h2.PROTOCOL_ERROR,)),
    "CONTINUATION alone": (lambda w: w.send(frame(h2.CONTINUATION, 4, 1, b"\x82")), (h2.PROTOCOL_ERROR,)),
    "another frame inside a head": (lambda w: w.send(frame(h2.HEADERS, 0, 1, b"\x82") + frame(h2.PING, 0, 0, b"8" * 8)),
                                    (h2.PROTOCOL_ERROR,)),
    "bad HPACK index": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\xff\xff\xff\x7f")), (h2.COMPRESSION_ERROR,)),
    "padding longer than the frame": (lambda w: w.send(frame(h2.HEADERS, 5 | 8, 1, b"\xff\x82")), (h2.PROTOCOL_ERROR,)),
    "padding longer than DATA": (lambda w: w.send(frame(h2.DATA, 8, open_stream(w), b"\5abc")), (h2.PROTOCOL_ERROR,)),
    "number that was passed over": (lambda w: (w.finish(w.request(stream=5)), w.request(stream=3)), (h2.PROTOCOL_ERROR,)),
    "head on a stream that has ended": (lambda w: (w.finish(w.request(stream=1)), w.request(stream=1)), (h2.STREAM_CLOSED,)),
    "head on a stream that it has reset": (
        lambda w: (w.reset(w.request(stream=1, path="/wait/reset")), w.request(stream=1)), (h2.STREAM_CLOSED,)),
    "HEADERS on stream 0": (lambda w: w.request(stream=0), (h2.PROTOCOL_ERROR,)),
    "SETTINGS on a stream": (lambda w: w.send(frame(h2.SETTINGS, 0, 1)), (h2.PROTOCOL_ERROR,)),
    "acknowledgement with SETTINGS": (lambda w: w.send(frame(h2.SETTINGS, h2.ACK, 0, b"\0\4\0\0\0\1")),
                                      (h2.FRAME_SIZE_ERROR,)),
    "push neither on nor off": (lambda w: w.send(setting(2, 2)), (h2.PROTOCOL_ERROR,)),
    "frames shorter than allowed": (lambda w: w.send(setting(5, 16383)), (h2.PROTOCOL_ERROR,)),
    "frames longer than possible": (lambda w: w.send(setting(5, 2**24)), (h2.PROTOCOL_ERROR,)),
    "window made too large by SETTINGS": (
        lambda w: (w.window(w.request(path="/wait/window"), 0x7fffffff - 65535), w.send(setting(4, 65536))),
        (h2.FLOW_CONTROL_ERROR,)),
    "PING on a stream": (lambda w: w.send(frame(h2.PING, 0, 1, b"12345678")), (h2.PROTOCOL_ERROR,)),
    "GOAWAY on a stream": (lambda w: w.send(frame(h2.GOAWAY, 0, 1, b"\0" * 8)), (h2.PROTOCOL_ERROR,)),
    "short GOAWAY": (lambda w: w.send(frame(h2.GOAWAY, 0, 0, b"\0" * 7)), (h2.FRAME_SIZE_ERROR,)),
    "short RST_STREAM": (lambda w: w.send(frame(h2.RST_STREAM, 0, open_stream(w), b"\0\0\0")), (h2.FRAME_SIZE_ERROR,)),
    "RST_STREAM on stream 0": (lambda w: w.reset(0), (h2.PROTOCOL_ERROR,)),
    "RST_STREAM of an idle stream": (lambda w: w.reset(7), (h2.PROTOCOL_ERROR,)),
    "window of an idle stream": (lambda w: w.window(7, 1), (h2.PROTOCOL_ERROR,)),
    "short WINDOW_UPDATE": (lambda w: w.send(frame(h2.WINDOW_UPDATE, 0, 0, b"\0\0\1")), (h2.FRAME_SIZE_ERROR,)),
    "PRIORITY on stream 0": (lambda w: w.send(frame(h2.PRIORITY, 0, 0, b"\0\0\0\1\0")), (h2.PROTOCOL_ERROR,)),
    "CONTINUATION of another stream": (
        lambda w: w.send(frame(h2.HEADERS, 0, 1, b"\x82") + frame(h2.CONTINUATION, 4, 3, b"\x84")), (h2.PROTOCOL_ERROR,)),
    "table larger than offered": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\x3f\xe2\x1f")), (h2.COMPRESSION_ERROR,)),
    "update of the table inside a block": (lambda w: w.send(frame(h2.HEADERS, 5, 1, w.block(w.head()) + b"\x20")),
                                           (h2.COMPRESSION_ERROR,)),
}


def open_stream(wire):
    return wire.request(method="POST", end=False)


def setting(key, value):
    return frame(h2.SETTINGS, 0, 0, struct.pack(">HI", key, value))


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_the_protocol_ends_the_connection(place, what):
    wire = H2Wire(place, NAME, preface=what != "not a preface")
    act, errors = BROKEN[what]
    act(wire)
    ends_with(wire, *errors)
    wire.close()


STREAM_ERRORS = {
    "window overflows": (lambda w, stream: w.window(stream, 0x7fffffff), h2.FLOW_CONTROL_ERROR),
    "window update of nothing": (lambda w, stream: w.window(stream, 0), h2.PROTOCOL_ERROR),
    "short PRIORITY": (lambda w, stream: w.send(frame(h2.PRIORITY, 0, stream, b"\0\0\0\0")), h2.FRAME_SIZE_ERROR),
    "DATA behind the end": (lambda w, stream: (w.data(stream, b"", True), w.data(stream, b"x")), h2.STREAM_CLOSED),
    "head behind the end": (lambda w, stream: (w.data(stream, b"", True), w.request(stream=stream)), h2.STREAM_CLOSED),
}


@pytest.mark.parametrize("what", STREAM_ERRORS)
def test_what_breaks_the_protocol_on_a_stream_is_told_by_its_code(wire, what):
    """By a reset of the stream, or by the end of the connection (section 5.4.1 leaves the choice)."""
    act, error = STREAM_ERRORS[what]
    stream = wire.request(path=f"/wait/{what}".replace(" ", "-"), method="POST", end=False)
    act(wire, stream)
    wire.until(lambda: wire.answer(stream).reset is not None or wire.goaways)
    assert error in (wire.answer(stream).reset, *(goaway.error for goaway in wire.goaways))


@pytest.mark.parametrize("ending", ["both sides", "the client's reset"])
def test_closed_stream_takes_no_more_data(wire, ending):
    stream = wire.request(path="/" if ending == "both sides" else "/wait/closed")
    if ending == "both sides":
        assert wire.finish(stream).status == 200
    else:
        wire.reset(stream)
    wire.data(stream, b"x")
    wire.until(lambda: any(heard.kind == h2.RST_STREAM for heard in wire.frames))
    assert wire.answer(stream).reset == h2.STREAM_CLOSED
    assert wire.get().status == 200 and not wire.goaways


def test_what_was_under_way_when_we_ended_a_stream_is_forgiven(wire):
    """An upload that was answered early: its rest, and its trailers, may have been sent before that was heard."""
    stream = wire.request(path="/early", method="POST", end=False)
    wire.until(lambda: wire.answer(stream).reset is not None)
    wire.data(stream, b"x" * 5000)
    wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, wire.block([("x-sum", "3")])))
    assert wire.get().status == 200 and not wire.goaways
    resets = [heard for heard in wire.frames if heard.kind == h2.RST_STREAM]
    assert [heard.error for heard in resets] == [h2.NO_ERROR]


def test_responses_that_break_off_are_seen_to_be_cut(wire):
    answer = wire.finish(wire.request(path="/cut"))
    assert answer.status == 200 and answer.reset == h2.INTERNAL_ERROR and not answer.ended


def test_answer_before_the_body_ends_the_upload(wire):
    stream = wire.request(path="/early", method="POST", end=False)
    wire.data(stream, b"x" * 1000)
    answer = wire.finish(stream)
    assert answer.status == 413 and answer.body == b"enough"
    wire.until(lambda: answer.reset is not None)
    assert answer.reset == h2.NO_ERROR


def test_end_without_a_window(place):
    """Five bytes of window for a chunked answer of five bytes: its end needs none."""
    place.script.gate("/chunks").clear()
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 5})
    wire.updates = False
    stream = wire.request(path="/chunks")
    wire.until(lambda: len(wire.answer(stream).body) == 5)
    place.script.gate("/chunks").set()
    assert wire.finish(stream).ended
    wire.close()


def test_slow_reader_holds_back_the_app_and_nobody_else(wire, place):
    wire.updates = False
    slow = wire.request(path="/big")
    wire.until(lambda: len(wire.answer(slow).body) >= 65535)
    wire.window(0, MIB)
    assert wire.get().status == 200
    before = place.edge.process.rss()
    time.sleep(0.2)
    assert len(wire.answer(slow).body) == 65535
    assert place.edge.process.rss() - before < 2 * MIB
    wire.updates = True
    wire.window(0, 8 * MIB)
    wire.window(slow, 8 * MIB)
    assert len(wire.finish(slow).body) == 8 * MIB


def big_ones(place):
    """Requests that broke off may arrive late; they are for other paths."""
    return sum(request.target == "/big" for request in place.origin.requests)


def order_of_ends(place, requests):
    """Two large answers over a socket that takes little: which ends first?"""
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 16 * MIB}, read_ahead=65536)
    wire.updates = False
    wire.window(0, 64 * MIB)
    asked = big_ones(place)
    streams = [wire.request(path="/big", extra=extra) for extra in requests]
    wait_until(lambda: big_ones(place) == asked + len(requests), 20, "the app to be asked")
    time.sleep(0.3)  # so that the answers have come as far as they can: nothing tells
    ended = []
    while len(ended) < len(streams):
        heard = wire.hear()
        if heard.kind == h2.DATA and heard.flags & h2.END_STREAM:
            ended.append(streams.index(heard.stream))
            if len(ended) == 1:
                rest = [len(wire.answer(stream).body) for stream in streams]
    wire.close()
    return ended, rest


def test_urgent_answer_overtakes(place):
    ended, rest = order_of_ends(place, [[("priority", "u=5")], [("priority", "u=1")]])
    assert ended == [1, 0] and rest[0] < 4 * MIB, rest


def test_incremental_answers_share(place):
    ended, rest = order_of_ends(place, [[("priority", "u=3, i")], [("priority", "u=3, i")]])
    assert min(rest) > 3 * MIB, rest


def test_drain_says_goaway_twice_and_finishes_what_is_in_flight(lab):
    platform = lab.prepare(edges=1)
    app = App()
    origin = lab.use(Origin(platform.ground.address(4), app))
    platform.edge.settings.update(upstream=origin.url, drain_delay="0")
    platform.start()
    platform.activate(NAME)
    wire = H2Wire(platform, NAME)
    assert wire.get().status == 200
    stream = wire.request(path="/wait")
    wait_until(lambda: origin.requests and origin.requests[-1].target == "/wait")
    platform.edge.process.ask_to_end()
    wire.until(lambda: len(wire.goaways) == 2)
    first, second = wire.goaways
    assert first.last_stream == 0x7fffffff and second.last_stream == stream
    assert first.error == second.error == h2.NO_ERROR
    app.gate("/wait").set()
    assert wire.finish(stream).body == b"done"
    wire.to_the_end()
    assert platform.edge.process.wait(10) == 0


def test_switched_off_there_is_http_1_1_alone(lab):
    platform = lab.platform(edges=1, edge={"http2": "off"})
    platform.activate(NAME)
    assert platform.connect(NAME, edge=platform.edge, context=h2.tls.trust(platform.pebble.root, ("h2", "http/1.1"))
                            ).selected_alpn_protocol() == "http/1.1"
