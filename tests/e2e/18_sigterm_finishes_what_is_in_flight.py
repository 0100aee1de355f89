"""SIGTERM: what is in flight is finished, idle connections end, nothing new comes in, exit code 0."""

import signal
import threading

from lab import tls
from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"


def platform_with(lab, script, **edge):
    platform = lab.prepare(edge=edge)
    origin = lab.use(Origin(platform.ground.address(4), script))
    for one in platform.edges:
        one.settings["upstream"] = origin.url
    return platform.start(), origin


def test_response_in_flight_is_finished_and_the_node_ends_with_0(lab):
    halfway, go_on = threading.Event(), threading.Event()

    def script(request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
        halfway.set()
        assert go_on.wait(10)
        request.sock.sendall(b"56789")
    platform, _ = platform_with(lab, script)
    edge = platform.edge
    platform.activate(NAME)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(platform.visit(NAME, edge=edge)))
    thread.start()
    assert halfway.wait(10)
    edge.process.send(signal.SIGTERM)
    wait_until(lambda: not edge.is_ready(), 5, "/readyz to say no")
    assert edge.process.alive
    go_on.set()
    thread.join(10)
    assert answers[0].body == b"0123456789"
    assert edge.process.wait(15) == 0


def test_load_balancer_moves_on_without_an_error(lab):
    """Visits go on without a pause while one of two nodes ends; with drain-delay none of them fails."""
    platform = lab.platform(edge={"drain_delay": "2s"})
    platform.activate(NAME)
    for edge in platform.edges:
        platform.visit(NAME, edge=edge)
    platform.edges[0].process.send(signal.SIGTERM)
    count = 0
    while platform.edges[0].process.alive:
        assert platform.visit(NAME).status == 200
        count += 1
    assert platform.edges[0].process.exit_code == 0
    print(f"{count} visits while one of two nodes ended, none failed")
    assert platform.visit(NAME).status == 200


def test_idle_connection_is_closed_and_does_not_hold_the_end_up(lab):
    platform, _ = platform_with(lab, None)
    platform.activate(NAME)
    sock = platform.connect(NAME, edge=platform.edge)
    connection = tls.HttpOver(sock, NAME)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"ok\n"
    platform.edge.process.send(signal.SIGTERM)
    assert platform.edge.process.wait(15) == 0
    assert sock.recv(1) == b"", "an orderly end, no reset"
    sock.close()


def test_endless_response_ends_with_drain_timeout(lab):
    stop = threading.Event()

    def script(request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        stop.wait(30)
    platform, _ = platform_with(lab, script, drain_timeout="1s")
    platform.activate(NAME)
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    assert sock.recv(1)
    platform.edge.process.send(signal.SIGTERM)
    assert platform.edge.process.wait(15) == 0
    stop.set()
    sock.close()


def test_issuer_that_is_stopped_in_an_order_leaves_it_to_the_next(lab):
    platform = lab.platform(faulty_ca=True, edge={"issue_wait": "30s"})
    platform.activate(NAME)
    gate = platform.ca.hold("finalize", after=True)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(platform.visit(NAME, timeout=40)))
    thread.start()
    assert gate.arrived.wait(10)
    platform.acme.process.send(signal.SIGTERM)
    gate.open()
    assert platform.acme.process.wait(15) == 0
    platform.acme.start()
    thread.join(40)
    assert answers[0].status == 200
    assert platform.pebble.orders() == 1
