"""One name explained, by API and by command: a sentence that says what is wrong and who acts, DNS as it is now, and all that is
known; to a tenant what is its own, and nothing of others."""

import socket
import ssl
import subprocess

import pytest

from lab import client_hello
from lab.place import free_port, program
from lab.process import wait_until
from lab.tls_backend import Backend, record

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


def of_node(seen, edge):
    [found] = [row for row in seen["handshakes"] if row["node"].endswith(f":{edge.admin}")]
    return found


def causes(platform, name, edge):
    found = of_node(explain(platform, name), edge)["seen"]
    return {refusal["cause"]: (refusal["count"], refusal["alert"]) for refusal in found["refusals"]}


def test_each_node_tells_what_it_has_seen(platform):
    name, first, second = "nodes.brand.test", *platform.edges
    platform.activate(name)
    platform.visit(name, edge=first)
    platform.visit(name, edge=second)
    platform.visit(name, edge=second)
    seen = explain(platform, name)
    assert [of_node(seen, edge)["seen"]["full"] for edge in (first, second)] == [1, 2]
    assert all(row["alive"] and row["answered_at"] and row["seen"]["last_at"] and row["seen"]["refusals"] == []
               for row in seen["handshakes"])
    platform.api.call("POST", f"/v1/domains/{name}/suspend")
    wait_until(lambda: platform.refusal(name, second).alert == "unrecognized_name", 20, "the suspension to be served")
    # Whoever came before it was served left after the server's hello.
    assert set(causes(platform, name, second)) - {"client_left"} == {"suspended"} and causes(platform, name, first) == {}
    refusal = of_node(explain(platform, name), second)["seen"]["refusals"][0]
    assert (refusal["alert"], refusal["who"]) == (112, "operator") and "suspended" in refusal["meaning"]
    assert f"edge@{of_node(explain(platform, name), second)['node'].split('@')[1]}" in command(platform, name)


def test_one_whose_tls_is_passed_on_is_served_without_a_certificate(lab):
    server, own, routed = lab.use(Backend("127.0.0.1", record(b"hello"))).start(), "own.brand.test", "routed.mail.test"
    platform = lab.platform(edges=1, edge={"passthrough": f"{routed} {server.place}"})
    platform.activate(own)
    code, _ = platform.api.call("PATCH", f"/v1/domains/{own}", {"options": {"passthrough": server.place}})
    assert code == 200 and platform.api.show(own)["state"]["code"] == "live"
    code, who, text = summary(platform, own)
    assert (code, who) == ("served", "nobody") and "passed on unopened" in text, text
    assert f"{own} is served (its TLS is passed on unopened)" in command(platform, own)

    assert summary(platform, routed)[:2] == ("not_added", "customer"), "nobody has come yet"
    with socket.create_connection((platform.edge.address, platform.https), 10) as connection:
        connection.sendall(client_hello.client_hello(routed.encode()))
        assert connection.recv(5) == b"hello"
    code, who, text = summary(platform, routed)
    assert (code, who) == ("served", "nobody") and "setting passthrough" in text, text
    assert "setting passthrough" in command(platform, routed)


def test_cause_of_each_refusal_is_exact(lab):
    platform = lab.platform(edges=2, edge={"issue_wait": "1s"})
    first, second = platform.edges
    second.restart(ask_url=f"http://127.0.0.1:{free_port('127.0.0.1')}/ask")
    platform.api.add("pending.brand.test")
    assert platform.refusal("pending.brand.test", first).alert == "unrecognized_name"
    assert platform.refusal("pending.brand.test", first).alert == "unrecognized_name"
    assert causes(platform, "pending.brand.test", first) == {"denied": (2, 112)}, "the second was remembered"
    assert platform.refusal("pending.brand.test", second).alert == "internal_error"
    assert causes(platform, "pending.brand.test", second) == {"ask": (1, 80)}

    platform.activate("late.brand.test")
    platform.acme.stop()
    assert platform.refusal("late.brand.test", first).alert == "internal_error"
    assert sum(count for count, _ in causes(platform, "late.brand.test", first).values()) == 1
    assert set(causes(platform, "late.brand.test", first)) <= {"issue_deadline", "deadline"}
    connection = socket.create_connection((first.address, platform.https), 10)
    connection.sendall(client_hello.client_hello(b"late.brand.test"))
    wait_until(lambda: first.metric("postern_edge_waiters") == 1, 10, "the visitor to wait")
    connection.close()
    wait_until(lambda: "client_left" in causes(platform, "late.brand.test", first), 10, "the visitor's going")

    platform.acme.start()
    platform.issue("strict.brand.test")
    platform.visit("strict.brand.test", edge=first)
    platform.api.call("PATCH", "/v1/domains/strict.brand.test", {"options": {"minimum_tls": "1.3"}})
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode, old.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2

    def speaks_12():
        try:
            platform.visit("strict.brand.test", edge=first, context=old)
        except ssl.SSLError:
            return False
        return True
    wait_until(lambda: not speaks_12(), 20, "TLS 1.2 to be refused")
    assert causes(platform, "strict.brand.test", first)["protocol_version"] == (1, 70)
    with pytest.raises(ssl.SSLError):
        platform.visit("strict.brand.test", edge=first, context=ssl.create_default_context())
    wait_until(lambda: causes(platform, "strict.brand.test", first).get("client_alert") == (1, None), 10, "the alert")


def test_an_edge_that_refuses_what_is_well_is_named(lab):
    """Only while it does: what it refused before the name was stored, and before it served it, is over."""
    platform = lab.platform(edges=2)
    first, second = platform.edges
    platform.api.add(NAME)
    assert platform.refusal(NAME, second).alert == "unrecognized_name"
    platform.activate(NAME)
    platform.visit(NAME, edge=first)
    assert summary(platform)[:2] == ("served", "nobody")
    platform.db.query("UPDATE certificates SET stored_at = now() - interval '1 h'; "
                      "UPDATE domains SET status_changed_at = now() - interval '1 h'")
    code, who, text = summary(platform)
    node = of_node(explain(platform), second)["node"]
    assert (code, who) == ("served", "customer") and f"but {node} refused the last visitor" in text, text
    assert f"but {node} refused the last visitor" in command(platform) and "who_acts=customer" in command(platform)

    wait_until(lambda: platform.refusal(NAME, second).alert is None, 20, "the name on the second node")
    platform.visit(NAME, edge=second)
    assert summary(platform)[:2] == ("served", "nobody")


def test_trouble_with_the_database_is_told_afterwards(lab):
    platform = lab.platform(own_postgres=True, edges=1)
    platform.activate(NAME)
    lab.clusters[0].freeze()
    assert platform.refusal(NAME).alert == "internal_error"
    lab.clusters[0].thaw()
    wait_until(lambda: platform.api.call("GET", f"/v1/explain/{NAME}")[0] == 200, 30, "the database")
    found = wait_until(lambda: (row := of_node(explain(platform), platform.edges[0]))["seen"] and row, 30, "the edge's answer")
    assert {refusal["cause"] for refusal in found["seen"]["refusals"]} <= {"database", "lookup_deadline"}
    assert {refusal["who"] for refusal in found["seen"]["refusals"]} == {"operator"}


def test_flood_of_junk_leaves_no_rows_and_pushes_out_no_customer(lab):
    platform = lab.platform(edges=1)
    edge = platform.edges[0]
    platform.activate(NAME)
    platform.visit(NAME)
    for number in range(2500):
        platform.refusal(f"warm{number}.junk.test")
    before = edge.process.rss()
    for number in range(2500):
        platform.refusal(f"junk{number}.junk.test")
    assert edge.process.rss() < before + 4 * 1024 * 1024
    assert platform.db.value("SELECT count(*) FROM handshakes") == "0", "nobody has asked"
    assert of_node(explain(platform), edge)["seen"]["full"] == 1
    assert platform.db.value("SELECT count(*) FROM handshakes") == "1"
    assert causes(platform, "junk2499.junk.test", edge)["denied"][0] == 1


def test_dead_node_is_shown_as_such(lab):
    platform = lab.platform(edges=2)
    first, second = platform.edges
    platform.activate(NAME)
    platform.visit(NAME, edge=first)
    second.kill()
    seen = explain(platform)
    assert of_node(seen, second)["seen"] is None and of_node(seen, second)["answered_at"] is None
    assert of_node(seen, first)["seen"]["full"] == 1
    platform.db.query("UPDATE nodes SET seen_at = seen_at - interval '2 minutes' WHERE id LIKE '%:" + f"{second.admin}'")
    assert of_node(explain(platform), second)["alive"] is False


def test_tenants_see_handshakes_of_what_they_own(platform):
    name = "seen.brand.test"
    for tenant in ("seer", "blind"):
        platform.api.call("POST", "/v1/tenants", {"id": tenant})
    seer, blind = token_of(platform, "seer"), token_of(platform, "blind")
    platform.activate(name, "seer")
    platform.visit(name)
    platform.api.add(name, "blind")
    rows = explain(platform, name, seer)["handshakes"]
    assert sum(row["seen"]["full"] for row in rows) == 1 and all("@" not in row["node"] for row in rows)
    assert explain(platform, name, blind)["handshakes"] == []
