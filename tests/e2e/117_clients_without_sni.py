"""Clients that name nobody, or nobody whom we serve: the default certificate of the address they came to, and a word of the
operator's; never another tenant's site, an order or an ask."""

import ssl
import subprocess

import pytest

from lab import client_hello, proxy_header, tls
from lab.app_origin import AppOrigin
from lab.lab import Lab
from lab.uploads import Uploads

DEFAULT, SECOND, TENANT = "www.saas.test", "second.saas.test", "shop.brand.test"


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.platform = lab.prepare(edges=1)
        self.edge = self.platform.edge
        self.sorry = lab.use(AppOrigin(lab.folder("sorry"), "sorry", self.platform.ground.address(7))).start()
        self.uploads = Uploads(self.platform, lab.folder("uploads"))
        self.page = lab.folder("page") + "/sorry.html"
        with open(self.page, "w") as file:
            file.write("<p>Please update your client</p>")
        self.platform.start(without=[self.platform.pebble, self.platform.acme])
        for name in (DEFAULT, SECOND, TENANT):
            self.uploads.add(name)
        self.restart()

    def restart(self, **settings):
        self.edge.restart(**{"default_certificate": f"*={DEFAULT}", "sorry_page": None, "sorry_upstream": None,
                             "proxy_protocol": None, "proxy_trust": None, "passthrough": None, **settings})

    def context(self):
        context = ssl.create_default_context(cafile=self.uploads.authority.ca)
        context.check_hostname = False
        return context

    def connect(self, name=None, header=b""):
        raw = tls.socket.create_connection((self.edge.address, self.edge.https), 20)
        raw.sendall(header)
        return self.context().wrap_socket(raw, server_hostname=name)

    def shown(self, name=None, header=b""):
        """The name of the certificate that is shown."""
        with self.connect(name, header) as sock:
            return sock.getpeercert()["subjectAltName"][0][1]

    def get(self, host, name=None):
        with self.connect(name) as sock:
            connection = tls.HttpOver(sock, host)
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def scene(session):
    lab = Lab(session)
    yield Scene(lab)
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def test_who_names_nobody_gets_the_default_certificate(scene):
    assert scene.shown() == DEFAULT
    done = subprocess.run(["openssl", "s_client", "-connect", f"{scene.edge.address}:{scene.edge.https}", "-noservername"],
                          input=b"", capture_output=True, timeout=20)
    assert b"BEGIN CERTIFICATE" in done.stdout
    assert b"New, TLSv1.3" in done.stdout
    literal = client_hello.refusal(scene.edge.address, scene.edge.https, b"192.0.2.1")
    assert literal.alert is None, "an address is no name"


def test_a_name_that_is_not_ours_gets_it_too_and_costs_no_order(scene):
    assert scene.shown("nobody.example.com") == DEFAULT
    assert scene.platform.job("nobody.example.com") is None and scene.platform.job(DEFAULT) is None
    assert scene.shown(TENANT) == TENANT, "who names one of ours gets that"


def test_nothing_of_a_tenant_is_served_by_it(scene):
    for host in (TENANT, "nobody.example.com", "192.0.2.1", f"{scene.edge.address}:{scene.edge.https}"):
        assert scene.get(host)[0] == 421, host
        assert scene.get(host, "nobody.example.com")[0] == 421, host
    status, body = scene.get(DEFAULT)
    assert status == 200 and f'"host":"{DEFAULT}"' in body, "the certificate's own name is nobody else's"


def test_it_is_not_resumed(scene):
    context = scene.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    raw = tls.socket.create_connection((scene.edge.address, scene.edge.https), 20)
    with context.wrap_socket(raw, server_hostname="nobody.example.com") as sock:
        assert not sock.session.has_ticket


def test_a_page_of_the_operator(scene):
    scene.restart(sorry_page=scene.page)
    assert scene.get(TENANT) == (421, "<p>Please update your client</p>")
    assert scene.get(DEFAULT)[0] == 200
    with tls.connect(scene.edge.address, scene.edge.https, TENANT, scene.uploads.trust) as sock:
        connection = tls.HttpOver(sock, DEFAULT)
        connection.request("GET", "/", headers={"Host": "other.example.com"})
        answer = connection.getresponse()
        assert answer.status == 421 and b"update" not in answer.read(), "only over the default certificate"


def test_an_upstream_of_the_operator(scene):
    scene.restart(sorry_upstream=scene.sorry.url)
    assert scene.get("nobody.example.com", "nobody.example.com") == (200, "sorry")
    assert scene.get(TENANT) == (200, "sorry"), "never the tenant's own"
    assert scene.get(DEFAULT)[1] != "sorry"


def test_by_the_address_that_they_came_to(scene):
    scene.restart(default_certificate=["198.51.100.1=" + SECOND, f":444={DEFAULT}"], proxy_protocol="required",
                  proxy_trust="127.0.0.0/8")
    v2 = proxy_header.v2
    assert scene.shown(None, v2()) == SECOND
    assert scene.shown(None, v2(proxy_header.addresses(destination="198.51.100.2", ports=(1, 444)))) == DEFAULT
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        scene.shown(None, v2(proxy_header.addresses(destination="198.51.100.2")))


def test_without_it_the_alert_as_ever(scene):
    scene.restart(default_certificate="*=absent.saas.test")
    for sni in (None, b"192.0.2.1", b"nobody.example.com"):
        assert client_hello.refusal(scene.edge.address, scene.edge.https, sni).alert == "unrecognized_name"
    assert scene.platform.job("absent.saas.test") is None
    scene.restart(default_certificate=None)
    assert client_hello.refusal(scene.edge.address, scene.edge.https, None).alert == "unrecognized_name"


def test_or_a_server_that_takes_all_the_rest(scene):
    scene.restart(passthrough=f"*:{scene.edge.https} {scene.platform.ground.address(7)}:{scene.sorry.port}")
    answer = client_hello.refusal(scene.edge.address, scene.edge.https, None)
    assert answer.raw.startswith(b"HTTP/1.") or answer.raw == b"", "the origin speaks plain HTTP: it was passed on"
    assert scene.edge.metric("postern_edge_passthrough_connections_total", route=f"*:{scene.edge.https}") == 1
    assert scene.shown(TENANT) == TENANT
