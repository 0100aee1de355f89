"""Redirects, visitors' networks, body limits, error pages and response headers, as each domain wants them, on every node."""

import json
import socket

import pytest

from lab import tls
from lab.lab import Lab
from lab.origin import Origin
from lab.process import wait_until

APEX, WWW, OTHER = "brand.test", "www.brand.test", "shop.other.test"
CDN, VISITOR, GUEST = "127.5.5.5", "127.9.9.9", "127.9.9.10"


class Scene:
    def __init__(self, session):
        self.lab = Lab(session)
        self.platform = platform = self.lab.prepare(edge={"cache_max_age": "1s", "forwarded_trust": f"{CDN}/32"})
        self.page = platform.ground.folder("pages") + "/421.html"
        with open(self.page, "w", encoding="utf-8") as file:
            file.write("<p>wrong door</p>")
        self.origin = self.lab.use(Origin(platform.ground.address(4), self.script))
        for edge in platform.edges:
            edge.settings.update({"upstream": self.origin.url, "error_page_421": self.page})
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
        if request.target == "/broken":
            request.sock.sendall(b"no such protocol\r\n\r\n")
            return False
        request.got = request.body()
        request.answer(fields=[("Server", "app/1"), ("X-Powered-By", "magic")])
        return True

    def options(self, options, name=WWW):
        self.platform.db.query(f"UPDATE domains SET options = $json${json.dumps(options)}$json$ WHERE name = '{name}'")

    def get(self, edge, name=WWW, path="/", source=VISITOR, headers=None, **more):
        raw = socket.create_connection((edge.address, edge.https), 5, source_address=(source, 0))
        with self.platform.trust.wrap_socket(raw, server_hostname=name) as sock:
            connection = tls.HttpOver(sock, name)
            connection.request(more.pop("method", "GET"), path, headers=headers or {}, **more)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer

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
    assert "redirects itself" in scene.platform.edge.process.log()


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
    assert edge.metric('postern_edge_requests_refused_total{cause="address"}') >= 4


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
    edge.process.wait_log("nobody is let in", 3)
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
    wait_until(lambda: not hasattr(scene.origin.requests[-1], "got") or len(scene.origin.requests[-1].got) <= 1000, 3,
               "no more than the limit at the app")
    assert scene.get(edge, OTHER, method="POST", body=b"x" * 5000).status == 200
    assert edge.metric('postern_edge_requests_refused_total{cause="body"}') >= 2


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


def test_what_is_passed_on_is_judged_by_the_connection(scene):
    scene.options({"passthrough": "127.0.0.1:9", "deny": ["127.0.0.0/8"]}, OTHER)
    scene.everywhere(lambda edge: scene.platform.refusal(OTHER, edge).alert == "access_denied", "the alert")
