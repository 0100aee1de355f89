"""A tenant's token opens that tenant's own and nothing else; repeated and concurrent changes come out once."""

import concurrent.futures
import http.client
import json
import socket

import pytest

NAME = "shop.brand.test"


@pytest.fixture(scope="module")
def platform(shared_lab):
    platform = shared_lab.platform(edges=0, verifier={"api_rate": "25"})
    for tenant in ("brand", "other"):
        platform.api.call("POST", "/v1/tenants", {"id": tenant})
    return platform


def token_of(platform, tenant=None, **more):
    scope = {"scope": "tenant", "tenant": tenant} if tenant else {"scope": "operator"}
    status, made = platform.api.call("POST", "/v1/tokens", {**scope, **more})
    assert status == 201, made
    return made


def test_token_is_shown_once_and_stored_as_a_hash(platform):
    made = token_of(platform, "brand", label="CI")
    assert made["token"].startswith("ptn_") and len(made["token"]) == 68
    assert made["token"] not in platform.db.dump()
    assert made["token"] not in str(platform.api.call("GET", "/v1/tokens")[1])
    assert made["token"] not in platform.verifier.process.log()
    assert platform.api.call("GET", "/v1/domains", token=made["token"])[0] == 200
    assert platform.api.call("GET", f"/v1/tokens/{made['id']}")[1]["last_used_at"]
    assert platform.api.call("DELETE", f"/v1/tokens/{made['id']}", token=made["token"])[0] == 204, "it may end itself"
    assert platform.api.call("GET", "/v1/domains", token=made["token"])[0] == 401


def test_tenants_see_nothing_of_each_other(platform):
    brand, other = token_of(platform, "brand"), token_of(platform, "other")
    platform.api.add(NAME, "other")
    call = platform.api.call
    mine = brand["token"]
    assert call("GET", f"/v1/domains/{NAME}", token=mine)[0] == 404
    assert call("GET", "/v1/domains", token=mine)[1]["domains"] == []
    for method, path in (("GET", f"/v1/domains/{NAME}"), ("DELETE", f"/v1/domains/{NAME}"), ("POST", f"/v1/domains/{NAME}/verify"),
                         ("GET", "/v1/domains"), ("GET", "/v1/events"), ("GET", "/v1/tokens"), ("GET", "/v1/certificates")):
        status, problem = call(method, f"{path}?tenant=other", token=mine)
        assert (status, problem["code"]) == (403, "other_tenant"), (method, path, problem)
    assert call("POST", "/v1/domains", {"name": NAME, "tenant": "other"}, token=mine)[0] == 403
    assert call("GET", "/v1/tenants/other", token=mine)[0] == 403
    assert [one["id"] for one in call("GET", "/v1/tenants", token=mine)[1]["tenants"]] == ["brand"]
    assert call("GET", f"/v1/tokens/{other['id']}", token=mine)[0] == 404
    assert call("DELETE", f"/v1/tokens/{other['id']}", token=mine)[0] == 404
    assert {event["tenant"] for event in call("GET", "/v1/events", token=mine)[1]["events"]} == {"brand"}
    for method, path, body in (("POST", "/v1/tokens", {"scope": "operator"}), ("POST", "/v1/tenants", {"id": "mine"}),
                               ("PATCH", "/v1/tenants/brand", {"max_domains": 9}),
                               ("POST", f"/v1/domains/{NAME}/suspend", None), ("POST", f"/v1/certificates/{NAME}/renew", None)):
        assert call(method, path, body, token=mine)[0] == 403, path
    status, problem = call("POST", "/v1/domains", {"name": "x.brand.test", "options": {"upstream": "http://169.254.169.254"}}, token=mine)
    assert (status, problem["field"]) == (403, "options.upstream")


def test_every_change_is_in_the_audit_trail_with_who_and_from_where(platform):
    token = token_of(platform, "brand")
    platform.api.call("POST", "/v1/domains", {"name": "audit.brand.test"}, token=token["token"])
    platform.api.call("PATCH", "/v1/domains/audit.brand.test", {"options": {"hsts": 60}}, token=token["token"])
    platform.api.call("DELETE", "/v1/domains/audit.brand.test", token=token["token"])
    events = platform.api.call("GET", "/v1/events?name=audit.brand.test")[1]["events"]
    assert [event["event"] for event in events] == ["deleted", "options_changed", "added"]
    assert {(event["actor"], event["tenant"]) for event in events} == {(f"token:{token['id']}", "brand")}
    assert all(event["remote"].startswith("127.") for event in events)
    page = platform.api.call("GET", "/v1/events?name=audit.brand.test&limit=2")[1]
    rest = platform.api.call("GET", f"/v1/events?name=audit.brand.test&cursor={page['next']}")[1]
    assert [event["id"] for event in page["events"] + rest["events"]] == [event["id"] for event in events]


def test_too_many_requests_are_told_when_to_come_back(platform):
    token = token_of(platform, "brand")["token"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # faster than is allowed, also where a machine is slow
        statuses = set(pool.map(lambda _: platform.api.call("GET", "/v1/nothing", token=token)[0], range(200)))
    assert statuses == {404, 429}
    assert platform.api.call("GET", "/v1/tenants", token=token_of(platform, "brand")["token"])[0] == 200


def test_session_of_a_tenants_token_is_that_tenants(platform):
    token = token_of(platform, "brand")
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=10)
    connection.request("POST", "/session", json.dumps({"token": token["token"]}),
                       {"Content-Type": "application/json", "X-Postern-Request": "1"})
    answer = connection.getresponse()
    answer.read()
    cookie = answer.getheader("Set-Cookie").split(";")[0]

    def get(path):
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    assert [one["id"] for one in get("/v1/tenants")[1]["tenants"]] == ["brand"]
    assert get("/v1/domains?tenant=other")[0] == 403
    platform.api.call("DELETE", f"/v1/tokens/{token['id']}")
    assert get("/v1/tenants")[0] == 401, "it ends with its token"


def test_repeated_post_is_answered_as_the_first_time(platform):
    def post(body, key, path="/v1/domains"):
        return platform.api.call("POST", path, body, headers={"Idempotency-Key": key})
    first = post({"name": "once.brand.test"}, "key-1")
    assert first[0] == 201
    assert post({"name": "once.brand.test"}, "key-1") == first
    platform.api.delete("once.brand.test")
    assert post({"name": "once.brand.test"}, "key-1") == first, "as it was then"
    assert platform.api.call("GET", "/v1/domains/once.brand.test")[0] == 404
    assert post({"name": "twice.brand.test"}, "key-1")[0] == 422
    assert post({"name": "10.0.0.1"}, "key-2") == post({"name": "10.0.0.1"}, "key-2")
    assert post({"name": "x.brand.test"}, "a key with spaces")[0] == 400
    token = post({"scope": "operator"}, "key-3", "/v1/tokens")
    again = post({"scope": "operator"}, "key-3", "/v1/tokens")
    assert again[1]["id"] == token[1]["id"] and again[1]["token"] is None, "a secret is shown once"
    assert token[1]["token"] not in platform.db.dump()
    platform.db.query("UPDATE idempotency_keys SET made_at = now() - interval '25 hours'")
    assert post({"name": "once.brand.test"}, "key-1")[0] == 201, "anew after a day"
    assert platform.db.value("SELECT count(*) FROM idempotency_keys") == "1"


def test_same_request_many_times_at_once_is_carried_out_once(platform):
    def post(_):
        return platform.api.call("POST", "/v1/tokens", {"scope": "operator", "label": "at once"},
                                 headers={"Idempotency-Key": "at-once"})
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(post, range(24)))
    assert {status for status, _ in answers} <= {201, 409}
    assert platform.db.value("SELECT count(*) FROM api_tokens WHERE label = 'at once'") == "1"


def test_changes_based_on_what_was_read(platform):
    platform.api.add("etag.brand.test")
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=10)
    path = "/v1/domains/etag.brand.test"

    def send(method, body=None, **headers):
        connection.request(method, path, body and json.dumps(body), {
            "Authorization": f"Bearer {platform.token}", "Content-Type": "application/merge-patch+json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("ETag")
    platform.db.query("UPDATE domains SET next_check_at = NULL WHERE name = 'etag.brand.test'")
    status, tag = send("GET")
    while send("GET", **{"If-None-Match": tag})[0] != 304:
        status, tag = send("GET")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        def patch(number):
            return platform.api.call("PATCH", path, {"options": {"hsts": number}}, headers={"If-Match": tag})[0]
        statuses = list(pool.map(patch, range(60, 66)))
    assert sorted(statuses) == [200] + [412] * 5, statuses
    assert send("PATCH", {"options": {"hsts": 1}}, **{"If-Match": tag})[0] == 412
    assert send("PATCH", {"options": {"hsts": 1}}, **{"If-Match": "*"})[0] == 200
    assert send("DELETE", **{"If-Match": tag})[0] == 412
    assert send("DELETE")[0] == 204


def test_wrong_options_name_their_key(platform):
    platform.api.add("options.brand.test")
    for options, field in (({"hsts": -1}, "options.hsts"), ({"minimum_tls": "1.1"}, "options.minimum_tls"),
                           ({"upstream": "ftp://x"}, "options.upstream"), ({"colour": "red"}, "options.colour"), ([], "options")):
        status, problem = platform.api.call("PATCH", "/v1/domains/options.brand.test", {"options": options})
        assert (status, problem.get("field")) == (400, field), problem
    assert platform.api.show("options.brand.test")["options"] == {}


def test_partial_and_huge_posts_change_nothing(platform):
    before = platform.db.value("SELECT count(*) FROM domains")
    head = (f"POST /v1/domains HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {platform.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n")
    body = b'{"name": "partial.brand.test"}'
    for size in range(0, len(body), 7):
        with socket.create_connection((platform.verifier.address, platform.verifier.port), timeout=5) as connection:
            connection.sendall(head.replace("{}", str(len(body))).encode() + body[:size])
    with socket.create_connection((platform.verifier.address, platform.verifier.port), timeout=5) as connection:
        connection.sendall(head.replace("{}", "10000000").encode() + b'{"name": "aaaaa')
        assert b" 413 " in connection.recv(65536)
    assert platform.db.value("SELECT count(*) FROM domains") == before
