"""Clients that go away while they wait harm nobody: not the node, not the order, not those who stay."""

import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from lab import client_hello
from lab.process import wait_until

NAME = "shop.brand.test"


def waiting_client(platform, edge):
    sock = socket.create_connection((edge.address, edge.https), 5)
    sock.sendall(client_hello.client_hello(NAME.encode()))
    return sock


def test_those_who_stay_are_served_when_others_leave(lab):
    platform = lab.platform(edges=1, faulty_ca=True)
    edge = platform.edge
    platform.activate(NAME)
    gate = platform.ca.hold("new-order")
    leavers = [waiting_client(platform, edge) for _ in range(50)]
    with ThreadPoolExecutor(5) as pool:
        stayers = [pool.submit(platform.visit, NAME, edge=edge, timeout=20) for _ in range(5)]
        wait_until(lambda: edge.metric("postern_edge_waiters") >= 55, 5, "all to wait")
        for index, sock in enumerate(leavers):
            if index % 2:  # a reset instead of an orderly end
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        wait_until(lambda: edge.metric("postern_edge_waiters") == 5, 5, "those who left to be forgotten")
        gate.open()
        assert {stayer.result().status for stayer in stayers} == {200}
    assert platform.pebble.orders() == 1


def test_order_is_finished_though_every_visitor_left(lab):
    platform = lab.platform(edges=1, faulty_ca=True)
    platform.activate(NAME)
    gate = platform.ca.hold("new-order")
    sock = waiting_client(platform, platform.edge)
    assert gate.arrived.wait(5)
    sock.close()
    wait_until(lambda: platform.edge.metric("postern_edge_waiters") == 0, 5, "nobody to wait")
    gate.open()
    wait_until(lambda: platform.stored(NAME), 10, "the certificate")
    assert platform.visit(NAME).status == 200
    assert platform.pebble.orders() == 1
