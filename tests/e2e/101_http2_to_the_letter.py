"""HTTP/2 frame by frame (RFC 9113): what is malformed costs its stream, what breaks the protocol the connection, and
neither reaches the app."""

import struct
import threading

import pytest

from lab import h2_wire as h2
from lab.h2_wire import H2Wire, frame
from lab.origin import Origin
from lab.place import is_sanitized
from lab.process import wait_until

NAME = "shop.brand.test"
MIB = 1024 * 1024
BODILESS = {"/none": "204 No Content", "/known": "304 Not Modified"}


class App:
    def __init__(self):
        self.gates = {}
        self.bodies = []  # those that came whole

    def gate(self, path):
        return self.gates.setdefault(path, threading.Event())

    def __call__(self, request):
        if request.target.startswith("/wait"):
            self.gate(request.target).wait(20)
            request.answer(b"done")
        elif request.target.startswith("/big"):
            request.answer(b"b" * (8 * MIB))
            self.gate(request.target + " is out").set()
        elif request.target == "/until-the-end":
            try:
                while chunk := request.sock.recv(65536):
                    request.buffer += chunk
            except OSError:
                pass
            self.bodies.append(request.buffer)
        elif request.target in BODILESS:
            request.sock.sendall(f"HTTP/1.1 {BODILESS[request.target]}\r\nContent-Length: 5\r\n\r\nhello".encode())
            return False
        elif request.target == "/of-the-connection":
            request.sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                                 b"Proxy-Connection: x\r\nUpgrade: h2c\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
                                 b"X-Stays: 1\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nConnection: x\r\nContent-Length: 2\r\n\r\n")
        elif request.target == "/cookie":
            request.answer(b"ok", fields=[("Set-Cookie", "a=1"), ("X-Same", "each time")])
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
            length = request.all("content-length")
            body = request.exactly(int(length[0])) if length else request.body()
            if request.method == "POST":
                self.bodies.append(body)
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
    place.script.bodies.clear()
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
    "te": [("te", "gzip")], "te with more": [("te", "trailers, gzip")], "late pseudo": [("x", "1"), (":path", "/")], "unknown pseudo": [(":x", "1")],
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
    "line feed in the authority": [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a\nb")],
    "line feed in the scheme": [(":method", "GET"), (":scheme", "https\n"), (":path", "/"), (":authority", NAME)],
    "empty authority": [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "")],
    "CONNECT with a path": [(":method", "CONNECT"), (":scheme", "https"), (":path", "/"), (":authority", NAME)],
    "CONNECT to nobody": [(":method", "CONNECT")],
    "protocol without CONNECT": [(":method", "GET"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/"),
                                 (":authority", NAME)],
    "method of two words": [(":method", "GET /"), (":scheme", "https"), (":path", "/"), (":authority", NAME)],
}


@pytest.mark.parametrize("what", PSEUDO)
def test_malformed_pseudo_fields(wire, place, what):
    assert wire.finish(wire.request(PSEUDO[what])).reset == h2.PROTOCOL_ERROR
    assert not place.origin.requests and wire.get().status == 200


def say_long_head(wire, fields):
    """With as many continuations as it takes; its stream."""
    payload = wire.block(fields)
    stream = wire.next_stream
    wire.next_stream += 2
    pieces = [payload[at:at + 16384] for at in range(0, len(payload), 16384)]
    for index, piece in enumerate(pieces):
        flags = (h2.END_HEADERS if index == len(pieces) - 1 else 0) | (h2.END_STREAM if index == 0 else 0)
        wire.send(frame(h2.CONTINUATION if index else h2.HEADERS, flags, stream, piece))
    return stream


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
    assert wire.finish(say_long_head(wire, fields)).status == status
    assert not place.origin.requests and wire.get().status == 200


@pytest.mark.parametrize("sent,end", [(b"1234567", False), (b"1234567", True), (b"123", True), (b"", True), (b"123", "trailers")])
def test_body_that_is_not_as_long_as_it_said(wire, place, sent, end):
    """And the app can tell that it is not whole."""
    stream = wire.request(method="POST", extra=[("content-length", "5")], end=False)
    wire.data(stream, sent, end is True)
    if end == "trailers":
        wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, wire.block([("x-sum", "3")])))
    answer = wire.finish(stream)
    assert answer.reset == h2.PROTOCOL_ERROR and answer.status is None
    stream = wire.request(method="POST", extra=[("content-length", "5")], end=False)
    wire.data(stream, b"12345", True)
    answer = wire.finish(stream)
    assert answer.status == 200 and answer.body.endswith(b"\r\n\r\n12345")
    assert place.script.bodies == [b"12345"]


def test_body_with_malformed_trailers_is_not_whole_for_the_app(wire, place):
    stream = wire.request(path="/until-the-end", method="POST", end=False)
    wire.data(stream, b"abc")
    wait_until(lambda: place.origin.requests)
    wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, wire.block([("Bad", "1")])))
    assert wire.finish(stream).reset == h2.PROTOCOL_ERROR
    wait_until(lambda: place.script.bodies)
    # No last chunk; if all came at once, not even a first one.
    assert place.script.bodies[0] in (b"", b"3\r\nabc\r\n") and wire.get().status == 200


def test_padding_is_no_body_and_its_windows_come_back(wire, place):
    """Six hundred frames of 257 bytes, twice what the windows let through."""
    stream = wire.request(method="POST", end=False)
    for _ in range(300):
        wire.send(frame(h2.DATA, h2.PADDED, stream, b"\xffx" + b"\0" * 255))
    for _ in range(300):
        wire.send(frame(h2.DATA, h2.PADDED, stream, b"\xff" + b"\0" * 255))
    wire.data(stream, b"", True)
    assert wire.finish(stream).status == 200 and not wire.goaways
    assert place.script.bodies == [b"x" * 300]


WASTED = {
    "reset by the client": [b"x" * 15000] * 4,
    "longer than announced": [b"x" * 15000] * 4,
    "longer, and more behind it": [b"xx", b"x" * 15000],  # in one record
}


@pytest.mark.parametrize("how", WASTED)
def test_windows_come_back_from_bodies_that_nobody_wants(wire, place, how):
    """Together more than half of the connection's window, which is when it would be given back; with the end in the middle
    of a frame where that is ours."""
    wire.until(lambda: wire.their)
    path = f"/wait/{how}".replace(" ", "-")
    is_short = how == "longer, and more behind it"
    for _ in range(80):
        extra = [("content-length", "1")] if how != "reset by the client" else []
        stream = wire.request(path=path, method="POST", end=False, extra=extra)
        data = b"".join(frame(h2.DATA, 0, stream, piece) for piece in WASTED[how])
        wire.send(data if is_short else data[:5000])
        if extra:
            assert wire.finish(stream).reset == h2.PROTOCOL_ERROR
        if not is_short:
            wire.send(data[5000:])
            wire.reset(stream)
    place.script.gate(path).set()
    stream = wire.request(method="POST", end=False)
    wasted = 80 * sum(len(piece) for piece in WASTED[how])
    assert wire.upload(stream, MIB, before=wasted, patience=10) == MIB
    assert wire.finish(stream).status == 200 and place.script.bodies == [b"u" * MIB] and not wire.goaways


@pytest.mark.parametrize("status, path, extra", [(413, "/early", []), (417, "/", [("expect", "the worst")])], ids=["the app's", "ours"])
def test_windows_come_back_from_bodies_behind_an_answer(wire, place, status, path, extra):
    """Together more than the connection's window: who went beyond it would be sent away."""
    wire.until(lambda: wire.their)
    for _ in range(40):
        stream = wire.request(path=path, method="POST", end=False, extra=extra)
        answer = wire.answer(stream)
        wire.until(lambda: answer.status)
        assert answer.status == status
        wire.send(b"".join(frame(h2.DATA, 0, stream, b"x" * 15000) for _ in range(4)) + frame(h2.DATA, h2.END_STREAM, stream))
    stream = wire.request(method="POST", end=False)
    assert wire.upload(stream, MIB, before=40 * 60000, patience=10) == MIB
    assert wire.finish(stream).status == 200 and not wire.goaways


def test_cookies_in_crumbs_are_one_field_to_the_app(wire, place):
    wire.get(extra=[("cookie", "a=1"), ("x", "2"), ("cookie", "b=3")])
    assert place.origin.requests[-1].all("cookie") == ["a=1; b=3"]
    crumbs = [f"c{i}=1" for i in range(1400)]
    assert wire.finish(say_long_head(wire, wire.head(extra=[("cookie", crumb) for crumb in crumbs]))).status == 200
    assert place.origin.requests[-1].all("cookie") == ["; ".join(crumbs)]
    assert wire.finish(say_long_head(wire, wire.head(extra=[("cookie", "c=1")] * 1600))).status == 431
    assert len(place.origin.requests) == 2


@pytest.mark.parametrize("wrong", [("expect", "a miracle"), ("content_length", "5"), ("host", "other.test")])
def test_a_refused_head_that_goes_on_and_on_is_too_large(wire, wrong):
    """Few bytes here: each field after the first is one of the table."""
    assert wire.finish(wire.request(wire.head(extra=[wrong] + [("x", "a" * 3900)] * 60))).status == 431
    assert wire.get().status == 200


@pytest.mark.parametrize("method,path,status", [
    ("HEAD", "/known", 304), ("HEAD", "/none", 204), ("GET", "/known", 304), ("GET", "/none", 204)])
def test_answers_without_a_body_have_none(wire, method, path, status):
    """Whatever the app says behind them; and 204 has no length either (RFC 9110 section 8.6)."""
    answer = wire.get(path, method=method)
    assert answer.status == status and answer.ended and answer.reset is None and not answer.body
    assert answer.fields.get("content-length") == (None if status == 204 else "5")
    assert wire.get().status == 200


def test_cookies_and_what_is_new_each_time_are_in_no_table(wire):
    """What is compared with a secret there is told its length (RFC 7541 section 7.1)."""
    assert wire.get("/cookie").fields["set-cookie"] == "a=1"
    names = {name.decode() for name, _ in wire.decoder.header_table.dynamic_entries}
    assert "x-same" in names
    assert not names & {"set-cookie", "x-request-id"}, names


def test_answers_have_no_field_of_the_connection(wire):
    answer = wire.get("/of-the-connection")
    assert answer.body == b"ok" and answer.trailers == {"x-sum": "1"} and answer.fields["x-stays"] == "1"
    assert not {"connection", "x-hop", "keep-alive", "proxy-connection", "upgrade", "te", "transfer-encoding",
                "content-length"} & set(answer.fields)


BROKEN = {
    "not a preface": (lambda w: w.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (h2.PROTOCOL_ERROR,)),
    "no SETTINGS behind the preface": (lambda w: w.send(h2.PREFACE + frame(h2.PING, 0, 0, b"12345678")),
                                       (h2.PROTOCOL_ERROR,)),
    "DATA on stream 0": (lambda w: w.data(0, b"x"), (h2.PROTOCOL_ERROR,)),
    "DATA on an idle stream": (lambda w: w.data(7, b"x"), (h2.PROTOCOL_ERROR, h2.STREAM_CLOSED)),
    "even stream": (lambda w: w.request(stream=2), (h2.PROTOCOL_ERROR,)),
    "window of the connection overflows": (lambda w: w.window(0, 0x7fffffff), (h2.FLOW_CONTROL_ERROR,)),
    "window update of nothing": (lambda w: w.window(0, 0), (h2.PROTOCOL_ERROR,)),
    "frame too large": (lambda w: w.send(frame(h2.DATA, 0, 1, b"x" * 20000)), (h2.FRAME_SIZE_ERROR,)),
    "head too large for a frame": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\x82" * 16385)), (h2.FRAME_SIZE_ERROR,)),
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
    "field number 0": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\x80")), (h2.COMPRESSION_ERROR,)),
    "number without end": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\xff" * 13)), (h2.COMPRESSION_ERROR,)),
    "Huffman's end of string": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\0\1x\x84\xff\xff\xff\xff")),
                                (h2.COMPRESSION_ERROR,)),
    "Huffman's padding of a byte": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\0\1x\x82\x07\xff")),
                                    (h2.COMPRESSION_ERROR,)),
    "block that breaks off": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\x82\x87\x84\1\x0fshop")),
                              (h2.COMPRESSION_ERROR,)),
    "unknown frame inside a head": (lambda w: w.send(frame(h2.HEADERS, 1, 1, b"\x82") + frame(99)), (h2.PROTOCOL_ERROR,)),
    "acknowledgement of nothing": (lambda w: (w.get(), w.send(frame(h2.SETTINGS, h2.ACK))), (h2.PROTOCOL_ERROR,)),
    "padding as long as its frame": (lambda w: w.send(frame(h2.DATA, 8, open_stream(w), b"\4abc")), (h2.PROTOCOL_ERROR,)),
    "tree of priorities neither on nor off": (lambda w: w.send(setting(9, 2)), (h2.PROTOCOL_ERROR,)),
    "tree of priorities back on": (lambda w: (w.send(setting(9, 1)), w.send(setting(9, 0))), (h2.PROTOCOL_ERROR,)),
    "PRIORITY_UPDATE on a stream": (lambda w: w.send(frame(h2.PRIORITY_UPDATE, 0, 1, b"\0\0\0\1u=1")),
                                    (h2.PROTOCOL_ERROR,)),
    "PRIORITY_UPDATE of stream 0": (lambda w: w.send(priority_update(0)), (h2.PROTOCOL_ERROR,)),
    "PRIORITY_UPDATE of a push": (lambda w: w.send(priority_update(2)), (h2.PROTOCOL_ERROR,)),
    "short PRIORITY_UPDATE": (lambda w: w.send(frame(h2.PRIORITY_UPDATE, 0, 0, b"\0\0\1")), (h2.FRAME_SIZE_ERROR,)),
    "number that was passed over, but had a priority": (
        lambda w: (w.send(priority_update(3)), w.finish(w.request(stream=5)), w.request(stream=3)), (h2.PROTOCOL_ERROR,)),
    "table larger than offered": (lambda w: w.send(frame(h2.HEADERS, 5, 1, b"\x3f\xe2\x1f")), (h2.COMPRESSION_ERROR,)),
    "update of the table inside a block": (lambda w: w.send(frame(h2.HEADERS, 5, 1, w.block(w.head()) + b"\x20")),
                                           (h2.COMPRESSION_ERROR,)),
}


def open_stream(wire):
    return wire.request(method="POST", end=False)


def priority_update(stream, value=b"u=1"):
    return frame(h2.PRIORITY_UPDATE, 0, 0, struct.pack(">I", stream) + value)


def setting(key, value):
    return frame(h2.SETTINGS, 0, 0, struct.pack(">HI", key, value))


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_the_protocol_ends_the_connection(place, what):
    wire = H2Wire(place, NAME, preface="preface" not in what)
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


@pytest.mark.parametrize("ending", ["both sides", "the client's reset", "another's beginning"])
def test_closed_stream_takes_no_more_data(wire, ending):
    if ending == "another's beginning":
        stream = 1
        wire.send(priority_update(stream))
        assert wire.finish(wire.request(stream=3)).status == 200
        wire.next_stream = 5
    else:
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


def test_who_ends_an_upload_that_was_answered_is_not_reset(wire, place):
    """The client has a moment for it; what it still sends is no request's, and holds up nobody's window."""
    before = len(place.origin.requests)
    stream = wire.request(path="/early", method="POST", end=False)
    assert wire.finish(stream).status == 413
    for _ in range(20):
        wire.data(stream, b"x" * 16000)
    wire.data(stream, b"x", end=True)
    assert wire.get().status == 200 and not wire.goaways
    assert wire.answer(stream).reset is None
    assert len(place.origin.requests) == before + 2


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
    wire.get()
    before = place.edge.process.rss()
    wire.updates = False
    out = place.script.gate("/big/slow is out")
    slow = wire.request(path="/big/slow")
    wire.until(lambda: len(wire.answer(slow).body) >= 65535)
    wire.window(0, MIB)
    for _ in range(20):
        assert wire.get().status == 200
    assert len(wire.answer(slow).body) == 65535
    assert not out.is_set(), "most of it is still with the app"
    if not is_sanitized("postern-edge"):
        assert place.edge.process.rss() - before < 2 * MIB
    wire.updates = True
    wire.window(0, 8 * MIB)
    wire.window(slow, 8 * MIB)
    assert len(wire.finish(slow).body) == 8 * MIB


def test_the_window_of_an_upload_grows_to_what_may_wait(wire, place):
    """A mebibyte, which is all that is kept for an app that stops reading."""
    wire.until(lambda: wire.their)
    stream = wire.request(method="POST", end=False)
    assert wire.upload(stream, 16 * MIB, before=0, patience=10) == 16 * MIB
    assert wire.finish(stream).status == 200 and place.script.bodies == [b"u" * (16 * MIB)]
    assert 65535 < wire.given(stream) - 16 * MIB <= MIB


@pytest.mark.parametrize("count", [1, 8])
def test_slow_apps_hold_back_their_uploads_and_nobody_else(wire, place, count):
    """Nor another upload on the same connection, whose window is for all of them."""
    wire.get()
    held = place.edge.process.rss()
    paths = [f"/wait/slow-app-{number}-of-{count}" for number in range(count)]
    slow = [wire.request(path=path, method="POST", end=False) for path in paths]
    sent = 0
    for stream in slow:
        some = wire.upload(stream, 64 * MIB, before=sent, patience=0.5)
        assert some < 16 * MIB, "what sockets hold, and a window"
        sent += some
    other = wire.request(method="POST", end=False)
    assert wire.upload(other, 4 * MIB, before=sent, patience=10) == 4 * MIB
    assert wire.finish(other).status == 200 and len(place.script.bodies[-1]) == 4 * MIB
    assert wire.given(0) - sent <= 7 * MIB, "what the other has sent, and the window"
    if not is_sanitized("postern-edge"):
        assert place.edge.process.rss() - held < 5 * MIB
    for stream, path in zip(slow, paths):
        assert wire.answer(stream).status is None and wire.answer(stream).reset is None
        place.script.gate(path).set()
        assert wire.finish(stream).body == b"done"


@pytest.mark.parametrize("is_acknowledged", [False, True])
def test_streams_beyond_the_limit(place, is_acknowledged):
    """Before the client has heard of it they are refused, and may be asked for again; then it breaks the protocol
    (section 5.1.2 lets us choose, section 5.4.1 makes it the connection's)."""
    place.origin.requests.clear()
    wire = H2Wire(place, NAME)
    if is_acknowledged:
        wire.until(lambda: wire.their)
        assert wire.get().status == 200
    gate = f"/wait/{is_acknowledged}"
    streams = [wire.request(path=gate) for _ in range(140)]
    if is_acknowledged:
        ends_with(wire, h2.PROTOCOL_ERROR)
    else:
        wire.until(lambda: all(wire.answer(stream).reset is not None for stream in streams[128:]))
        place.script.gate(gate).set()
        assert all(wire.finish(stream).body == b"done" for stream in streams[:128])
        assert {wire.answer(stream).reset for stream in streams[128:]} == {h2.REFUSED_STREAM}
        assert wire.get().status == 200 and not wire.goaways
    place.script.gate(gate).set()
    assert sum(request.target == gate for request in place.origin.requests) <= 128
    wire.close()


def big_ones(place):
    """Requests that broke off may arrive late; they are for other paths."""
    return sum(request.target == "/big" for request in place.origin.requests)


def order_of_ends(place, requests):
    """Two large answers over a socket that takes little: which ends first?"""
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 0}, read_ahead=65536)
    wire.updates = False
    wire.window(0, 64 * MIB)
    asked = big_ones(place)
    streams = range(1, 2 * len(requests), 2)
    heads = [wire.block(wire.head(path="/big", extra=extra)) for extra in requests]
    # In one piece: both are there before the first answer begins.
    wire.send(b"".join(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, head) for stream, head in zip(streams, heads)))
    wait_until(lambda: big_ones(place) == asked + len(requests), 20, "the app to be asked")
    wire.until(lambda: all(wire.answer(stream).status for stream in streams), 20)
    wire.send(frame(h2.SETTINGS, payload=struct.pack(">HI", h2.INITIAL_WINDOW_SIZE, 16 * MIB)))  # now all bodies at once
    ended = []
    while len(ended) < len(streams):
        heard = wire.hear()
        if heard.kind == h2.DATA and heard.flags & h2.END_STREAM:
            ended.append(streams.index(heard.stream))
            if len(ended) == 1:
                rest = [len(wire.answer(stream).body) for stream in streams]
    wire.close()
    # An edge that is slower than its client has now and then nothing that is urgent, and sends what it has.
    return ended, None if is_sanitized("postern-edge") else rest


def test_urgent_answer_overtakes(place):
    ended, rest = order_of_ends(place, [[("priority", "u=5")], [("priority", "u=1")]])
    assert ended == [1, 0] and (rest is None or rest[0] < 4 * MIB), rest


def test_incremental_answers_share(place):
    ended, rest = order_of_ends(place, [[("priority", "u=3, i")], [("priority", "u=3, i")]])
    assert rest is None or min(rest) > 3 * MIB, rest


def test_answers_that_are_of_use_when_whole_come_one_after_the_other(place):
    ended, rest = order_of_ends(place, [[("priority", "u=3")], [("priority", "u=3")]])
    assert ended == [0, 1] and (rest is None or rest[1] < 3 * MIB), rest


def soon_to_drain(lab):
    """A platform of the test's own, whose edge is going to be told to end."""
    platform = lab.prepare(edges=1)
    app = App()
    origin = lab.use(Origin(platform.ground.address(4), app))
    platform.edge.settings.update(upstream=origin.url, drain_delay="0")
    platform.start()
    platform.activate(NAME)
    return platform, app, origin


def test_drain_says_goaway_twice_and_finishes_what_is_in_flight(lab):
    platform, app, origin = soon_to_drain(lab)
    wire = H2Wire(platform, NAME)
    assert wire.get().status == 200
    stream = wire.request(path="/wait")
    upload = wire.request(path="/upload", method="POST", end=False)
    wire.data(upload, b"first ")
    wait_until(lambda: {"/wait", "/upload"} <= {request.target for request in origin.requests})
    platform.edge.process.ask_to_end()
    wire.until(lambda: wire.goaways)
    between = wire.request(path="/wait/between")  # said before the client has heard the first one, for all we know
    wire.until(lambda: len(wire.goaways) == 2)
    assert [heard.kind for heard in wire.frames if heard.kind in (h2.GOAWAY, h2.PING)] == [h2.GOAWAY, h2.PING, h2.GOAWAY]
    first, second = wire.goaways
    assert first.last_stream == 0x7fffffff and second.last_stream == between
    assert first.error == second.error == h2.NO_ERROR
    late = wire.request(path="/late")
    wire.data(upload, b"and last", True)
    assert wire.finish(upload).status == 200 and app.bodies == [b"first and last"]
    app.gate("/wait/between").set()
    assert wire.finish(between).body == b"done"
    app.gate("/wait").set()
    assert wire.finish(stream).body == b"done"
    wire.to_the_end()
    assert wire.answer(late).status is None and all(request.target != "/late" for request in origin.requests)
    assert platform.edge.process.wait(10) == 0


def test_drain_is_not_held_up_by_who_floods_and_resets(lab):
    platform, app, origin = soon_to_drain(lab)
    wire, flood, honest = (H2Wire(platform, NAME) for _ in range(3))
    streams = [wire.request(path="/wait/reset") for _ in range(20)]
    flood.request(path="/wait/flood")
    last = honest.request(path="/wait/honest")
    wait_until(lambda: len(origin.requests) == 22)
    platform.edge.process.ask_to_end()
    for each in (wire, flood, honest):
        each.until(lambda each=each: len(each.goaways) == 2)
    for stream in streams:
        wire.reset(stream)
    wire.to_the_end()
    try:
        for _ in range(3000):  # none of them is heard
            flood.request(path="/late")
    except OSError:
        pass
    ends_with(flood, h2.ENHANCE_YOUR_CALM)
    assert len(origin.requests) == 22
    app.gate("/wait/honest").set()
    assert honest.finish(last).body == b"done"
    honest.to_the_end()
    assert platform.edge.process.wait(10) == 0


def test_switched_off_there_is_http_1_1_alone(lab):
    platform = lab.platform(edges=1, edge={"http2": "off"})
    platform.activate(NAME)
    assert platform.connect(NAME, edge=platform.edge, context=h2.tls.trust(platform.pebble.root, ("h2", "http/1.1"))
                            ).selected_alpn_protocol() == "http/1.1"
