"""dns-persist-01: one lasting TXT record, and a name has its certificate before it leads here, renewals included."""

import re
import subprocess
import time

import pytest

from lab.lab import Lab
from lab.pebble import finds, newer_pebble
from lab.place import program

NAME = "shop.brand.test"


@pytest.fixture(scope="module")
def scene(session):
    newer = newer_pebble()
    if newer is None:
        pytest.skip("needs Pebble 2.10, which Go cannot install here")
    lab = Lab(session)
    platform = lab.prepare(edges=1)
    platform.pebble.program = newer
    platform.pebble.config["caaIdentities"] = ["pebble.test"]
    platform.start()
    yield platform
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def prove(platform, name):
    domain = platform.api.add(name)
    platform.dns.publish_records([record for record in domain["records"] if record["type"] == "TXT"])
    assert platform.api.verify(name)["status"] == "active"


def explain(platform, name):
    done = subprocess.run([program("postern"), "explain", name, f"--database={platform.db.conninfo()}"], text=True,
                          timeout=30, stdout=subprocess.PIPE, check=True)
    return done.stdout


def value_for(platform, name):
    platform.db.wait("SELECT issuer_names <> '{}' FROM ca_accounts", 10)
    return re.search(r"value=\"?(pebble\.test; accounturi=[^\s\";]+(?:; policy=wildcard)?)", explain(platform, name))[1]


def ask_for(platform, name, reason="first_hit"):
    platform.db.query(f"SELECT enqueue_issuance('{name}', '{reason}')")


def wait_version(platform, name, above="0"):
    platform.db.wait(f"SELECT count(*) = 1 FROM certificates WHERE name = '{name}' AND version > {above}", 15)
    return platform.db.value(f"SELECT version FROM certificates WHERE name = '{name}'")


def test_a_name_that_leads_nowhere_is_issued_to_by_its_record(scene):
    prove(scene, NAME)
    scene.dns.publish(f"_validation-persist.{NAME}", "TXT", value_for(scene, NAME))
    ask_for(scene, NAME)
    version = wait_version(scene, NAME)
    while not finds(scene.stored(NAME)[0]):
        scene.db.query(f"DELETE FROM certificates WHERE name = '{NAME}'")
        ask_for(scene, NAME)
        version = wait_version(scene, NAME)
    assert scene.db.value("SELECT count(*) FROM challenges") == "0"
    # And again, as a renewal.
    scene.db.query(f"UPDATE certificates SET renew_at = now() - interval '1 day' WHERE name = '{NAME}'")
    ask_for(scene, NAME, "renewal")
    wait_version(scene, NAME, version)
    assert scene.db.value(f"SELECT standing FROM persist_records WHERE name = '{NAME}'") == "good"


def test_a_record_of_another_account_or_time_is_none(scene):
    name = "late.brand.test"
    prove(scene, name)
    value = value_for(scene, name)
    scene.dns.publish(f"_validation-persist.{name}", "TXT", f"{value}; persistUntil=1000000000", f"{value}0")
    orders = scene.pebble.orders()
    ask_for(scene, name)
    scene.db.wait(f"SELECT state = 'failed' AND last_cause = 'dns' AND foreseen FROM issuance_jobs WHERE name = '{name}'",
                  15)
    assert scene.pebble.orders() == orders


def test_a_record_that_ends_or_goes_is_noticed(scene):
    name = "fading.brand.test"
    prove(scene, name)
    value = value_for(scene, name)
    scene.dns.publish(f"_validation-persist.{name}", "TXT", f"{value}; persistUntil={int(time.time()) + 86400}")
    ask_for(scene, name)
    wait_version(scene, name)

    def standing(wanted):
        scene.db.wait(f"SELECT standing = '{wanted}' FROM persist_records WHERE name = '{name}'", 10)
    standing("ending")
    scene.dns.remove(f"_validation-persist.{name}")
    scene.db.query(f"UPDATE persist_records SET next_check_at = now() WHERE name = '{name}'")
    standing("gone")
    scene.acme.process.wait_log("needs the customer's care")
    assert "standing=gone" in explain(scene, name)


def test_without_a_record_the_other_challenges_serve(scene):
    name = "usual.brand.test"
    scene.activate(name)
    ask_for(scene, name)
    wait_version(scene, name)


def test_a_wildcard_wants_a_record_that_says_so(scene):
    name = "*.wild.test"
    scene.db.wait("SELECT issuer_names <> '{}' FROM ca_accounts", 10)
    value = value_for(scene, name)
    assert value.endswith("; policy=wildcard")
    scene.dns.publish("_validation-persist.wild.test", "TXT", value.replace("; policy=wildcard", ""))
    ask_for(scene, name)
    scene.db.wait(f"SELECT state = 'failed' AND foreseen FROM issuance_jobs WHERE name = '{name}'", 15)
    scene.dns.publish("_validation-persist.wild.test", "TXT", value)
    ask_for(scene, name, "pre_issue")
    wait_version(scene, name)
    assert scene.db.value(f"SELECT standing FROM persist_records WHERE name = '{name}'") == "good"
