"""One name explained, by API and by command: a sentence that says what is wrong and who acts, DNS as it is now, and all that is
known; to a tenant what is its own, and nothing of others."""

import subprocess

import pytest

from lab.place import program
from lab.process import wait_until

NAME = "shop.brand.test"


def explain(platform, name=NAME, token=None, wanted=200):
    code, body = platform.api.call("GET", f"/v1/explain/{name}", token=token)
    assert code == wanted, (code, body)
    return body


def command(platform, name=NAME):
    done = subprocess.run([program("postern"), "explain", name, f"--database={platform.db.conninfo()}"], text=True,
                          capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def summary(platform, name=NAME, token=None):
    found = explain(platform, name, token)["summary"]
    return found["code"], found["who"], found["text"]


def token_of(platform, tenant):
    return platform.api.call("POST", "/v1/tokens", {"scope": "tenant", "tenant": tenant})[1]["token"]


def test_each_stage_of_a_name_is_told(platform):
    name = "stages.brand.test"
    assert summary(platform, name)[:2] == ("not_added", "customer")
    assert explain(platform, name)["dns"] is None
    domain = platform.api.add(name)
    code, who, text = summary(platform, name)
    assert (code, who) == ("pending", "customer") and "acme_verify.stages.brand.test" in text
    seen = explain(platform, name)
    assert seen["dns"]["outcome"] == "absent" and seen["dns"]["verdicts"] and seen["claims"][0]["status"] == "pending"
    assert explain(platform, name)["checks"] == seen["checks"], "to explain changes nothing"

    platform.dns.publish_records(domain["records"])
    assert explain(platform, name)["dns"]["outcome"] == "verified"
    assert platform.api.show(name)["status"] == "pending", "to explain proves nothing"
    platform.api.verify(name)
    assert summary(platform, name)[:2] == ("waiting", "nobody")
    platform.visit(name)
    assert summary(platform, name)[:2] == ("served", "nobody")
    seen = explain(platform, name)
    assert seen["certificates"][0]["blocked"] is False and seen["certificates"][0]["source"] == "acme"
    assert seen["issuance"]["state"] == "idle" and seen["failures"] == []
    assert "verified" in [event["event"] for event in seen["events"]]

    platform.api.call("POST", f"/v1/domains/{name}/suspend")
    assert summary(platform, name)[:2] == ("suspended", "operator")
    assert explain(platform, name)["certificates"][0]["blocked"] is True
    platform.api.delete(name)
    assert summary(platform, name)[:2] == ("released", "customer")


def test_failure_says_its_cause_its_memory_and_the_next_try(platform):
    name = "fails.brand.test"
    platform.activate(name)
    platform.dns.remove(name)
    platform.refusal(name)
    seen = wait_until(lambda: (found := explain(platform, name))["failures"] and found, 30, "the failure")
    assert (seen["summary"]["code"], seen["summary"]["who"]) == ("failed", "customer")
    assert seen["issuance"]["state"] == "failed" and seen["issuance"]["next_try_at"]
    assert seen["failures"][0]["cause"] == "dns" and seen["failures"][0]["retry_at"]
    assert any(verdict["step"] == "routing" and verdict["state"] == "act" for verdict in seen["dns"]["verdicts"])


def test_command_says_the_same(platform):
    name = "command.brand.test"
    platform.activate(name)
    platform.visit(name)
    printed = command(platform, name)
    assert f"{name} is served; nothing is known to be wrong with it." in printed and "who_acts=nobody" in printed
    for part in ("claims", "status=active", "source=acme", "issuance job", "last events", "event=verified"):
        assert part in printed, printed
    assert "Nobody has added" in command(platform, "nobody.brand.test")


def test_tenant_sees_its_own_and_nothing_of_others(platform):
    name = "owned.brand.test"
    for tenant in ("owner", "other", "third"):
        platform.api.call("POST", "/v1/tenants", {"id": tenant})
    owner, other, third = (token_of(platform, tenant) for tenant in ("owner", "other", "third"))
    platform.activate(name, "owner")
    platform.visit(name)
    platform.api.add(name, "other")

    mine = explain(platform, name, owner)
    assert [claim["tenant"] for claim in mine["claims"]] == ["owner"]
    assert mine["certificates"] and mine["issuance"] and mine["summary"]["code"] == "served"
    theirs = explain(platform, name, other)
    assert [claim["tenant"] for claim in theirs["claims"]] == ["other"] and theirs["summary"]["code"] == "pending"
    assert theirs["certificates"] == [] and theirs["issuance"] is None and theirs["failures"] == [] and theirs["budget"] == []
    assert {event["tenant"] for event in theirs["events"]} == {"other"}
    assert '"owner"' not in str(theirs).replace("'", '"')
    assert explain(platform, name, third, wanted=404)["code"] == "no_such_domain"
    assert explain(platform, "nobody-at-all.brand.test", third, wanted=404)["code"] == "no_such_domain"
    assert {claim["tenant"] for claim in explain(platform, name)["claims"]} == {"owner", "other"}


def test_looks_count_against_the_tenants_verifications(platform):
    name = "counted.brand.test"
    platform.api.call("POST", "/v1/tenants", {"id": "sparing", "verifications_per_hour": 1})
    token = token_of(platform, "sparing")
    platform.api.add(name, "sparing")
    assert explain(platform, name, token)["dns"] is not None
    assert explain(platform, name, token)["dns"] is None
    assert explain(platform, name)["dns"] is not None, "the operator is not counted"


@pytest.mark.parametrize("name", ["..", "a b", "10.0.0.1", "x" * 300])
def test_what_is_no_name_is_refused(platform, name):
    assert platform.api.call("GET", f"/v1/explain/{name.replace(' ', '%20')}")[0] in (400, 404)


def test_no_key_is_ever_shown(platform):
    name = "sealed.brand.test"
    platform.activate(name)
    platform.visit(name)
    sealed = platform.db.value(f"SELECT encode(key_sealed, 'hex') FROM certificates WHERE name = '{name}'")
    shown = str(explain(platform, name)) + command(platform, name)
    assert sealed and sealed not in shown and "key_sealed" not in shown and "PRIVATE" not in shown
