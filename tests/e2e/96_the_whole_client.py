"""What an ACME client is asked for beyond a certificate: external accounts, another key for the account over a fleet, its
end, revocation, other chains and keys, profiles, renewal information, and a second CA."""

import base64
import json
import re

import pytest

from lab.issuance import Issuance
from lab.knot import Knot
from lab.pebble import finds, newer_pebble
from lab.process import run, wait_until

NAME = "shop.brand.test"
MAC = b"an external account's key, known to both"


def account(issuance):
    return issuance.db.query("SELECT account_url, key_version, status, coalesce(contact, '') FROM ca_accounts")[0]


def issue(issuance, *names):
    issuance.ask_for(*names)
    issuance.wait_issued(*names, seconds=30)


def certificate_text(issuance, name):
    chain = issuance.db.value(f"SELECT replace(chain_pem, E'\\n', '|') FROM certificates WHERE name = '{name}'")
    return run(["openssl", "x509", "-noout", "-text"], input=chain.replace("|", "\n"))


def test_an_account_is_rolled_over_ended_and_made_anew_while_two_issuers_work(lab):
    issuance = Issuance(lab)
    for _ in range(2):
        issuance.issuer(acme_contact="ops@saas.test").start()
    issue(issuance, "a.brand.test", "b.brand.test")
    url, version, _, contact = account(issuance)
    assert (version, contact) == ("1", "ops@saas.test")

    done = issuance.operator("acme", "rollover")
    assert done.returncode == 0, done.stdout
    assert account(issuance)[:2] == [url, "2"]
    assert issuance.db.value("SELECT key_next_sealed IS NULL FROM ca_accounts") == "t"
    names = [f"n{index}.brand.test" for index in range(6)]
    issue(issuance, *names)
    assert issuance.db.value("SELECT count(*) FROM failures") == "0"

    # An answer that is lost is looked up with both keys.
    issuance.ca.lose("key-change")
    done = issuance.operator("acme", "rollover")
    assert done.returncode == 0, done.stdout
    assert account(issuance)[:2] == [url, "3"]
    assert issuance.ca.seen["key-change"] == 2
    # One that never reached the CA leaves the old key in use, and the next try has another.
    issuance.ca.fail("key-change", status=500)
    done = issuance.operator("acme", "rollover")
    assert done.returncode == 0, done.stdout
    assert account(issuance)[:2] == [url, "4"]
    assert issuance.ca.seen["key-change"] == 3
    issue(issuance, "c.brand.test")

    issuance.issuers[0].restart(acme_contact="other@saas.test")
    issuance.db.wait("SELECT contact = 'other@saas.test' FROM ca_accounts")

    assert issuance.operator("acme", "deactivate").returncode == 2
    done = issuance.operator("acme", "deactivate", f"--directory={issuance.ca.directory_url}")
    assert done.returncode == 0, done.stdout
    issuance.ask_for("late.brand.test")
    issuance.wait_failed("late.brand.test")
    assert "postern acme register" in issuance.db.value("SELECT last_error FROM issuance_jobs WHERE state = 'failed'")
    assert issuance.operator("acme", "register").returncode == 0
    for issuer in issuance.issuers:
        issuer.restart()
    issuance.retry_soon()
    issuance.wait_issued("late.brand.test")
    assert account(issuance)[0] != url
    assert "deactivate" in issuance.operator("acme", "tasks").stdout


def test_a_certificate_is_revoked_by_account_and_by_its_own_key(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    issue(issuance, NAME)
    first = issuance.stored(NAME)
    done = issuance.operator("certificate", "revoke", NAME, "--reason=keyCompromise")
    assert done.returncode == 0, done.stdout
    issuance.db.wait(f"SELECT version > {first[1]} AND revoked_at IS NULL FROM certificates")
    assert issuance.db.value("SELECT count(*) FROM barred_keys") == "1"
    assert issuance.db.value("SELECT count(*) FROM ca_tasks WHERE key_sealed IS NOT NULL") == "0"
    second = issuance.stored(NAME)
    issuance.db.wait("SELECT state = 'idle' FROM issuance_jobs")
    done = issuance.operator("certificate", "revoke", NAME, "--reason=cessationOfOperation", "--by-key=on")
    assert done.returncode == 0, done.stdout
    assert issuance.stored(NAME) == second
    assert issuance.db.value("SELECT revoked_reason FROM certificates") == "5"
    # Once more: the CA says alreadyRevoked, which is what was wanted.
    done = issuance.operator("certificate", "revoke", NAME, "--reason=cessationOfOperation")
    assert done.returncode == 0, done.stdout
    assert issuance.ca.seen["revoke"] == 3
    assert issuance.operator("certificate", "revoke", "nobody.brand.test").returncode == 1


REVOCATION_STEPS = ["task-claimed", "key-barred", "before-revoke", "after-revoke", "revocation-noted", "successor-asked-for"]


@pytest.mark.parametrize("words", [["--reason=keyCompromise"], ["--reason=cessationOfOperation", "--by-key=on"]],
                         ids=["account", "key"])
def test_a_revocation_whose_issuer_dies_is_finished_by_another(lab, words):
    by_key = len(words) == 2
    steps = [step for step in REVOCATION_STEPS if not by_key or step not in ("key-barred", "successor-asked-for")]
    issuance = Issuance(lab, crash_points=True)
    steady = issuance.issuer().start()
    names = {step: f"{step}.brand.test" for step in steps}
    issue(issuance, *names.values())
    steady.stop()
    before = {name: issuance.stored(name) for name in names.values()}
    for step, name in names.items():
        victim = issuance.issuer(kill_at=step).start()
        operator = issuance.operator_begins("certificate", "revoke", name, *words)
        wait_until(lambda: not victim.process.alive, 10, f"the issuer to die at {step}")
        assert operator.poll() is None, "the operator waits for the end"
        issuance.db.query("UPDATE ca_tasks SET lease_until = now() WHERE state = 'running'; "
                          "UPDATE issuance_jobs SET lease_until = now()")
        second = issuance.issuer().start()
        assert operator.wait(20) == 0, (step, operator.stdout.read())
        if by_key:
            assert issuance.db.value(f"SELECT revoked_reason FROM certificates WHERE name = '{name}'") == "5", step
            assert issuance.stored(name) == before[name]
        else:
            issuance.db.wait(f"SELECT version > {before[name][1]} AND revoked_at IS NULL FROM certificates WHERE name = '{name}'")
        second.stop()
        assert issuance.ca.orders_for(name) == (1 if by_key else 2), step
    # What the CA had done already was asked for once more, and nothing else was.
    assert issuance.ca.seen["revoke"] == len(steps) + len([step for step in steps if step in REVOCATION_STEPS[3:]])
    assert issuance.db.value("SELECT count(*) FROM barred_keys") == str(0 if by_key else len(steps))
    assert issuance.db.value("SELECT count(*) FROM ca_tasks WHERE key_sealed IS NOT NULL OR state <> 'done'") == "0"


def test_an_external_account_is_bound(lab):
    kid, text = "kid-1", base64.urlsafe_b64encode(MAC).decode()
    issuance = Issuance(lab, pebble_config={"externalAccountBindingRequired": True,
                                            "externalAccountMACKeys": {kid: text.rstrip("=")}})
    path = f"{issuance.ground.directory}/eab"
    with open(path, "w") as file:
        file.write(text + "\n")
    without = issuance.issuer().start(wait=False)
    issuance.ask_for(NAME)
    issuance.wait_failed(NAME)
    assert "acme-eab-kid" in issuance.db.value("SELECT last_error FROM issuance_jobs")
    without.stop()
    issuance.issuer(acme_eab_kid=kid, acme_eab_key_file=path).start()
    issuance.retry_soon()
    issuance.wait_issued(NAME)
    assert issuance.db.value("SELECT count(*) FROM ca_accounts WHERE account_url IS NOT NULL") == "1"


def test_keys_and_chains_are_what_the_settings_say(lab):
    issuance = Issuance(lab, pebble_environment={"PEBBLE_ALTERNATE_ROOTS": "2", "PEBBLE_CHAIN_LENGTH": "2"})
    for key, words in [("p384", "secp384r1"), ("rsa2048", "2048 bit")]:
        issuer = issuance.issuer(certificate_key=key).start()
        issue(issuance, f"{key}.brand.test")
        assert words in certificate_text(issuance, f"{key}.brand.test")
        issuer.stop()
    roots = [re.search("CN ?= ?(.*)", run(["openssl", "x509", "-noout", "-subject"], input=issuance.pebble.root_pem(index)))[1]
             for index in range(3)]
    for index, root in enumerate(roots):
        issuer = issuance.issuer(preferred_chain=root).start()
        name = f"root{index}.brand.test"
        issue(issuance, name)
        chain = issuance.db.value(f"SELECT replace(chain_pem, E'\\n', '|') FROM certificates WHERE name = '{name}'")
        top = chain.split("-----BEGIN")[-1].replace("|", "\n")
        assert f"CN = {root}" in run(["openssl", "x509", "-noout", "-issuer"], input="-----BEGIN" + top)
        issuer.stop()
    issuance.issuer(preferred_chain="a root that nobody has").start()
    issue(issuance, NAME)


def test_the_second_ca_takes_over_what_the_first_cannot_do_and_gives_it_back(lab):
    issuance = Issuance(lab, second_ca=True)
    issuance.issuer().start()
    first, second = issuance.ca, issuance.second_ca
    far = {"Retry-After": "7200"}
    issuance.ca.fail("new-order", status=429, problem="rateLimited", headers=far)
    issue(issuance, "limited.brand.test")
    # The ledger holds the whole account back from the first CA now, which has scenarios of its own.
    issuance.db.query("DELETE FROM ca_budget")
    issuance.ca.fail("new-order", status=403, problem="caa")
    issue(issuance, "caa.brand.test")
    assert issuance.db.query("SELECT DISTINCT directory FROM certificates") == [[second.directory_url]]
    assert [second.orders_for(name) for name in ("limited.brand.test", "caa.brand.test")] == [1, 1]

    # Trouble that passes is waited for; trouble that lasts is not.
    issuance.ca.fail("new-order", status=500, times=2)
    issuance.ask_for("short.brand.test")
    for attempt in (1, 2):
        issuance.db.wait(f"SELECT state = 'failed' AND attempts = {attempt} FROM issuance_jobs "
                         "WHERE name = 'short.brand.test'")
        issuance.retry_soon()
    issuance.wait_issued("short.brand.test")
    assert second.orders_for("short.brand.test") == 0
    issuance.ca.fail("finalize", status=500, times=None)
    issuance.ca.fail("order", status=500, times=None)
    issuance.ask_for("long.brand.test")
    for attempt in (1, 2):
        issuance.db.wait(f"SELECT state = 'failed' AND attempts = {attempt} FROM issuance_jobs "
                         "WHERE name = 'long.brand.test'", 20)
        assert second.orders_for("long.brand.test") == 0
        issuance.retry_soon()
    issuance.wait_issued("long.brand.test", seconds=30)
    assert (first.orders_for("long.brand.test"), second.orders_for("long.brand.test")) == (1, 1)
    issuance.ca.clear()
    assert "passed_over_until" in issuance.operator("explain", "long.brand.test").stdout

    # A renewal after its time goes to the first again.
    issuance.db.query("UPDATE ca_trouble SET retry_at = now(); UPDATE certificates SET renew_at = now()")
    issuance.ask_for("limited.brand.test", reason="renewal")
    issuance.db.wait(f"SELECT directory = '{first.directory_url}' FROM certificates WHERE name = 'limited.brand.test'")
    assert issuance.db.value("SELECT count(*) FROM ca_trouble WHERE name = 'limited.brand.test'") == "0"


def test_a_caa_record_sends_a_name_to_the_second_ca(lab):
    """Not to the first, which would refuse it, and to neither where neither is allowed."""
    issuance = Issuance(lab, second_ca=True)
    dns = lab.use(Knot(issuance.ground.folder("knot"), issuance.ground.address(2))).start()

    def identity(name):
        def change(status, headers, body):
            directory = json.loads(body)
            directory["meta"]["caaIdentities"] = [name]
            return status, headers, json.dumps(directory).encode()
        return change
    issuance.ca.change("directory", identity("first-ca.test"), times=None)
    issuance.second_ca.change("directory", identity("second-ca.test"), times=None)
    records = {"first": ['0 issue "first-ca.test"'], "second": ['0 issue "second-ca.test"'],
               "both": ['0 issue "second-ca.test"', '0 issue "first-ca.test"'], "neither": ['0 issue ";"']}
    for label, values in records.items():
        dns.publish(f"{label}.test", "CAA", *values)
        dns.publish(f"www.{label}.test", "A", issuance.ground.address(2))
    # Where the names lead is not asked for: nobody told the issuer where "here" is.
    issuance.issuer(preflight="on", dns_stub=dns.stub).start()
    issuance.ask_for(*[f"www.{label}.test" for label in records])
    issuance.wait_issued("www.first.test", "www.second.test", "www.both.test", seconds=30)
    placed = {label: (issuance.ca.orders_for(f"www.{label}.test"), issuance.second_ca.orders_for(f"www.{label}.test"))
              for label in records}
    assert placed == {"first": (1, 0), "second": (0, 1), "both": (1, 0), "neither": (0, 0)}
    assert issuance.wait_failed("www.neither.test") == "caa"
    words = issuance.db.value("SELECT last_error FROM issuance_jobs WHERE name = 'www.neither.test'")
    assert "neither.test" in words and "CAA" in words, words


def test_a_refusal_that_is_not_the_cas_ends_no_account(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    issue(issuance, NAME)
    issuance.ca.fail("account", status=403, body="<html>a firewall says no</html>")
    done = issuance.operator("acme", "deactivate", f"--directory={issuance.ca.directory_url}")
    assert done.returncode == 1, done.stdout
    assert account(issuance)[2] == "valid"


def test_the_second_ca_has_an_account_a_contact_and_a_profile_of_its_own(lab):
    kid, text = "kid-2", base64.urlsafe_b64encode(MAC).decode().rstrip("=")
    issuance = Issuance(lab, second_ca=True, second_config={"externalAccountBindingRequired": True,
                                                            "externalAccountMACKeys": {kid: text}})
    path = f"{issuance.ground.directory}/eab"
    with open(path, "w") as file:
        file.write(text + "\n")
    first, second = issuance.ca, issuance.second_ca
    first.fail("new-order", status=403, problem="caa", times=None)

    def with_profile(status, headers, body):
        directory = json.loads(body)
        directory["meta"]["profiles"] = {"six-days": "short"}
        return status, headers, json.dumps(directory).encode()
    second.change("directory", with_profile, None)
    without = issuance.issuer(acme_contact="ops@saas.test", acme_profile="unheard-of").start()
    issuance.ask_for(NAME)
    issuance.db.wait(f"SELECT state = 'failed' AND last_error LIKE '%acme-fallback-eab-kid%' FROM issuance_jobs")
    without.stop()

    issuance.issuer(acme_contact="ops@saas.test", acme_fallback_contact="second@saas.test", acme_fallback_eab_kid=kid,
                    acme_fallback_eab_key_file=path, acme_fallback_profile="six-days").start()
    issuance.retry_soon()
    issuance.wait_issued(NAME)
    assert second.order_payloads[-1]["profile"] == "six-days"
    contacts = dict(issuance.db.query("SELECT directory, contact FROM ca_accounts"))
    assert contacts == {first.directory_url: "ops@saas.test", second.directory_url: "second@saas.test"}


@pytest.fixture
def newer(lab):
    """An issuance with a Pebble that has profiles and renewal information."""
    program = newer_pebble()
    if not program:
        pytest.skip("Go cannot install a newer Pebble here")
    config = {"profiles": {"default": {"description": "usual", "validityPeriod": 7776000},
                           "short": {"description": "six days", "validityPeriod": 518400}}}
    return Issuance(lab, pebble_config=config, pebble_program=program)


def lifetime(issuance, name):
    return int(issuance.db.value(f"SELECT extract(epoch FROM not_after - not_before)::bigint + 1 FROM certificates "
                                 f"WHERE name = '{name}'"))


def test_a_profile_is_asked_for_where_it_is_offered_and_replaces_heals_itself(newer):
    issuer = newer.issuer(acme_profile="short").start()
    issue(newer, NAME)
    while not finds(newer.stored(NAME)[0]):
        newer.db.query(f"DELETE FROM certificates WHERE name = '{NAME}'")
        issue(newer, NAME)
    assert 518000 < lifetime(newer, NAME) < 519000
    orders = newer.ca.orders_for(NAME)
    bodies = newer.ca.order_payloads
    assert bodies[-1]["profile"] == "short" and "replaces" not in bodies[-1]

    newer.db.query("UPDATE certificates SET renew_at = now()")
    newer.ask_for(NAME, reason="renewal")
    wait_until(lambda: newer.ca.orders_for(NAME) > orders, 10, "the renewal")
    newer.db.wait("SELECT renew_at > now() FROM certificates")
    assert re.fullmatch(r"[\w-]+\.[\w-]+", bodies[-1]["replaces"])
    # The CA has seen this one replaced: without it the order goes through.
    for status, problem in [(409, "alreadyReplaced"), (404, "malformed"), (400, "malformed")]:
        newer.ca.fail("new-order", status=status, problem=problem, detail="the ARI certID")
        orders = newer.ca.orders_for(NAME)
        newer.db.query("UPDATE certificates SET renew_at = now()")
        newer.ask_for(NAME, reason="renewal")
        newer.db.wait("SELECT renew_at > now() FROM certificates")
        assert newer.ca.orders_for(NAME) == orders + 1
        assert "replaces" not in bodies[-1]
        newer.db.wait("SELECT state = 'idle' FROM issuance_jobs")
    issuer.stop()

    issuer = newer.issuer(acme_profile="unheard-of").start()
    issue(newer, "preferred.brand.test")
    issuer.stop()
    newer.issuer(acme_profile="unheard-of", acme_profile_required="on").start()
    newer.ask_for("required.brand.test")
    newer.wait_failed("required.brand.test")
    assert newer.ca.orders_for("required.brand.test") == 0
    assert "unheard-of" in newer.db.value("SELECT last_error FROM issuance_jobs WHERE name = 'required.brand.test'")


def test_no_more_accounts_are_made_than_the_ledger_allows(lab):
    issuance = Issuance(lab)
    issuance.issuer(budget_accounts="1/1h").start()
    issuance.db.query("UPDATE ca_accounts SET status = 'deactivated'")
    assert issuance.operator("acme", "register").returncode == 0
    issuance.ask_for(NAME)
    assert issuance.wait_failed(NAME) == "rate_limited"
    assert issuance.ca.seen["new-account"] == 1
