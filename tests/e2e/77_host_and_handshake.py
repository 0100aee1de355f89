"""A connection serves the name of its handshake, and another only where tenant and certificate are the same."""

import socket
import ssl

import pytest

from lab import tls
from lab.h2_wire import H2Wire
from lab.origin import Origin
from lab.place import program
from lab.process import run, wait_until

A, B, STRANGER, APART = "a.brand.test", "b.brand.test", "c.other.test", "d.brand.test"
STORE, OTHER_STORE = "storename_a1b2.sandbox.saas.test", "storename_c3d4.sandbox.saas.test"
WILDCARD = "*.sandbox.saas.test"


class Town:
    """One certificate for A, B and STRANGER, of whom the first two belong to one tenant; APART is that tenant's too
    and has its own; a wildcard of the operator's for the stores."""

    def __init__(self, lab):
        platform = self.platform = lab.prepare(edges=1)
        self.origin = lab.use(Origin(platform.ground.address(4)))
        self.own = lab.use(Origin(platform.ground.address(5)))
        platform.edge.settings["upstream"] = self.origin.url
        platform.start()
        authority = platform.ground.authority
        self.files = authority.issue("shared", *(f"DNS:{name}" for name in (A, B, STRANGER)))
        stores = authority.issue("stores", f"DNS:{WILDCARD}")
        for name, tenant in ((A, "one"), (B, "one"), (APART, "one"), (STRANGER, "two")):
            platform.activate(name, tenant)
            if name != APART:
                self.store(name, self.files)
        self.store(WILDCARD, stores)
        self.context = tls.trust(authority.ca)
        assert platform.visit(APART, edge=platform.edge).status == 200

    def store(self, name, files):
        run([program("postern"), "certificate", "import", name, f"--chain={files[0]}", f"--key={files[1]}",
             f"--database={self.platform.db.conninfo()}", f"--seal-key-file={self.platform.ground.seal_key}"])

    def connect(self, name):
        return Line(tls.connect(self.platform.edge.address, self.platform.https, name, self.context))


class Line:
    def __init__(self, sock):
        self.sock = sock

    def get(self, host, version="1.1"):
        """Status of a request for that host on this connection."""
        self.sock.sendall(f"GET /x HTTP/{version}\r\nHost: {host}\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            chunk = self.sock.recv(65536)
            assert chunk, answer
            answer += chunk
        head, body = answer.split(b"\r\n\r\n", 1)
        length = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")))
        while len(body) < length:
            body += self.sock.recv(65536)
        return int(head.split()[1])


@pytest.fixture(scope="module")
def town(shared_lab):
    return Town(shared_lab)


def test_a_name_that_is_not_known_yet_is_misdirected_until_its_own_handshake(town):
    line = town.connect(A)
    assert [line.get(A), line.get(B), line.get(A)] == [200, 421, 200]
    assert town.connect(B).get(B) == 200
    assert [line.get(B), line.get(A), line.get(B)] == [200, 200, 200], "same tenant, same certificate"


def test_another_tenants_name_never_passes(town):
    assert town.connect(STRANGER).get(STRANGER) == 200
    for name in (A, B):
        line = town.connect(name)
        assert [line.get(STRANGER), line.get(name), line.get(STRANGER)] == [421, 200, 421]
    assert [town.connect(STRANGER).get(A)] == [421]
    assert [request.all("host") for request in town.origin.requests if STRANGER in request.all("host")] == [[STRANGER]]


def test_a_name_that_the_certificate_does_not_cover_never_passes(town):
    line = town.connect(A)
    assert [line.get(APART), line.get(A)] == [421, 200]


def test_streams_of_one_connection_are_judged_each_for_itself(town):
    """What browsers do with a certificate of several names; a 421 costs the stream's answer and nothing else."""
    for name in (B, STRANGER):
        assert town.connect(name).get(name) == 200
    edge = town.platform.edge
    wire = H2Wire(None, A, sock=tls.connect(edge.address, town.platform.https, A, tls.trust(town.platform.ground.authority.ca, ("h2",))))
    before = len(town.origin.requests)
    hosts = [A, B, STRANGER, APART, A, B]
    streams = [wire.request(host=host) for host in hosts]
    assert [wire.finish(stream).status for stream in streams] == [200, 200, 421, 421, 200, 200]
    assert not wire.goaways
    arrived = sorted(request.all("host")[0] for request in town.origin.requests[before:])
    assert arrived == [A, A, B, B]
    wire.close()


def test_every_spelling_of_the_handshakes_name_passes_byte_for_byte(town):
    line = town.connect(A)
    for host in (A.upper(), f"{A}:443", f"{A}.", "A.Brand.Test:8443"):
        assert line.get(host) == 200, host
        assert town.origin.requests[-1].all("host") == [host]
    for host in ("brand.test", "xa.brand.test", "a.brand.test.evil.test", "127.0.0.1", "[::1]", "a"):
        assert line.get(host) == 421, host


def test_a_shared_names_requests_go_where_that_name_wants_them(town):
    town.connect(B).get(B)
    town.platform.db.query(f"UPDATE domains SET options = '{{\"upstream\": \"{town.own.url}\"}}' WHERE name = '{B}'")
    line = town.connect(A)

    def arrives():
        line.get(B)
        return town.own.requests
    wait_until(arrives, 10, "the request at the domain's own upstream")
    assert town.own.requests[0].all("x-forwarded-host") == [B]
    before = len(town.own.requests)
    assert line.get(A) == 200
    assert len(town.own.requests) == before


def test_a_resumed_connection_is_shared_like_any_other(town):
    edge = town.platform.edge
    for name in (B, STRANGER):
        assert town.connect(name).get(name) == 200
    first = town.connect(A)
    assert first.get(A) == 200
    sock = tls.connect(edge.address, town.platform.https, A, town.context, session=first.sock.session)
    assert sock.session_reused
    line = Line(sock)
    assert [line.get(B), line.get(STRANGER), line.get(APART), line.get(A)] == [200, 421, 421, 200]


def test_a_suspended_name_is_not_reached_through_its_neighbour(town):
    assert town.connect(B).get(B) == 200
    line = town.connect(A)
    assert line.get(B) == 200
    town.platform.db.query(f"UPDATE domains SET status = 'suspended' WHERE name = '{B}'")
    wait_until(lambda: line.get(B) == 421, 10, "the suspension to be seen")
    assert line.get(A) == 200


def test_underscores_where_a_wildcard_serves(town):
    """The client does not check the name: RFC 5280 knows no underscores, and Python follows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(town.platform.ground.authority.ca)
    context.check_hostname = False
    raw = socket.create_connection((town.platform.edge.address, town.platform.https), 10)
    line = Line(context.wrap_socket(raw, server_hostname=STORE))
    assert line.get(STORE) == 200
    assert town.origin.requests[-1].all("host") == [STORE]
    assert line.get(STORE.upper()) == 200
    assert [line.get(OTHER_STORE), line.get(STORE)] == [421, 200], "no row says that both are one tenant's"
