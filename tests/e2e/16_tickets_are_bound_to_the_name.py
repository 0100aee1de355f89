"""A session ticket resumes under the name that it was given for, on every node, and under no other."""

import ssl

import pytest

from lab import tls

ONE, OTHER = "one.brand.test", "other.brand.test"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def ticket(platform, name, context, edge=None):
    """Visits, and keeps the session; in TLS 1.3 the ticket comes after the handshake."""
    sock = platform.connect(name, edge=edge, context=context)
    try:
        connection = tls.HttpOver(sock, name)
        connection.request("GET", "/")
        assert connection.getresponse().read()
        return sock.session
    finally:
        sock.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_resumed_under_the_same_name(platform, version):
    context = tls.trust(platform.pebble.root, version=VERSIONS[version])
    platform.activate(ONE)
    session = ticket(platform, ONE, context, platform.edge)
    visit = platform.visit(ONE, edge=platform.edge, context=context, session=session)
    assert visit.resumed
    assert visit.status == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_full_handshake_with_its_own_certificate_under_another_name(platform, version):
    context = tls.trust(platform.pebble.root, version=VERSIONS[version])
    for name in (ONE, OTHER):
        platform.activate(name)
        platform.visit(name)
    session = ticket(platform, ONE, context, platform.edge)
    visit = platform.visit(OTHER, edge=platform.edge, context=context, session=session)
    assert not visit.resumed
    assert visit.names == [OTHER]
    assert visit.status == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_resumed_again_and_again(platform, version):
    context = tls.trust(platform.pebble.root, version=VERSIONS[version])
    platform.activate(ONE)
    session = ticket(platform, ONE, context, platform.edge)
    for _ in range(4):
        sock = platform.connect(ONE, edge=platform.edge, context=context, session=session)
        connection = tls.HttpOver(sock, ONE)
        connection.request("GET", "/")
        assert connection.getresponse().read()
        assert sock.session_reused
        session = sock.session
        sock.close()


def test_ticket_of_a_deleted_domain_does_not_resume(platform):
    from lab.process import wait_until
    context = tls.trust(platform.pebble.root)
    platform.activate(ONE)
    session = ticket(platform, ONE, context, platform.edge)
    platform.api.delete(ONE)
    wait_until(lambda: platform.refusal(ONE, edge=platform.edge).alert == "unrecognized_name", 5, "the name to go")
    with pytest.raises(ssl.SSLError):
        platform.visit(ONE, edge=platform.edge, context=context, session=session)
