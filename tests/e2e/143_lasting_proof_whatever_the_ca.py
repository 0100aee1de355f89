"""dns-persist-01 with Debian's Pebble, whose authorizations are made to offer it: taken where DNS shows the customer's record,
and only there; without a challenge of ours; looked after, so that one that ends or goes is known early."""

import json
import time

import pytest

from lab.issuance import Issuance
from lab.knot import Knot
from lab.process import wait_until

ISSUER = "persist-ca.test"


@pytest.fixture
def scene(lab):
    """Nobody says where names lead: an order stops for want of proof alone. `scene.offer` changes what is offered."""
    issuance = Issuance(lab)
    issuance.dns = lab.use(Knot(issuance.ground.folder("knot"), issuance.ground.address(2))).start()
    issuance.offer = {"issuer-domain-names": [ISSUER]}

    def offer(status, headers, body):
        document = json.loads(body)
        document["challenges"] = [
            {key: value for key, value in one.items() if key != "token"} | {"type": "dns-persist-01"} | issuance.offer
            if one["type"] == "http-01" else one for one in document["challenges"]]
        return status, headers, json.dumps(document).encode()

    def identify(status, headers, body):
        directory = json.loads(body)
        directory["meta"]["caaIdentities"] = [ISSUER]
        return status, headers, json.dumps(directory).encode()
    issuance.ca.change("authorization", offer, None)
    issuance.ca.change("directory", identify, None)
    issuance.start = lambda **settings: issuance.issuer(preflight="on", dns_stub=issuance.dns.stub, **settings).start()
    issuance.start(challenge_types="dns-persist-01,tls-alpn-01").stop()
    issuance.account = issuance.db.value("SELECT account_url FROM ca_accounts")
    issuance.value = f"{ISSUER}; accounturi={issuance.account}"
    return issuance


def types_used(issuance, name):
    return issuance.db.value(f"SELECT coalesce(string_agg(DISTINCT type, ' '), 'none') FROM challenges WHERE name = '{name}'")


def issue(scene, name):
    scene.ask_for(name)
    scene.wait_issued(name)
    return types_used(scene, name)


def test_a_record_that_is_seen_is_proof_enough(scene):
    scene.start(challenge_types="dns-persist-01")
    # In two strings, as a long record may be; the name itself is not even in DNS.
    half = len(scene.value) // 2
    scene.dns.publish("_validation-persist.www.split.test", "TXT", f'"{scene.value[:half]}" "{scene.value[half:]}"')
    assert issue(scene, "www.split.test") == "none", "no challenge of ours was needed"
    assert scene.ca.arrivals["www.split.test", "challenge"] == 1
    # Renewed by the same record.
    before = scene.stored("www.split.test")
    scene.db.query("UPDATE certificates SET renew_at = now() - interval '1 h'")
    scene.ask_for("www.split.test", reason="renewal")
    wait_until(lambda: scene.stored("www.split.test") != before, 15, "the renewal")


FOREIGN = {
    "another-account": lambda value: value + "7",
    "ended": lambda value: f"{value}; persistUntil={int(time.time()) - 60}",
    "twice": lambda value: f"{value}; accounturi=https://ca.test/other",
    "nonsense": lambda value: value.replace("; ", "; ;; "),
}


def test_any_other_record_is_none(scene):
    scene.start(challenge_types="dns-persist-01")
    names = {f"www.{slug}.test": change for slug, change in FOREIGN.items()}
    for name, change in names.items():
        scene.dns.publish(f"_validation-persist.{name}", "TXT", change(scene.value))
    scene.ask_for(*names, "www.without.test")
    for name in [*names, "www.without.test"]:
        assert scene.wait_failed(name) == "dns"
        words = scene.db.value(f"SELECT last_error FROM issuance_jobs WHERE name = '{name}'")
        assert f"_validation-persist.{name}" in words and scene.account in words, words
        assert scene.ca.orders_for(name) == 0


@pytest.mark.parametrize("names", [[], [ISSUER] * 11, [""], [7], "text", [ISSUER + "." + "x" * 300]],
                         ids=["none", "eleven", "empty", "number", "text", "too-long"])
def test_an_offer_that_is_malformed_is_passed_over(scene, names):
    scene.offer = {"issuer-domain-names": names}
    scene.dns.publish("_validation-persist.www.brand.test", "TXT", scene.value)
    scene.start(challenge_types="dns-persist-01,tls-alpn-01")
    assert issue(scene, "www.brand.test") == "tls-alpn-01"


def test_another_issuer_than_the_record_names_is_passed_over(scene):
    scene.offer = {"issuer-domain-names": ["renamed-ca.test"]}
    scene.dns.publish("_validation-persist.www.brand.test", "TXT", scene.value)
    scene.start(challenge_types="dns-persist-01,tls-alpn-01")
    assert issue(scene, "www.brand.test") == "tls-alpn-01"


def test_what_ends_changes_or_goes_is_known_early(scene):
    issuer = scene.start(challenge_types="dns-persist-01")
    records = {"lasting": scene.value, "ending": f"{scene.value}; persistUntil={int(time.time()) + 20 * 86400}",
               "drifting": scene.value, "going": scene.value}
    for label, value in records.items():
        scene.dns.publish(f"_validation-persist.www.{label}.test", "TXT", value)
        issue(scene, f"www.{label}.test")
    scene.dns.publish("_validation-persist.www.drifting.test", "TXT", scene.value + "7")
    scene.dns.remove("_validation-persist.www.going.test")
    scene.db.query("UPDATE persist_records SET next_check_at = now()")
    wanted = {"www.lasting.test": "good", "www.ending.test": "ending", "www.drifting.test": "foreign", "www.going.test": "gone"}
    wait_until(lambda: dict(scene.db.query("SELECT name, standing FROM persist_records")) == wanted, 15, "every standing")
    for name, standing in list(wanted.items())[1:]:
        issuer.process.wait_log(f"needs the customer's care name={name} standing={standing}")
    assert scene.db.value("SELECT min(next_check_at) > now() + interval '21 h' FROM persist_records") == "t"
