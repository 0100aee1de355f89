"""Bodies stream both ways without being collected: a slow reader or a slow app holds the other side, not memory."""

import hashlib
import os
import socket
import threading
import time

from lab import tls
from lab.origin import Origin
from lab.place import is_sanitized
from lab.process import wait_until
from lab.servers import LARGE

NAME = "shop.brand.test"
MIB = 1024 * 1024


def platform_with(lab, script):
    platform = lab.prepare(edges=1)
    origin = lab.use(Origin(platform.ground.address(4), script))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    return platform, origin


def test_large_file_arrives_whole(lab):
    platform = lab.platform(edges=1)
    platform.activate(NAME)
    visit = platform.visit(NAME, "/large")
    assert len(visit.body) == LARGE


def test_upload_arrives_whole_with_length_and_in_chunks(lab):
    digests = []

    def script(request):
        digests.append(hashlib.sha256(request.body()).hexdigest())
        request.answer(digests[-1].encode())
    platform, _ = platform_with(lab, script)
    body = os.urandom(16 * MIB)
    wanted = hashlib.sha256(body).hexdigest().encode()
    assert platform.visit(NAME, method="POST", body=body, timeout=60).body == wanted
    sock = platform.connect(NAME, timeout=60)
    connection = tls.HttpOver(sock, NAME, 60)
    connection.request("POST", "/", body=(body[at:at + 70001] for at in range(0, len(body), 70001)),
                       encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().read() == wanted
    sock.close()


def test_first_bytes_arrive_before_the_app_has_finished(lab):
    go_on = threading.Event()

    def script(request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        go_on.wait(10)
        request.sock.sendall(b"later")
    platform, _ = platform_with(lab, script)
    sock = platform.connect(NAME)
    connection = tls.HttpOver(sock, NAME)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.read(5) == b"first"
    go_on.set()
    assert answer.read() == b"later"
    sock.close()


def settled(value, seconds=0.5):
    """Polls until the value has not changed for that long."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < seconds:
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)
    return last


def test_slow_readers_hold_the_app_not_memory(lab):
    readers, sent, lock = 20, [0], threading.Lock()

    def script(request):
        request.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {1024 * MIB}\r\n\r\n".encode())
        block = b"x" * 65536
        while True:
            request.sock.sendall(block)
            with lock:
                sent[0] += len(block)
    platform, _ = platform_with(lab, script)
    platform.db.query(f"SELECT enqueue_issuance('{NAME}', 'first_hit')")
    wait_until(lambda: platform.stored(NAME), 10, "the certificate")
    before = platform.edge.process.rss()
    socks = []
    for _ in range(readers):
        sock = platform.connect(NAME, edge=platform.edge)
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert sock.recv(100)
        socks.append(sock)
    settled(lambda: sent[0])
    grown = platform.edge.process.rss() - before
    print(f"{readers} readers that stopped: the app could send {sent[0] / readers / MIB:.1f} MiB each, "
          f"the edge grew by {grown / MIB:.1f} MiB")
    assert sent[0] < readers * 32 * MIB
    assert is_sanitized("postern-edge") or grown < readers * MIB, "less than a MiB for each"
    for sock in socks:
        sock.close()


def test_app_that_does_not_read_holds_the_uploader_not_memory(lab):
    release = threading.Event()
    platform, _ = platform_with(lab, lambda request: release.wait(30) and False)
    platform.db.query(f"SELECT enqueue_issuance('{NAME}', 'first_hit')")
    wait_until(lambda: platform.stored(NAME), 10, "the certificate")
    before = platform.edge.process.rss()
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {1024 * MIB}\r\n\r\n".encode())
    sock.settimeout(0.7)
    sent = 0
    try:
        while sent < 512 * MIB:
            sent += sock.send(b"x" * 65536)
    except (socket.timeout, OSError):
        pass
    grown = platform.edge.process.rss() - before
    print(f"an app that does not read: the client could send {sent / MIB:.1f} MiB, the edge grew by {grown / MIB:.1f}")
    assert sent < 64 * MIB
    assert is_sanitized("postern-edge") or grown < 4 * MIB
    release.set()
    sock.close()


def test_truncated_response_is_seen_as_an_error(lab):
    platform, _ = platform_with(lab, lambda request: request.sock.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this") or False)
    sock = platform.connect(NAME)
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    data = b""
    try:
        while chunk := sock.recv(4096):
            data += chunk
    except OSError:
        pass
    assert data.endswith(b"only this"), "what came is passed on, and then the connection ends"
    sock.close()
    wait_until(lambda: platform.edge.metric("postern_edge_answers_cut_total", cause="app") == 1, 10, "it to be counted")


def test_connections_to_the_app_are_kept(lab):
    platform, origin = platform_with(lab, None)
    for _ in range(20):
        assert platform.visit(NAME).body == b"ok\n"
    print(f"20 requests over {origin.connections} connections to the app")
    assert origin.connections <= 3


def test_app_that_is_down_is_502_or_503_at_once(lab):
    platform, origin = platform_with(lab, None)
    assert platform.visit(NAME).status == 200
    origin.close()
    visit = platform.visit(NAME)
    assert visit.status in (502, 503)
    assert visit.seconds < 4, "less than a connect may take"
