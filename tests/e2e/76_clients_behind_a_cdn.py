"""Behind a CDN that the operator trusts the client is the one that it reports; from anyone else nothing is believed.
Each request has an id that app, client and log agree on."""

import re
import socket

import pytest

from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"
CDN, FAR_CDN, VISITOR = "127.5.5.5", "127.5.5.6", "127.9.9.9"


class Place:
    def __init__(self, lab):
        self.platform = lab.prepare(edges=1, edge={"forwarded_trust": f"{CDN}/32,127.5.5.6,2001:db8:c::/48",
                                                   "access_log": "on"})
        self.origin = lab.use(Origin(self.platform.ground.address(4)))
        self.platform.edge.settings["upstream"] = self.origin.url
        self.platform.start()
        self.platform.activate(NAME)
        self.platform.visit(NAME, edge=self.platform.edge)

    def get(self, source, fields, line="GET / HTTP/1.1", count=1):
        """The request as the app got it, and the head of the answer."""
        edge = self.platform.edge
        raw = socket.create_connection((edge.address, edge.https), 5, source_address=(source, 0))
        with self.platform.trust.wrap_socket(raw, server_hostname=NAME) as sock:
            for _ in range(count):
                sock.sendall(f"{line}\r\nHost: {NAME}\r\n{fields}\r\n".encode())
                head = sock.recv(65536).decode()
                assert head.startswith("HTTP/1.1 "), head
        return (self.origin.requests[-1] if head.startswith("HTTP/1.1 200") else None), head


@pytest.fixture(scope="module")
def place(shared_lab):
    return Place(shared_lab)


CHAINS = [
    (CDN, "X-Forwarded-For: 203.0.113.9", "203.0.113.9"),
    (CDN, "X-Forwarded-For: 6.6.6.6, 203.0.113.9", "203.0.113.9"),
    (CDN, f"X-Forwarded-For: 6.6.6.6, 203.0.113.9, {FAR_CDN}", "203.0.113.9"),
    (CDN, f"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: {FAR_CDN}", "203.0.113.9"),
    (CDN, "X-Forwarded-For: [2001:db8::9]:4711, 2001:db8:c::1", "2001:db8::9"),
    (CDN, "X-Forwarded-For: 203.0.113.9, garbage", CDN),
    (CDN, "X-Forwarded-For: 203.0.113.9, unknown, 127.5.5.6", FAR_CDN),
    (CDN, "X_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6", CDN),
    (CDN, "Connection: X-Forwarded-For\r\nX-Forwarded-For: 203.0.113.9", "203.0.113.9"),
    (VISITOR, "X-Forwarded-For: 203.0.113.9", VISITOR),
    (VISITOR, f"X-Forwarded-For: 203.0.113.9, {CDN}", VISITOR),
]


@pytest.mark.parametrize("source,fields,client", CHAINS)
def test_the_client_is_the_last_address_that_is_no_cdns(place, source, fields, client):
    request, _ = place.get(source, fields + "\r\n")
    quoted = f'"[{client}]"' if ":" in client else client
    assert request.all("x-forwarded-for") == [client]
    assert request.all("x-real-ip") == [client]
    assert request.all("forwarded") == [f'for={quoted};host={NAME};proto=https']
    assert request.all("x-forwarded-proto") == ["https"]
    assert request.all("x-forwarded-port") == ["443"]
    assert b"6.6.6.6" not in request.head


def test_clients_may_differ_from_request_to_request_of_a_connection(place):
    request, _ = place.get(CDN, "X-Forwarded-For: 203.0.113.1\r\n")
    assert request.all("x-forwarded-for") == ["203.0.113.1"]
    place.get(CDN, "", count=3)
    assert [one.all("x-forwarded-for") for one in place.origin.requests[-3:]] == [[CDN]] * 3


def answered_id(head):
    return re.findall(r"(?im)^x-request-id: (.*)\r$", head)


def test_request_ids_are_kept_or_made_and_told_to_all(place):
    for sent in ("f3b4958c-52a1-11e7-802a-010203040506", "Root=1-67891233-abcdef012345678912345678", "a" * 64):
        request, head = place.get(VISITOR, f"X-Request-Id: {sent}\r\n")
        assert request.all("x-request-id") == [sent] and answered_id(head) == [sent]
        wait_until(lambda: sent in place.platform.edge.process.log(), 5, "the id in the access log")
    seen = set()
    for fields in ("", "X-Request-Id: \r\n", "X-Request-Id: a b\r\n", f"X-Request-Id: {'a' * 65}\r\n",
                   "X-Request-Id: a\r\nX-Request-Id: b\r\n", "X_Request_Id: spoofed\r\n", 'X-Request-Id: "><x>\r\n'):
        request, head = place.get(VISITOR, fields)
        made, = request.all("x-request-id")
        assert re.fullmatch(r"[0-9a-f]{32}", made), fields
        assert answered_id(head) == [made] and b"spoofed" not in request.head
        seen.add(made)
    assert len(seen) == 7


def test_answers_of_the_edge_itself_have_an_id_too_and_the_apps_own_is_left(place):
    _, head = place.get(VISITOR, "X-Request-Id: mine\r\n", "TRACE / HTTP/1.1")
    assert head.startswith("HTTP/1.1 501") and answered_id(head) == ["mine"]
    place.origin.script = lambda request: request.answer(fields=[("X-Request-Id", "the-apps")])
    _, head = place.get(VISITOR, "X-Request-Id: mine\r\n")
    assert answered_id(head) == ["the-apps"]
    place.origin.script = lambda request: request.answer()


def test_a_loop_through_this_node_is_broken(place):
    request, _ = place.get(VISITOR, "")
    via, = request.all("via")
    for times, status in ((1, 200), (2, 200), (3, 508), (9, 508)):
        _, head = place.get(VISITOR, "Via: " + ", ".join([via] * times) + "\r\n")
        assert head.startswith(f"HTTP/1.1 {status} "), (times, head)
    _, head = place.get(VISITOR, "Via: " + ", ".join([f"1.1 postern-{number:08x}" for number in range(9)]) + "\r\n")
    assert head.startswith("HTTP/1.1 200 "), "nine other nodes are no loop"
