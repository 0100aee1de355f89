"""HTTP/2 to the app tier, without TLS: many requests on one connection, streams both ways at once, and what each side may
do to the other in the middle of one. The visitors speak HTTP/1.1."""

import hashlib
import os
import queue
import socket
import ssl
import struct
import threading
import time

import pytest
from lab import tls
from lab.h2_origin import (CANCEL, DATA, GOAWAY, HEADERS, HTTP_1_1_REQUIRED, INITIAL_WINDOW_SIZE, INTERNAL_ERROR,
                           MAX_CONCURRENT_STREAMS, NO_ERROR, REFUSED_STREAM, RST_STREAM, H2Origin)
from lab.process import wait_until

NAME = "shop.brand.test"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def stage(shared_lab):
    platform = shared_lab.prepare(edges=1)
    origin = shared_lab.use(H2Origin(platform.ground.address(4)))
    platform.edge.settings.update({"upstream": origin.url, "workers": 1, "upstream_health": "/healthz",
                                   "upstream_health_interval": "1s"})
    platform.start(without=[platform.app])
    platform.activate(NAME)
    platform.visit(NAME, edge=platform.edge)
    return platform, origin


@pytest.fixture
def app(stage):
    """The platform and an origin that nobody is connected to; `app.script` may be set."""
    platform, origin = stage
    origin.forget()
    return platform, origin


def visit(platform, path="/", **options):
    return platform.visit(NAME, path, edge=platform.edge, **options)


def begin(platform, method="GET", path="/", fields="", timeout=10):
    sock = platform.connect(NAME, edge=platform.edge, timeout=timeout)
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n{fields}\r\n".encode())
    return sock


def read_until(sock, what):
    data = b""
    while what not in data:
        chunk = sock.recv(65536)
        assert chunk, data
        data += chunk
    return data


def together(count, work):
    """Runs `work(index)` in so many threads; their results, or the first exception."""
    results = [None] * count

    def run(index):
        try:
            results[index] = work(index)
        except Exception as error:  # noqa: BLE001
            results[index] = error
    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_requests_share_a_connection_and_say_what_http2_says(app):
    platform, origin = app
    for path in ("/a", "/b?c=d"):
        assert (visit(platform, path).status, visit(platform, path).body) == (200, b"ok\n")
    assert len(origin.visits()) == 4 and len({stream.connection for stream in origin.visits()}) == 1
    first = origin.visits()[2]
    assert first.fields[:4] == [(":method", "GET"), (":scheme", "http"), (":authority", NAME), (":path", "/b?c=d")]
    names = [name for name, _ in first.fields]
    assert all(name == name.lower() for name in names)
    assert not {"host", "connection", "transfer-encoding", "keep-alive", "upgrade"} & set(names)
    assert first.get("x-forwarded-proto") == "https"


def test_what_is_secret_or_new_each_time_is_in_no_table_that_visitors_share(app):
    """Who may compare it with what he sends learns it (RFC 7541 section 7.1)."""
    platform, origin = app
    cookie = "session=" + "0123456789" * 4
    sock = begin(platform, fields=f"Authorization: Bearer 1\r\nCookie: {cookie}\r\nX-Same: each time\r\n")
    read_until(sock, b"ok\n")
    sock.close()
    table = origin.visits()[0].connection.decoder.header_table.dynamic_entries
    names = {name.decode() for name, _ in table}
    assert "x-same" in names
    assert not names & {"authorization", "cookie", "x-request-id", "x-forwarded-for", "x-real-ip", "forwarded"}, names


def test_bodies_arrive_whole_with_length_and_without(app):
    platform, origin = app
    origin.script = lambda stream: stream.answer(hashlib.sha256(stream.body()).hexdigest().encode())
    body = os.urandom(5 * MIB)
    wanted = hashlib.sha256(body).hexdigest().encode()
    assert visit(platform, method="POST", body=body, timeout=30).body == wanted
    assert origin.visits()[-1].get("content-length") == str(len(body))
    sock = platform.connect(NAME, edge=platform.edge, timeout=30)
    connection = tls.HttpOver(sock, NAME, 30)
    connection.request("POST", "/", body=(body[at:at + 70001] for at in range(0, len(body), 70001)),
                       encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().read() == wanted
    assert origin.visits()[-1].get("content-length") is None
    sock.close()
    origin.script = lambda stream: (stream.head(), stream.data(body, True))
    assert visit(platform, timeout=30).body == body


def test_a_hundred_at_once_take_as_many_connections_as_the_app_wants(app):
    platform, origin = app
    origin.settings = [(MAX_CONCURRENT_STREAMS, 10)]
    visit(platform)
    gate = threading.Barrier(40, timeout=20)
    origin.script = lambda stream: (gate.wait(), stream.answer())
    answers = together(40, lambda index: visit(platform, f"/{index}", timeout=20).status)
    assert answers == [200] * 40
    connections = {stream.connection for stream in origin.visits()}
    assert 4 <= len(connections) <= 12
    assert all(number % 2 == 1 for connection in connections for number in connection.streams)


def test_a_limit_that_is_lowered_holds_for_what_comes_later(app):
    platform, origin = app
    go_on = threading.Event()
    origin.script = lambda stream: (go_on.wait(20), stream.answer())
    origin.settings = [(MAX_CONCURRENT_STREAMS, 10)]
    waiting = [begin(platform, path=f"/{number}") for number in range(4)]
    wait_until(lambda: len(origin.visits()) == 4, 5, "four requests")
    assert len({stream.connection for stream in origin.visits()}) == 1
    first = origin.visits()[0].connection
    for most in (4, 0):
        known = first.acknowledged()
        first.change((MAX_CONCURRENT_STREAMS, most))
        wait_until(lambda: first.acknowledged() > known, 5, "it to know")
        before = len(origin.visits())
        waiting.append(begin(platform, path="/more"))
        wait_until(lambda: len(origin.visits()) == before + 1, 5, "one more")
        assert origin.visits()[-1].connection is not first
    go_on.set()
    for sock in waiting:
        assert read_until(sock, b"ok\n").startswith(b"HTTP/1.1 200 ")
        sock.close()
    assert visit(platform).status == 200
    assert origin.visits()[-1].connection is not first
    wait_until(lambda: any(frame.kind == GOAWAY for frame in first.frames), 5, "what allows no stream to be let go")


def test_both_sides_stream_at_once(app):
    platform, origin = app

    def echo(stream):
        stream.head()
        while (piece := stream.piece()) is not None:
            stream.data(piece)
        stream.end([("x-count", "3")])
    origin.script = echo
    sock = begin(platform, "POST", fields="Transfer-Encoding: chunked\r\nTE: trailers\r\n")
    read_until(sock, b"\r\n\r\n")
    for piece in (b"one", b"two", b"three"):
        sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        assert read_until(sock, piece + b"\r\n") == b"%x\r\n%s\r\n" % (len(piece), piece)
    sock.sendall(b"0\r\nX-Sum: 11\r\n\r\n")
    assert read_until(sock, b"\r\n\r\n") == b"0\r\nx-count: 3\r\n\r\n"
    stream = origin.visits()[-1]
    assert stream.trailers == [("x-sum", "11")]
    assert stream.get("te") == "trailers" and stream.get("connection") is None
    sock.close()


def test_interim_answers_and_answers_without_a_body(app):
    platform, origin = app

    def script(stream):
        path = stream.get(":path")
        if path == "/hints":
            stream.head(103, [("link", "</a.css>")])
            stream.answer(b"page")
        elif path == "/length":
            stream.head(200, [("content-length", "77")], end=True)
        else:
            stream.head(int(path[1:]), [], end=True)
    origin.script = script
    sock = begin(platform, path="/hints")
    data = read_until(sock, b"page")
    assert data.startswith(b"HTTP/1.1 103 \r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 ")
    sock.close()
    assert visit(platform, "/204").status == 204
    assert visit(platform, "/304").status == 304
    empty = visit(platform, "/200")
    assert (empty.status, empty.body) == (200, b"")
    sock = begin(platform, "HEAD", "/length")
    assert b"ontent-length: 77\r\n" in read_until(sock, b"\r\n\r\n").replace(b"Content", b"content")
    sock.close()


def is_silent(sock):
    """Nothing but what belongs to TLS has come."""
    timeout = sock.gettimeout()
    sock.setblocking(False)
    try:
        sock.recv(1)
        return False
    except ssl.SSLWantReadError:
        return True
    finally:
        sock.settimeout(timeout)


def test_a_body_waits_until_the_app_asks_for_it(app):
    platform, origin = app
    asked, expected = threading.Event(), []

    def script(stream):
        if stream.get(":path") == "/":
            expected.append(stream.get("expect"))
            asked.wait(10)
            stream.head(100)
        stream.answer(stream.body())
    origin.script = script
    sock = begin(platform, "POST", fields="Content-Length: 4\r\nExpect: 100-continue\r\n")
    wait_until(lambda: expected, 5, "the head")
    assert expected == ["100-continue"]
    visit(platform, "/another")
    assert is_silent(sock), "nobody but the app asks for the body"
    asked.set()
    assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 \r\n\r\n"
    sock.sendall(b"body")
    assert read_until(sock, b"\r\n\r\nbody").startswith(b"HTTP/1.1 200 ")
    sock.close()


def test_an_answer_may_end_before_its_request(app):
    platform, origin = app
    origin.script = lambda stream: (stream.piece(), stream.answer(b"enough", 413), stream.reset(NO_ERROR))
    sock = begin(platform, "POST", fields="Content-Length: 100000000\r\n")
    sock.sendall(b"x" * 1000)
    data = read_until(sock, b"enough")
    assert data.startswith(b"HTTP/1.1 413 ")
    sock.close()
    origin.script = H2Origin.obey
    assert visit(platform).status == 200
    assert len({stream.connection for stream in origin.visits()}) == 1


def test_a_client_that_leaves_cancels_its_stream_alone(app):
    platform, origin = app
    stays, goes = queue.Queue(), queue.Queue()
    go_on = threading.Event()

    def script(stream):
        stream.head()
        stream.data(b"begin")
        if stream.get(":path") == "/goes":
            goes.put(stream.wait_reset())
        else:
            go_on.wait(10)
            stream.data(b" end", True)
            stays.put(stream.reset_code)
    origin.script = script
    staying = begin(platform, path="/stays")
    leaving = begin(platform, path="/goes")
    read_until(leaving, b"begin")
    leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a FIN could be a half-close
    leaving.close()
    assert goes.get(timeout=10) == CANCEL
    go_on.set()
    read_until(staying, b" end")
    assert stays.get(timeout=10) is None
    assert len({stream.connection for stream in origin.visits()}) == 1
    staying.close()


@pytest.mark.parametrize("fields, sent", [("Content-Length: 100\r\n", b"x" * 99), ("Transfer-Encoding: chunked\r\n", b"63\r\n" + b"x" * 99),
                                          ("Transfer-Encoding: chunked\r\n", b"5\r\nwhole\r\n"), ("Transfer-Encoding: chunked\r\n", b"5\r\nwhole\r\n0\r\n")],
                         ids=["by length", "in a chunk", "between chunks", "before the last line"])
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_an_upload_that_breaks_off_is_never_whole(app, fields, sent, how):
    platform, origin = app
    heard = queue.Queue()

    def script(stream):
        first = stream.piece()
        stream.body()
        heard.put((first, stream.wait_reset(5)))
    origin.script = script
    sock = begin(platform, "POST", fields=fields)
    sock.sendall(sent)
    wait_until(lambda: origin.visits() and any(frame.kind == DATA for frame in origin.visits()[0].connection.frames), 5, "some of it")
    if how == "RST":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    first, code = heard.get(timeout=10)
    assert first and code == CANCEL
    frames = [frame for frame in origin.visits()[0].connection.frames if frame.kind in (HEADERS, DATA)]
    assert not any(frame.flags & 1 for frame in frames), "no END_STREAM"
    assert len(origin.visits()) == 1


def test_a_slow_reader_holds_its_stream_and_nobody_elses(app):
    platform, origin = app
    sent = [0]

    def script(stream):
        if stream.get(":path") != "/slow":
            stream.answer(b"quick")
            return
        stream.head()
        for _ in range(64):
            stream.data(b"x" * MIB)
            sent[0] += MIB
        stream.data(b"", True)
    origin.script = script
    slow = begin(platform, path="/slow", timeout=30)
    read_until(slow, b"\r\n\r\n")
    wait_until(lambda: visit(platform).body == b"quick", 5, "a neighbour on the same connection")
    before = -1
    while before != sent[0]:
        before = sent[0]
        for _ in range(20):
            assert visit(platform).body == b"quick"
    assert sent[0] < 32 * MIB, "the kernel's buffers and our window, not memory"
    assert platform.edge.process.rss() < 200 * MIB
    assert len({stream.connection for stream in origin.visits()}) == 1
    got = 0
    while got < 64 * MIB:
        got += len(slow.recv(MIB))
    slow.close()


def test_an_app_that_takes_nothing_holds_the_visitor(app):
    platform, origin = app
    go_on = threading.Event()
    origin.gives_window = False

    def script(stream):
        go_on.wait(20)
        for number, size in ((0, 1 << 30), (stream.number, 1 << 30)):
            stream.connection.open_window(number, size)
        stream.answer(str(len(stream.body())).encode())
    origin.script = script
    sock = begin(platform, "POST", fields=f"Content-Length: {16 * MIB}\r\n")
    sock.settimeout(1)
    taken, piece = 0, b"x" * 65536
    try:
        while taken < 16 * MIB:
            taken += sock.send(piece)
    except (socket.timeout, OSError):
        pass
    assert taken < 12 * MIB
    sock.settimeout(20)
    go_on.set()
    rest = 16 * MIB - taken
    sock.sendall(b"x" * rest)
    assert read_until(sock, b"16777216")
    sock.close()


def test_windows_are_kept_to_that_shrink_below_nothing(app):
    platform, origin = app
    origin.gives_window = False
    body, got, at_ease = os.urandom(100_000), [], []

    def arrived(stream):
        """What has come by the time that the edge has read all that was said to it."""
        known = stream.connection.acknowledged()
        stream.connection.change()
        wait_until(lambda: stream.connection.acknowledged() > known, 5, "it to know")
        return sum(len(frame.payload) for frame in stream.connection.frames if frame.kind == DATA)

    def script(stream):
        while sum(map(len, got)) < 65535:
            got.append(stream.piece())
        stream.connection.open_window(0, 1 << 20)
        stream.connection.change((INITIAL_WINDOW_SIZE, 10))
        at_ease.append(arrived(stream))
        stream.connection.open_window(stream.number, 65525)
        at_ease.append(arrived(stream))
        for _ in range(50):
            stream.connection.open_window(stream.number, 1)
            got.append(stream.piece())
        at_ease.append(arrived(stream))
        stream.connection.change((INITIAL_WINDOW_SIZE, 65535))
        while sum(map(len, got)) < len(body):
            got.append(stream.piece())
        stream.answer(hashlib.sha256(b"".join(got)).hexdigest().encode())
    origin.script = script
    answer, = together(1, lambda _: visit(platform, method="POST", body=body, timeout=20).body)
    assert at_ease == [65535, 65535, 65585], "bytes that had come where the window was empty"
    assert answer == hashlib.sha256(body).hexdigest().encode()


def test_a_goodbye_in_two_steps_loses_nothing(app):
    """As servers say it: first that nothing more should come, and later what the last was."""
    platform, origin = app
    go_on = threading.Event()

    def script(stream):
        body = stream.body()
        if stream.get(":path") == "/first":
            go_on.wait(10)
        stream.answer(body)
    origin.script = script
    first = begin(platform, "POST", "/first", "Content-Length: 4\r\n")
    first.sendall(b"body")
    wait_until(lambda: origin.visits(), 5, "the first request")
    old = origin.visits()[0].connection
    old.go_away(0x7fffffff)
    wait_until(lambda: visit(platform, "/next", method="POST", body=b"next").body == b"next" and
               origin.visits()[-1].connection is not old, 5, "another connection")
    assert not old.is_over, "it has a request left"
    assert [stream.get(":path") for stream in origin.visits()].count("/first") == 1
    old.go_away(max(old.streams))
    go_on.set()
    assert read_until(first, b"body").startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: old.is_over, 5, "the old one to be over")
    assert [stream.get(":path") for stream in origin.visits()].count("/first") == 1
    first.close()


def test_a_refusal_in_the_middle_of_a_body_sends_it_once_more_or_not_at_all(app):
    """What is refused was not looked at; of a body that is longer than what is kept there is no second."""
    platform, origin = app
    whole, refused = [], []

    def script(stream):
        if not refused:
            stream.piece()
            refused.append(stream)
            stream.reset(REFUSED_STREAM)
            return
        body = stream.body()
        whole.append(body)
        stream.answer(str(len(body)).encode())
    origin.script = script
    for size, wanted in ((9_000, 200), (500_000, 503)):
        whole.clear(), refused.clear()
        body = os.urandom(size)
        sock = begin(platform, "POST", fields=f"Content-Length: {size}\r\n")
        sock.sendall(body[:size // 2])
        wait_until(lambda: refused, 5, "the refusal")
        try:
            sock.sendall(body[size // 2:])
        except OSError:
            pass
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 %d " % wanted)
        assert whole == ([body] if wanted == 200 else [])
        sock.close()


def test_goaway_lets_the_rest_finish_and_sends_the_others_elsewhere(app):
    platform, origin = app
    go_on = threading.Event()
    seen = []

    def script(stream):
        body = stream.body()
        seen.append((stream.get(":path"), body))
        if stream.get(":path") == "/first":
            go_on.wait(10)
        stream.answer(b"done")
    origin.script = script
    first = begin(platform, path="/first")
    wait_until(lambda: seen, 5, "the first request")
    old = origin.visits()[0].connection
    old.deaf = True  # what comes now is not looked at
    second = begin(platform, "POST", "/second", "Content-Length: 4\r\n")
    second.sendall(b"body")
    wait_until(lambda: len([f for f in old.frames if f.kind == HEADERS]) >= 2, 5, "the second request")
    old.go_away(1)
    assert read_until(second, b"done").startswith(b"HTTP/1.1 200 ")
    assert visit(platform, "/third").body == b"done"
    go_on.set()
    assert read_until(first, b"done").startswith(b"HTTP/1.1 200 ")
    assert sorted(seen) == [("/first", b""), ("/second", b"body"), ("/third", b"")]
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_retries_total", reason="unprocessed") >= 1, 10, "it to be counted")
    first.close(), second.close()


def test_refused_streams_are_sent_again_but_not_for_ever(app):
    platform, origin = app
    refused = []

    def once(stream):
        if stream.get(":path") == "/once" and not refused or stream.get(":path") == "/always":
            refused.append(stream)
            stream.reset(REFUSED_STREAM)
        else:
            stream.answer(stream.body())
    origin.script = once
    assert visit(platform, "/once", method="POST", body=b"a payment").body == b"a payment"
    assert len(refused) == 1
    assert visit(platform, "/always", method="POST", body=b"a payment").status == 503
    assert len(refused) == 5, "the first, and three more tries"


def test_resets_are_seen(app):
    platform, origin = app

    def script(stream):
        if stream.get(":path") == "/late":
            stream.head()
            stream.data(b"begin")
        stream.reset(INTERNAL_ERROR)
    origin.script = script
    before = len(origin.visits())
    assert visit(platform, "/early").status == 502
    assert len(origin.visits()) == before + 1, "it may have been looked at: once is enough"
    sock = begin(platform, path="/late")
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except OSError:
        pass
    assert b"begin" in data and not data.endswith(b"0\r\n\r\n")
    sock.close()
    origin.script = H2Origin.obey
    assert visit(platform).status == 200
    assert len({stream.connection for stream in origin.visits()}) == 1


def test_who_speaks_http2_alone_is_not_asked_again_for_want_of_http11(app):
    """h2c:// has no other version to go to."""
    platform, origin = app
    origin.script = lambda stream: stream.reset(HTTP_1_1_REQUIRED)
    assert visit(platform, "/required").status == 502
    assert len(origin.visits()) == 1


def test_a_connection_that_ends_is_replaced(app):
    platform, origin = app
    assert visit(platform).status == 200
    origin.visits()[0].connection.hang_up()
    assert visit(platform).status == 200
    dying = []

    def die(stream):
        if not dying:
            dying.append(stream)
            stream.connection.hang_up()
        else:
            stream.answer(stream.body())
    origin.script = die
    assert visit(platform).status == 200, "a GET that a kept connection's end has met"
    dying.clear()
    assert visit(platform, method="POST", body=b"x").status == 502, "a POST that may have been looked at"


def test_frames_leave_together(app):
    """A head and its body are one segment, whatever the number of frames."""
    platform, origin = app
    assert visit(platform, method="POST", body=b"hello").status == 200
    frames = [frame for frame in origin.visits()[-1].connection.frames if frame.stream == 1]
    assert [frame.kind for frame in frames] == [HEADERS, DATA]
    assert RST_STREAM not in [frame.kind for frame in frames]


def test_checks_are_made_over_http2(app):
    platform, origin = app
    wait_until(lambda: len([stream for stream in origin.requests if stream.get(":path") == "/healthz"]) > 2, 15, "checks")
    checks = [stream for stream in origin.requests if stream.get(":path") == "/healthz"]
    assert len({stream.connection for stream in checks}) == len(checks), "each on a connection of its own"
    assert checks[0].get(":authority").startswith(origin.address)
    wait_until(lambda: any(frame.kind == GOAWAY for frame in checks[0].connection.frames), 5, "a goodbye")
    origin.well = False
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_up") == 0, 15, "it to be down")
    assert visit(platform).status == 503
    origin.well = True
    wait_until(lambda: visit(platform).status == 200, 15, "it to be up again")
    assert visit(platform).status == 200
