"""An app tier that breaks HTTP/2: what spoils one response ends its stream alone, what spoils the connection ends that,
and neither costs the edge memory, or other visitors more than a retry."""

import struct
import time

import pytest
from lab import h2_origin as h2
from lab.h2_origin import H2Origin
from lab.place import is_sanitized
from lab.process import wait_until

NAME = "shop.brand.test"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def stage(shared_lab):
    platform = shared_lab.prepare(edges=1)
    origin = shared_lab.use(H2Origin(platform.ground.address(4)))
    platform.edge.settings.update({"upstream": origin.url, "workers": 1, "upstream_timeout": "10s"})
    platform.start(without=[platform.app])
    platform.activate(NAME)
    assert platform.visit(NAME, edge=platform.edge).status == 200
    return platform, origin


@pytest.fixture
def app(stage):
    platform, origin = stage
    origin.forget()
    # Not kept as ejected by what the test before has done to it.
    wait_until(lambda: platform.visit(NAME, edge=platform.edge).status == 200, 10, "it to be asked again")
    return platform, origin


def fields(*pairs, end=True):
    return lambda stream: stream.connection.send_fields(stream.number, list(pairs), end)


def raw(kind, flags, payload, stream_zero=False):
    return lambda stream: stream.connection.send(
        h2.frame(kind, flags, 0 if stream_zero else stream.number, payload))


def then_data(*pairs, data=b"", end=True):
    def script(stream):
        stream.connection.send_fields(stream.number, list(pairs), False)
        stream.data(data, end)
    return script


def with_trailers(*trailers):
    def script(stream):
        stream.head()
        stream.data(b"body")
        stream.end(list(trailers))
    return script


OK = (":status", "200")
BAD_HEADS = {
    "no status": fields(("server", "x")),
    "two statuses": fields(OK, (":status", "204")),
    "a status behind a field": fields(("server", "x"), OK),
    "a status of words": fields((":status", "abc")),
    "a status of four digits": fields((":status", "2000")),
    "a status below 100": fields((":status", "099")),
    "a status above 599": fields((":status", "600")),
    "an unknown pseudo-field": fields(OK, (":secret", "x")),
    "a request's pseudo-field": fields(OK, (":path", "/")),
    "an upper-case name": fields(OK, ("Server", "x")),
    "an empty name": fields(OK, ("", "x")),
    "a name with a blank": fields(OK, ("a b", "x")),
    "a line feed in a value": fields(OK, ("a", "b\nset-cookie: c")),
    "a carriage return in a value": fields(OK, ("a", "b\rset-cookie: c")),
    "a NUL in a value": fields(OK, ("a", "b\0c")),
    "connection": fields(OK, ("connection", "close")),
    "keep-alive": fields(OK, ("keep-alive", "timeout=5")),
    "transfer-encoding": fields(OK, ("transfer-encoding", "chunked")),
    "upgrade": fields(OK, ("upgrade", "h2c")),
    "101": fields((":status", "101"), end=False),
    "a 1xx that ends": fields((":status", "103")),
    "two lengths": fields(OK, ("content-length", "1"), ("content-length", "2")),
    "a negative length": fields(OK, ("content-length", "-1")),
    "a length with a sign": then_data(OK, ("content-length", "+4"), data=b"four"),
    "a length's twin": then_data(OK, ("content_length", "4"), data=b"four"),
    "a length and no body": fields(OK, ("content-length", "5")),
    "too many fields": fields(OK, *[("a", str(number)) for number in range(200)]),
    "fields that are too large": fields(OK, *[(f"a{number}", "x" * 4000) for number in range(30)]),
    "one large field, named thousands of times by one byte each": fields(OK, *[("a", "x" * 4000)] * 12000),
    "a window that SETTINGS make too large": lambda stream: (
        stream.connection.open_window(stream.number, 0x7fff0000), stream.connection.change((h2.INITIAL_WINDOW_SIZE, 0x7fffffff))),
    "interim answers without end": lambda stream: [stream.head(100, [("link", str(number))]) for number in range(100)],
}


@pytest.mark.parametrize("what", BAD_HEADS)
def test_a_malformed_head_is_502_and_ends_its_stream_alone(app, what):
    platform, origin = app
    first = origin.requests[-1].connection
    before = platform.edge.metric("postern_edge_upstream_failures_total", cause="malformed")
    origin.script = BAD_HEADS[what]
    assert platform.visit(NAME, "/bad", edge=platform.edge).status == 502
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_failures_total", cause="malformed") == before + 1, 10, "it to be counted")
    assert origin.requests[-1].wait_reset() in (h2.PROTOCOL_ERROR, h2.INTERNAL_ERROR, h2.FLOW_CONTROL_ERROR)
    origin.script = H2Origin.obey
    assert platform.visit(NAME, "/good", edge=platform.edge).status == 200
    assert origin.requests[-1].connection is first, "the connection is as good as before"


BAD_BODIES = {
    "more than its length": then_data(OK, ("content-length", "4"), data=b"fives"),
    "less than its length": then_data(OK, ("content-length", "4"), data=b"two"),
    "a body for 204": then_data((":status", "204"), data=b"body"),
    "a status in the trailers": with_trailers((":status", "200")),
    "an upper-case trailer": with_trailers(("X-Sum", "1")),
    "a connection's field in the trailers": with_trailers(("connection", "close")),
    "trailers that do not end": lambda stream: (stream.head(), stream.data(b"body"),
                                                stream.connection.send_fields(stream.number, [("x-sum", "1")], False)),
}


@pytest.mark.parametrize("what", BAD_BODIES)
def test_a_body_that_is_not_what_was_said_is_seen_to_be_cut(app, what):
    platform, origin = app
    first = origin.requests[-1].connection
    origin.script = BAD_BODIES[what]
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"GET /bad HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except OSError:
        pass
    sock.close()
    assert not data.endswith(b"\r\n0\r\n\r\n") and b"fives" not in data, data
    assert data == b"" or data.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 200 ", b"HTTP/1.1 204 ")), data
    origin.script = H2Origin.obey
    assert platform.visit(NAME, "/good", edge=platform.edge).status == 200
    assert origin.requests[-1].connection is first


BEHIND_THE_END = {
    "DATA": raw(h2.DATA, 0, b"more"),
    "DATA and an end": raw(h2.DATA, h2.END_STREAM, b"more"),
    "a head": lambda stream: stream.head(500),
    "trailers": lambda stream: stream.end([("x-sum", "1")]),
    "a reset": lambda stream: stream.reset(h2.INTERNAL_ERROR),
    "a window": lambda stream: stream.connection.open_window(stream.number, 1),
    "a window that overflows": lambda stream: stream.connection.open_window(stream.number, 0x7fffffff),
}


@pytest.mark.parametrize("what", BEHIND_THE_END)
def test_what_comes_behind_an_answers_end_is_nobodys(app, what):
    platform, origin = app
    first = origin.requests[-1].connection
    origin.script = lambda stream: (stream.answer(b"whole"), BEHIND_THE_END[what](stream))
    for _ in range(3):
        visit = platform.visit(NAME, "/behind", edge=platform.edge)
        assert (visit.status, visit.body) == (200, b"whole")
    origin.script = H2Origin.obey
    assert platform.visit(NAME, "/good", edge=platform.edge).body == b"ok\n"
    assert origin.requests[-1].connection is first


def test_bodies_that_are_mostly_padding_arrive(app):
    """The padding is taken off the windows, too, and has to be given back."""
    platform, origin = app

    def script(stream):
        stream.head()
        for number in range(2000):
            stream.connection.send(h2.frame(h2.DATA, h2.PADDED, stream.number, b"\xff" + b"x" + bytes(255)))
            if number % 200 == 199:
                stream.connection.send(h2.frame(h2.PING, 0, 0, b"12345678"))
                wait_until(lambda: sum(got.kind == h2.PING for got in stream.connection.frames) > number // 200, 10, "it to have read")
        stream.data(b"", True)
    origin.script = script
    visit = platform.visit(NAME, edge=platform.edge, timeout=20)
    assert (visit.status, visit.body) == (200, b"x" * 2000)


def endless(make, until=60 * MIB):
    def script(stream):
        sent = 0
        while sent < until:
            data = make(stream)
            stream.connection.send(data)
            sent += len(data)
        stream.flooded = True
    return script


def continuations(stream):
    if not getattr(stream, "begun", False):
        stream.begun = True
        return h2.frame(h2.HEADERS, 0, stream.number, b"\x88")
    return h2.frame(h2.CONTINUATION, 0, stream.number, b"") * 100


def heavy_continuations(stream):
    if not getattr(stream, "begun", False):
        stream.begun = True
        return h2.frame(h2.HEADERS, 0, stream.number, b"\x88")
    return h2.frame(h2.CONTINUATION, 0, stream.number, b"\x00\x01a\x7f\x80\x7d" + b"x" * 16000)


def heads_behind_the_end(stream):
    if not getattr(stream, "begun", False):
        stream.begun = True
        stream.answer()
    return h2.frame(h2.HEADERS, 5, stream.number, b"\x88") * 1000


UPDATE = struct.pack(">I", 1)
BROKEN = {
    "a flood of SETTINGS": endless(lambda stream: h2.frame(h2.SETTINGS) * 1000),
    "a flood of PING": endless(lambda stream: h2.frame(h2.PING, 0, 0, b"12345678") * 1000),
    "a flood of PING answers": endless(lambda stream: h2.frame(h2.PING, 1, 0, b"12345678") * 1000),
    "a flood of PRIORITY": endless(lambda stream: h2.frame(h2.PRIORITY, 0, 1001, b"\0\0\0\0\x10") * 1000),
    "a flood of empty DATA": endless(lambda stream: (stream.head(), setattr(stream, "head", lambda: None),
                                                     h2.frame(h2.DATA, 0, stream.number) * 1000)[2]
                                     if callable(stream.head) else b""),
    "a flood of WINDOW_UPDATE": endless(lambda stream: h2.frame(h2.WINDOW_UPDATE, 0, 0, UPDATE) * 1000),
    "a flood of frames of no known type": endless(lambda stream: h2.frame(77, 0, 0, b"x") * 1000),
    "a flood of empty CONTINUATION": endless(continuations),
    "a field block that never ends": endless(heavy_continuations),
    "a flood of heads that nobody awaits": endless(heads_behind_the_end),
    "GOAWAY with a number that is no request's": lambda stream: stream.connection.go_away(2),
    "GOAWAY that takes back what the last one said": lambda stream: (
        stream.connection.go_away(stream.number), stream.connection.go_away(0x7fffffff)),
    "a push": lambda stream: stream.connection.send(
        h2.frame(h2.PUSH_PROMISE, 4, stream.number, struct.pack(">I", 2) + stream.connection.encoder.encode(
            [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", NAME)]))),
    "a window that overflows": raw(h2.WINDOW_UPDATE, 0, struct.pack(">I", 0x7fffffff), True),
    "a window that grows by nothing": raw(h2.WINDOW_UPDATE, 0, struct.pack(">I", 0), True),
    "DATA before any head": raw(h2.DATA, 1, b"body"),
    "a frame that is too large": raw(h2.DATA, 0, b"x" * 20000),
    "a field block that is none": raw(h2.HEADERS, 5, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    "a table that is too large": raw(h2.HEADERS, 5, b"\x3f\xe1\xff\x03\x88"),
    "SETTINGS of half a setting": raw(h2.SETTINGS, 0, b"abc", True),
    "a PING of three bytes": raw(h2.PING, 0, b"abc", True),
    "RST_STREAM of stream 0": raw(h2.RST_STREAM, 0, b"\0\0\0\0", True),
    "a frame inside a field block": lambda stream: stream.connection.send(
        h2.frame(h2.HEADERS, 0, stream.number, b"\x88") + h2.frame(h2.PING, 0, 0, b"12345678")),
    "a head for a stream that is not open": lambda stream: stream.connection.send(h2.frame(h2.HEADERS, 5, 4001, b"\x88")),
    "HTTP/1.1": lambda stream: stream.connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_the_protocol_ends_the_connection(app, what):
    """And a bystander, who waits for an answer on the same connection, gets it on another."""
    platform, origin = app
    first = origin.requests[-1].connection

    def script(stream):
        if stream.get(":path") != "/bystander":
            BROKEN[what](stream)
        elif stream.connection is not first:
            stream.answer(b"none of its business")
    origin.script = script
    bystander = platform.connect(NAME, edge=platform.edge, timeout=10)
    bystander.sendall(f"GET /bystander HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    wait_until(lambda: origin.requests[-1].get(":path") == "/bystander", 5, "the bystander")
    start = time.monotonic()
    sock = platform.connect(NAME, edge=platform.edge, timeout=10)
    sock.sendall(f"POST /bad HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n".encode())
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
            if data.startswith(b"HTTP/1.1 502 ") or data.endswith(b"ok\n"):
                break
    except OSError:
        pass
    sock.close()
    assert data.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 200 ")), data[:100]
    assert time.monotonic() - start < 9, "cut off, not timed out"
    wait_until(lambda: first.is_over, 5, "the connection to be over")
    bad = [stream for stream in origin.requests if stream.get(":path") == "/bad"]
    assert len(bad) == 1 and not getattr(bad[0], "flooded", False), "all of the flood was taken"
    heard = b""
    while not heard.endswith(b"none of its business"):
        chunk = bystander.recv(65536)
        assert chunk and (heard + chunk).startswith(b"HTTP/1.1 200 "), heard + chunk
        heard += chunk
    bystander.close()
    origin.script = H2Origin.obey
    assert platform.visit(NAME, "/good", edge=platform.edge).status == 200
    assert origin.requests[-1].connection is not first
    assert is_sanitized("postern-edge") or platform.edge.process.rss() < 150 * MIB


@pytest.mark.parametrize("method, tries", [("GET", 2), ("PUT", 1), ("POST", 1)])
def test_who_breaks_each_connection_is_sent_there_twice_at_most(app, method, tries):
    """By whose request a connection broke nobody can tell: what is idempotent and has no body goes again, once."""
    platform, origin = app
    origin.script = BROKEN["DATA before any head"]
    body = None if method == "GET" else b"a body"
    assert platform.visit(NAME, "/breaks", edge=platform.edge, method=method, body=body).status == 502
    assert [stream.get(":path") for stream in origin.requests].count("/breaks") == tries


def test_an_answer_is_whole_whatever_comes_right_behind_it(app):
    """The end of the answer and what ends the connection are read at once."""
    platform, origin = app

    def script(stream):
        block = stream.connection.encoder.encode([OK, ("content-length", "5")])
        stream.connection.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream.number, block) +
                               h2.frame(h2.DATA, h2.END_STREAM, stream.number, b"whole") +
                               h2.frame(h2.HEADERS, 0, stream.number, b"\x88") +
                               h2.frame(h2.CONTINUATION, 0, stream.number) * 100)
    origin.script = script
    visit = platform.visit(NAME, method="POST", body=b"once", edge=platform.edge)
    assert (visit.status, visit.body) == (200, b"whole")


def test_a_push_before_our_settings_are_acknowledged_is_cancelled(app):
    platform, origin = app
    origin.acknowledges = False
    origin.requests[-1].connection.hang_up()

    def script(stream):
        connection = stream.connection
        connection.send(h2.frame(h2.PUSH_PROMISE, 4, stream.number, struct.pack(">I", 2) + connection.encoder.encode(
            [(":method", "GET"), (":path", "/pushed"), (":scheme", "http"), (":authority", NAME)])))
        connection.send_fields(2, [OK], False)
        connection.send(h2.frame(h2.DATA, 0, 2, b"x" * 10000))
        stream.answer(b"asked for")
    origin.script = script
    visit = platform.visit(NAME, edge=platform.edge)
    assert (visit.status, visit.body) == (200, b"asked for")
    connection = origin.requests[-1].connection
    wait_until(lambda: any(got.kind == h2.RST_STREAM and got.stream == 2 for got in connection.frames), 5, "its reset")


def test_who_never_answers_is_cancelled_and_the_visitor_told(app):
    """Our own deadline, which is above the app's: a client of gRPC makes UNAVAILABLE of a 504."""
    platform, origin = app
    origin.script = lambda stream: stream.wait_reset(20)
    assert platform.visit(NAME, "/never", edge=platform.edge, timeout=30).status == 504
    assert origin.requests[-1].wait_reset() == h2.CANCEL
    assert [stream.get(":path") for stream in origin.requests].count("/never") == 1


def test_who_ignores_a_streams_window_is_reset(app):
    platform, origin = app
    sent = []

    def script(stream):
        stream.head()
        for _ in range(20):
            stream.connection.send(h2.frame(h2.DATA, 0, stream.number, b"x" * 16384) * 200)
        sent.append(stream.wait_reset())
    origin.script = script
    sock = platform.connect(NAME, edge=platform.edge, timeout=10)
    sock.sendall(f"GET /bad HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    wait_until(lambda: sent == [h2.FLOW_CONTROL_ERROR], 10, "the reset")
    sock.close()
    assert is_sanitized("postern-edge") or platform.edge.process.rss() < 150 * MIB
    origin.script = H2Origin.obey
    assert platform.visit(NAME, "/good", edge=platform.edge).status == 200


def test_answers_that_nobody_asked_for_end_no_request(app):
    platform, origin = app
    origin.acknowledges = origin.answers_pings = False
    for _ in range(3):
        assert platform.visit(NAME, edge=platform.edge).status == 200
