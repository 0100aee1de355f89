"""A tenant's own certificate is served on every node within a second of its upload, for the names that the tenant has
proven and no others; it is replaced and removed without a gap, and nobody else renews it."""

import ssl

import pytest

from lab import tls
from lab.private_ca import P384, PrivateCA
from lab.process import wait_until

BRAND, OTHER = "brand-7", "other-3"


class Scene:
    def __init__(self, lab):
        self.platform = lab.platform()
        self.ca = PrivateCA(lab.folder("customer"))
        self.trust = tls.trust(self.ca.root_file)
        self.both = tls.trust(self.ca.root_file)
        self.both.load_verify_locations(self.platform.pebble.root)
        self.tokens = {tenant: self.platform.api.tenant_token(tenant) for tenant in (BRAND, OTHER)}

    def own(self, *names, tenant=BRAND):
        for name in names:
            self.platform.activate(name, tenant)

    def call(self, method, path, body=None, tenant=BRAND, **options):
        return self.platform.api.call(method, path, body, token=self.tokens.get(tenant), **options)

    def upload(self, issued, tenant=BRAND, **more):
        return self.call("POST", "/v1/certificates", {"chain": issued.chain, "key": issued.key, **more}, tenant)

    def kept(self, issued, tenant=BRAND, **more):
        """Uploads what must be taken. Returns the names of the rows."""
        status, answer = self.upload(issued, tenant, **more)
        assert status in (200, 201), answer
        return [row["name"] for row in answer["certificates"]]

    def shown(self, name, tenant=BRAND):
        status, answer = self.call("GET", f"/v1/certificates/{name}", tenant=tenant)
        return answer if status == 200 else None

    def serves(self, name, issued, seconds=15):
        for edge in self.platform.edges:
            wait_until(lambda: self.platform.visit(name, edge=edge, context=self.both).serial == issued.serial, seconds,
                       f"{edge.name} to serve the upload for {name}")

    def brings(self, name):
        """What the brand, which proves the name, has uploaded for it, served by every node."""
        self.own(name)
        issued = self.ca.issue(name)
        self.kept(issued)
        self.serves(name, issued)
        return issued

    def goes_back_to_the_ca(self, name, issued):
        for edge in self.platform.edges:
            wait_until(lambda: self.platform.visit(name, edge=edge, context=self.both).serial != issued.serial, 30,
                       f"{edge.name} to serve the CA's for {name}")

    def refuses(self, name):
        for edge in self.platform.edges:
            wait_until(lambda: self.platform.refusal(name, edge=edge).alert == "unrecognized_name", 5, f"{name} to go")


@pytest.fixture(scope="module")
def scene(shared_lab):
    return Scene(shared_lab)


def test_upload_takes_the_place_of_what_the_ca_issued(scene):
    name = "shop.brand.test"
    scene.own(name)
    assert scene.platform.visit(name).status == 200
    issued = scene.ca.issue(name, "www.brand.test")
    status, answer = scene.upload(issued)
    assert status == 201, answer
    assert answer["left_out"] == ["www.brand.test"]
    row = answer["certificates"][0]
    assert (row["name"], row["tenant"], row["source"], row["renew_at"], row["warning"]) == (name, BRAND, "upload", None, None)
    assert row["issuer"] == "Customer's intermediate" and row["serial"].lower() == issued.serial
    scene.serves(name, issued)
    domain = scene.platform.api.show(name, BRAND)["certificate"]
    assert (domain["state"], domain["source"], domain["issuer"]) == ("issued", "upload", "Customer's intermediate")
    assert scene.platform.refusal("www.brand.test").alert == "unrecognized_name"
    events = scene.call("GET", f"/v1/events?name={name}&event=certificate_uploaded")[1]["events"]
    assert len(events) == 1 and issued.serial.upper() in events[0]["detail"] and events[0]["actor"].startswith("token:")


@pytest.mark.parametrize("kind", ["rsa", "p384", "encrypted", "scrypt", "legacy", "shuffled", "text around"])
def test_keys_and_chains_come_in_many_forms(scene, kind):
    name = f"{kind.replace(' ', '-')}.forms.test"
    scene.own(name)
    issued = scene.ca.issue(name, kind=("rsa:2048",) if kind in ("rsa", "legacy") else P384 if kind == "p384" else None or
                            ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"))
    more = {}
    if kind in ("encrypted", "scrypt"):
        issued.key = scene.ca.encrypt(issued.key, "correct horse", *(["-scrypt"] if kind == "scrypt" else []))
        more["passphrase"] = "correct horse"
    elif kind == "legacy":
        issued.key = scene.ca.convert(issued.key, "rsa", "-in", "in.pem", "-traditional", "-aes128", "-passout", "pass:old")
        assert "Proc-Type" in issued.key
        more["passphrase"] = "old"
    elif kind == "shuffled":
        issued.chain = scene.ca.root + scene.ca.middle + issued.leaf
    elif kind == "text around":
        issued.chain = f"Bag Attributes\n  friendlyName: x\n{issued.leaf}\r\nissuer=y\n{scene.ca.middle}{scene.ca.root}"
        issued.key = f"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{issued.key}"
    assert scene.kept(issued, **more) == [name]
    scene.serves(name, issued)


def test_replaced_without_a_gap_and_shown_to_those_who_resume(scene):
    name = "again.brand.test"
    scene.brings(name)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = tls.trust(scene.ca.root_file, version=version)
        session = session_of(scene, name, context)
        assert scene.platform.visit(name, edge=scene.platform.edges[1], context=context, session=session).resumed
        second = scene.ca.issue(name)
        status, _ = scene.upload(second)
        assert status == 200
        scene.serves(name, second)
        for edge in scene.platform.edges:
            visit = scene.platform.visit(name, edge=edge, context=context, session=session)
            assert (visit.resumed, visit.serial) == (False, second.serial)


def session_of(scene, name, context):
    sock = scene.platform.connect(name, edge=scene.platform.edge, context=context)
    connection = tls.HttpOver(sock, name)
    connection.request("GET", "/")
    connection.getresponse().read()
    session = sock.session
    sock.close()
    return session


def test_wildcard_serves_what_its_owner_has_proven_and_nothing_else(scene):
    base, wildcard = "wild.test", "*.wild.test"
    scene.own(base, f"early.{base}")
    scene.own(f"theirs.{base}", tenant=OTHER)
    for name in (f"early.{base}", f"theirs.{base}"):
        scene.platform.visit(name)
    orders = scene.platform.pebble.orders()
    issued = scene.ca.issue(base, wildcard)
    assert scene.kept(issued) == [wildcard, base]
    scene.serves(base, issued)
    scene.serves(f"early.{base}", issued)
    scene.own(f"later.{base}")
    scene.serves(f"later.{base}", issued)
    scene.refuses(f"invented.{base}")
    scene.refuses(f"deeper.early.{base}")
    assert scene.platform.visit(f"theirs.{base}", context=scene.both).serial != issued.serial
    assert scene.platform.api.show(f"later.{base}", BRAND)["certificate"]["source"] == "upload"
    assert scene.platform.api.show(f"theirs.{base}", OTHER)["certificate"]["source"] == "acme"
    for reason in ("first_hit", "reissue"):
        scene.platform.db.query(f"SELECT enqueue_issuance('later.{base}', '{reason}')")
        wait_until(lambda: scene.platform.job(f"later.{base}")[0] == "idle", 10, "the issuer to leave it alone")
    assert scene.platform.pebble.orders() == orders
    # Another tenant can neither see, nor replace, nor remove it.
    assert scene.shown(wildcard, OTHER) is None
    forged = scene.ca.issue(wildcard)
    assert scene.kept(forged, OTHER) == [f"theirs.{base}"]
    assert scene.call("DELETE", f"/v1/certificates/{wildcard}", tenant=OTHER)[0] == 404
    scene.serves(f"early.{base}", issued)
    scene.serves(f"theirs.{base}", forged)


def test_removal_leads_back_to_the_ca_without_a_gap(scene):
    name = "leaves.brand.test"
    issued = scene.brings(name)
    scene.platform.acme.freeze()
    try:
        status, answer = scene.call("DELETE", f"/v1/certificates/{name}")
        assert (status, answer["state"]) == (202, "replacing")
        shown = scene.shown(name)
        assert shown["removed_at"] and shown["source"] == "upload" and shown["warning"] is None
        scene.serves(name, issued)
    finally:
        scene.platform.acme.thaw()
    scene.goes_back_to_the_ca(name, issued)
    shown = scene.shown(name)
    assert (shown["source"], shown["removed_at"], shown["tenant"]) == ("acme", None, BRAND)
    assert scene.call("DELETE", f"/v1/certificates/{name}")[1]["code"] == "issued_certificate"


def test_removed_wildcard_goes_when_no_name_needs_it(scene):
    base, wildcard = "many.test", "*.many.test"
    names = [f"{label}.{base}" for label in "abc"]
    scene.own(base, *names)
    scene.platform.visit(names[0])
    issued = scene.ca.issue(wildcard)
    assert scene.kept(issued) == [wildcard]
    for name in names:
        scene.serves(name, issued)
    assert scene.call("DELETE", f"/v1/certificates/{wildcard}")[0] == 202
    for name in names:
        wait_until(lambda: scene.platform.visit(name, context=scene.both).serial != issued.serial, 40, f"{name}'s own")
    assert scene.shown(wildcard)["removed_at"]
    scene.platform.db.query("SELECT upload_tend()")
    assert scene.shown(wildcard) is None


def test_removed_at_once_is_served_no_longer(scene):
    name = "gone.brand.test"
    issued = scene.brings(name)
    context = tls.trust(scene.ca.root_file)
    session = session_of(scene, name, context)
    scene.platform.acme.freeze()
    try:
        assert scene.call("DELETE", f"/v1/certificates/{name}?at_once=true")[0] == 204
        assert scene.shown(name) is None
        for edge in scene.platform.edges:
            with pytest.raises((ssl.SSLError, TimeoutError)):
                for _ in range(100):
                    scene.platform.visit(name, edge=edge, context=context, session=session, timeout=2)
    finally:
        scene.platform.acme.thaw()
    scene.goes_back_to_the_ca(name, issued)


def test_suspended_name_is_neither_resumed_nor_served(scene):
    name = "stopped.brand.test"
    scene.brings(name)
    context = tls.trust(scene.ca.root_file)
    session = session_of(scene, name, context)
    scene.platform.api.call("POST", f"/v1/domains/{name}/suspend?tenant={BRAND}")
    scene.refuses(name)
    for edge in scene.platform.edges:
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            scene.platform.visit(name, edge=edge, context=context, session=session)
    assert scene.kept(scene.ca.issue(name)) == [name]
    scene.refuses(name)


def test_who_takes_a_name_over_does_not_inherit_the_key(scene):
    name = "moves.brand.test"
    issued = scene.brings(name)
    fresh = scene.platform.api.add(name, OTHER)
    for record in scene.platform.api.show(name, BRAND)["records"]:
        scene.platform.dns.remove(record["name"])
    scene.platform.dns.publish_records(fresh["records"])
    assert scene.platform.api.verify(name, OTHER)["status"] == "active"
    scene.goes_back_to_the_ca(name, issued)
    assert scene.shown(name) is None
    assert scene.shown(name, OTHER)["source"] == "acme"
    assert scene.upload(scene.ca.issue(name))[0] == 403


def test_owner_who_returns_finds_the_upload(scene):
    name = "returns.brand.test"
    issued = scene.brings(name)
    orders = scene.platform.pebble.orders()
    scene.platform.api.delete(name, BRAND)
    scene.refuses(name)
    scene.own(name)
    scene.serves(name, issued)
    assert scene.platform.pebble.orders() == orders


def test_operator_may_say_for_which_names(scene):
    sandbox = "*.sandbox.saas.test"
    issued = scene.ca.issue(sandbox, "shop.claimed.test")
    assert scene.upload(issued, tenant=None)[1]["code"] == "name_not_yours"
    scene.own("shop.claimed.test")
    assert scene.kept(issued, tenant=None) == ["shop.claimed.test"]
    assert scene.shown("shop.claimed.test")["tenant"] == BRAND
    assert scene.kept(issued, tenant=None, names=[sandbox]) == [sandbox]
    scene.serves("whatever.sandbox.saas.test", issued)
    assert scene.call("DELETE", f"/v1/certificates/{sandbox}", tenant=None)[0] == 204
    scene.refuses("whatever.sandbox.saas.test")
    status, answer = scene.upload(scene.ca.issue("shop.claimed.test"), tenant=None, names=["www.claimed.test"])
    assert (status, answer["code"]) == (400, "name_not_covered")


def test_owners_are_warned_before_the_end(scene):
    name = "ends.brand.test"
    scene.own(name)
    scene.kept(scene.ca.issue(name))
    for left, days in (("29 days", 30), ("6 days 23:00", 10), ("23 hours", 1), ("-1 minute", 0)):
        scene.platform.db.query("UPDATE certificates SET not_before = now() - interval '300 days',"
                                f" not_after = now() + interval '{left}' WHERE name = '{name}'")
        for _ in range(2):
            scene.platform.db.query("SELECT upload_tend()")
        assert scene.platform.db.value(f"SELECT warned_days FROM certificates WHERE name = '{name}'") == str(days)
        shown = scene.shown(name)
        assert "upload its successor" in shown["warning"]
        assert (shown["days_left"] < 0) == (days == 0)
    events = [event["event"] for event in scene.call("GET", f"/v1/events?name={name}")[1]["events"]]
    assert events[:4] == ["certificate_expired"] + ["certificate_expiring"] * 3
    listed = scene.call("GET", "/v1/certificates?source=upload&expires_within=1")[1]["certificates"]
    assert [row["name"] for row in listed] == [name]


def test_if_match_and_idempotency(scene):
    name = "tags.brand.test"
    scene.own(name)
    issued = scene.ca.issue(name)
    body = {"chain": issued.chain, "key": issued.key}
    first = scene.call("POST", "/v1/certificates", body, headers={"Idempotency-Key": "up-1"})
    version = scene.platform.stored(name)[1]
    again = scene.call("POST", "/v1/certificates", body, headers={"Idempotency-Key": "up-1"})
    assert first[0] == 201 and again == first and scene.platform.stored(name)[1] == version
    assert scene.call("DELETE", f"/v1/certificates/{name}", headers={"If-Match": '"0000000000000000"'})[0] == 412
    assert scene.shown(name)["removed_at"] is None
