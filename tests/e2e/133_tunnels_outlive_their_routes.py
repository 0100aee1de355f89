"""Connections that are passed on and what happens to the node meanwhile: its end, a reload that takes their route or changes
its servers, a domain that changes its mind, and servers and clients that read slowly, reset, or hang up half way."""

import hashlib
import json
import os
import resource
import signal
import socket
import threading
import time

import pytest

from lab import client_hello, tls
from lab.place import free_port
from lab.process import wait_until
from lab.tls_backend import Backend, echo, record, server_context

NAME = "long.brand.test"


def flood(sock, _):
    """Sends until nobody takes it any more."""
    while True:
        sock.sendall(bytes(65536))


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.platform = lab.prepare(edges=1, edge={"cache_max_age": "1s"})
        self.edge, self.net = self.platform.edge, self.platform.ground.net
        self.authority = self.platform.ground.authority
        chain, key = self.authority.issue("servers", "DNS:*.brand.test")
        self.trust = tls.trust(self.authority.ca, alpn=("imap",))
        self.context = server_context(chain, key)
        self.one = lab.use(Backend(f"{self.net}31", echo(self.context, b"one"))).start()
        self.two = lab.use(Backend(f"{self.net}32", echo(self.context, b"two"))).start()
        self.raw = lab.use(Backend(f"{self.net}33", record())).start()
        self.flood = lab.use(Backend(f"{self.net}34", flood)).start()
        self.port = free_port(self.edge.address)
        self.settings = os.path.join(lab.folder("settings"), "edge.conf")
        self.platform.start(without=[self.platform.pebble, self.platform.acme])
        self.restart()

    def routes(self, *routes):
        with open(self.settings, "w") as file:
            file.write("".join(f"passthrough {route}\n" for route in routes))

    def restart(self, **settings):
        self.routes(f"{NAME} {self.one.place} check=tcp interval=500ms", f"raw.brand.test {self.raw.place}",
                    f"flood.brand.test {self.flood.place}")
        self.edge.restart(config=self.settings, listen_passthrough=f"{self.edge.address}:{self.port}", access_log="on",
                          log_format="json", **{"drain_timeout": "4s", **settings})

    def reload(self, *routes):
        self.routes(*routes)
        before = self.edge.process.log().count("settings reloaded")
        self.edge.process.send(signal.SIGHUP)
        wait_until(lambda: self.edge.process.log().count("settings reloaded") > before, 10, "the reload")

    def connect(self, name=NAME):
        sock = tls.connect(self.edge.address, self.port, name, self.trust)
        sock.settimeout(20)
        return sock

    def greeting(self):
        with self.connect() as sock:
            return read_exactly(sock, 3)

    def open(self):
        return self.edge.metric("postern_edge_passthrough_open")


@pytest.fixture(scope="module")
def scene(shared_lab):
    return Scene(shared_lab)


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more, f"the end after {len(data)} of {size}"
        data += more
    return data


def exchange(sock, size=100000):
    """There and back; little enough to lie in the kernel's buffers meanwhile."""
    sent = os.urandom(size)
    sock.sendall(sent)
    assert read_exactly(sock, size) == sent


def test_a_reload_that_takes_the_route_leaves_who_is_on_it(scene):
    with scene.connect() as sock:
        assert read_exactly(sock, 3) == b"one"
        scene.reload(f"{NAME} {scene.two.place}")
        wait_until(lambda: scene.greeting() == b"two", 5, "the new route")
        exchange(sock)
        with scene.connect() as other:
            assert read_exactly(other, 3) == b"two"
            scene.reload(f"raw.brand.test {scene.raw.place}")
            wait_until(lambda: client_hello.refusal(scene.edge.address, scene.port, NAME.encode()).alert
                       == "unrecognized_name", 5, "the route to be gone")
            exchange(sock)
            exchange(other)
    wait_until(lambda: scene.edge.metric("postern_edge_passthrough_ends_total", cause="closed") >= 2, 10, "both ends")
    scene.restart()


def test_reloads_while_connections_come_lose_none(scene):
    failures, served, going = [], [0], [True]

    def visit():
        while going[0]:
            try:
                with scene.connect() as sock:
                    assert read_exactly(sock, 3) in (b"one", b"two")
                    exchange(sock, 2000)
                served[0] += 1
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(12):
        place = (scene.one, scene.two)[number % 2].place
        scene.reload(f"{NAME} {place} check={('tcp', 'tls', 'off')[number % 3]} interval=500ms",
                     *(f"n{index}.brand.test {scene.two.place} check=tcp interval=500ms" for index in range(number)))
        wait_until(lambda: served[0] > 4 * number or failures, 20, "connections by these routes")
    going[0] = False
    for thread in threads:
        thread.join(30)
    print(f"{served[0]} connections over 12 reloads")
    assert not failures, failures[:3]
    wait_until(lambda: scene.open() == 0, 10, "no connection to be left")
    scene.restart()


def test_a_drain_keeps_a_tunnel_byte_exact_until_its_deadline_and_then_resets_it(scene):
    edge = scene.edge
    passing = scene.connect()
    assert read_exactly(passing, 3) == b"one"
    silent = socket.create_connection((edge.address, scene.port), 20)
    silent.sendall(client_hello.client_hello(b"raw.brand.test"))
    stuck = socket.create_connection((edge.address, scene.port), 20)  # its bytes lie in a pipe of the worker's
    stuck.sendall(client_hello.client_hello(b"flood.brand.test"))
    wait_until(lambda: edge.metric("postern_edge_passthrough_bytes_total", route="flood.brand.test", direction="out")
               > 2 << 20 and scene.open() == 3, 10, "more than goes by copying")
    edge.process.send(signal.SIGTERM)
    started = time.monotonic()
    wait_until(lambda: edge.process.logged("draining"), 5, "the drain")
    wait_until(lambda: client_gone(scene), 5, "the door to be shut")
    rounds = 0
    with pytest.raises((OSError, AssertionError)):
        while time.monotonic() - started < 30:
            exchange(passing, 20000)
            rounds += 1
    took = time.monotonic() - started
    silent.settimeout(10)
    with pytest.raises(ConnectionResetError):
        silent.recv(10)
    edge.process.wait(10)
    assert edge.process.exit_code == 0 and rounds > 0 and 3.5 <= took, (edge.process.exit_code, took)
    lines = [json.loads(line) for line in edge.process.log().splitlines() if line.startswith("{") and '"route"' in line]
    assert [line["end"] for line in lines[-3:]] == ["drain_timeout"] * 3
    stuck.close()
    assert all(came.ended.wait(10) for came in scene.one.came), "the server is told too"
    scene.restart()


def client_gone(scene):
    try:
        socket.create_connection((scene.edge.address, scene.port), 1).close()
        return False
    except OSError:
        return True


def test_a_drain_ends_as_soon_as_the_last_tunnel_does(scene):
    scene.restart(drain_timeout="30s")
    sock = scene.connect()
    assert read_exactly(sock, 3) == b"one"
    scene.edge.process.send(signal.SIGTERM)
    wait_until(lambda: scene.edge.process.logged("draining"), 5, "the drain")
    exchange(sock, 5000)
    sock.close()
    assert scene.edge.process.wait(15) == 0
    scene.restart()


def test_a_large_transfer_with_slow_readers_arrives_whole_after_the_senders_end(scene):
    """The sender is done and shut long before the reader has read: what is held goes on, and then the end."""
    body = os.urandom(16 << 20)
    before = len(scene.raw.came)
    with socket.create_connection((scene.edge.address, scene.port), 20) as sock:
        hello = client_hello.client_hello(b"raw.brand.test")
        sock.sendall(hello + body)
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(30)
        assert sock.recv(10) == b""
    got = scene.raw.came[before].bytes
    assert hashlib.sha256(got).digest() == hashlib.sha256(hello + body).digest()
    wait_until(lambda: scene.open() == 0, 10, "the end")


def test_a_server_that_answers_after_the_clients_end_is_heard(scene):
    def late(sock, came):
        while data := sock.recv(65536):
            came.bytes += data
        for number in range(50):
            sock.sendall(bytes([number]) * 4000)

    server = scene.lab.use(Backend(f"{scene.net}35", late)).start()
    scene.reload(f"{NAME} {scene.one.place}", f"raw.brand.test {scene.raw.place}", f"late.brand.test {server.place}")
    with socket.create_connection((scene.edge.address, scene.port), 20) as sock:
        sock.sendall(client_hello.client_hello(b"late.brand.test"))
        sock.shutdown(socket.SHUT_WR)
        assert read_exactly(sock, 200000) == b"".join(bytes([number]) * 4000 for number in range(50))
        assert sock.recv(1) == b""


def test_servers_that_die_while_connecting_or_reset_at_once(scene):
    """A full queue that answers nobody, a reset at the first byte, and a server that is well: the deadline of one leads to
    the next, and what was accepted is never begun anew elsewhere."""
    deaf = socket.socket()
    deaf.bind((f"{scene.net}36", 0))
    deaf.listen(0)
    place = f"{scene.net}36:{deaf.getsockname()[1]}"
    fill = [socket.socket() for _ in range(3)]
    for sock in fill:
        sock.setblocking(False)
        sock.connect_ex(deaf.getsockname())

    def reset(sock, _):
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    rude = scene.lab.use(Backend(f"{scene.net}37", reset)).start()
    scene.restart(passthrough_connect_timeout="1s")
    scene.reload(f"{NAME} {place} {scene.one.place}", f"raw.brand.test {scene.raw.place}", f"rude.brand.test {rude.place}")
    for _ in range(4):
        with scene.connect() as sock:
            assert read_exactly(sock, 3) == b"one"
    resets = 0
    for _ in range(50):
        with socket.create_connection((scene.edge.address, scene.port), 20) as sock:
            sock.sendall(client_hello.client_hello(b"rude.brand.test"))
            try:
                assert sock.recv(10) == b""
            except ConnectionResetError:
                resets += 1
    assert resets >= 45 and len(rude.came) == 50, "no second try of what a server has taken"
    wait_until(lambda: scene.open() == 0, 10, "the end")
    for sock in fill + [deaf]:
        sock.close()


def test_without_descriptors_there_is_an_alert_and_afterwards_all_is_well(scene):
    scene.restart()
    pid = scene.edge.process.pid
    most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (scene.edge.process.descriptors() + 5, most[1]))
    held = []
    alerts = 0
    for _ in range(12):
        sock = socket.create_connection((scene.edge.address, scene.port), 20)
        sock.sendall(client_hello.client_hello(b"raw.brand.test"))
        sock.settimeout(1)
        try:
            alerts += sock.recv(7)[:1] == b"\x15"
        except OSError:
            pass
        held.append(sock)
    assert alerts > 0
    for sock in held:
        sock.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, most)
    wait_until(lambda: scene.open() == 0, 20, "all to be over")
    with scene.connect() as sock:
        assert read_exactly(sock, 3) == b"one", "want of descriptors is no failure of the server"
