"""Clients that name nobody, or nobody whom we serve: the default certificate of the address they came to, and a word of the
operator's; never another tenant's site, an order or an ask."""

import signal
import ssl
import subprocess

import pytest

from lab import client_hello, proxy_header, tls
from lab.app_origin import AppOrigin
from lab.h2_wire import H2Wire
from lab.lab import Lab
from lab.process import wait_until
from lab.uploads import Uploads

DEFAULT, SECOND, TENANT = "www.saas.test", "second.saas.test", "shop.brand.test"


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.platform = lab.prepare(edges=1)
        self.edge = self.platform.edge
        self.sorry = lab.use(AppOrigin(lab.folder("sorry"), "sorry", self.platform.ground.address(7))).start()
        self.uploads = Uploads(self.platform, lab.folder("uploads"))
        self.page, self.settings = lab.folder("page") + "/sorry.html", lab.folder("settings") + "/edge.conf"
        with open(self.page, "w") as file:
            file.write("<p>Please update your client</p>")
        self.platform.start(without=[self.platform.pebble, self.platform.acme])
        for name in (DEFAULT, SECOND, TENANT):
            self.uploads.add(name)
        self.restart()

    def restart(self, **settings):
        self.edge.restart(**{"default_certificate": f"*={DEFAULT}", "sorry_page": None, "sorry_upstream": None,
                             "proxy_protocol": None, "proxy_trust": None, "passthrough": None, "config": None, **settings})

    def write(self, **settings):
        with open(self.settings, "w") as file:
            file.writelines(f"{name.replace('_', '-')} {value}\n" for name, value in settings.items())

    def reload(self, **settings):
        """By SIGHUP; what the command line does not say comes from a file."""
        self.write(**settings)
        before = self.edge.process.log().count("settings reloaded")
        self.edge.process.send(signal.SIGHUP)
        wait_until(lambda: self.edge.process.log().count("settings reloaded") > before, 10, "the reload")

    def context(self, alpn=()):
        context = ssl.create_default_context(cafile=self.uploads.authority.ca)
        context.check_hostname = False
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def connect(self, name=None, header=b"", alpn=()):
        raw = tls.socket.create_connection((self.edge.address, self.edge.https), 20)
        raw.sendall(header)
        return self.context(alpn).wrap_socket(raw, server_hostname=name)

    def h2(self, host, path="/", method="GET"):
        """What a client that names nobody gets over HTTP/2."""
        wire = H2Wire(None, host, sock=self.connect(alpn=("h2",)))
        answer = wire.get(path=path, method=method)
        wire.close()
        return answer

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


def old(name):
    """A hello of TLS 1.1 and 1.0."""
    return client_hello.records(client_hello.handshake(name).replace(
        b"\0\x2b\0\5\4\3\4\3\3", b"\0\x2b\0\5\4\3\2\3\1"))


def test_each_version_and_protocol_that_is_spoken_gets_it_and_older_ones_the_alert(scene):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for alpn in ((), ("http/1.1",), ("h2", "http/1.1")):
            context = scene.context(alpn)
            context.minimum_version = context.maximum_version = version
            raw = tls.socket.create_connection((scene.edge.address, scene.edge.https), 20)
            with context.wrap_socket(raw) as sock:
                assert sock.getpeercert()["subjectAltName"][0][1] == DEFAULT
                assert sock.selected_alpn_protocol() == (alpn[0] if alpn else None)
    for default in (f"*={DEFAULT}", None):
        scene.restart(default_certificate=default)
        for name in (None, b"192.0.2.1", b"nobody.example.com", b"not..a.name"):
            refused = client_hello.refusal(scene.edge.address, scene.edge.https, hello=old(name))
            assert refused.alert == "protocol_version", (default, name, refused)


def test_a_name_that_is_none_gets_it_and_a_list_without_a_name_does_not(scene):
    scene.restart()
    for name in (b"a..b", b"*.brand.test", "bücher.example.com".encode(), b"x" * 255, b"localhost"):
        assert client_hello.refusal(scene.edge.address, scene.edge.https, name).alert is None, name
    for name in (b"nul\0.example.com", b"x" * 256):  # OpenSSL's own word
        assert client_hello.refusal(scene.edge.address, scene.edge.https, name).alert == "unrecognized_name", name
    assert client_hello.refusal(scene.edge.address, scene.edge.https, b"").alert == "decode_error"
    probe = client_hello.refusal(scene.edge.address, scene.edge.https, None, alpn=(b"acme-tls/1",))
    assert probe.alert == "unrecognized_name", "a CA's probe is for a name"


def test_over_http2_it_is_the_same(scene):
    answer = scene.h2(TENANT)
    assert answer.status == 421 and answer.body == b"421 Misdirected Request\n"
    answer = scene.h2(DEFAULT)
    assert answer.status == 200 and f'"host":"{DEFAULT}"' in answer.body.decode()
    scene.restart(sorry_page=scene.page)
    answer = scene.h2(TENANT)
    assert (answer.status, answer.fields["content-type"], bytes(answer.body)) == (
        421, "text/html; charset=utf-8", b"<p>Please update your client</p>")
    answer = scene.h2(TENANT, method="HEAD")
    assert (answer.status, answer.fields["content-length"], bytes(answer.body)) == (421, "32", b"")
    scene.restart(sorry_upstream=scene.sorry.url)
    answer = scene.h2(TENANT)
    assert (answer.status, bytes(answer.body)) == (200, b"sorry")


def test_a_reload_changes_all_of_it(scene):
    scene.write()
    scene.restart(default_certificate=None, config=scene.settings)
    assert client_hello.refusal(scene.edge.address, scene.edge.https, None).alert == "unrecognized_name"
    scene.reload(default_certificate=f"*={DEFAULT}", sorry_page=scene.page)
    wait_until(lambda: client_hello.refusal(scene.edge.address, scene.edge.https, None).alert is None, 5, "the certificate")
    with scene.connect() as sock:
        connection = tls.HttpOver(sock, TENANT)
        for wanted in ((421, b"<p>Please update your client</p>"), (200, b"sorry")):
            wait_until(lambda: asks(connection, TENANT) == wanted, 5, wanted)
            scene.reload(default_certificate=f"*={SECOND}", sorry_upstream=scene.sorry.url)
    wait_until(lambda: scene.shown() == SECOND, 5, "the other certificate")
    scene.reload()
    wait_until(lambda: client_hello.refusal(scene.edge.address, scene.edge.https, None).alert == "unrecognized_name", 5,
               "none")
    scene.restart()


def asks(connection, host):
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read()


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
    scene.restart(default_certificate=["198.51.100.1=" + SECOND, f":444={DEFAULT}", f"[2001:db8::1]:443={SECOND}",
                                       f"[::ffff:198.51.100.9]:445={SECOND}"],
                  proxy_protocol="required", proxy_trust="127.0.0.0/8")
    v2 = proxy_header.v2
    assert scene.shown(None, v2()) == SECOND
    assert scene.shown(None, v2(proxy_header.addresses(destination="198.51.100.2", ports=(1, 444)))) == DEFAULT

    def v6(destination, port=443):
        return v2(proxy_header.addresses("2001:db8::7", destination, (1, port)), family=0x21)

    assert scene.shown(None, v6("2001:db8::1")) == SECOND
    assert scene.shown(None, v6("::ffff:198.51.100.1", 9)) == SECOND, "IPv4 is the same, mapped or not"
    assert scene.shown(None, v2(proxy_header.addresses(destination="198.51.100.9", ports=(1, 445)))) == SECOND
    assert scene.shown(None, v6("2001:db8::2", 444)) == DEFAULT
    for header in (v2(proxy_header.addresses(destination="198.51.100.2")), v6("2001:db8::1", 9), v6("2001:db8::2")):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            scene.shown(None, header)


def test_without_it_the_alert_as_ever(scene):
    scene.restart(default_certificate="*=absent.saas.test")
    for sni in (None, b"192.0.2.1", b"nobody.example.com"):
        assert client_hello.refusal(scene.edge.address, scene.edge.https, sni).alert == "unrecognized_name"
    assert scene.platform.job("absent.saas.test") is None
    wait_until(lambda: scene.edge.process.logged("default-certificate cannot be shown.*absent.saas.test"), 10,
               "the operator to be told")
    scene.restart(default_certificate=None)
    assert client_hello.refusal(scene.edge.address, scene.edge.https, None).alert == "unrecognized_name"


def test_or_a_server_that_takes_all_the_rest(scene):
    scene.restart(passthrough=f"*:{scene.edge.https} {scene.platform.ground.address(7)}:{scene.sorry.port}")
    answer = client_hello.refusal(scene.edge.address, scene.edge.https, None)
    assert answer.raw.startswith(b"HTTP/1.") or answer.raw == b"", "the origin speaks plain HTTP: it was passed on"
    def passed():
        return scene.edge.metric("postern_edge_passthrough_connections_total", route=f"*:{scene.edge.https}")

    assert passed() == 1
    for name, taken, alert in (("nobody.example.com", 1, None), (TENANT, 0, "unrecognized_name")):
        before = passed()
        refused = client_hello.refusal(scene.edge.address, scene.edge.https, name, alpn=(b"acme-tls/1",))
        assert (passed() - before, refused.alert) == (taken, alert), "a CA's probe: who serves a name proves it"
    for name, taken, alert in ((b"nobody.example.com", 1, None), (TENANT.encode(), 0, "protocol_version")):
        before = passed()
        refused = client_hello.refusal(scene.edge.address, scene.edge.https, hello=old(name))
        assert (passed() - before, refused.alert) == (taken, alert), "an old version"
    assert scene.shown(TENANT) == TENANT
