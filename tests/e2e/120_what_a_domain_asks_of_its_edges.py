"""Redirects, visitors' networks, body limits, error pages and response headers, as each domain wants them, on every node."""

import json
import socket

import pytest

from lab import proxy_header, tls, websocket, wire
from lab.h2_wire import H2Wire
from lab.lab import Lab
from lab.place import free_port
from lab.origin import Origin
from lab.process import wait_until

APEX, WWW, OTHER = "brand.test", "www.brand.test", "shop.other.test"
CDN, VISITOR, GUEST = "127.5.5.5", "127.9.9.9", "127.9.9.10"


class Scene:
    def __init__(self, session):
        self.lab = Lab(session)
        self.platform = platform = self.lab.prepare(edge={"cache_max_age": "1s", "forwarded_trust": f"{CDN}/32"})
        self.page, self.largest = (platform.ground.folder("pages") + f"/{name}.html" for name in ("421", "504"))
        with open(self.page, "w", encoding="utf-8") as file:
            file.write("<p>wrong door</p>")
        with open(self.largest, "w", encoding="utf-8") as file:
            file.write("<p>late</p>".ljust(64 << 10))
        self.origin = self.lab.use(Origin(platform.ground.address(4), self.script))
        for edge in platform.edges:
            edge.settings.update({"upstream": self.origin.url, "error_page_421": self.page, "error_page_504": self.largest,
                                  "upstream_timeout": "3s"})
        platform.start()
        for name in (APEX, WWW):
            platform.activate(name)
        platform.activate(OTHER, tenant=self.tenant("other"))
        for edge in platform.edges:
            for name in (APEX, WWW, OTHER):
                platform.visit(name, edge=edge)

    def tenant(self, name):
        self.platform.db.query(f"INSERT INTO tenants (id) VALUES ('{name}')")
        return name

    def script(self, request):
        if request.target == "/chat":
            return websocket.echo(request)
        if request.target == "/late":
            return request.sock.recv(1)
        if request.target == "/broken":
            request.sock.sendall(b"no such protocol\r\n\r\n")
            return False
        self.hear(request)
        request.answer(fields=[("Server", "app/1"), ("X-Powered-By", "magic")])
        return True

    @staticmethod
    def hear(request):
        request.got, request.is_heard = b"", False
        try:
            for piece in request.chunks() if request.all("transfer-encoding") else [request.body()]:
                request.got += piece
        finally:
            request.is_heard = True

    def options(self, options, name=WWW):
        self.platform.db.query(f"UPDATE domains SET options = $json${json.dumps(options)}$json$ WHERE name = '{name}'")

    def get(self, edge, name=WWW, path="/", source=VISITOR, headers=None, **more):
        raw = socket.create_connection((edge.address, edge.https), 15, source_address=(source, 0))
        with self.platform.trust.wrap_socket(raw, server_hostname=name) as sock:
            connection = tls.HttpOver(sock, name)
            connection.request(more.pop("method", "GET"), path, headers=headers or {}, **more)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer

    def h2(self, edge=None, name=WWW):
        return H2Wire(self.platform, name, edge=edge)

    def plain(self, edge, name=WWW, source=VISITOR, path="/"):
        with socket.create_connection((edge.address, edge.http), 5, source_address=(source, 0)) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
        return answer.decode()

    def everywhere(self, condition, what):
        for edge in self.platform.edges:
            wait_until(lambda: condition(edge), 5, f"{what} at {edge.name}")


@pytest.fixture(scope="module")
def scene(session, request):
    scene = Scene(session)
    request.module.laboratory = scene.lab
    yield scene
    complaints = scene.lab.close()
    scene.lab.remove()
    assert not complaints, complaints


@pytest.fixture(autouse=True)
def nothing_stays(scene):
    yield
    for name in (WWW, APEX, OTHER):
        scene.options({}, name)
    scene.everywhere(lambda edge: scene.get(edge).status == 200 and not scene.get(edge).headers["X-Kept"], "no options")


def location(scene, edge, name=WWW, path="/a/b?c=d"):
    answer = scene.get(edge, name, path)
    return answer.status, answer.headers["Location"]


def test_www_is_sent_to_the_apex_and_never_back(scene):
    scene.options({"redirect": {"host": APEX, "status": 301}, "hsts": 5})
    port = scene.platform.https
    scene.everywhere(lambda edge: location(scene, edge) == (301, f"https://{APEX}/a/b?c=d")
                     or location(scene, edge) == (301, f"https://{APEX}:{port}/a/b?c=d"), "the redirect")
    answer = scene.get(scene.platform.edge)
    assert answer.headers["Strict-Transport-Security"] == "max-age=5"
    scene.options({"redirect": WWW}, APEX)
    scene.everywhere(lambda edge: scene.get(edge).status == 200 and scene.get(edge, APEX).status == 200,
                     "neither of two redirects that meet")
    scene.options({"redirect": OTHER}, APEX)
    scene.everywhere(lambda edge: scene.get(edge, APEX).status == 200, "no redirect to another tenant's host")
    scene.platform.edge.process.wait_log("redirects itself")


def test_challenges_and_port_80_go_before_the_redirect(scene):
    scene.options({"redirect": APEX})
    scene.everywhere(lambda edge: scene.get(edge).status == 308, "the redirect")
    edge = scene.platform.edge
    assert f"Location: https://{WWW}" in scene.plain(edge)
    assert scene.plain(edge, path="/.well-known/acme-challenge/none").startswith("HTTP/1.1 404 ")


def test_only_the_networks_that_are_allowed_come_in(scene):
    scene.options({"allow": ["127.9.9.0/24", "2001:db8::/32"], "deny": [f"{GUEST}/32"]})
    scene.everywhere(lambda edge: scene.get(edge, source=GUEST).status == 403, "403 for the guest")
    edge = scene.platform.edge
    before = len(scene.origin.requests)
    assert scene.get(edge, source="127.8.8.8").status == 403
    assert scene.plain(edge, source="127.8.8.8").startswith("HTTP/1.1 403 ")
    assert scene.plain(edge, source="127.8.8.8", path="/.well-known/acme-challenge/none").startswith("HTTP/1.1 404 ")
    assert scene.get(edge, source="127.8.8.8", headers={"X-Forwarded-For": VISITOR}).status == 403
    assert len(scene.origin.requests) == before
    assert scene.get(edge, source=VISITOR).status == 200
    assert scene.get(edge, OTHER, source=GUEST).status == 200
    wait_until(lambda: edge.metric('postern_edge_requests_refused_total{cause="address"}') >= 4, 10, "it to be counted")


def test_behind_a_cdn_the_visitors_address_is_judged(scene):
    scene.options({"deny": [f"{GUEST}/32", "2001:db8::/32"]})
    edge = scene.platform.edge
    scene.everywhere(lambda edge: scene.get(edge, source=GUEST).status == 403, "403 for the guest")
    for client, status in ((GUEST, 403), (f"::ffff:{GUEST}", 403), ("2001:db8::1", 403), (VISITOR, 200), ("2001:db9::1", 200)):
        assert scene.get(edge, source=CDN, headers={"X-Forwarded-For": client}).status == status, client


def test_list_that_cannot_be_read_closes_the_name_alone(scene):
    scene.options({"deny": ["127.9.9.10/8"], "hsts": 5})
    scene.everywhere(lambda edge: scene.get(edge).status == 403, "a closed name")
    edge = scene.platform.edge
    edge.process.wait_log("nobody is let in")
    assert scene.get(edge, APEX).status == 200
    assert scene.plain(edge, path="/.well-known/acme-challenge/none").startswith("HTTP/1.1 404 ")


def test_bodies_are_as_long_as_the_domain_says(scene):
    scene.options({"max_body": 1000})
    edge = scene.platform.edge
    scene.everywhere(lambda edge: scene.get(edge, method="POST", body=b"x" * 1001).status == 413, "413")
    assert scene.get(edge, method="POST", body=b"x" * 1000).status == 200
    before = len(scene.origin.requests)
    assert scene.get(edge, method="POST", body=b"x" * 1001).status == 413
    assert len(scene.origin.requests) == before
    answer = scene.get(edge, method="POST", body=iter([b"x" * 600, b"y" * 600]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
    assert answer.status == 413
    assert at_most(scene, before, 1000)
    assert scene.get(edge, OTHER, method="POST", body=b"x" * 5000).status == 200
    wait_until(lambda: edge.metric('postern_edge_requests_refused_total{cause="body"}') >= 2, 10, "it to be counted")


def at_most(scene, before, size):
    """So much came to the app of each request since then, also of one that was cut off."""
    since = scene.origin.requests[before:]
    wait_until(lambda: all(getattr(request, "is_heard", False) for request in since), 5, "the app to have heard all")
    return all(len(request.got) <= size for request in since)


def test_fields_of_responses_come_and_go(scene):
    fields = {"X-Kept": "1", "Server": "brand", "Content-Security-Policy": "default-src 'self'"}
    scene.options({"response_headers": {"add": fields, "remove": ["server", "X-Powered-By"]}})
    scene.everywhere(lambda edge: scene.get(edge).headers["X-Kept"] == "1", "the field")
    answer = scene.get(scene.platform.edge)
    assert answer.headers.get_all("Server") == ["brand"] and answer.headers["X-Powered-By"] is None
    assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
    assert scene.get(scene.platform.edge, OTHER).headers["Server"] == "app/1"


def test_pages_are_the_domains_own_or_the_operators(scene):
    scene.options({"error_pages": {"502": "<p>we mend it</p>"}, "response_headers": {"add": {"X-Kept": "1"}}})
    scene.everywhere(lambda edge: scene.get(edge, path="/broken").text == "<p>we mend it</p>", "the page")
    answer = scene.get(scene.platform.edge, path="/broken")
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert answer.headers["X-Kept"] == "1"
    assert scene.get(scene.platform.edge, OTHER, "/broken").text == "502 Bad Gateway\n"
    answer = scene.get(scene.platform.edge, headers={"Host": OTHER})
    assert (answer.status, answer.text, answer.headers["X-Kept"]) == (421, "<p>wrong door</p>", None)


def test_pages_over_http2_and_for_head(scene):
    scene.options({"error_pages": {"502": "<p>we mend it</p>", "503": "<p>closed</p>"}, "response_headers": {"add": {"X-Kept": "1"}}})
    scene.everywhere(lambda edge: scene.get(edge, path="/broken").text == "<p>we mend it</p>", "the page")
    with open(scene.largest, "rb") as file:
        largest = file.read()
    connection = scene.h2()
    for path, status, page in (("/broken", 502, b"<p>we mend it</p>"), ("/late", 504, largest)):
        answer = connection.get(path)
        assert (answer.status, answer.fields["content-type"], answer.fields["content-length"]) == (
            status, "text/html; charset=utf-8", str(len(page)))
        assert bytes(answer.body) == page and answer.fields["x-kept"] == "1"
        answer = connection.get(path, method="HEAD")
        assert (answer.status, answer.fields["content-length"], bytes(answer.body)) == (status, str(len(page)), b"")
        heard = scene.get(scene.platform.edge, path=path, method="HEAD")
        assert (heard.status, heard.headers["Content-Length"], heard.text) == (status, str(len(page)), "")
        assert scene.get(scene.platform.edge, path=path).text.encode() == page
    connection.close()
    nobody = f"http://{scene.platform.ground.address(5)}:{free_port(scene.platform.ground.address(5))}"
    scene.options({"error_pages": {"503": "<p>closed</p>"}, "upstream": nobody})
    scene.everywhere(lambda edge: scene.get(edge).text == "<p>closed</p>", "503")
    answer = scene.h2().get()
    assert (answer.status, bytes(answer.body)) == (503, b"<p>closed</p>")


def test_no_page_and_no_redirect_repeats_what_a_client_made_up(scene):
    scene.options({"redirect": APEX})
    scene.everywhere(lambda edge: scene.get(edge).status == 308, "the redirect")
    edge = scene.platform.edge
    for host in ("<script>alert(1)</script>", "a.test\"onload=", "other.example.com", "other.example.com:99999", "a.test/x"):
        answer = scene.get(edge, headers={"Host": host})
        assert host not in answer.text + str(answer.headers), answer.text
        text = scene.plain(edge, host)
        assert "script" not in text and "onload" not in text and "a.test/x" not in text, text
    for path in ("//evil.example.com/x", "/\\evil.example.com", "/a?b=https://evil.example.com", "/%0d%0aX-Evil:1", "/<script>"):
        answer = scene.get(edge, path=path)
        assert answer.status == 400 or answer.headers["Location"] == redirect_to(path), path
        assert answer.headers["X-Evil"] is None and "script" not in answer.text
    raw = wire.Wire(edge.address, edge.https, WWW, scene.platform.trust)
    for target, wanted in (("*", "/"), ("/?", "/?"), (f"https://{WWW}/p?q", "/p?q"), (f"https://{WWW}?q", "/?q")):
        method = "OPTIONS" if target == "*" else "GET"
        raw.send(f"{method} {target} HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
        answer = raw.answer()
        assert (answer.status, answer.get("location")) == (308, redirect_to(wanted)), target
    raw.close()


def redirect_to(path):
    return f"https://{APEX}{path}"


def test_a_redirect_over_http2_and_before_there_is_a_certificate(scene):
    name = "new.brand.test"
    scene.platform.activate(name)
    scene.options({"redirect": {"host": APEX, "status": 308}}, name)
    assert f"Location: https://{name}" in scene.plain(scene.platform.edge, name)
    answer = scene.platform.visit(name, "/first?visit=1", edge=scene.platform.edge)
    assert (answer.status, answer.headers["Location"]) == (308, redirect_to("/first?visit=1"))
    connection = scene.h2(name=name)
    for method in ("GET", "HEAD", "DELETE"):
        answer = connection.get("/x?y", method=method)
        assert (answer.status, answer.fields["location"]) == (308, redirect_to("/x?y"))
    before = len(scene.origin.requests)
    stream = connection.request(method="POST", path="/upload", end=False)
    answer = connection.answer(stream)
    connection.until(lambda: answer.status)
    assert answer.status == 308 and len(scene.origin.requests) == before, "the body is not waited for"
    connection.close()


def test_bodies_over_http2_are_as_long_as_the_domain_says(scene):
    scene.options({"max_body": 1000})
    scene.everywhere(lambda edge: scene.get(edge, method="POST", body=b"x" * 1001).status == 413, "413")
    connection = scene.h2()
    before = len(scene.origin.requests)
    for extra in ((), (("expect", "100-continue"),)):
        stream = connection.request(method="POST", end=False, extra=(("content-length", "1001"), *extra))
        answer = connection.finish(stream)
        assert answer.status == 413 and not answer.interim, "nobody is asked to send what is too much"
    assert len(scene.origin.requests) == before
    stream = connection.request(method="POST", end=False)
    for _ in range(3):
        connection.data(stream, b"y" * 400)
    answer = connection.answer(stream)
    connection.until(lambda: answer.status)
    assert answer.status == 413
    assert at_most(scene, before, 1000)
    stream = connection.request(method="POST", end=False)
    connection.data(stream, b"z" * 1000)
    connection.data(stream, b"", end=True)
    answer = connection.finish(stream)
    assert answer.status == 200 and scene.origin.requests[-1].got == b"z" * 1000
    assert connection.get().status == 200, "the connection stays for others"
    connection.close()


def test_fields_over_http2_and_those_that_nobody_may_forge(scene):
    scene.options({"response_headers": {"add": {"X-Kept": "1", "Set-Cookie": "a=b; Path=/"}, "remove": ["SERVER"]}})
    scene.everywhere(lambda edge: scene.get(edge).headers["X-Kept"] == "1", "the field")
    answer = scene.h2().get()
    assert (answer.fields["x-kept"], answer.fields["set-cookie"]) == ("1", "a=b; Path=/") and "server" not in answer.fields
    for fields in ({"add": {"Content-Length": "0"}}, {"add": {"Transfer-Encoding": "chunked"}}, {"remove": ["Content-Length"]},
                   {"add": {"X-A": "b\r\nX-Evil: 1"}}, {"add": {"X-A\r\nX-Evil": "1"}}, {"add": {":status": "204"}},
                   {"add": {"Connection": "close"}}, {"add": {"content_length": "0"}}, {"add": {"X-Request-Id": "x"}}):
        scene.options({"response_headers": fields, "hsts": 7})
        scene.everywhere(lambda edge: scene.get(edge).headers["Strict-Transport-Security"] == "max-age=7", "what is right")
        answer = scene.get(scene.platform.edge)
        assert (answer.text, answer.headers["Content-Length"], answer.headers["X-Evil"], answer.headers["Connection"]) == (
            "ok\n", "3", None, None), fields
        status, said = scene.platform.api.call("PATCH", f"/v1/domains/{WWW}", {"options": {"response_headers": fields}})
        assert 400 <= status < 500 and "response_headers" in str(said), said
        scene.options({})
        scene.everywhere(lambda edge: scene.get(edge).headers["Strict-Transport-Security"] is None, "nothing")


BAD = [
    ("passthrough", "10.0.0.1", "write host:port"), ("passthrough", "10.0.0.1:0", "write host:port"),
    ("passthrough", "10.0.0.1:443 check=http", "off, tcp or tls"), ("passthrough", "10.0.0.1:25 plain=on", "the edge's setting"),
    ("passthrough", "", "names no server"), ("redirect", "https://brand.test", "host name"),
    ("redirect", {"host": APEX, "status": 302}, "301 or 308"), ("redirect", WWW, "cannot lead to itself"),
    ("max_body", "10M", "number of bytes"), ("max_body", -1, "number of bytes"), ("error_pages", {"421": "x"}, "502, 503 and 504"),
    ("error_pages", {"502": "x" * 8193}, "1 to 8192 bytes"), ("response_headers", {"set": {}}, "add and remove"),
    ("response_headers", {"remove": ["Sec-WebSocket-Accept"]}, "leave it out"), ("allow", [], "1 to 256 networks"),
    ("deny", ["10.0.0.1/8"], "first address"), ("deny", ["example.com"], "192.0.2.0/24"), ("upstream", "http://app:0", "http://host:port"),
    ("upstream", "10.0.0.1:80", "h2c://host:port"), ("colour", 1, "there are upstream, passthrough"),
]


@pytest.mark.parametrize("key,value,mend", BAD)
def test_a_wrong_value_is_refused_with_its_place_and_its_mend(scene, key, value, mend):
    status, said = scene.platform.api.call("PATCH", f"/v1/domains/{WWW}", {"options": {key: value}})
    assert status == 400 and key in said["detail"] and mend in said["detail"], said
    assert scene.platform.api.show(WWW)["options"] == {}


def test_a_websocket_that_is_open_ends_when_its_visitor_is_barred(scene):
    edge = scene.platform.edge
    with wire.Wire(edge.address, edge.https, WWW, wire.trust(scene.platform.pebble.root)) as one:
        chat = websocket.WebSocket(one, WWW)
        assert chat.ask(b"hello") == b"hello"
        scene.options({"deny": ["192.0.2.0/24"]})
        scene.everywhere(lambda edge: scene.get(edge, source=CDN, headers={"X-Forwarded-For": "192.0.2.1"}).status == 403,
                         "a list that is not about this visitor")
        assert chat.ask(b"not me") == b"not me"
        scene.options({"allow": ["192.0.2.0/24"]})
        one.rest()
        assert one.how == "fin"
    wait_until(lambda: edge.metric("postern_edge_tunnels_ended_total", end="unserved") == 1, 5, "it to be counted")


def test_lists_judge_whom_a_balancer_names(scene):
    edge = scene.platform.edge
    scene.options({"deny": ["198.51.100.7/32", "2001:db8:bad::/48", "::ffff:198.51.100.8/128"]})
    edge.restart(proxy_protocol="required", proxy_trust="127.0.0.0/8")

    def status(source, headers=None):
        family = 0x21 if ":" in source else 0x11
        destination = "2001:db8::1" if ":" in source else "198.51.100.1"
        raw = socket.create_connection((edge.address, edge.https), 5)
        raw.sendall(proxy_header.v2(proxy_header.addresses(source, destination), family=family))
        with scene.platform.trust.wrap_socket(raw, server_hostname=WWW) as sock:
            connection = tls.HttpOver(sock, WWW)
            connection.request("GET", "/", headers=headers or {})
            return connection.getresponse().status

    before = len(scene.origin.requests)
    for source in ("198.51.100.7", "198.51.100.8", "::ffff:198.51.100.7", "2001:db8:bad::9"):
        assert status(source) == 403, source
        assert status(source, {"X-Forwarded-For": "198.51.100.1", "Forwarded": "for=198.51.100.1"}) == 403, source
    assert len(scene.origin.requests) == before
    for source in ("198.51.100.9", "::ffff:198.51.100.9", "2001:db8:1::9"):
        assert status(source) == 200, source
    for client, wanted in (("198.51.100.7", 403), ("2001:db8:bad::9", 403), ("198.51.100.9", 200), ("nonsense", 200)):
        assert status(CDN, {"X-Forwarded-For": client}) == wanted, "a CDN behind the balancer"
    edge.restart(proxy_protocol=None, proxy_trust=None)


def test_what_is_passed_on_is_judged_by_the_connection(scene):
    scene.options({"passthrough": "127.0.0.1:9", "deny": ["127.0.0.0/8"]}, OTHER)
    scene.everywhere(lambda edge: scene.platform.refusal(OTHER, edge).alert == "access_denied", "the alert")
