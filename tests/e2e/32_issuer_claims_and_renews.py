"""Who is issued for and when: one order however many issuers, nothing for names that are not allowed or served already,
renewals that are due and no others."""

import subprocess

import pytest

from lab.issuance import Issuance
from lab.place import program
from lab.process import wait_until

NAME = "shop.brand.test"


@pytest.fixture
def issuance(lab):
    return Issuance(lab)


def claim_domain(issuance, name, status, tenant="default"):
    issuance.db.query(f"INSERT INTO domains (tenant, name, status, token) VALUES ('{tenant}', '{name}', '{status}', "
                      "'0123456789abcdef0123456789abcdef')")


def wait_closed(issuance, name):
    issuance.db.wait(f"SELECT state = 'idle' FROM issuance_jobs WHERE name = '{name}'")


def test_three_issuers_make_one_order_for_each_name(issuance):
    for _ in range(3):
        issuance.issuer().start(wait=False)
    for issuer in issuance.issuers:
        issuer.wait_ready()
    names = [f"n{index}.brand.test" for index in range(30)]
    for _ in range(5):
        issuance.ask_for(*names)
    issuance.wait_issued(*names, seconds=30)
    issuance.ask_for(*names)
    for name in names:
        wait_closed(issuance, name)
    assert {issuance.ca.orders_for(name) for name in names} == {1}
    assert "There are now 2 accounts" not in issuance.pebble.process.log()


def test_two_hundred_names_at_once(issuance):
    issuer = issuance.issuer(jobs="4").start()  # more at once, and Debian's Pebble may lock itself up
    names = [f"n{index}.brand.test" for index in range(200)]
    issuance.ask_for(*names)
    issuance.wait_issued(*names, seconds=60)
    wait_until(lambda: issuer.metric("postern_acme_orders_total", result="issued") == 200, 10, "it to be counted")
    assert issuer.metric("postern_acme_failures_total") == 0


def test_a_lost_notify_costs_a_second(issuance):
    issuance.issuer().start()
    issuance.db.query("INSERT INTO issuance_jobs (name, state, reason) VALUES ('a.brand.test', 'queued', 'first_hit')")
    issuance.wait_issued("a.brand.test", seconds=10)


def test_a_name_that_is_not_allowed_is_closed_without_the_ca(issuance):
    issuer = issuance.issuer().start()
    for count, status in enumerate(["pending", "suspended", "released"], 1):
        name = f"{status}.brand.test"
        claim_domain(issuance, name, status)
        issuance.ask_for(name)
        wait_until(lambda: issuer.metric("postern_acme_orders_total", result="forbidden") == count, 10, "the job's end")
        wait_closed(issuance, name)
    assert issuance.pebble.orders() == 0


def test_an_active_owner_counts_whatever_else_is_claimed(issuance):
    claim_domain(issuance, NAME, "active")
    issuance.db.query("INSERT INTO tenants VALUES ('b')")
    claim_domain(issuance, NAME, "pending", "b")
    issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)


def test_a_name_of_a_foreign_ask_endpoint_has_no_row_and_is_issued_for(issuance):
    issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)


def test_a_job_whose_certificate_is_there_is_closed_without_the_ca(issuance):
    issuer = issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    stored = issuance.stored(NAME)
    issuance.ask_for(NAME)
    wait_until(lambda: issuer.metric("postern_acme_orders_total", result="unneeded") == 1, 10, "the job to be closed")
    assert issuance.stored(NAME) == stored
    assert issuance.ca.orders_for(NAME) == 1


def test_a_damaged_certificate_counts_as_none(issuance):
    issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    for damage in ["chain_pem = left(chain_pem, 300)", "key_sealed = '\\x00'", "version = version - 1",
                   "not_after = now(), not_before = now()"]:
        serial = issuance.stored(NAME)[0]
        issuance.db.query(f"UPDATE certificates SET {damage}")
        issuance.ask_for(NAME, reason="repair")
        wait_until(lambda: issuance.stored(NAME)[0] != serial, 10, f"a new certificate after {damage}")
        wait_closed(issuance, NAME)


def test_due_certificates_are_renewed_and_no_others(issuance):
    issuer = issuance.issuer().start()
    names = [f"n{index}.brand.test" for index in range(5)]
    claim_domain(issuance, "n3.brand.test", "active")
    issuance.ask_for(*names)
    issuance.wait_issued(*names)
    before = {name: issuance.stored(name) for name in names}
    issuance.db.query("UPDATE domains SET status = 'suspended'")
    issuance.db.query("UPDATE certificates SET renew_at = now() WHERE name IN ('n1.brand.test', 'n3.brand.test')")
    issuer.restart()  # its upkeep begins with a look; else it comes every 30 s
    issuance.db.wait("SELECT renew_at > now() FROM certificates WHERE name = 'n1.brand.test'")
    after = {name: issuance.stored(name) for name in names}
    changed = [name for name in names if after[name] != before[name]]
    assert changed == ["n1.brand.test"]
    assert int(after["n1.brand.test"][1]) > int(before["n1.brand.test"][1])
    assert issuance.pebble.orders() == 6


def test_the_stored_key_is_sealed_and_opens(issuance):
    issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    dump = issuance.db.dump()
    assert "PRIVATE KEY" not in dump
    assert issuance.db.value("SELECT version = (SELECT max(fence) FROM issuance_jobs) FROM certificates") == "t"
    due = float(issuance.db.value("SELECT extract(epoch FROM renew_at - not_before) / extract(epoch FROM not_after - not_before) "
                                  "FROM certificates"))
    assert 0.64 < due < 0.69


def test_a_name_that_is_none_never_reaches_the_ca(issuance):
    issuance.issuer().start()
    for name in ['a.test"},{"type":"dns","value":"b.test', "a.test, b.test", "localhost", "192.0.2.1", "co.uk", "a..test"]:
        issuance.ask_for(name)
        assert issuance.wait_failed(name) == "rejected"
    assert issuance.pebble.orders() == 0


def test_a_database_that_was_restarted_delays_nothing(lab):
    issuance = Issuance(lab, own_postgres=True)
    issuance.issuer().start()
    lab.clusters[0].stop()
    lab.clusters[0].start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME, seconds=5)


def test_a_database_that_goes_away_in_the_middle_costs_no_order(lab):
    issuance = Issuance(lab, own_postgres=True, acme={"job_lease": "2s"})
    issuance.issuer().start()
    gate = issuance.ca.hold("finalize")
    issuance.ask_for(NAME)
    gate.arrived.wait(10)
    lab.clusters[0].stop()  # not kill: the laboratory's servers do not write through
    gate.open()
    lab.clusters[0].start()
    issuance.wait_issued(NAME, seconds=30)
    assert issuance.ca.orders_for(NAME) == 1


@pytest.mark.parametrize("setting, words", [
    ("--acme-directory=http://ca.test/dir", ["acme-directory", "https"]),
    ("--acme-contact=nobody", ["acme-contact", "ops@example.com"]),
    ("--challenge-types=dns-account-01", ["challenge-types", "tls-alpn-01"]),
    ("--jobs=65", ["jobs", "64"]),
    ("--seal-key-file=/nonexistent", ["seal-key-file", "/nonexistent"]),
    ("--acme-diretory=https://ca.test/", ["acme-diretory", "acme-directory"]),
    ("--database=nonsense", ["database"]),
])
def test_a_wrong_setting_ends_the_start_with_its_place_and_the_mend(session, setting, words):
    argv = [program("postern-acme"), "--database=dbname=x", f"--seal-key-file={session.seal_key}", setting]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=10, check=False)
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr, done.stderr
