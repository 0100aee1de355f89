"""Thousands of connections that begin something and do not go on take neither places nor time from the others."""

import resource
import socket
import threading
import time

import pytest

from lab import client_hello
from lab.origin import Origin

pytestmark = pytest.mark.alone

NAME = "shop.brand.test"
HELLOS, HEADS, BODIES = 6000, 2800, 200
VISITS = 300


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


def measure(platform):
    """p50 and p99 of visits, each with a handshake of its own, in ms."""
    times = []
    for _ in range(VISITS):
        start = time.monotonic()
        assert platform.visit(NAME, edge=platform.edge, timeout=30).status == 200
        times.append((time.monotonic() - start) * 1000)
    return percentile(times, 0.5), percentile(times, 0.99)


class Crowd:
    """Connections that say a byte now and then: in the middle of a ClientHello, of a head, of a body."""

    def __init__(self, platform):
        self.platform, self.socks, self.going, self.ended = platform, [], True, 0
        edge, hello = platform.edge, client_hello.client_hello(NAME.encode())
        for number in range(HELLOS):
            self.begin(edge.https, hello[:20 + number % 60])
        for _ in range(HEADS):
            self.begin(edge.http, f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode())
        for _ in range(BODIES):
            sock = platform.connect(NAME, edge=edge)
            sock.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1000000\r\n\r\n".encode())
            self.socks.append((sock, b"x"))
        self.thread = threading.Thread(target=self.trickle)
        self.thread.start()

    def begin(self, port, data):
        sock = socket.create_connection((self.platform.edge.address, port), 30)
        sock.sendall(data)
        self.socks.append((sock, b"x" if port == self.platform.edge.http else b""))

    def trickle(self):
        while self.going:
            for sock, byte in self.socks[HELLOS:]:
                if not self.going:
                    return
                try:
                    sock.sendall(byte)
                except OSError:
                    self.ended += 1
                time.sleep(0.002)

    def disperse(self):
        self.going = False
        self.thread.join(10)
        for sock, _ in self.socks:
            sock.close()


def test_nine_thousand_slow_connections(lab):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    platform = lab.prepare(edges=1, edge={
        "max_connections": "15000", "hello_timeout": "60s", "header_timeout": "60s", "body_timeout": "60s"})
    origin = lab.use(Origin(platform.ground.address(4)))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    measure(platform)
    quiet = measure(platform)
    crowd = Crowd(platform)
    try:
        held = platform.edge.metric("postern_edge_connections")
        busy = measure(platform)
        assert held >= 0.99 * (HELLOS + HEADS + BODIES)
        print(f"p50/p99 of a visit: {quiet[0]:.1f}/{quiet[1]:.1f} ms alone, {busy[0]:.1f}/{busy[1]:.1f} ms among "
              f"{held:.0f} slow connections: p99 x {busy[1] / quiet[1]:.2f}; {platform.edge.process.rss() / 1e6:.0f} MB")
        assert busy[1] < 10 * quiet[1], "the figure is above; this bound only tells a wreck from noise"
    finally:
        crowd.disperse()
