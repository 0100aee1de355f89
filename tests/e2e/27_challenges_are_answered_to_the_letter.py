"""tls-alpn-01: the challenge certificate goes to who offers acme-tls/1 and nothing else while a challenge is live."""

import ssl

import pytest

from lab import client_hello, tls
from lab.process import run, wait_until

NAME = "shop.brand.test"
ID_PE_ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31"


@pytest.fixture
def challenged(lab):
    """A platform where the challenge of NAME is live: the CA has not been told to validate yet."""
    platform = lab.platform(faulty_ca=True, acme={"challenge_types": "tls-alpn-01"})
    platform.activate(NAME)
    gate = platform.ca.hold("challenge")
    platform.db.query(f"SELECT enqueue_issuance('{NAME}', 'first_hit')")
    assert gate.arrived.wait(10)
    platform.gate = gate
    yield platform
    gate.open()


def challenge_certificate(platform, edge, folder):
    """As the CA connects: any certificate will do, ALPN acme-tls/1 alone. Returns openssl's text of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["acme-tls/1"])
    sock = tls.connect(edge.address, platform.https, NAME, context, timeout=5)
    try:
        assert sock.selected_alpn_protocol() == "acme-tls/1"
        certificate = sock.getpeercert(binary_form=True)
        sock.settimeout(5)
        assert sock.recv(1) == b"", "the connection ends after its handshake"
    finally:
        sock.close()
    path = f"{folder}/challenge.der"
    with open(path, "wb") as file:
        file.write(certificate)
    return run(["openssl", "x509", "-inform", "DER", "-in", path, "-noout", "-text"])


def test_every_node_answers_while_the_challenge_is_live(challenged, lab):
    for edge in challenged.edges:
        text = challenge_certificate(challenged, edge, lab.folder("certificates"))
        assert f"{ID_PE_ACME_IDENTIFIER}: critical" in text
        assert f"DNS:{NAME}\n" in text, "exactly this one name"
    wait_until(lambda: challenged.db.value("SELECT seen_at IS NOT NULL FROM challenges") == "t", 5,
               "the row to say that an answer went out")
    challenged.gate.open()
    wait_until(lambda: challenged.stored(NAME), 10, "the certificate")


def test_acme_tls_among_other_protocols_is_an_ordinary_connection(challenged):
    challenged.gate.open()
    context = tls.trust(challenged.pebble.root, alpn=("acme-tls/1", "http/1.1"))
    wait_until(lambda: challenged.stored(NAME), 10, "the certificate")
    sock = challenged.connect(NAME, context=context)
    assert sock.selected_alpn_protocol() == "http/1.1"
    sock.close()


def test_acme_tls_without_a_live_challenge_is_refused_and_asks_nobody(platform):
    platform.activate(NAME)
    for name in (NAME, "unknown.brand.test"):
        answer = platform.refusal(name, alpn=(b"acme-tls/1",), edge=platform.edge)
        assert answer.alert in ("unrecognized_name", "no_application_protocol"), (name, answer)
    assert platform.job(NAME) is None, "a validation is no visit"
    assert platform.pebble.orders() == 0


def test_protocol_that_nobody_speaks_is_refused(platform):
    platform.activate(NAME)
    platform.visit(NAME)
    answer = platform.refusal(NAME, alpn=(b"gopher",))
    assert answer.alert == "no_application_protocol"
    assert platform.refusal(None, hello=client_hello.client_hello(NAME.encode())).raw[:1] == b"\x16", "no ALPN at all"
