"""Everything a peer sends has a deadline: a head that trickles, a body that stops, a reader that takes nothing, an app
that stays silent. Each ends the one connection; the others do not notice."""

import socket
import threading
import time

import pytest

from lab import client_hello
from lab.h2_wire import H2Wire
from lab.origin import Origin
from lab.place import free_port
from lab.process import wait_until

NAME = "shop.brand.test"
MIB = 1024 * 1024
# What a busy machine may make of a deadline of a second and a half; the deadlines that are not set here are longer.
BOUND = 9


def platform_with(lab, script=None, **edge):
    platform = lab.prepare(edges=1, edge=edge)
    origin = lab.use(Origin(platform.ground.address(4), script))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    return platform, origin


def read_to_end(sock, seconds=20):
    """What came, and how long it took until the other side ended the connection."""
    start, data = time.monotonic(), b""
    sock.settimeout(seconds)
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data, time.monotonic() - start


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_head_that_never_ends(lab, secure):
    platform, origin = platform_with(lab, header_timeout="1500ms")
    before = len(origin.requests)
    sock = (platform.connect(NAME, edge=platform.edge) if secure
            else socket.create_connection((platform.edge.address, platform.http)))
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode())
    data, seconds = read_to_end(sock)
    assert data == b"" or data.startswith(b"HTTP/1.1 408"), data
    assert 1 < seconds < BOUND, seconds
    assert len(origin.requests) == before, "the app never heard of it"


def test_head_that_trickles_a_byte_at_a_time_is_no_way_around_it(lab):
    platform, _ = platform_with(lab, header_timeout="1500ms")
    sock = platform.connect(NAME, edge=platform.edge)
    sock.settimeout(0.05)
    start = time.monotonic()
    ended = False
    for byte in f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: {'x' * 1000}".encode():
        try:
            sock.sendall(bytes([byte]))
            ended = sock.recv(4096) is not None
            break
        except socket.timeout:
            continue
        except OSError:
            ended = True
            break
    assert ended
    assert time.monotonic() - start < BOUND


def test_body_that_stops(lab):
    platform, _ = platform_with(lab, body_timeout="1500ms")
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 100\r\n\r\nonly this".encode())
    data, seconds = read_to_end(sock)
    assert data == b"" or data.startswith(b"HTTP/1.1 408"), data
    assert seconds < BOUND


def test_connection_without_a_next_request(lab):
    platform, _ = platform_with(lab, idle_timeout="1500ms")
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    data, seconds = read_to_end(sock)
    assert data.endswith(b"ok\n")
    assert 1 < seconds < BOUND


def test_app_that_stays_silent_is_504(lab):
    silent = []
    platform, _ = platform_with(lab, lambda request: silent.append(request) if request.target == "/silent"
                                else request.answer(), upstream_timeout="1500ms")
    visit = platform.visit(NAME, "/silent")
    assert visit.status == 504
    assert visit.seconds < BOUND
    assert platform.visit(NAME).body == b"ok\n"


def test_answer_that_stops_is_seen_to_be_cut(lab):
    gone = threading.Event()

    def script(request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")
        if not request.sock.recv(1):
            gone.set()
    platform, origin = platform_with(lab, upstream_idle_timeout="1500ms", upstream_timeout="60s")
    origin.script = script
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    data, seconds = read_to_end(sock)
    assert data.endswith(b"ten bytes.") and 1 < seconds < BOUND
    assert gone.wait(10), "the app's connection ends with it"
    wait_until(lambda: platform.edge.metric("postern_edge_answers_cut_total", cause="app") == 1, 10, "it to be counted")


def test_app_that_takes_nothing_of_an_upload_is_504(lab):
    go_on = threading.Event()

    def script(request):
        if request.method == "POST":
            go_on.wait(30)
            return False
        return request.answer()
    platform, _ = platform_with(lab, script, upstream_idle_timeout="4s", upstream_timeout="60s", body_timeout="60s")
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 100000000\r\n\r\n".encode())
    sock.settimeout(1.5)
    answer = b""
    for _ in range(1000):
        try:
            sock.sendall(b"x" * 65536)
        except OSError:
            break
    try:
        answer = read_to_end(sock)[0]
    finally:
        go_on.set()
    assert answer.startswith(b"HTTP/1.1 504 "), answer[:100]
    assert platform.visit(NAME).status == 200


class Deaf:
    """A port whose queue is full: who connects hears nothing, as from a host that is not there."""

    def __init__(self, address):
        self.listener = socket.socket()
        self.listener.bind((address, free_port(address)))
        self.listener.listen(0)
        self.url = f"http://{address}:{self.listener.getsockname()[1]}"
        self.socks = []
        while self.hears():
            assert len(self.socks) < 50

    def hears(self):
        sock = socket.socket()
        sock.settimeout(1)
        self.socks.append(sock)
        try:
            sock.connect(self.listener.getsockname())
        except TimeoutError:
            return False
        return True

    def stop(self):
        for sock in [self.listener, *self.socks]:
            sock.close()


def test_connect_that_takes_too_long_goes_elsewhere_and_alone_is_504(lab):
    platform, origin = platform_with(lab)
    deaf = lab.use(Deaf(platform.ground.address(6)))
    edge = platform.edge.restart(upstream=[deaf.url, origin.url], upstream_connect_timeout="1500ms")
    visits = [platform.visit(NAME, edge=edge) for _ in range(12)]
    assert all(visit.status == 200 for visit in visits)
    wait_until(lambda: edge.metric("postern_edge_upstream_failures_total", cause="connect_timeout") >= 1, 10, "it to be counted")
    wait_until(lambda: edge.metric("postern_edge_upstream_retries_total", reason="connect") >= 1, 10, "it to be counted")
    edge.restart(upstream=deaf.url)
    visit = platform.visit(NAME, edge=edge)
    assert visit.status == 504 and visit.seconds < BOUND


def test_uploads_that_wait_for_a_connection_stop_where_memory_ends(lab):
    """They are let in while there is some, and filled afterwards. By their windows it would be 8 MiB a client, beside 4 that
    their requests hold."""
    platform, _ = platform_with(lab)
    deaf = lab.use(Deaf(platform.ground.address(6)))
    edge = platform.edge.restart(upstream=deaf.url, upstream_connect_timeout="60s", max_memory="4M")
    wires = [H2Wire(platform, NAME) for _ in range(4)]
    streams = [[wire.request(method="POST", extra=[("content-length", "65535")], end=False) for _ in range(120)] for wire in wires]
    for wire, own in zip(wires, streams):
        wire.sent, some = 0, 65535
        while own and some == 65535:
            some = wire.upload(own.pop(), 65535, before=wire.sent, patience=1)
            wire.sent += some
    assert edge.metric("postern_edge_memory_bytes") < 16 * MIB
    assert all(own for own in streams[1:]), "some of each could send nothing"
    for wire in wires:
        for stream in range(1, wire.next_stream, 2):
            wire.reset(stream)
        wire.until(lambda: wire.given(0) - wire.sent > 65535)
    wait_until(lambda: edge.metric("postern_edge_memory_bytes") < MIB, 10, "what was given up to be freed")
    for wire in wires:
        wire.close()


def test_handshake_that_stops(lab):
    platform, _ = platform_with(lab, handshake_timeout="1500ms", hello_timeout="1500ms")
    from_hello = socket.create_connection((platform.edge.address, platform.https))
    from_hello.sendall(client_hello.client_hello(NAME.encode()))
    data, seconds = read_to_end(from_hello)
    assert data[:1] == b"\x16", "a ServerHello, to which nobody answers"
    assert seconds < BOUND


def test_port_80_with_too_much_head(lab):
    platform, _ = platform_with(lab)
    with socket.create_connection((platform.edge.address, platform.http), 5) as sock:
        try:
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n".encode() + b"X-Much: " + b"x" * 200000)
        except OSError:
            pass
        data, seconds = read_to_end(sock)
        assert data == b"" or data.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431")), data[:50]
        assert seconds < BOUND
