"""Every bound that an operator may set holds: the newest above it is told no, those who are in keep their places, and
once there is room again it goes on."""

import os
import resource
import socket
import threading
import time

from lab import tls
from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"
REFUSED = "postern_edge_refused_total"


def node(lab, script=None, **edge):
    platform = lab.prepare(edges=1, edge={"workers": 1, **edge})
    origin = lab.use(Origin(platform.ground.address(4), script))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME, edge=platform.edge)
    return platform


def everything(sock, seconds=15):
    sock.settimeout(seconds)
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def served(platform):
    return platform.visit(NAME, edge=platform.edge).status == 200


def serves_again(platform):
    try:
        return served(platform)
    except OSError:
        return False


def test_out_of_descriptors_the_newest_are_told_and_it_goes_on(lab):
    platform = node(lab, max_connections="5000")
    edge = platform.edge
    kept = platform.connect(NAME, edge=edge)
    hard = resource.prlimit(edge.process.pid, resource.RLIMIT_NOFILE)[1]
    used = max(int(fd) for fd in os.listdir(f"/proc/{edge.process.pid}/fd"))
    resource.prlimit(edge.process.pid, resource.RLIMIT_NOFILE, (used + 4, hard))
    socks = [socket.create_connection((edge.address, edge.http)) for _ in range(30)]
    answers = [everything(sock) for sock in socks[-5:]]
    assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in answers), answers
    assert platform.refusal(NAME, edge=edge).alert == "internal_error"
    resource.prlimit(edge.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    for sock in socks:
        sock.close()
    wait_until(lambda: serves_again(platform), 10, "service as before")
    wait_until(lambda: edge.metric(REFUSED, cause="descriptors") >= 6, 10, "it to be counted")
    kept.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
    assert everything(kept).endswith(b"ok\n"), "who was in before stays"


def test_connections_of_one_client(lab):
    platform = node(lab)
    edge = platform.edge.restart(max_connections_per_client="3")
    assert served(platform)
    wait_until(lambda: edge.metric("postern_edge_connections") == 0, 5, "the first visit's connection to be over")
    socks = [platform.connect(NAME, edge=edge) for _ in range(3)]
    assert platform.refusal(NAME, edge=edge).alert == "internal_error"
    with socket.create_connection((edge.address, edge.http)) as plain:
        assert everything(plain).startswith(b"HTTP/1.1 503 ")
    other = socket.create_connection((edge.address, edge.http), source_address=("127.0.0.77", 0))
    other.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
    assert everything(other).startswith(b"HTTP/1.1 308 "), "another client has its own three"
    wait_until(lambda: edge.metric(REFUSED, cause="max_connections_per_client") == 2, 10, "it to be counted")
    socks.pop().close()
    wait_until(lambda: serves_again(platform), 5, "a place to be free again")
    for sock in socks:
        sock.close()


def test_more_connections_than_allowed(lab):
    platform = node(lab)
    edge = platform.edge.restart(max_connections="3")
    assert served(platform)
    wait_until(lambda: edge.metric("postern_edge_connections") == 0, 5, "the first visit's connection to be over")
    socks = [platform.connect(NAME, edge=edge) for _ in range(3)]
    assert platform.refusal(NAME, edge=edge).alert == "internal_error"
    with socket.create_connection((edge.address, edge.http)) as plain:
        assert everything(plain).startswith(b"HTTP/1.1 503 ")
    for sock in socks:
        sock.close()


def test_memory_above_its_bound_sheds_requests_and_connections(lab):
    """Sixty readers that take nothing, each with a window full in the edge, against a bound of 2 MiB."""
    stop = threading.Event()

    def script(request):
        if request.target == "/":
            request.answer()
            return
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            while not stop.is_set():
                request.sock.sendall(piece)
        except OSError:
            pass
    platform = node(lab, script, max_memory="2M", write_timeout="60s")
    edge = platform.edge
    idle = platform.connect(NAME, edge=edge)
    socks = []
    try:
        for _ in range(60):
            try:
                sock = platform.connect(NAME, edge=edge)
                sock.sendall(f"GET /much HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
                socks.append(sock)
            except OSError:
                break
        wait_until(lambda: platform.refusal(NAME, edge=edge).alert == "internal_error", 10, "a refusal")
        wait_until(lambda: edge.metric(REFUSED, cause="max_memory") >= 1, 10, "it to be counted")
        idle.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert everything(idle).startswith(b"HTTP/1.1 503 ")
        wait_until(lambda: edge.metric("postern_edge_requests_shed_total") >= 1, 10, "it to be counted")
        in_use = edge.metric("postern_edge_memory_bytes")
        print(f"{len(socks)} readers that take nothing, {in_use / 1e6:.1f} MB with a bound of 2.1 MB")
        assert in_use < 6e6
    finally:
        stop.set()
        for sock in socks:
            sock.close()
    wait_until(lambda: serves_again(platform), 10, "service as before")


def test_body_that_trickles(lab):
    platform = node(lab, body_timeout="2s", min_rate="1000")
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 100000\r\n\r\n".encode())
    sock.settimeout(0.05)
    start, answer = time.monotonic(), b""
    while time.monotonic() - start < 20 and not answer:
        try:
            sock.sendall(b"x")
            answer = sock.recv(4096)
        except socket.timeout:
            continue
        except OSError:
            break
    assert time.monotonic() - start < 15
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    fast = platform.connect(NAME, edge=platform.edge)
    fast.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 40000\r\nConnection: close\r\n\r\n".encode())
    for _ in range(80):
        fast.sendall(b"x" * 500)
        time.sleep(0.05)
    assert everything(fast).startswith(b"HTTP/1.1 200"), "10,000 bytes a second for four seconds are enough"


def test_reader_that_takes_a_byte_now_and_then(lab):
    gone = threading.Event()

    def script(request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        try:
            for _ in range(1000):
                request.sock.sendall(b"x" * 100000)
        except OSError:
            gone.set()
    platform = lab.prepare(edges=1, edge={"workers": 1, "write_timeout": "1s", "min_rate": "100K"})
    origin = lab.use(Origin(platform.ground.address(4), script))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    sock = platform.connect(NAME, edge=platform.edge)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    start = time.monotonic()
    while not gone.is_set() and time.monotonic() - start < 20:
        try:
            sock.recv(100)
        except OSError:
            break
        gone.wait(0.05)
    assert gone.wait(5), "the app's connection was not held for it"
    sock.close()


def test_requests_of_one_connection(lab):
    platform = node(lab, max_requests="3")
    sock = platform.connect(NAME, edge=platform.edge)
    connection = tls.HttpOver(sock, NAME)
    for number in range(3):
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.read() == b"ok\n"
        assert (answer.headers["Connection"] == "close") == (number == 2)
    sock.close()
