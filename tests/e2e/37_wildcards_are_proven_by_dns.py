"""A wildcard is validated by DNS alone; and the methods that CAA records allow are the only ones that are tried."""

import json
import re
import subprocess

import pytest

from lab.lab import Lab
from lab.place import free_port, program
from lab.recursor import Recursor

ZONE = "acme.saas.test"
WILDCARD = "*.sandbox.saas.test"


@pytest.fixture(scope="module")
def scene(session):
    """A CA that says how CAA records name it, and a zone for delegated validation."""
    lab = Lab(session)
    platform = lab.prepare(edges=1, faulty_ca=True, acme={"dns_zone": ZONE})

    def name_itself(status, _, body):
        directory = json.loads(body)
        directory["meta"]["caaIdentities"] = ["pebble.test"]
        return status, {"Content-Type": "application/json"}, json.dumps(directory).encode()
    platform.ca.change("directory", name_itself, times=None)
    back = platform.ground.address(2)
    zone_server = (back, free_port(back))
    platform.verifier.settings.update({"dns_listen": f"{back}:{zone_server[1]}", "dns_zone": ZONE,
                                       "dns_ns": ["ns1.saas.test", "ns2.saas.test"]})
    platform.pebble.dns = lab.use(Recursor(platform.ground.address(6), platform.dns, zone_server, ZONE)).server
    platform.start()
    yield platform
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def operator(scene, *words):
    done = subprocess.run([program("postern"), *words, f"--database={scene.db.conninfo()}"], text=True, timeout=90,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def delegate(scene, name):
    label = re.search(rf"_acme-challenge\.{name} CNAME (\w{{32}})\.", operator(scene, "explain", f"*.{name}")[1])[1]
    scene.dns.publish(f"_acme-challenge.{name}", "CNAME", f"{label}.{ZONE}")


def failure(scene, name):
    """(cause, words) of a failure that no order was placed for."""
    scene.db.wait(f"SELECT state = 'failed' AND foreseen FROM issuance_jobs WHERE name = '{name}'", 15)
    return tuple(scene.db.query(f"SELECT last_cause, last_error FROM issuance_jobs WHERE name = '{name}'")[0])


def wait_issued(scene, name, above=0):
    scene.db.wait(f"SELECT count(*) = 1 FROM certificates WHERE name = '{name}' AND version > {above}", 15)
    return int(scene.db.value(f"SELECT version FROM certificates WHERE name = '{name}'"))


def test_without_a_proof_in_dns_no_order_is_placed_and_the_record_is_named(scene):
    code, said = operator(scene, "certificate", "issue", WILDCARD)
    assert code == 1 and f"not issued: {WILDCARD} can be validated by DNS alone" in said, said
    cause, words = failure(scene, WILDCARD)
    assert cause == "dns" and "CNAME record _acme-challenge.sandbox.saas.test to " in words
    assert '_validation-persist.sandbox.saas.test "pebble.test; accounturi=' in words
    assert words.count("policy=wildcard") == 1
    assert scene.ca.orders_for(WILDCARD) == 0


def test_by_delegation_it_is_issued_served_renewed_and_reissued(scene):
    delegate(scene, "sandbox.saas.test")
    code, said = operator(scene, "certificate", "issue", WILDCARD)
    assert code == 0 and "issued: valid until" in said, said
    version = wait_issued(scene, WILDCARD)
    assert scene.db.value("SELECT string_agg(DISTINCT type, ' ') FROM challenges") == "dns-01"
    for name in ("acme.sandbox.saas.test", "demo.sandbox.saas.test"):
        assert scene.visit(name).status == 200
    assert "nothing to do" in operator(scene, "certificate", "issue", WILDCARD)[1]
    scene.db.query(f"UPDATE certificates SET renew_at = now() - interval '1 day' WHERE name = '{WILDCARD}'")
    scene.db.query(f"SELECT enqueue_issuance('{WILDCARD}', 'renewal')")
    version = wait_issued(scene, WILDCARD, version)
    code, said = operator(scene, "reissue", f"--name={WILDCARD}", "--reason=trial")
    assert code == 0, said
    wait_issued(scene, WILDCARD, version)
    assert scene.ca.orders_for(WILDCARD) == 3


def test_a_claim_of_a_wildcard_is_heeded(scene):
    name = "*.claimed.saas.test"
    scene.db.query(f"INSERT INTO domains (tenant, name, token) VALUES ('default', '{name}', repeat('x', 32))")
    code, said = operator(scene, "certificate", "issue", name)
    assert code == 1 and "active" in said
    delegate(scene, "claimed.saas.test")
    scene.db.query(f"UPDATE domains SET status = 'active' WHERE name = '{name}'")
    assert operator(scene, "certificate", "issue", name)[0] == 0


def test_issuewild_decides_about_wildcards(scene):
    name = "*.strict.test"
    scene.dns.publish("strict.test", "CAA", '0 issue "pebble.test"', '0 issuewild ";"')
    delegate(scene, "strict.test")
    assert operator(scene, "certificate", "issue", name)[0] == 1
    cause, words = failure(scene, name)
    assert cause == "caa" and 'CAA 0 issuewild "pebble.test"' in words
    scene.dns.publish("strict.test", "CAA", '0 issue ";"', '0 issuewild "pebble.test"')
    code, said = operator(scene, "certificate", "issue", name)
    assert code == 0, said


def test_only_methods_that_caa_records_allow_are_tried(scene):
    name = "www.methods.test"
    scene.dns.publish("methods.test", "CAA", '0 issue "pebble.test; validationmethods=http-01"')
    scene.activate(name)
    scene.db.query(f"SELECT enqueue_issuance('{name}', 'first_hit')")
    wait_issued(scene, name)
    assert scene.db.value(f"SELECT string_agg(DISTINCT type, ' ') FROM challenges WHERE name = '{name}'") == "http-01"


def test_where_no_method_is_left_the_record_is_named(scene):
    name = "www.nomethod.test"
    scene.dns.publish("nomethod.test", "CAA", '0 issue "pebble.test; validationmethods=dns-01"')
    scene.activate(name)
    scene.db.query(f"SELECT enqueue_issuance('{name}', 'first_hit')")
    cause, words = failure(scene, name)
    assert cause == "caa" and "records of nomethod.test allow validation by dns-01 alone" in words, words
    assert "tls-alpn-01,http-01" in words and "to validationmethods there" in words
    assert scene.ca.orders_for(name) == 0


def test_a_wildcard_whose_proof_caa_records_do_not_allow_is_told_so(scene):
    name = "*.narrow.test"
    scene.dns.publish("narrow.test", "CAA", '0 issue "pebble.test; validationmethods=http-01"')
    delegate(scene, "narrow.test")
    assert operator(scene, "certificate", "issue", name)[0] == 1
    cause, words = failure(scene, name)
    assert cause == "caa" and "add one of dns-01 to validationmethods there" in words, words
    assert scene.ca.orders_for(name) == 0
