"""What a visitor may do to an HTTP/2 connection that all share, and what its app asks of it: nobody else pays for it."""

import os
import signal
import threading

import pytest
from lab.h2_origin import ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED, MAX_CONCURRENT_STREAMS, Connection, H2Origin
from lab.process import wait_until

NAME = "shop.brand.test"
INTERNAL = "app.internal"
SERVERS_PATIENCE = 200  # resets on one connection, as of Netty
RELOADS = "postern_edge_config_reloads_total"


@pytest.fixture(scope="module")
def platform(shared_lab):
    platform = shared_lab.prepare(edges=1, edge={"upstream_sni": INTERNAL, "workers": 1,
                                                 "upstream_ca": shared_lab.session.authority.ca})
    edge = platform.edge
    edge.settings["config"] = os.path.join(platform.ground.directory, "edge.conf")
    with open(edge.settings["config"], "w") as file:
        file.write(f"upstream {edge.settings.pop('upstream')}\n")
    platform.start(without=[platform.app])
    platform.activate(NAME)
    platform.visit(NAME, edge=platform.edge)
    return platform


def use_upstream(platform, url):
    edge = platform.edge
    with open(edge.settings["config"], "w") as file:
        file.write(f"upstream {url}\n")
    before = edge.metric(RELOADS, result="done")
    edge.process.send(signal.SIGHUP)
    wait_until(lambda: edge.metric(RELOADS, result="done") == before + 1, 10, "the reload")


def visit(platform, path="/", **options):
    return platform.visit(NAME, path, edge=platform.edge, **options)


def begin(platform, method="GET", path="/", fields=""):
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n{fields}\r\n".encode())
    return sock


class BothVersions(H2Origin):
    """Speaks what ALPN chose; over HTTP/1.1 it answers every request alike."""

    def _begin(self, sock):
        try:
            sock = self.context.wrap_socket(sock, server_side=True)
            if sock.selected_alpn_protocol() == "h2":
                self.connections.append(Connection(self, sock))
                self.connections[-1].serve()
                return
            while sock.recv(65536):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nby 1.1")
        except OSError as error:
            self.errors.append(error)


def test_visitors_that_leave_do_not_end_what_others_have(lab, platform):
    """Its app takes many resets for an attack, and ends the connection on which they came."""
    origin = lab.use(H2Origin(platform.ground.address(4)))
    resets, go_on, lock = {}, threading.Event(), threading.Lock()

    def script(stream):
        if stream.get(":path") == "/pay":
            body = stream.body()
            go_on.wait(20)
            stream.answer(body)
        elif stream.get(":path") == "/left" and stream.wait_reset(20) is not None:
            with lock:
                resets[stream.connection] = resets.get(stream.connection, 0) + 1
            if resets[stream.connection] > SERVERS_PATIENCE:
                stream.connection.go_away(stream.number, ENHANCE_YOUR_CALM)
                stream.connection.hang_up()
        else:
            stream.answer()
    origin.script = script
    use_upstream(platform, origin.url)
    assert visit(platform).status == 200
    paying = begin(platform, "POST", "/pay", "Content-Length: 9\r\n")
    paying.sendall(b"a payment")
    wait_until(lambda: len(origin.visits()) == 2, 10, "the payment")
    for _ in range(8):
        before = len(origin.visits())
        leaving = [begin(platform, path="/left") for _ in range(40)]
        wait_until(lambda: len(origin.visits()) == before + 40, 20, "forty requests")
        for sock in leaving:
            sock.close()
        wait_until(lambda: sum(resets.values()) >= 40, 10, "their resets")
    go_on.set()
    data = b""
    while not data.endswith(b"a payment"):
        chunk = paying.recv(65536)
        assert chunk, data
        data += chunk
    assert data.startswith(b"HTTP/1.1 200 ")
    assert max(resets.values()) <= SERVERS_PATIENCE


def test_what_needs_http11_gets_it_and_the_rest_stays(lab, platform):
    pem, key = lab.session.authority.issue("versions", f"DNS:{INTERNAL}")
    origin = lab.use(BothVersions(platform.ground.address(4), certificate=pem, key=key, protocols=("h2", "http/1.1")))

    def script(stream):
        if stream.get(":path") == "/windows-login":
            stream.reset(HTTP_1_1_REQUIRED)
        else:
            stream.body()
            stream.answer(b"by 2")
    origin.script = script
    use_upstream(platform, origin.url)
    assert visit(platform).body == b"by 2"
    assert visit(platform, "/windows-login").body == b"by 1.1"
    assert visit(platform, "/windows-login", method="POST", body=b"once").body == b"by 1.1"
    assert visit(platform).body == b"by 2"
    assert len({stream.connection for stream in origin.visits()}) == 1, "the others stay where they are"


def test_an_app_that_allows_no_stream_costs_no_descriptors(lab, platform):
    origin = lab.use(H2Origin(platform.ground.address(4), settings=[(MAX_CONCURRENT_STREAMS, 0)]))
    origin.settings = [(MAX_CONCURRENT_STREAMS, 0)]
    use_upstream(platform, origin.url)
    for _ in range(20):
        assert visit(platform).status == 200
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_h2_connections") <= 1, 10, "what is useless to end")


def test_an_upgrade_that_an_app_cannot_take_is_not_held_against_it(lab, platform):
    """Of HTTP/2 alone: it ends the handshake of whoever offers nothing else."""
    pem, key = lab.session.authority.issue("only2", f"DNS:{INTERNAL}")
    origin = lab.use(OnlyHttp2(platform.ground.address(4), certificate=pem, key=key))
    use_upstream(platform, origin.url)
    assert visit(platform).status == 200
    ejections = platform.edge.metric("postern_edge_upstream_ejections_total")
    for _ in range(12):
        sock = begin(platform, fields="Connection: upgrade\r\nUpgrade: echo\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 502 ")
        sock.close()
    assert platform.edge.metric("postern_edge_upstream_ejections_total") == ejections
    assert visit(platform).status == 200


class OnlyHttp2(H2Origin):
    """Python's ssl goes on without a protocol in common, so it looks at the ClientHello first."""

    def _begin(self, sock):
        hello = b""
        while len(hello) < 5 or len(hello) < 5 + int.from_bytes(hello[3:5], "big"):
            hello = sock.recv(65536, 2)  # MSG_PEEK
            if not hello:
                sock.close()
                return
        if b"\x02h2" not in hello:
            sock.sendall(b"\x15\x03\x03\x00\x02\x02\x78")  # no_application_protocol
            sock.close()
            return
        super()._begin(sock)
