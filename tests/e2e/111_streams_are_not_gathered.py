"""What an app or a client sends in pieces passes in pieces, on both versions of HTTP: server-sent events, long polls, large
bodies both ways, ranges and compressed bodies, byte for byte; and who takes his time holds up nobody else."""

import gzip
import hashlib
import os
import queue
import time

import pytest

from lab import wire
from lab.curl import Curl
from lab.h2_wire import NO_ERROR, H2Wire
from lab.origin import Origin
from lab.place import is_sanitized

NAME = "shop.brand.test"
MIB = 1024 * 1024
EVENT = b"data: %d\n\n"
PARTS = b"--x\r\nContent-Range: bytes 0-1/256\r\n\r\n\0\1\r\n--x\r\nContent-Range: bytes 4-5/256\r\n\r\n\4\5\r\n--x--\r\n"
BLOCK = os.urandom(MIB)
LARGE = 64 if not is_sanitized("postern-edge") else 8  # MiB


class App(Origin):
    """Each path is a behaviour. `events` is filled by the test: the app sends nothing that it was not told to send."""

    def __init__(self, address):
        self.events, self.got, self.sent = queue.Queue(), queue.Queue(), 0
        super().__init__(address, self.serve)

    def serve(self, request):
        return getattr(self, request.target.strip("/").partition("?")[0].replace("-", "_") or "root")(request)

    @staticmethod
    def root(request):
        request.answer()

    def stream(self, request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (event := self.events.get(timeout=20)) is not None:
            request.sock.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        request.sock.sendall(b"0\r\n\r\n")

    def until_the_end(self, request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while (event := self.events.get(timeout=20)) is not None:
            request.sock.sendall(event)
        return False

    def poll(self, request):
        request.answer(self.events.get(timeout=20))

    def echo(self, request):
        """Answers while the request is still on its way."""
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in request.chunks():
            request.sock.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        request.sock.sendall(b"0\r\n\r\n")

    def upload(self, request):
        digest = hashlib.sha256()
        for chunk in request.chunks():
            digest.update(chunk)
            self.got.put(len(chunk))
        return request.answer(digest.hexdigest().encode())

    def download(self, request):
        request.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE * MIB}\r\n\r\n".encode())
        self.sent = 0
        for _ in range(LARGE):
            request.sock.sendall(BLOCK)
            self.sent += MIB

    @staticmethod
    def coded(request):
        assert request.all("accept-encoding") == ["br;q=1.0, zstd, gzip;q=0.5, *;q=0"]
        body = gzip.compress(b"hello " * 1000, mtime=0)
        request.answer(body, fields=[("Content-Encoding", "gzip"), ("ETag", '"x"'), ("Vary", "Accept-Encoding")])

    def coded_upload(self, request):
        assert request.all("content-encoding") == ["gzip"] and request.all("content-type") == ["application/x-ndjson"]
        return self.upload(request)

    @staticmethod
    def parts(request):
        assert request.all("range") == ["bytes=0-1,4-5"]
        request.answer(PARTS, "206 Partial Content", [("Content-Type", "multipart/byteranges; boundary=x"), ("Accept-Ranges", "bytes")])

    @staticmethod
    def beyond(request):
        request.answer(b"", "416 Range Not Satisfiable", [("Content-Range", "bytes */256")])

    @staticmethod
    def expected(request):
        """Asks for the body, or does not. curl waits for that over HTTP/1.1 alone."""
        assert request.all("expect") == ["100-continue"]
        assert "Via: 2.0" in request.head.decode() or request.buffer == b""
        if request.all("x-wanted") == ["no"]:
            request.answer(b"not that", "403 Forbidden")
            return False
        request.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return request.answer(hashlib.sha256(request.body()).hexdigest().encode())

    @staticmethod
    def part(request):
        assert request.all("range") == ["bytes=10-19"] and request.all("if-range") == ['"x"']
        request.answer(bytes(range(10, 20)), "206 Partial Content", [("Content-Range", "bytes 10-19/256"), ("ETag", '"x"')])


@pytest.fixture(scope="module")
def place(shared_lab):
    platform = shared_lab.prepare(edges=1, edge={"max_body": "0"})
    platform.origin = shared_lab.use(App(platform.ground.address(4)))
    platform.edge.settings["upstream"] = platform.origin.url
    platform.start(without=[platform.app])
    platform.activate(NAME)
    assert platform.visit(NAME, edge=platform.edge).status == 200
    return platform


@pytest.fixture(params=["1.1", "2"], ids=["HTTP/1.1", "HTTP/2"])
def version(request, place):
    with Curl(place, NAME, "/", request.param) as curl:
        assert curl.rest() == b"ok\n"
        if curl.head[0] != request.param:
            pytest.skip(f"the edge speaks HTTP/{curl.head[0]}")
    return request.param


@pytest.mark.parametrize("path", ["/stream", "/until-the-end"], ids=["in chunks", "until the connection ends"])
def test_each_event_arrives_before_the_next_is_sent(place, version, path):
    with Curl(place, NAME, path, version) as curl:
        for number in range(50):
            place.origin.events.put(EVENT % number)
            wanted = EVENT % number
            assert curl.read(len(wanted)) == wanted
        place.origin.events.put(None)
        assert curl.rest() == b""
        assert curl.head[2]["content-type"] == "text/event-stream"


def test_a_long_poll_is_answered_when_there_is_something(place, version):
    with Curl(place, NAME, "/poll", version) as curl:
        assert curl.read(1, 0.5) == b""
        place.origin.events.put(b"news")
        start = time.monotonic()
        assert curl.rest() == b"news"
        assert time.monotonic() - start < 10


def test_an_app_may_answer_each_piece_of_an_upload(place):
    """By hand: curl rests now and then when its input does."""
    with wire.Wire(place.edge.address, place.https, NAME, wire.trust(place.pebble.root)) as one:
        one.send(f"PUT /echo HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        assert one.head().status == 200
        for number in range(30):
            piece = b"%d\r\npiece %d\r\n" % (len(b"piece %d" % number), number)
            one.send(piece)
            assert one.bytes(len(piece)) == piece
        one.send(b"0\r\n\r\n")
        assert one.bytes(5) == b"0\r\n\r\n"


def test_the_first_byte_of_an_upload_arrives_before_the_last_was_sent(place, version):
    while not place.origin.got.empty():
        place.origin.got.get()
    data = os.urandom(MIB)
    with Curl(place, NAME, "/upload", version, upload=True) as curl:
        curl.send(data)
        got = 0
        while got < MIB:
            got += place.origin.got.get(timeout=10)
        curl.send(data)
        curl.end()
        assert curl.rest().decode() == hashlib.sha256(data * 2).hexdigest()


def test_large_bodies_arrive_whole_in_bounded_time(place, version):
    start = time.monotonic()
    with Curl(place, NAME, "/download", version) as curl:
        digest, size = hashlib.sha256(), 0
        while data := curl.read(MIB):
            digest.update(data)
            size += len(data)
        assert curl.process.wait(10) == 0
    down = time.monotonic() - start
    assert size == LARGE * MIB and digest.digest() == hashlib.sha256(BLOCK * LARGE).digest()
    start = time.monotonic()
    with Curl(place, NAME, "/upload", version, upload=True) as curl:
        for _ in range(LARGE):
            curl.send(BLOCK)
        curl.end()
        assert curl.rest().decode() == hashlib.sha256(BLOCK * LARGE).hexdigest()
    up = time.monotonic() - start
    print(f"HTTP/{version}: {LARGE} MiB down in {down:.2f} s, up in {up:.2f} s")
    assert down < 20 and up < 20


def test_compressed_bodies_and_ranges_pass_as_they_are(place, version):
    with Curl(place, NAME, "/coded", version, ["-H", "Accept-Encoding: br;q=1.0, zstd, gzip;q=0.5, *;q=0"]) as curl:
        assert curl.rest() == gzip.compress(b"hello " * 1000, mtime=0)
        fields = curl.head[2]
        assert (fields["content-encoding"], fields["etag"], fields["vary"]) == ("gzip", '"x"', "Accept-Encoding")
    with Curl(place, NAME, "/part", version, ["-r", "10-19", "-H", 'If-Range: "x"']) as curl:
        assert curl.rest() == bytes(range(10, 20))
        assert curl.head[1] == 206 and curl.head[2]["content-range"] == "bytes 10-19/256"
    with Curl(place, NAME, "/parts", version, ["-r", "0-1,4-5"]) as curl:
        assert curl.rest() == PARTS and curl.head[2]["content-type"] == "multipart/byteranges; boundary=x"
    with Curl(place, NAME, "/beyond", version, ["-r", "999-"]) as curl:
        assert curl.rest() == b"" and curl.head[1:2] == (416,) and curl.head[2]["content-range"] == "bytes */256"
    coded = gzip.compress(os.urandom(100_000))
    fields = ["-H", "Content-Encoding: gzip", "-H", "Content-Type: application/x-ndjson"]
    with Curl(place, NAME, "/coded-upload", version, fields, upload=True) as curl:
        curl.send(coded)
        curl.end()
        assert curl.rest().decode() == hashlib.sha256(coded).hexdigest()


def test_a_body_waits_until_the_app_asks_for_it(place, version):
    body = os.urandom(100_000)
    path = os.path.join(place.ground.directory, "expected")
    with open(path, "wb") as file:
        file.write(body)
    options = ["-H", "Expect: 100-continue", "--expect100-timeout", "20", "-T", path]
    with Curl(place, NAME, "/expected", version, options) as curl:
        assert curl.rest().decode() == hashlib.sha256(body).hexdigest()
    if version == "1.1":
        with Curl(place, NAME, "/expected", version, [*options, "-H", "X-Wanted: no"]) as curl:
            assert curl.rest() == b"not that" and curl.head[1] == 403
        return
    # curl 7.88 may lose an answer that comes while it sends over HTTP/2.
    client = H2Wire(place, NAME)
    extra = [("expect", "100-continue"), ("x-wanted", "no"), ("content-length", "100000")]
    answer = client.finish(client.request(path="/expected", method="POST", end=False, extra=extra))
    client.until(lambda: answer.reset is not None)
    assert (answer.status, answer.body, answer.interim, answer.reset) == (403, b"not that", [], NO_ERROR)
    client.close()


def test_who_reads_slowly_grows_no_memory_and_stalls_nobody(place, version):
    before = place.edge.process.rss()
    slow = [Curl(place, NAME, "/download", version, ["--limit-rate", "20k"]) for _ in range(8)]
    try:
        for curl in slow:
            assert curl.read(1000)
        times = []
        for _ in range(20):
            start = time.monotonic()
            assert place.visit(NAME, edge=place.edge).status == 200
            times.append(time.monotonic() - start)
        with Curl(place, NAME, "/stream", version) as curl:
            for number in range(20):
                place.origin.events.put(EVENT % number)
                assert curl.read(len(EVENT % number)) == EVENT % number
            place.origin.events.put(None)
        grown = place.edge.process.rss() - before
        times.sort()
        print(f"HTTP/{version}: beside {len(slow)} slow readers the edge grew by {grown / len(slow) / 1024:.0f} KiB each, "
              f"a visit took {times[len(times) // 2] * 1000:.0f} ms")
        assert is_sanitized("postern-edge") or grown < len(slow) * MIB
        assert times[len(times) // 2] < 1
    finally:
        for curl in slow:
            curl.close()
