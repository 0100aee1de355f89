"""The end of a node under load: nobody whose connection it had taken is reset, those who say nothing hold it up no
longer than a moment, and a second signal cuts at once."""

import collections
import signal
import socket
import threading
import time

from lab import client_hello, tls
from lab.daemons import Edge
from lab.one_thread import FrozenThread
from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"


def node(lab, script=None, **edge):
    platform = lab.prepare(edges=1, edge=edge)
    origin = lab.use(Origin(platform.ground.address(4), script))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME, edge=platform.edge)
    return platform


class Visitors:
    """Threads that connect, ask and go, again and again; what fails is kept."""

    def __init__(self, platform, edge, count):
        self.platform, self.edge = platform, edge
        self.served, self.failures, self.going = 0, [], True
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while self.going:
            try:
                assert self.platform.visit(NAME, edge=self.edge, timeout=20).status == 200
                with self.lock:
                    self.served += 1
            except Exception as error:  # pylint: disable=broad-except
                with self.lock:
                    self.failures.append(repr(error))

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join(30)


def test_rolling_restart_on_one_port_loses_no_visit(lab):
    platform = node(lab, drain_delay="200ms")
    old = platform.edge
    visitors = Visitors(platform, old, 8)
    try:
        for number in range(2):
            new = lab.use(Edge(old.directory, f"next{number}", old.address, old.https, old.http, {
                name: value for name, value in old.settings.items() if name not in ("admin_listen",)}))
            new.start()
            old.process.send(signal.SIGTERM)
            old.process.wait(20)
            assert old.process.exit_code == 0
            old = new
        before = visitors.served
        wait_until(lambda: visitors.served > before + 20, 20, "visits at the last node")
    finally:
        visitors.stop()
    print(f"{visitors.served} visits over two restarts on one port, {len(visitors.failures)} failed")
    assert not visitors.failures, visitors.failures[:3]


class Knockers:
    """Threads that connect to port 80 as fast as they can and ask; what became of each connection is counted."""

    def __init__(self, edge, count):
        self.edge, self.going, self.outcomes, self.lock = edge, True, collections.Counter(), threading.Lock()
        self.threads = []
        self.come(count)

    def come(self, count):
        threads = [threading.Thread(target=self.run) for _ in range(count)]
        self.threads += threads
        for thread in threads:
            thread.start()

    def run(self):
        while self.going:
            outcome = self.knock()
            with self.lock:
                self.outcomes[outcome] += 1

    def knock(self):
        with socket.socket() as sock:
            sock.settimeout(0.5)
            try:
                sock.connect((self.edge.address, self.edge.http))
            except OSError:
                return "not let in"
            sock.settimeout(20)
            try:
                sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
                return "served" if sock.recv(100).startswith(b"HTTP/1.1 308 ") else "ended without a word"
            except ConnectionResetError:
                return "reset"

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join(30)


def queued(edge):
    """Connections in the queue of the listener for port 80, as the kernel shows it."""
    place = f":{edge.http:04X}"
    with open("/proc/net/tcp") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    return sum(int(line[4].split(":")[1], 16) for line in lines if line[1].endswith(place) and line[3] == "0A")


def test_nothing_that_is_queued_is_reset(lab):
    """A worker that is held up while connections queue, and a drain meanwhile: both sides count what became of them."""
    stop = threading.Event()
    platform = node(lab, lambda request: (request.target == "/held" and stop.wait(60), request.answer())[1],
                    workers=1, drain_delay="0", drain_timeout="60s")
    edge = platform.edge
    held = platform.connect(NAME, edge=edge)
    held.sendall(f"GET /held HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    knockers = Knockers(edge, 4)
    try:
        wait_until(lambda: knockers.outcomes["served"] > 50, 20, "visits before the end")
        with FrozenThread(edge.process, "worker-0"):
            knockers.come(8)
            wait_until(lambda: queued(edge) >= 8, 20, "a queue")
            edge.process.send(signal.SIGTERM)
            edge.process.wait_log("draining")
        edge.process.wait_log("listeners closed")
        counted = {how: edge.metric("postern_edge_drain_queued_total", outcome=how) for how in ("accepted", "reset")}
    finally:
        knockers.stop()
        stop.set()
    assert edge.process.wait(20) == 0
    print(f"a drain among visitors: {dict(knockers.outcomes)}; the node's own count of its queue: {counted}")
    assert counted["reset"] == 0
    assert set(knockers.outcomes) <= {"served", "not let in"}, knockers.outcomes
    held.close()


def test_silent_connections_do_not_hold_the_end_up(lab):
    platform = node(lab, drain_timeout="60s", hello_timeout="60s")
    edge = platform.edge
    silent = [socket.create_connection((edge.address, port)) for port in (edge.https, edge.http) for _ in range(5)]
    half = socket.create_connection((edge.address, edge.https))
    half.sendall(client_hello.client_hello(NAME.encode())[:50])
    wait_until(lambda: edge.metric("postern_edge_accepted_total") >= 11, 5, "all of them to be accepted")
    start = time.monotonic()
    edge.process.send(signal.SIGTERM)
    assert edge.process.wait(20) == 0
    assert time.monotonic() - start < 10
    for sock in silent + [half]:
        sock.close()


def test_connection_whose_first_request_is_on_its_way_is_served(lab):
    platform = node(lab)
    edge = platform.edge
    sock = platform.connect(NAME, edge=edge)
    connection = tls.HttpOver(sock, NAME)
    edge.process.send(signal.SIGTERM)
    edge.process.wait_log("draining")
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.read() == b"ok\n"
    assert answer.headers["Connection"] == "close"
    assert edge.process.wait(10) == 0
    sock.close()


def test_visitor_who_waits_for_a_certificate_gets_it_during_the_drain(lab):
    platform = lab.platform(edges=1, faulty_ca=True, edge={"issue_wait": "30s", "drain_timeout": "30s"})
    platform.activate(NAME)
    gate = platform.ca.hold("finalize", after=True)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        platform.visit(NAME, edge=platform.edge, timeout=40)))
    thread.start()
    assert gate.arrived.wait(10)
    platform.edge.process.send(signal.SIGTERM)
    platform.edge.process.wait_log("draining")
    gate.open()
    thread.join(40)
    assert answers and answers[0].status == 200
    assert platform.edge.process.wait(15) == 0


def test_second_signal_cuts_at_once(lab):
    stop = threading.Event()

    def script(request):
        if request.target != "/endless":
            request.answer()
            return
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        stop.wait(60)
    platform = node(lab, script, drain_timeout="60s")
    edge = platform.edge
    sock = platform.connect(NAME, edge=edge)
    sock.sendall(f"GET /endless HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    assert sock.recv(1)
    edge.process.send(signal.SIGTERM)
    edge.process.wait_log("draining")
    assert edge.process.alive, "it waits for the one in flight"
    edge.process.send(signal.SIGTERM)
    assert edge.process.wait(10) == 0
    stop.set()
    sock.close()


def test_second_signal_ends_the_delay_too(lab):
    platform = node(lab, drain_delay="60s")
    platform.edge.process.send(signal.SIGTERM)
    platform.edge.process.wait_log("draining")
    assert platform.visit(NAME, edge=platform.edge).status == 200
    assert platform.edge.metric("postern_edge_draining") == 1
    platform.edge.process.send(signal.SIGTERM)
    assert platform.edge.process.wait(10) == 0
