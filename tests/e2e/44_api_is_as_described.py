"""The API's description, /v1/openapi.json, holds: each operation answers with a status and a body that it names, to right
requests, wrong ones, random ones and hostile ones; and nothing that is sent is ever an error of the server's."""

import http.client
import json
import os
import random
import urllib.parse

import jsonschema
import pytest

from lab.private_ca import PrivateCA

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SEED = int(os.environ.get("POSTERN_SEED", random.randrange(10 ** 6)))
HOSTILE = ["'", "' OR '1'='1", "'; DROP TABLE domains; --", "\\", "%' AND 1=CAST(pg_sleep(9) AS int) --", "$1", "{}", "[]",
           "<script>alert(1)</script>", "../../etc/passwd", "*", "null", "-1", "0", "9" * 40, "1e309", "ü", "日本", "a" * 900,
           "\u202e", "\x7f", "xn--a", "%s%n", "${jndi:x}", "' UNION SELECT token_hash FROM api_tokens --", "1;SELECT 1", "NaN"]


class Client:
    """Knows the description, and checks each answer against it."""

    def __init__(self, platform):
        self.platform = platform
        self.seen = set()  # (path, method, status)
        self.document = json.loads(self.send("GET", "/v1/openapi.json")[2])

    def send(self, method, path, body=None, headers=None, token=None):
        connection = http.client.HTTPConnection(self.platform.verifier.address, self.platform.verifier.port, timeout=20)
        fields = {"Authorization": f"Bearer {token or self.platform.token}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, answer, text

    def operation(self, path, method):
        return self.document["paths"][path][method.lower()]

    def schema(self, content):
        return {"$defs": {}, "components": self.document["components"], **content["schema"]}

    def call(self, path, method, values=(), query="", body=None, headers=None, token=None):
        """Of the path as it is described; `values` stand for its {…}."""
        address = path
        for value in values:
            start, end = address.index("{"), address.index("}")
            address = address[:start] + urllib.parse.quote(value, safe="") + address[end + 1:]
        status, answer, text = self.send(method, address + query, body, headers, token)
        what = (method, address, query, body, status, text[:600], f"POSTERN_SEED={SEED}")
        assert status < 500, what
        responses = self.operation(path, method)["responses"]
        assert str(status) in responses, what
        self.seen.add((path, method.lower(), str(status)))
        described = responses[str(status)].get("content", {})
        kind = answer.getheader("Content-Type")
        if not described:
            assert not text, what
        elif kind != "application/x-ndjson":
            assert kind in described, what
            jsonschema.validate(json.loads(text), self.schema(described[kind]), format_checker=None)
        if status == 429:
            assert int(answer.getheader("Retry-After")) > 0, what
        return status, json.loads(text) if text and kind and "ndjson" not in kind else text, answer


@pytest.fixture(scope="module")
def client(shared_lab):
    platform = shared_lab.platform(edges=0, verifier={"api_rate": "0"})
    return Client(platform)


def test_description_is_valid_and_every_operation_is_exercised(client):
    call = client.call
    jsonschema.Draft202012Validator.check_schema({"components": client.document["components"]})
    assert client.document["openapi"].startswith("3.1")
    name = "shop.described.test"
    assert call("/v1/tenants", "POST", body={"id": "brand", "title": "Brand", "max_domains": 5})[0] == 201
    assert call("/v1/tenants", "POST", body={"id": "brand"})[0] == 409
    assert call("/v1/tenants/{id}", "PATCH", ["brand"], body={"verifications_per_hour": 1, "max_domains": None})[1]["max_domains"] is None
    assert call("/v1/tenants/{id}", "GET", ["brand"])[1]["verifications_per_hour"] == 1
    assert call("/v1/tenants/{id}", "GET", ["nobody"])[0] == 404
    assert "brand" in [one["id"] for one in call("/v1/tenants", "GET")[1]["tenants"]]
    made = call("/v1/tokens", "POST", body={"scope": "tenant", "tenant": "brand", "label": "CI"})[1]
    token = made["token"]
    assert call("/v1/tokens", "GET")[1]["tokens"][0].get("token") is None
    assert call("/v1/tokens/{id}", "GET", [str(made["id"])])[1]["hint"] == token[:10]

    link = call("/v1/portal-links", "POST", body={"tenant": "brand", "return_url": "https://app.test/"})[1]
    assert link["url"] and call("/v1/portal-links", "POST", body={"tenant": "nobody"})[0] == 409
    assert "url" not in call("/v1/portal-links", "GET", query="?tenant=brand")[1]["portal_links"][0]
    assert call("/v1/portal-links/{id}", "GET", [str(link["id"])])[1]["session"] is False
    assert call("/v1/portal-links/{id}", "DELETE", [str(link["id"])])[0] == 204
    assert call("/v1/portal-links/{id}", "DELETE", [str(link["id"])], token=token)[0] == 403
    assert call("/v1/portal-links", "DELETE", query="?tenant=brand")[0] == 204

    added = call("/v1/domains", "POST", body={"name": name, "options": {"minimum_tls": "1.3"}}, token=token)
    assert (added[0], added[1]["tenant"], added[1]["options"]) == (201, "brand", {"minimum_tls": "1.3"})
    assert call("/v1/domains", "POST", body={"name": name}, token=token)[0] == 200
    assert call("/v1/domains/{name}", "PATCH", [name], body={"options": {"minimum_tls": None, "hsts": 60}}, token=token)[1]["options"] == {"hsts": 60}
    status, shown, answer = call("/v1/domains/{name}", "GET", [name], token=token)
    assert call("/v1/domains/{name}", "GET", [name], headers={"If-None-Match": answer.getheader("ETag")}, token=token)[0] in (200, 304)
    assert call("/v1/domains/{name}", "DELETE", [name], headers={"If-Match": '"no"'}, token=token)[0] == 412
    assert call("/v1/domains", "GET", query="?within=described.test&search=shop.desc&certificate=none&status=pending")[1]["domains"][0]["name"] == name
    assert call("/v1/domains/{name}/verify", "POST", [name], token=token)[1]["check"]["outcome"] == "absent"
    assert call("/v1/domains/{name}/verify", "POST", [name], token=token)[0] == 429
    assert call("/v1/domains/{name}/suspend", "POST", [name])[0] == 409
    client.platform.db.query(f"UPDATE domains SET status = 'active', owner_since = now() WHERE name = '{name}'")
    assert call("/v1/domains/{name}/suspend", "POST", [name], token=token)[0] == 403
    assert call("/v1/domains/{name}/suspend", "POST", [name])[1]["suspended_by"] == "operator"
    assert call("/v1/domains/{name}/resume", "POST", [name])[1]["status"] == "active"
    client.platform.db.query(f"INSERT INTO certificates VALUES ('{name}', 1, 'PEM', '', '', 'i', 's', 'd', now(), now(), now())")
    assert call("/v1/certificates", "GET", query="?expires_within=1&source=acme", token=token)[1]["certificates"][0]["name"] == name
    assert call("/v1/certificates/{name}", "GET", [name], token=token)[1]["chain"] == "PEM"
    assert call("/v1/certificates/{name}", "GET", ["other.test"], token=token)[0] == 404
    assert call("/v1/certificates/{name}/renew", "POST", [name])[0] == 202
    assert call("/v1/explain/{name}", "GET", [name], token=token)[1]["certificates"][0]["issuer"] == "i"
    assert client.platform.db.value(f"SELECT reason FROM issuance_jobs WHERE name = '{name}'") == "reissue"
    result = call("/v1/domains/import", "POST", body=b'{"name": "one.described.test"}\n', headers={"Content-Type": "application/x-ndjson"})
    jsonschema.validate(json.loads(result[1]), client.schema({"schema": {"$ref": "#/components/schemas/ImportResult"}}))
    exercise_webhooks(call, token)
    exercise_uploads(call, token, name, PrivateCA(client.platform.ground.folder("customer")))
    kinds = {event["event"] for event in call("/v1/events", "GET", query="?tenant=brand")[1]["events"]}
    assert {"tenant_created", "token_created", "added", "options_changed", "suspended", "resumed", "renewal_forced"} <= kinds
    assert call("/v1/overview", "GET")[1]["domains"]["active"] == 1
    assert call("/v1/explain/{name}", "GET", ["other.test"], token=token)[0] == 404
    assert call("/v1/overview", "GET", token=token)[0] == 403
    assert call("/v1/domains/{name}", "DELETE", [name], token=token)[0] == 204
    assert call("/v1/tokens/{id}", "DELETE", [str(made["id"])], token=token)[0] == 204
    assert call("/v1/domains", "GET", token=token)[0] == 401
    call("/v1/openapi.json", "GET")
    done = {(path, method) for path, method, status in client.seen if status < "300"}
    everything = {(path, method) for path, methods in client.document["paths"].items() for method in methods}
    assert done == everything, everything - done


def exercise_uploads(call, token, name, ca):
    issued = ca.issue(name, "www." + name)
    body = {"chain": issued.chain, "key": issued.key}
    status, made, answer = call("/v1/certificates", "POST", body=body, token=token)
    assert (status, made["left_out"], answer.getheader("Location")) == (201, ["www." + name], f"/v1/certificates/{name}")
    assert call("/v1/certificates", "POST", body={**body, "names": [name], "passphrase": None}, token=token)[0] == 200
    assert call("/v1/certificates", "POST", body={**body, "key": "x"}, token=token)[1]["code"] == "invalid_key"
    assert call("/v1/certificates/{name}/renew", "POST", [name])[1]["code"] == "uploaded_certificate"
    assert call("/v1/certificates/{name}", "DELETE", [name], headers={"If-Match": '"no"'}, token=token)[0] == 412
    assert call("/v1/certificates/{name}", "DELETE", [name], token=token)[1] == {"name": name, "state": "replacing"}
    assert call("/v1/certificates/{name}", "GET", [name], token=token)[1]["removed_at"]
    assert call("/v1/certificates/{name}", "DELETE", [name], query="?at_once=true", token=token)[0] == 204
    assert call("/v1/certificates/{name}", "DELETE", [name], token=token)[0] == 404


def exercise_webhooks(call, token):
    """Each address of theirs, with a tenant's token; nothing is delivered, since no issuer runs."""
    status, made, _ = call("/v1/webhooks", "POST", body={"url": "https://hooks.described.test/x", "events": ["webhook.*"]}, token=token)
    assert (status, made["tenant"], made["events"]) == (201, "brand", ["webhook.*"])
    address, path = [str(made["id"])], "/v1/webhooks/{id}"
    assert call("/v1/webhooks", "GET", token=token)[1]["webhooks"][0].get("secret") is None
    assert call(path, "GET", address, token=token)[1]["url"] == "https://hooks.described.test/x"
    assert call(path, "PATCH", address, body={"label": "shop", "events": []}, token=token)[1]["label"] == "shop"
    assert call(path + "/rotate", "POST", address, body={"overlap_hours": 1}, token=token)[1]["secret"] != made["secret"]
    sent = call(path + "/test", "POST", address, token=token)[1]
    assert (sent["type"], sent["state"]) == ("webhook.test", "waiting")
    assert call(path + "/deliveries", "GET", address, query="?state=waiting", token=token)[1]["deliveries"][0]["id"] == sent["id"]
    address.append(str(sent["id"]))
    assert json.loads(call(path + "/deliveries/{delivery}", "GET", address, token=token)[1]["body"])["type"] == "webhook.test"
    assert call(path + "/deliveries/{delivery}/redeliver", "POST", address, token=token)[0] == 202
    assert call(path, "PATCH", address[:1], body={"enabled": False}, token=token)[1]["disabled_by"] == "asked"
    assert call(path + "/test", "POST", address[:1], token=token)[0] == 409
    assert call(path, "DELETE", address[:1], token=token)[0] == 204
    assert call(path, "GET", address[:1], token=token)[0] == 404


def test_methods_and_types_are_strict(client):
    for path, methods in client.document["paths"].items():
        address = path.replace("{name}", "shop.described.test").replace("{id}", "1").replace("{delivery}", "1")
        for method in METHODS:
            status, answer, text = client.send(method, address, b"x" if method == "POST" else None, {"Content-Type": "text/xml"})
            if method.lower() not in methods:
                assert status == 405, (method, path)
                assert {one.strip().lower() for one in answer.getheader("Allow").split(",")} == set(methods)
            elif method == "POST":
                assert status == 415, (method, path, text)


def random_value(dice, schema, document):
    """Sometimes what the schema wants, sometimes what it does not."""
    if "$ref" in schema:
        return random_value(dice, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document)
    roll = dice.random()
    if roll < 0.15:
        return dice.choice([None, True, 1, -1, 1.5, 10 ** 30, "", [], {}, [[]], "\u0000", *HOSTILE])
    if "enum" in schema:
        return dice.choice(schema["enum"])
    kinds = schema.get("type", "string")
    kind = dice.choice(kinds) if isinstance(kinds, list) else kinds
    if kind == "object":
        return {key: random_value(dice, value, document) for key, value in schema.get("properties", {}).items() if dice.random() < 0.7}
    if kind == "integer":
        return dice.choice([0, 1, 5, 2 ** 31, 2 ** 63 - 1])
    if kind == "null":
        return None
    return dice.choice(["brand", "shop.random.test", "a.b.c.random.test", "http://10.0.0.1", "ptn_x", *HOSTILE])


def test_random_requests_are_answered_as_described(client):
    dice = random.Random(SEED)
    operations = [(path, method) for path, methods in client.document["paths"].items() for method in methods
                  if path not in ("/v1/domains/import", "/v1/openapi.json")]
    for _ in range(700):
        path, method = dice.choice(operations)
        described = client.operation(path, method)
        values = [dice.choice(["shop.random.test", "brand", "1", *HOSTILE]) for _ in range(path.count("{"))]
        if any("/" in value or value in ("", ".", "..") for value in values):
            continue
        query = {one["name"]: str(random_value(dice, one["schema"], client.document)) for one in described["parameters"]
                 if one["in"] == "query" and dice.random() < 0.5}
        body = None
        if "requestBody" in described:
            body = random_value(dice, described["requestBody"]["content"]["application/json"]["schema"], client.document)
        headers = {"Idempotency-Key": f"k{dice.randrange(20)}"} if dice.random() < 0.2 else {}
        if "verify" in path:
            continue  # each may take as long as DNS
        text = "?" + urllib.parse.urlencode(query) if query else ""
        if "\u0000" in text or "%00" in text:
            continue  # refused before there is a route: 41 and 61
        client.call(path, method.upper(), values, text, body, headers)


def test_injection_into_every_parameter_changes_nothing(client):
    before = client.platform.db.query("SELECT count(*) FROM tenants")
    for path, methods in client.document["paths"].items():
        for method, described in methods.items():
            if method != "get":
                continue
            for parameter in described["parameters"]:
                for evil in HOSTILE:
                    if parameter["in"] == "query":
                        values = ["shop.random.test"] * path.count("{")
                        client.call(path, "GET", values, f"?{parameter['name']}={urllib.parse.quote(evil)}")
                    elif parameter["in"] == "path" and "/" not in evil:
                        client.call(path, "GET", [evil])
                    elif parameter["in"] == "header":
                        client.call(path, "GET", ["shop.random.test"] * path.count("{"), headers={
                            parameter["name"]: evil.encode("ascii", "replace").decode()})
    assert client.platform.db.query("SELECT count(*) FROM tenants") == before
    assert "syntax error" not in client.platform.verifier.process.log()


def test_injection_into_every_field_and_every_address_that_changes_something(client):
    """What may be text is kept as text, the rest is refused; nothing is ever an error of the server's."""
    before = client.platform.db.value("SELECT count(*) FROM schema_migrations")
    client.platform.api.add("shop.injected.test")
    for path, methods in client.document["paths"].items():
        for method, described in methods.items():
            if method == "get" or path == "/v1/domains/import":
                continue
            content = described.get("requestBody", {}).get("content", {}).get("application/json")
            schema = client.document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]] if content else {}
            for evil in HOSTILE:
                for field in schema.get("properties", {}):
                    values = ["shop.injected.test" if "{name}" in path else "1"] * path.count("{")
                    client.call(path, method.upper(), values, body={field: evil})
                if "{" in path and not set(evil) & {"/"} and evil not in ("0", "-1"):
                    client.call(path, method.upper(), [evil] * path.count("{"), body={} if content else None)
    assert client.platform.db.value("SELECT count(*) FROM schema_migrations") == before
    assert "syntax error" not in client.platform.verifier.process.log()


def test_choices_are_those_that_are_described(client):
    """Whoever gives a word that there is none of is told of all that there are."""
    for path, methods in client.document["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", []):
            words = parameter["schema"].get("enum")
            if parameter["in"] == "query" and words:
                told = client.call(path, "GET", ["1"] * path.count("{"), f"?{parameter['name']}=nonsense")[1]["detail"]
                assert told == f"{parameter['name']}: must be one of {', '.join(words)}.", path
