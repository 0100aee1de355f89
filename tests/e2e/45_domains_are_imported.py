"""Many domains come in one request, line by line, with what they bring along from another system."""

import http.client
import json
import os
import time

import pytest

from lab.place import is_sanitized

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def platform(shared_lab):
    platform = shared_lab.platform(edges=0)
    platform.api.call("POST", "/v1/tenants", {"id": "brand", "max_domains": 2})
    return platform


def bring(platform, *lines, token=None):
    text = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=30)
    connection.request("POST", "/v1/domains/import", text, {**NDJSON, "Authorization": f"Bearer {token or platform.token}"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Type")) == (200, "application/x-ndjson"), answer.read()
    return [json.loads(line) for line in answer.read().splitlines()]


def test_each_line_has_its_result(platform):
    results = bring(platform, {"name": "one.import.test"}, b"\n", {"name": "one.import.test"}, b"{nonsense\n", {"name": "10.0.0.1"},
                    {"name": "co.uk"}, {"name": "x.saas.test"}, {"nmae": "x"}, {"name": "bücher.import.test", "tenant": "new"},
                    {"name": "a.import.test", "options": {"hsts": "x"}}, {"name": "b.import.test", "token": "short"},
                    b'{"name": "' + b"x" * 30000 + b'"}\n', b'{"name": "last.import.test"}')
    assert [result["line"] for result in results] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert [result.get("code", result["result"]) for result in results] == [
        "added", "exists", "invalid_json", "invalid_name", "invalid_name", "platform_name", "unknown_field", "added",
        "invalid_options", "invalid_token", "too_long", "added"]
    assert results[0]["record"]["value"] == platform.api.show("one.import.test")["records"][0]["value"]
    assert results[7]["name"] == "xn--bcher-kva.import.test"
    assert platform.db.value("SELECT count(*) FROM import_results") == "0", "nothing is left"


def test_moves_bring_token_label_and_status(platform):
    results = bring(platform, {"name": "moved.import.test", "tenant": "mover", "token": "Token_of-the-old-system1",
                               "txt_label": "_proof", "status": "active", "options": {"upstream": "http://10.0.0.7"}})
    assert results[0]["result"] == "added"
    assert results[0]["record"] == {"type": "TXT", "name": "_proof.moved.import.test",
                                    "value": "Token_of-the-old-system1.verify.saas.test", "purpose": "ownership"}
    shown = platform.api.show("moved.import.test")
    assert (shown["status"], shown["records"][0]["name"]) == ("active", "_proof.moved.import.test")
    assert platform.verifier.ask("moved.import.test") == 200
    assert [event["event"] for event in platform.api.call("GET", "/v1/events?name=moved.import.test")[1]["events"]] == ["imported"]
    assert bring(platform, {"name": "moved.import.test", "tenant": "thief", "status": "active"})[0]["code"] == "owned_by_another"
    platform.dns.publish("_proof.moved.import.test", "TXT", "Token_of-the-old-system1.verify.saas.test")
    assert platform.api.verify("moved.import.test", "mover")["check"]["outcome"] == "verified"


def test_tenant_brings_its_own_and_nothing_privileged(platform):
    token = platform.api.call("POST", "/v1/tokens", {"scope": "tenant", "tenant": "brand"})[1]["token"]
    results = bring(platform, {"name": "t1.brand.test"}, {"name": "x.brand.test", "tenant": "mover"},
                    {"name": "x.brand.test", "status": "active"}, {"name": "x.brand.test", "token": "a" * 32},
                    {"name": "x.brand.test", "options": {"upstream": "http://10.0.0.1"}}, {"name": "t2.brand.test"},
                    {"name": "t3.brand.test"}, token=token)
    assert [result.get("code", result["result"]) for result in results] == [
        "added", "other_tenant", "operator_only", "operator_only", "invalid_options", "added", "too_many_domains"]


def test_wrong_requests_are_refused_before_their_body(platform):
    call = platform.api.call
    assert call("POST", "/v1/domains/import", b"{}", headers={"Content-Type": "application/json"})[0] == 415
    assert call("POST", "/v1/domains/import?tenant=x", b"{}", headers=NDJSON)[0] == 400
    assert call("POST", "/v1/domains/import", b"{}", headers=NDJSON, token="wrong")[0] == 401
    assert call("GET", "/v1/domains/import")[0] == 405
    assert bring(platform, b"") == [] and bring(platform, b"\n\n \n") == []


def test_a_hundred_thousand_lines_in_bounded_memory(platform):
    """Most of them empty, unless POSTERN_IMPORT_NAMES says more: that takes as long as the database does."""
    count, before, start = 100_000, platform.verifier.process.rss(), time.monotonic()
    names = int(os.environ.get("POSTERN_IMPORT_NAMES", 6000))
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=120)

    def lines():
        for first in range(0, count + 2, 1000):
            yield b"".join(b'{"name": "n%d.many.test", "tenant": "many%d"}\n' % (number, number % 50) if number < names else b"\n"
                           for number in range(first, min(first + 1000, count + 2)))
    connection.request("POST", "/v1/domains/import", lines(), {**NDJSON, "Authorization": f"Bearer {platform.token}"},
                       encode_chunked=True)
    answer, highest, got = connection.getresponse(), 0, 0
    assert answer.status == 200
    for line in answer:
        got += 1
        result = json.loads(line)
        if got <= names:
            assert (result["line"], result["result"]) == (got, "added"), result
        if got % 1000 == 0:
            highest = max(highest, platform.verifier.process.rss())
    assert (got, result["line"], result["code"]) == (names + 1, count + 1, "too_many_lines")
    assert platform.db.value("SELECT count(*) FROM domains WHERE name LIKE '%.many.test'") == str(names)
    assert is_sanitized("postern-verifier") or highest - before < 24 * 1024 * 1024
    print(f"{names} domains in {time.monotonic() - start:.1f} s, memory +{(highest - before) / 2 ** 20:.1f} MiB")
