"""The ask endpoint answers Caddy as it comes from Debian, with on_demand_tls unchanged; by TLS with certificates of the clients'
own it answers our edges and issuers, and nobody whose certificate is another's."""

import http.client
import os
import ssl

import pytest

from lab.place import free_port, tool
from lab.process import Process, wait_until
from lab.servers import connects
from lab.tls import get, trust

NAME = "shop.brand.test"
CADDYFILE = """\
{{
    admin off
    auto_https disable_redirects
    http_port {http}
    https_port {https}
    storage file_system {directory}/storage
    skip_install_trust
    local_certs
    on_demand_tls {{
        ask {ask}
    }}
}}
https:// {{
    bind {address}
    tls internal {{
        on_demand
    }}
    respond "served by caddy"
}}
"""


class Caddy:
    def __init__(self, directory, address, ask):
        os.makedirs(directory, exist_ok=True)
        self.address, self.port = address, free_port(address)
        self.root = os.path.join(directory, "storage/pki/authorities/local/root.crt")
        config = os.path.join(directory, "Caddyfile")
        with open(config, "w", encoding="ascii") as file:
            file.write(CADDYFILE.format(http=free_port(address), https=self.port, directory=directory, address=address, ask=ask))
        self.process = Process("caddy", [tool("caddy"), "run", "--adapter", "caddyfile", "--config", config],
                               os.path.join(directory, "caddy.log"), env={"HOME": directory, "XDG_DATA_HOME": directory})
        self.process.wait_ready(lambda: connects(address, self.port), 30)

    def visit(self, name):
        return get(self.address, self.port, name, trust(self.root))

    def stop(self):
        self.process.stop(10)


def test_caddy_of_debian_is_answered(lab):
    platform = lab.platform(edges=0)
    platform.activate(NAME)
    platform.api.add("pending.brand.test")
    ground = platform.ground
    caddy = lab.use(Caddy(ground.folder("caddy"), ground.address(21), platform.verifier.ask_url))
    answer = caddy.visit(NAME)
    assert (answer.status, answer.body) == (200, b"served by caddy")
    for name in ("pending.brand.test", "stranger.brand.test"):
        with pytest.raises(ssl.SSLError):
            caddy.visit(name)
    platform.api.delete(NAME)
    platform.activate("another.brand.test")
    assert caddy.visit("another.brand.test").status == 200
    counted = platform.verifier.metric("postern_verifier_ask_answers_total", code="200"), \
        platform.verifier.metric("postern_verifier_ask_answers_total", code="403")
    assert counted[0] >= 2 and counted[1] >= 2, counted


@pytest.fixture
def closed(lab):
    """An ask endpoint that wants certificates, and a platform whose edge and issuer have one."""
    platform = lab.prepare(edges=1)
    ground = platform.ground
    server = ground.authority.issue("ask-server", f"IP:{ground.address(2)}")
    client = ground.authority.issue("ask-client", "DNS:edge.saas.test", extra=["extendedKeyUsage=clientAuth"])
    ask = {"ask_ca": ground.authority.ca, "ask_url": platform.verifier.ask_url.replace("http:", "https:")}
    own = {**ask, "ask_client_cert_file": client[0], "ask_client_key_file": client[1]}
    platform.verifier.settings.update(ask_cert_file=server[0], ask_key_file=server[1], ask_client_ca=ground.authority.ca)
    platform.edges[0].settings.update(own)
    platform.acme.settings.update(own)
    platform.client, platform.ask = client, ask
    platform.start()
    platform.activate(NAME)
    return platform


def ask_with(platform, certificate):
    context = ssl.create_default_context(cafile=platform.ground.authority.ca)
    if certificate:
        context.load_cert_chain(*certificate)
    connection = http.client.HTTPSConnection(platform.verifier.address, platform.verifier.ask_port, context=context, timeout=20)
    try:
        connection.request("GET", f"/ask?domain={NAME}")
        return connection.getresponse().status
    finally:
        connection.close()


def test_clients_are_known_by_their_certificates(closed):
    assert closed.visit(NAME).status == 200
    wait_until(lambda: closed.edges[0].metric("postern_edge_asks_total", result="allowed") == 1, 10, "it to be counted")
    assert ask_with(closed, closed.client) == 200
    authority = closed.ground.authority
    strangers = {
        "nobody": None,
        "signed by itself": stranger(closed),
        "for servers only": authority.issue("server-only", "DNS:edge.saas.test", extra=["extendedKeyUsage=serverAuth"]),
    }
    for what, certificate in strangers.items():
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            assert not ask_with(closed, certificate), what
    closed.activate("second.brand.test")
    assert closed.visit("second.brand.test").status == 200, "the endpoint goes on for those it knows"


def stranger(platform):
    """Certificate and key that nobody vouches for."""
    from lab.authority import Authority
    return Authority(platform.ground.folder("stranger")).issue("stranger", "DNS:edge.saas.test", extra=["extendedKeyUsage=clientAuth"])


def test_edge_without_a_certificate_gets_no_answer(closed):
    edge = closed.edges[0]
    edge.restart(ask_client_cert_file=None, ask_client_key_file=None)
    assert closed.refusal(NAME, edge).alert == "internal_error"
    assert edge.metric("postern_edge_asks_total", result="allowed") == 0
    wait_until(lambda: edge.metric("postern_edge_asks_total", result="unknown") == 1, 10, "it to be counted")
    edge.restart(ask_client_cert_file=closed.client[0], ask_client_key_file=closed.client[1])
    wait_until(lambda: closed.refusal("nobody.brand.test").alert == "unrecognized_name", 20, "the balancer to find the edge")
    assert closed.visit(NAME).status == 200


def renew(platform):
    """The issuer looks for due certificates when it starts."""
    platform.db.query("UPDATE certificates SET renew_at = now() - interval '1 minute'")


def test_issuer_asks_with_its_certificate(closed):
    first = closed.visit(NAME).serial
    renew(closed)
    closed.acme.restart()
    wait_until(lambda: closed.acme.metric("postern_acme_asks_total", result="allowed") == 1, 60, "the issuer's question")
    wait_until(lambda: closed.visit(NAME).serial != first, 60, "the renewal")
    renew(closed)
    closed.acme.restart(ask_client_cert_file=None, ask_client_key_file=None)
    wait_until(lambda: closed.acme.metric("postern_acme_asks_total", result="unknown") == 1, 60, "the issuer's question")
