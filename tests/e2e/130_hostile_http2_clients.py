"""Clients of HTTP/2 that stall, trickle and repeat themselves where nothing counts it yet, and honest ones beside them
that look like it."""

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


def answer(request):
    if request.target == "/head":
        request.answer(b"body", fields=[(f"X-Field-{i:02}", "v" * 638) for i in range(100)])
    elif request.target == "/large":
        request.answer(b"l" * 24 * MIB)
    elif request.target == "/upload":
        request.body()
        request.answer(b"u" * MIB)
    else:
        request.answer(b"ok")


@pytest.fixture(scope="module")
def place(shared_lab):
    platform = shared_lab.prepare(edges=1)
    platform.origin = shared_lab.use(Origin(platform.ground.address(4), answer))
    platform.edge.settings.update(upstream=platform.origin.url, write_timeout="2s", body_timeout="2s", min_rate="240")
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
    assert wire.finish(stream, 10).reset == h2.CANCEL
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
    wire.data(stream, b"u" * 16000, end=True)
    answer = wire.answer(stream)
    wire.until(lambda: len(answer.body) == 1000 or answer.reset is not None)
    blocked = time.monotonic()
    try:
        wire.until(lambda: answer.reset is not None, 1.2)
    except AssertionError:
        pass
    assert answer.reset is None, f"cut {time.monotonic() - blocked:.1f} s after its window had closed"
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
    """They are of no use to anybody, and cost what any head costs."""
    before = ends(place, "idle_frames")
    wire = H2Wire(place, NAME)
    wire.get()
    block = b"\x82\x87\x84" + b"\x01" + b"\x0bexample.com"
    wire.sock.settimeout(0.5)
    end = time.monotonic() + 5
    try:
        while time.monotonic() < end:
            wire.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, block) * 100)
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
