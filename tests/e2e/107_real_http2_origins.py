"""HTTP/2 as real servers speak it: nginx, Apache with mod_http2 and node, without TLS and as TLS chooses, with bodies both
ways. What TLS has chosen is remembered, and the operator may forbid it."""

import hashlib
import os
import signal
import threading

import pytest
from lab import tls, wire
from lab.app_origin import AppOrigin
from lab.h2_origin import H2Origin
from lab.origins import Server
from lab.place import tool
from lab.process import wait_until

NAME = "shop.brand.test"
INTERNAL = "app.internal"
MIB = 1024 * 1024
RELOADS = "postern_edge_config_reloads_total"

APACHE = """\
ServerRoot {directory}
ServerName {internal}
Listen {address}:{port}
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule http2_module {modules}/mod_http2.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule lua_module {modules}/mod_lua.so
ErrorLog {directory}/error.log
Protocols {protocols} http/1.1
H2Direct on
StartServers 1
ThreadsPerChild 64
Header always set X-Proto expr=%{{SERVER_PROTOCOL}}
<Directory />
    Require all granted
</Directory>
{secure}
LuaHookTranslateName {directory}/app.lua route
<Location />
    SetHandler none
</Location>
LuaMapHandler ^ {directory}/app.lua
"""

APACHE_LUA = """\
function route(r)
    r.filename = r.document_root
    return apache2.OK
end

function handle(r)
    local body = r:requestbody(nil, 16777216)
    r:puts(tostring(#(body or "")), " ", ("x"):rep(3000000))
    return apache2.OK
end
"""

NODE = """\
const http2 = require('http2'), fs = require('fs');
const [address, port, certificate, key] = process.argv.slice(2);
// node resets streams (ENHANCE_YOUR_CALM) once a connection holds more than 10 MB.
const options = {maxSessionMemory: 1000};
if (certificate)
    Object.assign(options, {cert: fs.readFileSync(certificate), key: fs.readFileSync(key), allowHTTP1: true});
const server = certificate ? http2.createSecureServer(options) : http2.createServer(options);
server.on('request', (request, response) => {
    let size = 0;
    response.setHeader('x-proto', 'HTTP/' + request.httpVersion);
    request.on('data', (piece) => { size += piece.length; });
    request.on('end', () => { response.write(size + ' '); response.end(Buffer.alloc(3000000, 'x')); });
});
server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: ' + request.headers.upgrade + '\\r\\nConnection: Upgrade\\r\\n\\r\\n');
    socket.write(head);
    socket.pipe(socket);
});
server.listen(Number(port), address);
"""


class Apache(Server):
    name = "apache"

    def __init__(self, directory, address, pem=None, key=None):
        super().__init__(directory, address)
        self.secure = bool(pem)
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        self.file("app.lua", APACHE_LUA)
        self.config = self.file(
            "apache.conf", APACHE, user=user, modules="/usr/lib/apache2/modules", internal=INTERNAL,
            protocols="h2" if pem else "h2c",
            secure=f"SSLEngine on\nSSLCertificateFile {pem}\nSSLCertificateKeyFile {key}" if pem else "")

    def start(self):
        return self.launch([tool("apache2"), "-X", "-f", self.config])

    @property
    def url(self):
        return f"{'https' if self.secure else 'h2c'}://{self.address}:{self.port}"


class Node(Server):
    name = "node"

    def __init__(self, directory, address, pem=None, key=None):
        super().__init__(directory, address)
        self.files = [pem, key] if pem else []

    def start(self):
        return self.launch([tool("node"), self.file("app.js", NODE), self.address, str(self.port), *self.files])

    @property
    def url(self):
        return f"{'https' if self.files else 'h2c'}://{self.address}:{self.port}"


class Nginx(AppOrigin):
    """Answers with a body of its own; its access log tells that it has read the request's."""

    def __init__(self, directory, address, pem=None, key=None):
        super().__init__(directory, "nginx", address, certificate=pem, key=key, options=" http2",
                         more="add_header X-Proto $server_protocol; client_max_body_size 0;")
        self.plain = not pem

    @property
    def url(self):
        return f"{'h2c' if self.plain else 'https'}://{self.address}:{self.port}"


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


def use_upstream(platform, url, http2="on"):
    edge = platform.edge
    with open(edge.settings["config"], "w") as file:
        file.write(f"upstream {url}\nupstream-http2 {http2}\n")
    before = edge.metric(RELOADS, result="done")
    edge.process.send(signal.SIGHUP)
    wait_until(lambda: edge.metric(RELOADS, result="done") == before + 1, 10, "the reload")


@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "https"])
@pytest.mark.parametrize("make", [Nginx, Apache, Node])
def test_bodies_both_ways(lab, platform, make, secure):
    files = lab.session.authority.issue(f"{make.__name__}", f"DNS:{INTERNAL}") if secure else ()
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    origin = lab.use(make(os.path.join(folder, make.__name__), platform.ground.address(4), *files)).start()
    use_upstream(platform, origin.url)
    broken = platform.edge.metric("postern_edge_upstream_h2_broken_total")
    body = os.urandom(2 * MIB)
    results = [None] * 12

    def ask(index):
        results[index] = platform.visit(NAME, f"/{index}", edge=platform.edge, method="POST" if index % 2 else "GET",
                                        body=body if index % 2 else None, timeout=30)
    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    for index, visit in enumerate(results):
        assert visit.status == 200, (index, visit.status, {name: value for name, value in platform.edge.metrics().items() if "upstream_failures" in name and value})
        assert visit.headers["x-proto"] in ("HTTP/2.0", "HTTP/2"), visit.headers["x-proto"]
        if make is Nginx:
            assert visit.body == b"nginx"
        else:
            assert len(visit.body) == 3000000 + len(b"2097152 " if index % 2 else b"0 ")
            assert visit.body.startswith(b"2097152 " if index % 2 else b"0 ")
    assert platform.edge.metric("postern_edge_upstream_h2_broken_total") == broken
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_h2_connections") >= 1, 10, "it to be counted")


def test_tls_chooses_and_the_operator_may_forbid(lab, platform):
    files = lab.session.authority.issue("choice", f"DNS:{INTERNAL}")
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    origin = lab.use(Nginx(os.path.join(folder, "choice"), platform.ground.address(4), *files)).start()
    use_upstream(platform, origin.url)

    def proto():
        return platform.visit(NAME, edge=platform.edge).headers["x-proto"]
    assert [proto() for _ in range(3)] == ["HTTP/2.0"] * 3
    assert len({line[5] for line in origin.wait_asked(3)}) == 1, "one connection"
    use_upstream(platform, origin.url, http2="off")
    assert proto() == "HTTP/1.1"
    use_upstream(platform, origin.url)
    assert proto() == "HTTP/2.0"


def test_a_server_that_changes_its_mind_about_http2_is_followed(lab, platform):
    """What is remembered of an address is a guess: a request that waits for the wrong version is served nevertheless."""
    pem, key = lab.session.authority.issue("mind", f"DNS:{INTERNAL}")
    address = platform.ground.address(4)
    first = lab.use(H2Origin(address, certificate=pem, key=key))
    use_upstream(platform, first.url)
    assert platform.visit(NAME, edge=platform.edge).body == b"ok\n"
    assert first.visits()[0].get(":scheme") == "https"
    first.close()
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    second = lab.use(AppOrigin(folder, "second", address, first.port, pem, key)).start()
    statuses = [None] * 8

    def ask(index):
        statuses[index] = platform.visit(NAME, edge=platform.edge).body
    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(statuses))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [b"second"] * 8
    second.stop()
    third = lab.use(H2Origin(address, certificate=pem, key=key, port=first.port))
    wait_until(lambda: platform.visit(NAME, edge=platform.edge).body == b"ok\n", 10, "HTTP/2 again")
    assert len(third.visits()) >= 1


def test_an_upgrade_never_goes_over_http2(lab, platform):
    pem, key = lab.session.authority.issue("upgrade", f"DNS:{INTERNAL}")
    origin = lab.use(H2Origin(platform.ground.address(4), certificate=pem, key=key, protocols=("h2", "http/1.1")))
    use_upstream(platform, origin.url)
    assert platform.visit(NAME, edge=platform.edge).status == 200
    sock = platform.connect(NAME, edge=platform.edge)
    connection = tls.HttpOver(sock, NAME)
    connection.request("GET", "/", headers={"Connection": "upgrade", "Upgrade": "echo"})
    assert connection.getresponse().status == 502, "this server speaks HTTP/2 whatever was chosen"
    sock.close()
    assert not any(stream.get("upgrade") for stream in origin.requests)
    plain = lab.use(H2Origin(platform.ground.address(4)))
    use_upstream(platform, plain.url)
    assert platform.visit(NAME, edge=platform.edge).status == 200
    sock = platform.connect(NAME, edge=platform.edge)
    connection = tls.HttpOver(sock, NAME)
    connection.request("GET", "/", headers={"Connection": "upgrade", "Upgrade": "echo"})
    assert connection.getresponse().status == 502
    sock.close()
    assert len(plain.visits()) == 1


def test_a_server_of_both_versions_gets_its_tunnels_by_http11(lab, platform):
    """Of https upstreams the usual kind: TLS chooses HTTP/2 for requests, and a tunnel offers HTTP/1.1 alone."""
    pem, key = lab.session.authority.issue("both", f"DNS:{INTERNAL}")
    origin = lab.use(Node(os.path.join(lab.folder("origins"), "both"), platform.ground.address(4), pem, key)).start()
    use_upstream(platform, origin.url)
    for _ in range(3):
        assert platform.visit(NAME, edge=platform.edge).headers["x-proto"] == "HTTP/2.0"
        with wire.Wire(platform.edge.address, platform.https, NAME, wire.trust(platform.pebble.root)) as one:
            one.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nat once".encode())
            assert one.head().status == 101 and one.bytes(7) == b"at once"
            one.end()
            assert one.rest() == b"" and one.how == "close_notify"
    assert platform.visit(NAME, edge=platform.edge).headers["x-proto"] == "HTTP/2.0", "what is remembered of it is not changed"


def test_a_domains_own_upstream_may_speak_http2(lab, platform):
    own = "own.brand.test"
    platform.activate(own)
    body = os.urandom(100000)
    origin = lab.use(H2Origin(platform.ground.address(5), lambda stream: stream.answer(
        hashlib.sha256(stream.body()).hexdigest().encode())))
    platform.db.query(f"""UPDATE domains SET options = '{{"upstream": "{origin.url}"}}' WHERE name = '{own}'""")
    wait_until(lambda: platform.visit(own, edge=platform.edge, method="POST", body=body).body ==
               hashlib.sha256(body).hexdigest().encode(), 10, "its own upstream")
    assert origin.requests[-1].get(":authority") == own
