"""Behind a load balancer that sends the PROXY protocol, the client is the one of its header; nobody else may say so."""

import os
import select
import socket
import ssl
import subprocess
import time

import pytest

from lab import proxy_header as proxy
from lab.client_hello import client_hello
from lab.origin import Origin
from lab.place import program
from lab.process import wait_until

NAME = "shop.brand.test"


class Door:
    """A platform whose edge wants PROXY headers from 127.0.0.1, and the app behind it."""

    def __init__(self, lab, options, **settings):
        self.platform = lab.prepare(edges=1, balancer=options, edge={
            "proxy_protocol": "required", "proxy_trust": "10.0.0.0/8,127.0.0.1", "proxy_timeout": "4s", **settings})
        self.origin = lab.use(Origin(self.platform.ground.address(4)))
        self.platform.edge.settings["upstream"] = self.origin.url
        self.platform.start()
        self.platform.activate(NAME)
        assert self.platform.visit(NAME).status == 200

    @property
    def edge(self):
        return self.platform.edge

    def dial(self, first=b"", port=None):
        """Straight to the edge, past the balancer."""
        sock = socket.create_connection((self.edge.address, port or self.edge.https), 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(first)
        return sock

    def secure(self, sock):
        return self.platform.trust.wrap_socket(sock, server_hostname=NAME)

    def get(self, secured, head=""):
        secured.sendall(f"GET /x HTTP/1.1\r\nHost: {NAME}\r\n{head}\r\n".encode())
        assert secured.recv(4096).startswith(b"HTTP/1.1 200")
        return self.origin.requests[-1]

    def refused(self, cause):
        return self.edge.metric("postern_edge_refused_total", cause=cause)


@pytest.fixture(scope="module")
def door(shared_lab):
    """One platform for all tests of this file that need no other."""
    return Door(shared_lab, "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl,cert-cn")


def wait_closed(sock):
    sock.settimeout(15)
    try:
        assert sock.recv(4096) == b""
    except ConnectionResetError:
        pass
    sock.close()


def from_address(platform, address):
    raw = socket.create_connection((platform.address, platform.https), 5, source_address=(address, 0))
    return platform.trust.wrap_socket(raw, server_hostname=NAME)


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_haproxy_tells_the_client_in_both_versions(lab, options):
    door = Door(lab, options)
    for number in range(3):
        request = door.get(from_address(door.platform, f"127.7.7.{number + 1}"), "X-Forwarded-For: 6.6.6.6\r\n")
        assert request.all("x-forwarded-for") == [f"127.7.7.{number + 1}"]
        assert request.all("x-real-ip") == [f"127.7.7.{number + 1}"]
        assert request.all("x-forwarded-port") == [str(door.platform.https)]
    plain = socket.create_connection((door.platform.address, door.platform.http), 5)
    plain.sendall(f"GET /y HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    assert plain.recv(4096).startswith(b"HTTP/1.1 308")


def test_haproxys_checksum_and_vectors_are_understood(door):
    request = door.get(from_address(door.platform, "127.8.8.8"))
    assert request.all("x-forwarded-for") == ["127.8.8.8"]
    assert door.refused("proxy_checksum") == 0


def test_ipv6_clients_are_told_as_such(door):
    body = proxy.addresses("2001:db8::7", "2001:db8::1", (4242, 443))
    request = door.get(door.secure(door.dial(proxy.v2(body, family=0x21))))
    assert request.all("x-forwarded-for") == ["2001:db8::7"]
    assert request.all("forwarded") == [f'for="[2001:db8::7]";host={NAME};proto=https']


class Trickle:
    """TLS over a socket to which every byte of the first flight is sent alone, or with what stands before it."""

    def __init__(self, door, before, together):
        self.sock, self.pending = door.dial(), before
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = door.platform.trust.wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)
        self.together = together

    def flush(self):
        data = self.pending + self.outgoing.read()
        self.pending = b""
        if self.together:
            self.sock.sendall(data)
        else:
            for byte in data:
                self.sock.sendall(bytes([byte]))
        self.together = True

    def step(self, action):
        while True:
            try:
                result = action()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.sock.recv(65536))


@pytest.mark.parametrize("header", [proxy.v1(), proxy.v2(), proxy.with_checksum(proxy.addresses() + proxy.tlv(1, b"h2")),
                                    proxy.v2(proxy.addresses() + proxy.tlv(0xEA, b"\x01vpce-08d2bf15fac5001c9"))],
                         ids=["v1", "v2", "crc32c", "vpc_endpoint"])
@pytest.mark.parametrize("together", [True, False], ids=["with_the_hello", "byte_by_byte"])
def test_header_and_hello_arrive_in_any_pieces(door, header, together):
    client = Trickle(door, header, together)
    client.step(client.tls.do_handshake)
    client.step(lambda: client.tls.write(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()))
    assert client.step(lambda: client.tls.read(4096)).startswith(b"HTTP/1.1 200")
    assert door.origin.requests[-1].all("x-forwarded-for") == ["203.0.113.9"]
    assert door.origin.requests[-1].all("x-forwarded-port") == ["443"]
    client.sock.close()


def test_health_checks_keep_the_sockets_address_and_are_no_errors(door):
    before = door.edge.process.log()
    for header in (proxy.nlb_health_check(), proxy.v2(b"", command=proxy.LOCAL, family=0), proxy.v2(b"", family=0),
                   b"PROXY UNKNOWN\r\n"):
        door.dial(header).close()
        request = door.get(door.secure(door.dial(header)))
        assert request.all("x-forwarded-for") == ["127.0.0.1"]
    for _ in range(20):
        door.dial().close()
    plain = door.dial(proxy.nlb_health_check() + f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode(), door.edge.http)
    assert plain.recv(4096).startswith(b"HTTP/1.1 308")
    assert " error " not in door.edge.process.log()[len(before):].lower()


HOSTILE = [
    ("no header, TLS", client_hello(), "proxy_missing"),
    ("no header, HTTP", b"GET / HTTP/1.1\r\nHost: shop.brand.test\r\n\r\n", "proxy_missing"),
    ("wrong sum", proxy.with_checksum(proxy.addresses(), wrong=1), "proxy_checksum"),
    ("sum of another size", proxy.v2(proxy.addresses() + proxy.tlv(3, b"\0\0\0")), "proxy_checksum"),
    ("addresses cut", proxy.v2(proxy.addresses()[:11]), "proxy_length"),
    ("v6 in the room of v4", proxy.v2(proxy.addresses(), family=0x21), "proxy_length"),
    ("vector beyond the end", proxy.v2(proxy.addresses() + b"\x01\0\x05abcd"), "proxy_length"),
    ("datagrams", proxy.v2(family=0x12), "proxy_family"),
    ("unknown command", proxy.v2(command=0x22), "proxy_command"),
    ("version 3", proxy.v2(command=0x31), "proxy_version"),
    ("64 KiB announced", proxy.v2(length=65535), "proxy_too_long"),
    ("line without end", b"PROXY TCP4 " + b"1" * 200, "proxy_line"),
    ("bare line feed", proxy.v1().replace(b"\r\n", b"\n"), "proxy_line"),
    ("port too large", proxy.v1(ports=(70000, 443)), "proxy_line"),
    ("name for address", b"PROXY TCP4 localhost 127.0.0.1 1 2\r\n", "proxy_line"),
    ("header cut", proxy.v2()[:20], "proxy_timeout"),
    ("silence", b"", "proxy_timeout"),
]


@pytest.mark.parametrize("port", ["https", "http"])
def test_hostile_headers_are_closed_and_counted(door, port):
    """All at once, so that the slow ones wait together."""
    causes = {cause for _, _, cause in HOSTILE}
    before = {cause: door.refused(cause) for cause in causes}
    requests = len(door.origin.requests)
    socks = [(what, door.dial(data, getattr(door.edge, port))) for what, data, _ in HOSTILE]
    for what, sock in socks:
        wait_closed(sock)
    for cause in causes:
        wanted = sum(1 for _, _, this in HOSTILE if this == cause)
        assert door.refused(cause) - before[cause] == wanted, cause
    assert len(door.origin.requests) == requests


def test_every_truncated_header_waits_and_is_forgotten(door):
    """Five hundred cut headers at once: none is answered, none is kept, and others are served meanwhile."""
    header = proxy.with_checksum(proxy.addresses() + proxy.tlv(1, b"http/1.1"))
    socks = [door.dial(header[:size % len(header)]) for size in range(500)]
    start = time.monotonic()
    assert door.get(door.secure(door.dial(proxy.v2()))).all("x-forwarded-for") == ["203.0.113.9"]
    assert time.monotonic() - start < 3, "in no line behind them"
    for sock in socks:
        wait_closed(sock)
    wait_until(lambda: door.edge.metric("postern_edge_connections", state="proxy") == 0, 10, "no connection to be left")


def test_a_second_header_is_no_header(door):
    sock = door.dial(proxy.v2() + proxy.v2(proxy.addresses("6.6.6.6")))
    sock.settimeout(5)
    assert sock.recv(16)[:1] in (b"\x15", b"")  # an alert: that is no ClientHello
    plain = door.dial(proxy.v1() + proxy.v1() + b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", door.edge.http)
    assert plain.recv(64).startswith(b"HTTP/1.1 400")


def test_strangers_may_not_say_who_they_are(door):
    before = door.refused("proxy_untrusted")
    for port in (door.edge.https, door.edge.http):
        for data in (proxy.v2(), b""):
            sock = socket.create_connection((door.edge.address, port), 5, source_address=("127.6.6.6", 0))
            try:
                sock.sendall(data)
            except (ConnectionResetError, BrokenPipeError):
                pass
            wait_closed(sock)
    assert door.refused("proxy_untrusted") - before == 4


def test_off_means_that_a_header_is_garbage(lab):
    platform = lab.platform(edges=1)
    with socket.create_connection((platform.edge.address, platform.edge.http), 5) as sock:
        sock.sendall(proxy.v1() + f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert sock.recv(64).startswith(b"HTTP/1.1 400")
    with socket.create_connection((platform.edge.address, platform.edge.https), 5) as sock:
        sock.sendall(proxy.v2() + client_hello())
        assert sock.recv(64)[:1] == b"\x15"


def start(*arguments):
    done = subprocess.run([program("postern-edge"), "--database=host=127.0.0.1", "--seal-key-file=/dev/null",
                           "--upstream=http://127.0.0.1:1", "--listen-https=127.0.0.1:0", "--listen-http=127.0.0.1:0",
                           *arguments], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=10, env={"PATH": os.environ["PATH"]})
    return done.returncode, done.stdout


def test_required_without_a_trusted_network_ends_the_start(session):
    for arguments, words in ((["--proxy-protocol=required"], "needs proxy-trust"),
                             (["--proxy-protocol=auto"], "proxy-protocol"),
                             (["--proxy-protocol=required", "--proxy-trust=10.0.0.1/8"], "bits behind its prefix"),
                             (["--proxy-trust=balancer"], "is not a network"),
                             (["--forwarded-trust=cdn"], "forwarded-trust: `cdn` is not a network"),
                             (["--https-port=0"], "https-port")):
        code, text = start(f"--seal-key-file={session.seal_key}", *arguments)
        assert code == 2 and words in text, (arguments, code, text)
