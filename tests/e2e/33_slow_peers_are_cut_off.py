"""Everything a peer sends has a deadline: a head that trickles, a body that stops, a reader that takes nothing, an app
that stays silent. Each ends the one connection; the others do not notice."""

import socket
import time

import pytest

from lab import client_hello
from lab.origin import Origin

NAME = "shop.brand.test"


def platform_with(lab, script=None, **edge):
    platform = lab.prepare(edges=1, edge=edge)
    origin = lab.use(Origin(platform.ground.address(4), script))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    return platform, origin


def read_to_end(sock, seconds=6):
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
    platform, origin = platform_with(lab, header_timeout="500ms")
    before = len(origin.requests)
    sock = (platform.connect(NAME, edge=platform.edge) if secure
            else socket.create_connection((platform.edge.address, platform.http)))
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode())
    data, seconds = read_to_end(sock)
    assert data == b"" or data.startswith(b"HTTP/1.1 408"), data
    assert 0.3 < seconds < 3, seconds
    assert len(origin.requests) == before, "the app never heard of it"


def test_head_that_trickles_a_byte_at_a_time_is_no_way_around_it(lab):
    platform, _ = platform_with(lab, header_timeout="500ms")
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
    assert time.monotonic() - start < 3


def test_body_that_stops(lab):
    platform, _ = platform_with(lab, body_timeout="500ms")
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 100\r\n\r\nonly this".encode())
    data, seconds = read_to_end(sock)
    assert data == b"" or data.startswith(b"HTTP/1.1 408"), data
    assert seconds < 3


def test_connection_without_a_next_request(lab):
    platform, _ = platform_with(lab, idle_timeout="500ms")
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    data, seconds = read_to_end(sock)
    assert data.endswith(b"ok\n")
    assert 0.3 < seconds < 3


def test_app_that_stays_silent_is_504(lab):
    silent = []
    platform, _ = platform_with(lab, lambda request: silent.append(request) if request.target == "/silent"
                                else request.answer(), upstream_timeout="500ms")
    visit = platform.visit(NAME, "/silent")
    assert visit.status == 504
    assert visit.seconds < 3
    assert platform.visit(NAME).body == b"ok\n"


def test_handshake_that_stops(lab):
    platform, _ = platform_with(lab, handshake_timeout="500ms", hello_timeout="500ms")
    from_hello = socket.create_connection((platform.edge.address, platform.https))
    from_hello.sendall(client_hello.client_hello(NAME.encode()))
    data, seconds = read_to_end(from_hello)
    assert data[:1] == b"\x16", "a ServerHello, to which nobody answers"
    assert seconds < 3


def test_port_80_with_too_much_head(lab):
    platform, _ = platform_with(lab)
    with socket.create_connection((platform.edge.address, platform.http), 5) as sock:
        try:
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n".encode() + b"X-Much: " + b"x" * 200000)
        except OSError:
            pass
        data, seconds = read_to_end(sock)
        assert data == b"" or data.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431")), data[:50]
        assert seconds < 5
