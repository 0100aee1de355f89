"""Who owns a name over time: a fresh proof takes over, what is left behind proves nothing, drift is noticed, the platform's
own names are the operator's."""

from lab.process import wait_until

import pytest

NAME = "shop.brand.test"


@pytest.fixture(scope="module")
def platform(shared_lab):
    return shared_lab.platform(edges=0, verifier={"public_url": "https://panel.elsewhere.test"})


def txt(domain):
    return next(record for record in domain["records"] if record["type"] == "TXT")


def code(answer):
    return answer[0], answer[1].get("code")


def test_name_is_taken_over_by_a_fresh_record_once_the_owners_is_gone(platform):
    name = "takeover.brand.test"
    owner = platform.activate(name, "one")
    later = txt(platform.api.add(name, "two"))
    platform.dns.publish(later["name"], "TXT", txt(owner)["value"], later["value"])
    verify = lambda: platform.api.call("POST", f"/v1/domains/{name}/verify?tenant=two")  # noqa: E731
    assert code(verify()) == (409, "owned_by_another")
    platform.dns.publish(later["name"], "TXT", later["value"])
    status, body = verify()
    assert (status, body["status"]) == (200, "active")
    assert code(platform.api.call("GET", f"/v1/domains/{name}?tenant=one")) == (404, "no_such_domain")
    assert [event["event"] for event in platform.api.call("GET", f"/v1/events?name={name}&tenant=one")[1]["events"]][0] == "taken_over"


def test_record_left_behind_proves_nothing(platform):
    name = "left.brand.test"
    waiting = txt(platform.api.add(name, "two"))
    owner = txt(platform.api.add(name, "one"))
    platform.dns.publish(owner["name"], "TXT", owner["value"])
    assert platform.api.verify(name, "one")["status"] == "active"
    platform.dns.publish(owner["name"], "TXT", waiting["value"])
    verify = lambda: platform.api.call("POST", f"/v1/domains/{name}/verify?tenant=two")  # noqa: E731
    assert code(verify()) == (409, "stale_proof")
    platform.api.delete(name, "one")
    assert code(verify()) == (409, "stale_proof"), "in quarantine"
    platform.api.delete(name, "two")
    anew = txt(platform.api.add(name, "two"))
    platform.dns.publish(anew["name"], "TXT", anew["value"])
    assert verify()[1]["status"] == "active"


def test_drift_is_noticed_without_being_asked_and_served_all_the_same(platform):
    name = "drift.brand.test"
    domain = platform.activate(name)
    due = f"UPDATE domains SET next_check_at = now() WHERE name = '{name}'"
    platform.dns.publish(txt(domain)["name"], "TXT", "something else")

    def look():
        checks = int(platform.db.value(f"SELECT max(k.id) FROM domain_checks k JOIN domains d ON d.id = domain_id WHERE name = '{name}'"))
        platform.db.query(due)
        wait_until(lambda: int(platform.db.value(
            f"SELECT max(k.id) FROM domain_checks k JOIN domains d ON d.id = domain_id WHERE name = '{name}'")) > checks, 15, "a look")
    look()
    assert platform.api.show(name)["status"] == "active", "once is not enough"
    look()
    wait_until(lambda: platform.api.show(name)["status"] == "drifted", 5, "the second look to count")
    assert platform.verifier.ask(name) == 200
    platform.verifier.process.wait_log("domain drifted")
    platform.dns.publish(txt(domain)["name"], "TXT", txt(domain)["value"])
    assert platform.api.verify(name)["status"] == "active"
    events = [event["event"] for event in platform.api.call("GET", f"/v1/events?name={name}")[1]["events"]]
    assert events == ["recovered", "drifted", "verified", "added"]


def test_platform_names_are_the_operators_with_an_upstream_of_their_own(platform):
    call = platform.api.call
    platform.api.call("POST", "/v1/tenants", {"id": "brand"})
    token = call("POST", "/v1/tokens", {"scope": "tenant", "tenant": "brand"})[1]["token"]
    for name in ("panel.elsewhere.test", "x.saas.test", "*.sandbox.saas.test", "nlb.saas.test"):
        assert code(call("POST", "/v1/domains", {"name": name}, token=token)) == (400, "platform_name"), name
        assert code(call("POST", "/v1/domains", {"name": name})) == (400, "platform_name"), name
        status, domain = call("POST", "/v1/domains", {"name": name, "options": {"upstream": "http://10.0.0.1"}})
        assert (status, domain["status"], domain["kind"], domain["records"]) == (201, "active", "platform", []), domain
        assert platform.job(name)[0] == "queued", name
        path = f"/v1/domains/{name}"
        assert code(call("PATCH", path, {"options": {"upstream": None}})) == (400, "invalid_options")
        assert code(call("POST", path + "/verify")) == (409, "platform_name")
        assert code(call("DELETE", path, token=token)) == (404, "no_such_domain")
    assert platform.verifier.ask("panel.elsewhere.test") == 200
    assert platform.verifier.ask("*.sandbox.saas.test") == 200
    assert platform.verifier.ask("*.other.saas.test") == 403


def test_names_nobody_can_have_are_refused_with_their_reason(platform):
    for name, word in (("*.brand.test", "wildcard"), ("co.uk", "public"), ("192.0.2.1", "IP address"), ("[2001:db8::1]", "IP address"),
                       ("localhost", "name"), ("a..test", "name"), ("-a.test", "name"), ("x" * 64 + ".test", "long"), ("", "name"),
                       ("xn--a.test", "name"), ("under_score.brand.test", "name"), ("a b.test", "name")):
        status, problem = platform.api.call("POST", "/v1/domains", {"name": name})
        assert (status, problem["code"], problem["field"]) == (400, "invalid_name", "name"), problem
        assert word in problem["detail"], problem
    domain = platform.api.add("Bücher.Example.TEST.")
    assert (domain["name"], domain["unicode_name"]) == ("xn--bcher-kva.example.test", "bücher.example.test")


def test_released_name_keeps_its_certificate_for_the_owners_return(platform):
    name = "return.brand.test"
    platform.activate(name)
    platform.db.query(f"INSERT INTO certificates VALUES ('{name}', 1, '', '', '', 'i', 's', 'd', now(), now() + interval '9 days', now())")
    platform.api.delete(name)
    assert platform.verifier.ask(name) == 403
    assert platform.stored(name)
    platform.verifier.restart(pre_issue="on")
    assert platform.activate(name)["certificate"]["state"] == "issued"
    assert platform.job(name) is None, "nothing was ordered"
