"""What is passed on, by those who try it: routes that lead back to the edge, ends that come the other way round, hellos as
large as they may be, a thousand who say nothing, visitors with IPv6 addresses, and domains that change their mind."""

import json
import os
import socket
import struct

import pytest

from lab import client_hello, proxy_header, tls
from lab.place import free_port, is_sanitized
from lab.process import run, wait_until
from lab.tls_backend import Backend, ProxyHeader, echo, record, server_context
from lab.uploads import Uploads

NAME = "own.brand.test"
IDLE = 1000
TURNS = 8
RESET = b"\1\0\0\0\0\0\0\0"


def told(sock, came):
    """Keeps the PROXY header and what follows."""
    came.header = ProxyHeader(sock)
    record()(sock, came)


def note_the_end(sock, came):
    """Hears until the end, and which it was."""
    try:
        while data := sock.recv(65536):
            came.bytes += data
        came.how = "fin"
    except ConnectionResetError:
        came.how = "reset"


def breaks(sock, came):
    """Answers, and resets once it is told to."""
    came.bytes = sock.recv(65536)
    sock.sendall(b"half of it")
    sock.recv(10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def ends_first(sock, came):
    """Says a word and its end, and hears on."""
    sock.sendall(b"bye")
    sock.shutdown(socket.SHUT_WR)
    while data := sock.recv(65536):
        came.bytes += data


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.platform = lab.prepare(edge={"cache_max_age": "1s"})
        (self.edge, self.other), self.net = self.platform.edges, self.platform.ground.net
        self.raw = lab.use(Backend(f"{self.net}31", record())).start()
        self.told = lab.use(Backend(f"{self.net}32", told)).start()
        self.first = lab.use(Backend(f"{self.net}33", ends_first)).start()
        self.ends = lab.use(Backend(f"{self.net}35", note_the_end)).start()
        self.breaks = lab.use(Backend(f"{self.net}36", breaks)).start()
        self.uploads = Uploads(self.platform, lab.folder("uploads"))
        chain, key = self.uploads.authority.issue("servers", "DNS:*.brand.test", "DNS:*.wild.saas.test")
        self.echo = lab.use(Backend(f"{self.net}34", echo(server_context(chain, key), b"echo"))).start()
        self.port, self.second = free_port(self.edge.address), free_port(self.edge.address)
        self.platform.start(without=[self.platform.pebble, self.platform.acme])
        self.round = f"{self.other.address}:{free_port(self.other.address)}"
        self.other.restart(listen_passthrough=self.round, passthrough=f"round.brand.test {self.edge.address}:{self.port}")
        self.restart()

    def restart(self, **settings):
        edge = self.edge
        self.edge.restart(**{
            "listen_passthrough": [f"{edge.address}:{self.port}", f"{edge.address}:{self.second}"], "access_log": "on",
            "log_format": "json", "proxy_protocol": None, "proxy_trust": None, "passthrough": [
                f"raw.brand.test {self.raw.place}", f"told.brand.test {self.told.place} proxy=v2",
                f"first.brand.test {self.first.place}", f"echo.brand.test {self.echo.place}",
                f"self.brand.test {edge.address}:{self.port}", f"round.brand.test {self.round}",
                f"there.brand.test:{self.port} {edge.address}:{self.second}",
                f"there.brand.test:{self.second} {edge.address}:{edge.https}",
                f"there.brand.test {edge.address}:{self.port}", f".deep.test {self.raw.place}",
                f"ends.brand.test {self.ends.place}", f"breaks.brand.test {self.breaks.place}"], **settings})

    def dial(self, name=None, port=None, first=b""):
        sock = socket.create_connection((self.edge.address, port or self.port), 20)
        sock.sendall(first + (client_hello.client_hello(name.encode()) if name else b""))
        return sock

    def tls(self, name):
        return tls.connect(self.edge.address, self.edge.https, name, self.uploads.trust)

    def open(self):
        return self.edge.metric("postern_edge_passthrough_open")


@pytest.fixture(scope="module")
def scene(shared_lab):
    return Scene(shared_lab)


@pytest.mark.parametrize("name", ["self.brand.test", "there.brand.test", "round.brand.test"])
def test_a_route_that_leads_back_to_the_edge_ends_after_a_few_turns(scene, name):
    refused = client_hello.refusal(scene.edge.address, scene.port, name.encode())
    assert refused.alert == "internal_error" and refused.seconds < 5
    wait_until(lambda: scene.edge.metric("postern_edge_refused_total", cause="passthrough_circle"), 10, "it to be counted")
    wait_until(lambda: scene.edge.process.logged("passed on in a circle"), 10, "the line")
    wait_until(lambda: scene.open() == 0, 10, "nothing to be left of it")
    passed = sum(scene.edge.metric("postern_edge_passthrough_connections_total", route=route) or 0 for route in (
        "self.brand.test", "round.brand.test", "there.brand.test", f"there.brand.test:{scene.port}", f"there.brand.test:{scene.second}"))
    assert 0 < passed <= 3 * TURNS, "each of the three names goes round so often"
    assert scene.other.metric("postern_edge_passthrough_connections_total") <= TURNS, "another node is no way round it"


def test_probes_that_always_send_the_same_hello_are_passed_on_side_by_side(scene):
    """Before any server has said a word; one more than goes round in circles is refused, and they are not the worse for it."""
    hello, before = client_hello.client_hello(b"raw.brand.test"), len(scene.raw.came)
    probes = [scene.dial(first=hello) for _ in range(TURNS)]
    wait_until(lambda: len(scene.raw.came) == before + TURNS, 10, "the server to have them all")
    with scene.dial(first=hello) as one_more:
        assert one_more.recv(10) == b"\x15\x03\x03\0\2\2\x50", "internal_error"
    for probe in probes:
        probe.shutdown(socket.SHUT_WR)
        assert probe.recv(10) == b""
        probe.close()
    assert {came.bytes for came in scene.raw.came[before:]} == {hello}
    with scene.dial(first=hello) as again:
        again.shutdown(socket.SHUT_WR)
        assert again.recv(10) == b"", "they have left"


def test_the_same_hello_again_is_no_circle_once_a_server_has_answered(scene):
    hello = client_hello.client_hello(b"first.brand.test")
    with scene.dial(first=hello) as one:
        assert one.recv(10) == b"bye"
        with scene.dial(first=hello) as two:
            assert two.recv(10) == b"bye"


def test_the_server_may_end_first_and_hear_on(scene):
    hello, before = client_hello.client_hello(b"first.brand.test"), len(scene.first.came)
    body = os.urandom(3 << 20)
    with scene.dial(first=hello) as sock:
        assert sock.recv(10) == b"bye" and sock.recv(10) == b""
        sock.sendall(body)
        assert not scene.first.came[before].ended.is_set(), "the end goes one way only"
        sock.shutdown(socket.SHUT_WR)
        wait_until(scene.first.came[before].ended.is_set, 20, "the client's end")
    assert scene.first.came[before].bytes == hello + body


def test_an_end_is_passed_on_as_an_end_and_a_reset_as_a_reset(scene):
    for how in ("fin", "reset"):
        before = len(scene.ends.came)
        sock = scene.dial("ends.brand.test")
        wait_until(lambda: len(scene.ends.came) > before and scene.ends.came[before].bytes, 10, "the server to have the hello")
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
        assert scene.ends.came[before].ended.wait(10) and scene.ends.came[before].how == how
    with scene.dial("breaks.brand.test") as sock:
        assert sock.recv(100) == b"half of it"
        sock.sendall(b"now")
        with pytest.raises(ConnectionResetError):
            assert sock.recv(100) == b"", "a server that breaks off has not finished"
    wait_until(lambda: '"end":"upstream_reset"' in scene.edge.process.log(), 5, "the line that says who")


def large(size, more=b""):
    """A hello of so many bytes, as those with keys against quantum computers grow."""
    rest = size - len(client_hello.handshake(b"raw.brand.test", extra=more + b"\xfe\xfe\0\0"))
    return client_hello.handshake(b"raw.brand.test", extra=more + struct.pack("!HH", 0xfefe, rest) + bytes(rest))


@pytest.mark.parametrize("size", [1800, 5000, 16384])
def test_a_large_hello_passes_however_it_is_cut(scene, size):
    for record_size, piece in ((16384, 1400), (517, 65536), (64, 1), (16, 4000)):
        before = len(scene.raw.came)
        hello = client_hello.records(large(size), record_size)
        with scene.dial() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(hello), piece):
                sock.sendall(hello[at:at + piece])
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(10) == b""
        assert scene.raw.came[before].bytes == hello


BAD = {
    "a byte more than 16 KiB": ("decode_error", lambda: client_hello.records(large(16385))),
    "two names": ("decode_error", lambda: client_hello.client_hello([b"raw.brand.test", b"told.brand.test"])),
    "two extensions": ("decode_error", lambda: client_hello.records(client_hello.handshake(
        b"raw.brand.test", extra=b"\0\0\0\x13\0\x11\0\0\x0etold.brand.test"))),
    "an empty name": ("decode_error", lambda: client_hello.client_hello(b"")),
    "a NUL": ("unrecognized_name", lambda: client_hello.client_hello(b"raw.brand.test\0.evil.test")),
    "UTF-8": ("unrecognized_name", lambda: client_hello.client_hello("bücher.deep.test".encode())),
    "two dots": ("unrecognized_name", lambda: client_hello.client_hello(b"raw.brand.test..")),
    "a dot before": ("unrecognized_name", lambda: client_hello.client_hello(b".deep.test")),
    "an asterisk": ("unrecognized_name", lambda: client_hello.client_hello(b"*.deep.test")),
    "an address": ("unrecognized_name", lambda: client_hello.client_hello(b"192.0.2.1")),
    "the suffix itself": ("unrecognized_name", lambda: client_hello.client_hello(b"deep.test")),
    "what merely ends like it": ("unrecognized_name", lambda: client_hello.client_hello(b"evildeep.test")),
    "nobody": ("unrecognized_name", lambda: client_hello.client_hello(None)),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_could_be_read_in_two_ways_or_is_nobodys_is_passed_to_nobody(scene, kind):
    alert, hello = BAD[kind]
    before = len(scene.raw.came) + len(scene.told.came)
    assert client_hello.refusal(scene.edge.address, scene.port, hello=hello()).alert == alert
    assert len(scene.raw.came) + len(scene.told.came) == before


@pytest.mark.parametrize("name", [b"xn--bcher-kva.deep.test", b"a.b.c.DEEP.test.", b"under_score.deep.test"])
def test_names_as_clients_write_them_are_passed_on(scene, name):
    hello, before = client_hello.client_hello(name), len(scene.raw.came)
    with scene.dial(first=hello) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10) == b""
    assert scene.raw.came[before].bytes == hello


def test_a_thousand_that_say_nothing_cost_little(scene):
    edge, before = scene.edge, len(scene.raw.came)

    def arrived():
        return sum(bool(came.bytes) for came in scene.raw.came[before:])

    warm = [scene.dial("raw.brand.test") for _ in range(50)]
    wait_until(lambda: arrived() == len(warm), 20, "the first to be passed on")
    descriptors, resident = edge.process.descriptors(), edge.process.rss()
    idle = [scene.dial("raw.brand.test") for _ in range(IDLE)]
    wait_until(lambda: arrived() == len(warm) + IDLE, 30, "all to be passed on")
    each = (edge.process.rss() - resident) / 1024 / IDLE
    print(f"an idle tunnel: {each:.1f} KiB, {(edge.process.descriptors() - descriptors) / IDLE} descriptors")
    assert edge.process.descriptors() - descriptors <= 2 * IDLE + 4, "two sockets, and no pipe"
    if not is_sanitized("postern-edge"):
        assert each < 4
    for sock in idle[::50]:
        sock.sendall(b"awake")
    wait_until(lambda: sum(came.bytes.endswith(b"awake") for came in scene.raw.came) == IDLE // 50, 10, "those who speak again")
    for sock in idle + warm:
        sock.close()
    wait_until(lambda: scene.open() == 0 and edge.process.descriptors() <= descriptors - 2 * len(warm) + 4, 20, "all to be gone")


def test_an_idle_tunnel_is_probed_on_both_sides(scene):
    def probed():
        lines = run(["ss", "-Htno", f"src {scene.edge.address}:{scene.port} or dst {scene.raw.place}"]).splitlines()
        return [line for line in lines if "keepalive" in line and
                (line.split()[3].endswith(f":{scene.port}") or line.split()[4] == scene.raw.place)]

    with scene.dial("raw.brand.test"):
        wait_until(lambda: len(probed()) == 2, 15, "probes to be set", interval=0.2)


def test_visitors_with_ipv6_addresses_are_told_as_such(scene):
    scene.restart(proxy_protocol="required", proxy_trust="127.0.0.0/8")
    header = proxy_header.v2(proxy_header.addresses("2001:db8::7", "2001:db8::1", (4242, 993)), family=0x21)
    mapped = proxy_header.v2(proxy_header.addresses("::ffff:192.0.2.7", "::ffff:192.0.2.1", (4242, 993)), family=0x21)
    for first, source, destination in ((header, "2001:db8::7", "2001:db8::1"), (mapped, "192.0.2.7", "192.0.2.1")):
        before = len(scene.told.came)
        with scene.dial("told.brand.test", first=first) as sock:
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(10) == b""
        told = scene.told.came[before].header
        assert (told.source, told.destination) == ((source, 4242), (destination, 993))
        assert told.values == {2: b"told.brand.test"}
    scene.restart()


def test_ipv6_on_either_side(scene):
    server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    port = free_port("::1")
    scene.restart(listen_passthrough=f"[::1]:{port}", passthrough=[
        f"six.brand.test [::1]:{server.getsockname()[1]} check=tcp", f"told.brand.test {scene.told.place} proxy=v2"])
    with socket.create_connection(("::1", port), 20) as sock:
        hello = client_hello.client_hello(b"six.brand.test")
        sock.sendall(hello)
        while True:
            taken, _ = server.accept()
            with taken:
                taken.settimeout(20)
                if taken.recv(65536) == hello:  # else a check
                    taken.sendall(b"six")
                    assert sock.recv(10) == b"six"
                    break
    before = len(scene.told.came)
    with socket.create_connection(("::1", port), 20) as sock:
        sock.sendall(client_hello.client_hello(b"told.brand.test"))
        sock.shutdown(socket.SHUT_WR)
        own = sock.getsockname()[:2]
        assert sock.recv(10) == b""
    told = scene.told.came[before].header
    assert (told.family, told.source, told.destination) == (0x21, own, ("::1", port))
    server.close()
    scene.restart()


def set_row(scene, name, sets):
    scene.platform.db.query(f"UPDATE domains SET {sets} WHERE name = '{name}'")


def options_of(**options):
    return f"options = '{json.dumps(options)}'"


def test_a_domains_tunnels_end_with_its_leave_and_not_for_another_server(scene):
    stays, suspended, barred = (f"{word}.brand.test" for word in ("stays", "suspended", "barred"))
    scene.uploads.add(NAME)
    tunnels = {}
    for name in (stays, suspended, barred, NAME):
        scene.platform.activate(name)
        set_row(scene, name, options_of(passthrough=scene.echo.place))
        wait_until(lambda: greets(scene, name), 10, "its server")
        tunnels[name] = scene.dial(name, scene.edge.https)
        wait_until(lambda: scene.open() == len(tunnels), 10, "the tunnel")
    set_row(scene, stays, options_of(passthrough=scene.raw.place))
    set_row(scene, suspended, "status = 'suspended'")
    set_row(scene, barred, options_of(passthrough=scene.echo.place, deny=["127.0.0.0/8"]))
    set_row(scene, NAME, options_of())
    for name in (suspended, barred, NAME):
        tunnels[name].settimeout(15)
        with pytest.raises(ConnectionResetError):
            while tunnels[name].recv(65536):
                pass
    wait_until(lambda: scene.edge.process.log().count('"end":"unserved"') == 3, 5, "three lines that say so")
    wait_until(lambda: serves_itself(scene, NAME), 10, "the name to be ours again")
    assert scene.open() == 1, "who is at one server does not care where others go"
    tunnels[stays].close()


def test_what_stands_for_many_names_passes_on_each_of_them(scene):
    status, said = scene.platform.api.call("POST", "/v1/domains", {"name": "*.wild.saas.test", "options": {
        "upstream": scene.platform.app.url, "passthrough": scene.echo.place}})
    assert status == 201, said
    wait_until(lambda: greets(scene, "any.wild.saas.test"), 10, "its server")
    with scene.dial("other.wild.saas.test", scene.edge.https) as sock:
        wait_until(lambda: scene.open() == 1, 10, "the tunnel")
        set_row(scene, "*.wild.saas.test", "status = 'suspended'")
        sock.settimeout(15)
        with pytest.raises(ConnectionResetError):
            while sock.recv(65536):
                pass
    assert client_hello.refusal(scene.edge.address, scene.edge.https, b"any.wild.saas.test").alert is not None


def greets(scene, name):
    try:
        with scene.tls(name) as sock:
            return sock.recv(10) == b"echo"
    except OSError:
        return False


def serves_itself(scene, name):
    try:
        return tls.get(scene.edge.address, scene.edge.https, name, scene.uploads.trust).status == 200
    except OSError:
        return False
