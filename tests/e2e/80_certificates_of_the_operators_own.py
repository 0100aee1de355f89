"""An imported certificate is served on every node, replaced and removed under load; a wildcard's serves the names
under it, however many are invented."""

import ssl
import threading

import pytest

from lab import tls
from lab.lab import Lab
from lab.process import wait_until
from lab.uploads import Uploads

WILDCARD, NAME = "*.sandbox.saas.test", "shop.sandbox.saas.test"


@pytest.fixture(scope="module")
def scene(session):
    """One platform and the operator's CA for all tests of this file."""
    lab = Lab(session)
    platform = lab.platform()
    yield platform, Uploads(platform, lab.folder("operator"))
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def lookups(platform):
    return [edge.metric("postern_edge_broker_lookups_total") for edge in platform.edges]


def wait_for_serial(platform, uploads, name, serial):
    for edge in platform.edges:
        wait_until(lambda: platform.visit(name, edge=edge, context=uploads.trust).serial == serial, 10,
                   f"{edge.name} to serve the certificate")


def test_wildcard_serves_names_with_underscores(scene):
    platform, uploads = scene
    serial = uploads.add(WILDCARD)
    for edge in platform.edges:
        # OpenSSL's client checks names by rules that know no underscore: this one is checked by hand.
        visit = platform.visit(NAME, edge=edge, context=uploads.trust)
        assert (visit.status, visit.serial, visit.names) == (200, serial, [WILDCARD])
    uploads.trust.check_hostname = False
    visit = platform.visit("storename_a1b2.sandbox.saas.test", context=uploads.trust)
    uploads.trust.check_hostname = True
    assert (visit.status, visit.serial) == (200, serial)
    assert b'"host":"storename_a1b2.sandbox.saas.test"' in visit.body
    assert platform.refusal("sandbox.saas.test").alert == "unrecognized_name"
    assert platform.refusal("a_b.c.sandbox.saas.test").alert == "unrecognized_name"


def test_invented_names_cost_no_lookup(scene):
    platform, uploads = scene
    uploads.add(WILDCARD)
    for edge in platform.edges:
        platform.visit(NAME, edge=edge, context=uploads.trust)
    before = lookups(platform)
    cached = platform.edge.metric("postern_edge_site_cache_sites")

    def flood(which):
        for index in range(100):
            visit = platform.visit(f"junk-{which}-{index}.sandbox.saas.test", context=uploads.trust)
            assert visit.status == 200

    threads = [threading.Thread(target=flood, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lookups(platform) == before
    assert platform.edge.metric("postern_edge_site_cache_sites") == cached


def test_name_of_its_own_wins_over_the_wildcard(scene):
    platform, uploads = scene
    uploads.add(WILDCARD)
    platform.visit("own.sandbox.saas.test", context=uploads.trust)
    serial = uploads.add("own.sandbox.saas.test")
    wait_for_serial(platform, uploads, "own.sandbox.saas.test", serial)
    uploads.remove("own.sandbox.saas.test")
    for edge in platform.edges:
        wait_until(lambda: platform.visit("own.sandbox.saas.test", edge=edge, context=uploads.trust).names == [WILDCARD],
                   10, f"{edge.name} to go back to the wildcard")


class Visitors:
    """Visits without a pause until stopped."""

    def __init__(self, platform, uploads, name):
        self.serials, self.failures, self._stop = [], [], threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(platform, uploads, name, edge), daemon=True)
                         for edge in platform.edges]
        for thread in self._threads:
            thread.start()

    def _run(self, platform, uploads, name, edge):
        while not self._stop.is_set():
            try:
                self.serials.append(platform.visit(name, edge=edge, context=uploads.trust).serial)
            except OSError as error:
                self.failures.append(error)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


def test_replaced_under_load_by_rsa_and_back_without_a_failed_request(scene):
    platform, uploads = scene
    name = "busy.brand.test"
    serials = [uploads.add(name)]
    wait_for_serial(platform, uploads, name, serials[0])
    visitors = Visitors(platform, uploads, name)
    for rsa in (True, False):
        serials.append(uploads.add(name, rsa=rsa))
        wait_for_serial(platform, uploads, name, serials[-1])
    visitors.stop()
    assert not visitors.failures, visitors.failures[:3]
    assert set(visitors.serials) == set(serials)


def session_of(platform, name, context):
    sock = platform.connect(name, edge=platform.edge, context=context)
    connection = tls.HttpOver(sock, name)
    connection.request("GET", "/")
    connection.getresponse().read()
    session = sock.session
    sock.close()
    assert platform.visit(name, edge=platform.edge, context=context, session=session).resumed
    return session


def test_removed_certificate_is_gone_on_every_node(scene):
    platform, uploads = scene
    name = "leaves.brand.test"
    wait_for_serial(platform, uploads, name, uploads.add(name))
    contexts = [tls.trust(uploads.authority.ca, version=version)
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
    sessions = [session_of(platform, name, context) for context in contexts]
    uploads.remove(name)
    for edge in platform.edges:
        wait_until(lambda: platform.refusal(name, edge=edge).alert == "unrecognized_name", 10, f"{edge.name} to drop it")
        for context, session in zip(contexts, sessions):
            with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
                platform.visit(name, edge=edge, context=context, session=session)


def test_issuer_leaves_an_upload_alone(scene):
    platform, uploads = scene
    name = "own.brand.test"
    platform.activate(name)
    serial = uploads.add(name)
    wait_for_serial(platform, uploads, name, serial)
    before = platform.pebble.orders()
    platform.db.query(f"SELECT enqueue_issuance('{name}', 'repair')")
    wait_until(lambda: platform.job(name)[0] == "idle", 10, "the issuer to look at the name")
    assert platform.pebble.orders() == before
    assert platform.visit(name, context=uploads.trust).serial == serial


def test_expired_upload_of_a_claimed_name_is_replaced_by_the_issuer(scene):
    platform, uploads = scene
    name = "lapsed.brand.test"
    platform.activate(name)
    uploads.add(name)
    platform.db.query("UPDATE certificates SET not_after = now() - interval '1 minute', chain_pem = 'gone'"
                      f" WHERE name = '{name}'")
    visit = wait_until(lambda: platform.visit(name), 10, "a certificate of the CA's")
    assert visit.status == 200
    assert platform.db.value(f"SELECT source FROM certificates WHERE name = '{name}'") == "acme"


def test_what_is_wrong_is_told(scene):
    platform, uploads = scene
    chain, key = uploads.make("one.brand.test")
    _, other = uploads.make("one.brand.test")
    seal = f"--seal-public-file={platform.ground.seal_key}.pub"
    assert "not for two.brand.test" in uploads.fails("import", "two.brand.test", f"--chain={chain}", f"--key={key}", seal)
    assert "for this private key" in uploads.fails("import", "one.brand.test", f"--chain={chain}", f"--key={other}", seal)
    assert not platform.stored("one.brand.test")
