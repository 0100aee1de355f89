"""A domain becomes active when its TXT record is there, as the authoritative server has it at that moment."""

import time

NAME = "shop.brand.test"


def txt_of(domain):
    return next(record for record in domain["records"] if record["type"] == "TXT")


def test_answer_to_adding_lists_exactly_the_records_to_publish(lab):
    platform = lab.platform(edges=0)
    domain = platform.api.add(NAME)
    kinds = {(record["type"], record["name"]) for record in domain["records"]}
    assert kinds == {("TXT", f"acme_verify.{NAME}"), ("CNAME", NAME)}
    cname = next(record for record in domain["records"] if record["type"] == "CNAME")
    assert cname["value"].rstrip(".") == "nlb.saas.test"
    token, _, rest = txt_of(domain)["value"].partition(".")
    assert rest.rstrip(".") == "verify.saas.test"
    assert len(token) >= 22, "128 random bits need 22 characters or more"
    assert domain["status"] == "pending"


def test_apex_gets_addresses_instead_of_a_cname(lab):
    platform = lab.platform(edges=0)
    domain = platform.api.add("brand.test")
    assert {record["type"] for record in domain["records"]} == {"TXT", "A"}
    assert platform.activate("brand.test")["status"] == "active"


def test_adding_twice_gives_the_same_records(lab):
    platform = lab.platform(edges=0)
    first = platform.api.add(NAME)
    status, again = platform.api.call("POST", "/v1/domains", {"name": NAME})
    assert status == 200
    assert again["records"] == first["records"]


def test_verify_publish_verify_within_a_second(lab):
    platform = lab.platform(edges=0)

    def seconds(name):
        record = txt_of(platform.api.add(name))
        start = time.monotonic()
        before = platform.api.verify(name)       # the server answers NXDOMAIN, good for an hour to who caches
        platform.dns.publish(record["name"], "TXT", record["value"])
        after = platform.api.verify(name)
        took = time.monotonic() - start
        assert (before["status"], after["status"]) == ("pending", "active")
        return took
    assert min(seconds(f"shop{number}.brand.test") for number in range(5)) < 1, "the best, since machines may be busy"
    outcomes = [row[0] for row in platform.db.query("SELECT outcome FROM domain_checks WHERE checked_by = 'api' "
                                                    "ORDER BY id")]
    assert outcomes == ["absent", "verified"] * 5, "each check is a stored row"


def test_record_of_another_value_is_told_apart_and_activates_nothing(lab):
    platform = lab.platform(edges=0)
    domain = platform.api.add(NAME)
    record = txt_of(domain)
    platform.dns.publish(record["name"], "TXT", "prefix-" + record["value"], record["value"] + ".evil.test")
    assert platform.api.verify(NAME)["status"] == "pending"
    assert platform.db.value("SELECT outcome FROM domain_checks ORDER BY id DESC LIMIT 1") == "mismatch"
    assert platform.verifier.ask(NAME) == 403


def test_record_split_into_strings_is_joined(lab):
    platform = lab.platform(edges=0)
    record = txt_of(platform.api.add(NAME))
    half = len(record["value"]) // 2
    platform.dns.publish(record["name"], "TXT", f'"{record["value"][:half]}" "{record["value"][half:]}"')
    assert platform.api.verify(NAME)["status"] == "active"


def test_only_an_active_domain_is_allowed_by_ask(lab):
    platform = lab.platform(edges=0)
    assert platform.verifier.ask(NAME) == 403
    platform.api.add(NAME)
    assert platform.verifier.ask(NAME) == 403
    platform.activate(NAME)
    assert platform.verifier.ask(NAME) == 200
    platform.api.delete(NAME)
    assert platform.verifier.ask(NAME) == 403


def test_dns_that_does_not_answer_changes_no_state(lab):
    platform = lab.platform(edges=0)
    platform.activate(NAME)
    platform.dns.process.freeze()
    start = time.monotonic()
    domain = platform.api.verify(NAME)
    took = time.monotonic() - start
    assert domain["status"] == "active"
    assert platform.verifier.ask(NAME) == 200
    assert platform.db.value("SELECT outcome FROM domain_checks ORDER BY id DESC LIMIT 1") == "temporary"
    print(f"a look-up of a silent server ended after {took:.1f} s")
    assert took < 11, "TXT and routing look-ups, 5 s each at most"


def test_requests_without_the_token_are_refused(lab):
    platform = lab.platform(edges=0)
    for token in ("wrong", platform.token[:-1], platform.token + "x"):
        assert platform.api.call("GET", "/v1/domains", token=token)[0] == 401
    assert platform.api.call("GET", "/v1/domains", headers={"Authorization": ""})[0] == 401


def test_bad_names_are_refused_with_a_reason(lab):
    platform = lab.platform(edges=0)
    for name in ("", "test", "localhost", "10.0.0.1", "a..b.test", "-a.brand.test", "x" * 64 + ".brand.test",
                 "a." * 130 + "test", "shop_brand.test/../x", "co.uk", "sp ace.test", "*.brand.test"):
        status, problem = platform.api.call("POST", "/v1/domains", {"name": name})
        assert status in (400, 422), (name, status, problem)
        assert problem["detail"], name
    json_type = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b'{"name": 5}', b'{"name": "a.brand.test", "tenant": "../x"}'):
        assert platform.api.call("POST", "/v1/domains", body, headers=json_type)[0] in (400, 422), body
    assert platform.db.value("SELECT count(*) FROM domains") == "0"
