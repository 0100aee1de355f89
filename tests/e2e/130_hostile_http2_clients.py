"""Clients of HTTP/2 that stall, trickle and repeat themselves where nothing counts it yet, and honest ones beside them
that look like it."""

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
CONTINUE, CONTINUED = threading.Event(), threading.Event()


def answer(request):
    if request.target == "/head":
        request.answer(b"body", fields=[(f"X-Field-{i:02}", "v" * 638) for i in range(100)])
    elif request.target == "/large":
        request.answer(b"l" * 24 * MIB)
    elif request.target == "/talk":
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(9):
            request.sock.sendall(b"4\r\ntalk\r\n")
            time.sleep(0.4)
        request.sock.sendall(b"0\r\n\r\n")
    elif request.target == "/continue":
        CONTINUE.wait(20)
        request.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        CONTINUED.set()
        request.answer(request.body())
    elif request.target.startswith(("/u=", "/i")):
        request.answer(b"p" * 8 * MIB, fields=[("Priority", request.target[1:])])
    elif request.target == "/upload":
        request.body()
        request.answer(b"u" * MIB)
    else:
        request.answer(b"ok")


@pytest.fixture(scope="module")
def place(shared_lab):
    platform = shared_lab.prepare(edges=1)
    platform.origin = shared_lab.use(Origin(platform.ground.address(4), answer))
    platform.edge.settings.update(upstream=platform.origin.url, write_timeout="4s", body_timeout="2s", min_rate="240")
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    return platform


def ends(place, cause):
    return place.edge.metric("postern_edge_h2_connections_ended_total", cause=cause)


def test_response_with_a_large_head(place):
    """64 KiB are let in, so they have to come out."""
    wire = H2Wire(place, NAME)
    answer = wire.finish(wire.request(path="/head"))
    assert answer.status == 200 and answer.body == b"body", answer.reset
    assert all(len(answer.fields[f"x-field-{i:02}"]) == 638 for i in range(100))
    wire.close()


def test_answer_of_the_edges_own_into_a_closed_window(place):
    """Given up after write-timeout like any other, else the connection would stay for ever."""
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 0})
    stream = wire.request(host="other.brand.test")
    assert wire.finish(stream, 20).reset == h2.CANCEL
    assert wire.answer(stream).status == 421
    wire.close()


def test_slow_upload_and_then_a_response_that_waits(place):
    """What an upload took is no slowness of the download after it, and its bytes are not the download's."""
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 1000})
    wire.updates = False
    stream = wire.request(path="/upload", method="POST", end=False)
    for _ in range(18):
        wire.data(stream, b"u" * 1000)
        time.sleep(0.1)
    over = time.monotonic()
    wire.data(stream, b"u" * 16000, end=True)
    answer = wire.answer(stream)
    wire.until(lambda: answer.reset is not None, 20)
    took = time.monotonic() - over
    assert len(answer.body) == 1000 and took > 3.5, f"cut {took:.1f} s after the upload's end"
    wire.close()


def test_body_that_comes_with_its_head_is_counted(place):
    wire = H2Wire(place, NAME)
    wire.get()
    before = place.edge.metric("postern_edge_request_bytes_total", direction="in")
    head = frame(h2.HEADERS, h2.END_HEADERS, 3, wire.block(wire.head(path="/upload", method="POST")))
    wire.send(head + frame(h2.DATA, h2.END_STREAM, 3, b"u" * 10000))
    assert wire.finish(3).status == 200
    wire.close()
    wait_until(lambda: place.edge.metric("postern_edge_request_bytes_total", direction="in") > before)
    assert place.edge.metric("postern_edge_request_bytes_total", direction="in") - before >= 10000


def test_heads_for_streams_that_are_over(place):
    """They may have been under way when the stream was ended, are of no use to anybody, and cost what any head costs."""
    before = ends(place, "idle_frames")
    wire = H2Wire(place, NAME)
    assert wire.request(method="POST", end=False) == 1
    wire.until(lambda: wire.answer(1).reset == h2.NO_ERROR)
    block = b"\x82\x87\x84" + b"\x01" + b"\x0bexample.com"
    wire.sock.settimeout(5)
    end = time.monotonic() + 5
    try:
        while time.monotonic() < end:
            wire.send(frame(h2.HEADERS, h2.END_HEADERS, 1, block) * 100)
    except OSError:
        pass
    wait_until(lambda: ends(place, "idle_frames") == before + 1)
    wire.close()


def test_reader_that_takes_small_pieces(place):
    """Libraries give windows back by 4 KiB, of the stream and of the connection, as their apps read."""
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 4 * MIB})
    wire.window(0, 1024 * MIB)
    wire.updates = False
    stream = wire.request(path="/large")
    answer = wire.answer(stream)
    given = 0
    piece = struct.pack(">I", 4096)
    while not answer.ended and answer.reset is None and not wire.goaways:
        assert wire.hear(), wire.frames[-3:]
        while given + 4096 <= len(answer.body):
            wire.send(frame(h2.WINDOW_UPDATE, 0, 0, piece) + frame(h2.WINDOW_UPDATE, 0, stream, piece))
            given += 4096
    assert len(answer.body) == 24 * MIB, [goaway.error for goaway in wire.goaways]
    wire.close()


def test_client_that_listens_while_its_request_is_open(place):
    """What flows both ways has pauses: body-timeout is over for it once the response has begun."""
    wire = H2Wire(place, NAME)
    stream = wire.request(path="/talk", method="POST", end=False)
    answer = wire.finish(stream)
    assert answer.status == 200 and answer.body == b"talk" * 9, (answer.status, answer.body, answer.reset)
    wire.close()


def held(place, wire):
    """Bytes for this client that the edge's kernel holds, since nobody takes them."""
    ends = [f":{port:04X}" for port in (place.edge.https, wire.sock.getsockname()[1])]
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file]
    return sum(int(row[4].split(":")[0], 16) for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1]))


def test_continue_reaches_a_client_that_downloads_meanwhile(place):
    """A connection that is full of another stream's bytes loses no 100: the client waits for it."""
    CONTINUE.clear()
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 32 * MIB}, read_ahead=65536)
    wire.window(0, 64 * MIB)
    wire.updates = False
    upload = wire.request(path="/continue", method="POST", end=False, extra=[("expect", "100-continue")])
    wait_until(lambda: any(request.target == "/continue" for request in place.origin.requests))
    wire.request(path="/large")
    wait_until(lambda: held(place, wire) > 65536, 20, "the connection to be full")
    CONTINUE.set()
    wait_until(lambda: CONTINUED.is_set(), 10, "the app to have said so")
    wire.until(lambda: wire.answer(upload).interim, 20)
    assert wire.answer(upload).interim == [100]
    wire.close()


def first_to_end(wire, streams):
    while True:
        heard = wire.hear()
        assert heard, wire.frames[-3:]
        if heard.kind == h2.DATA and heard.flags & h2.END_STREAM:
            return streams.index(heard.stream)


def hungry(place):
    """Takes little at a time, so that it matters who comes first."""
    wire = H2Wire(place, NAME, settings={h2.INITIAL_WINDOW_SIZE: 32 * MIB}, read_ahead=65536)
    wire.updates = False
    wire.window(0, 128 * MIB)
    return wire


def ask_at_once(place, wire, *requests):
    """Paths and priorities, in one piece; nothing is taken before the app has heard of all of them."""
    streams, heads, before = [], b"", len(place.origin.requests)
    for path, priority in requests:
        streams.append(wire.next_stream)
        wire.next_stream += 2
        block = wire.block(wire.head(path=path, extra=[("priority", priority)] if priority else []))
        heads += frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, streams[-1], block)
    wire.send(heads)
    wait_until(lambda: len(place.origin.requests) >= before + len(requests))
    return streams


def test_priority_update_counts_more_than_the_head(place):
    wire = hungry(place)
    streams = [wire.request(path="/large", extra=[("priority", "u=3")])]
    block = wire.block(wire.head(path="/large", extra=[("priority", "u=5")]))
    wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 3, block) +
              frame(h2.PRIORITY_UPDATE, 0, 0, b"\0\0\0\3u=0"))
    assert first_to_end(wire, [*streams, 3]) == 1
    wire.close()


def test_priority_update_before_its_stream(place):
    """RFC 9218 section 7.1: kept until the stream opens. Of many only the last few: nothing here is without an end."""
    wire = hungry(place)
    wire.until(lambda: wire.their)
    updates = {9: b"u=1", 3: b"u=7, i", 5: b"u=6"}
    wire.send(b"".join(frame(h2.PRIORITY_UPDATE, 0, 0, struct.pack(">I", stream) + value)
                       for stream, value in [(3, b"u=0"), *updates.items()]))
    wire.next_stream = 3
    streams = ask_at_once(place, wire, *[("/large", "u=3")] * 4)
    ends = []
    while len(ends) < len(streams):
        ends.append(streams[first_to_end(wire, streams)])
    assert ends == [9, 7, 5, 3]
    wire.close()


def test_priority_update_in_the_middle_of_an_answer(place):
    wire = hungry(place)
    streams = ask_at_once(place, wire, ("/large", "u=1"), ("/large", "u=3"))
    wire.until(lambda: len(wire.answer(1).body) > MIB)
    wire.send(frame(h2.PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=5"))
    assert first_to_end(wire, streams) == 1
    # Of an edge that is slower than its client the other answer is not always ready.
    assert is_sanitized("postern-edge") or len(wire.answer(1).body) < 12 * MIB
    wire.close()


def test_priority_of_the_app_changes_only_what_it_names(place):
    """RFC 9218 section 8: the app says `i`, and the client's urgency stays."""
    if is_sanitized("postern-edge"):
        pytest.skip("an edge that is slower than its client seldom has two answers to choose from")
    wire = hungry(place)
    assert first_to_end(wire, ask_at_once(place, wire, ("/u=4", None), ("/i", "u=2"))) == 1
    wire.close()
    wire = hungry(place)
    assert first_to_end(wire, ask_at_once(place, wire, ("/i", "u=6"), ("/u=4", None))) == 1
    wire.close()


def test_head_on_a_tunnels_stream(place):
    """RFC 9113 section 8.5: nothing but DATA."""
    wire = H2Wire(place, NAME)
    wire.until(lambda: wire.their)
    head = [(":method", "CONNECT"), (":protocol", "websocket")] + wire.head(path="/talk")[1:]
    # At once: an app that answered before the second head came would have ended the stream.
    wire.send(frame(h2.HEADERS, h2.END_HEADERS, 1, wire.block(head)) +
              frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, wire.block([("x-trailer", "1")])))
    assert wire.finish(1).reset == h2.PROTOCOL_ERROR
    wire.close()


def test_continuations_of_a_head_that_nobody_wants(place):
    wire = H2Wire(place, NAME)
    wire.get()
    wire.send(frame(h2.HEADERS, h2.END_STREAM, 1, wire.block(wire.head())))
    try:
        for _ in range(100):
            wire.send(frame(h2.CONTINUATION, 0, 1, b"\0\1x\1y" * 100))
    except OSError:
        pass
    wire.to_the_end()
    wire.close()


@pytest.mark.parametrize("extra", [("expect", "a miracle"), ("x-large", "l" * 66000), ("host", "other.test")])
def test_refused_head_gets_no_body(place, extra):
    wire = H2Wire(place, NAME)
    block = wire.block(wire.head(method="HEAD", extra=[extra]))
    pieces = [block[at:at + 16000] for at in range(0, len(block), 16000)]
    wire.send(frame(h2.HEADERS, h2.END_STREAM | (h2.END_HEADERS if len(pieces) == 1 else 0), 1, pieces[0]))
    for number, piece in enumerate(pieces[1:], 2):
        wire.send(frame(h2.CONTINUATION, h2.END_HEADERS if number == len(pieces) else 0, 1, piece))
    answer = wire.finish(1)
    assert answer.status in (400, 417, 431) and not answer.body and int(answer.fields["content-length"]) > 0
    wire.close()
