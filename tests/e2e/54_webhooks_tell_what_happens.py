"""What happens is told to those who asked to be: signed, once, by https, with a log of it, and to nobody else."""

import time

import pytest

from lab.process import wait_until
from lab.webhooks import Hooks

NAME = "shop.brand.test"


@pytest.fixture
def hooks(lab):
    return Hooks(lab)


def test_a_customers_way_is_told_signed_and_in_order(hooks):
    call, receiver = hooks.call, hooks.receiver()
    hook = hooks.make(receiver, label="CRM")
    hooks.platform.activate(NAME)
    call("POST", f"/v1/domains/{NAME}/suspend")
    call("POST", f"/v1/domains/{NAME}/resume")
    hooks.platform.api.delete(NAME)
    log = hooks.wait(hook, 5)
    assert receiver.types() == ["domain.added", "domain.verified", "domain.suspended", "domain.resumed", "domain.released"]
    for message in receiver.messages:
        assert message.signers == [hook["secret"]] and message.fresh, message.headers.items()
        assert message.headers["Content-Type"] == "application/json"
        assert message.headers["User-Agent"].startswith("postern-webhooks/")
        assert message.json["data"]["name"] == NAME and message.json["data"]["tenant"] == "default"
        assert message.json["timestamp"].endswith("Z")
    assert len(set(receiver.ids())) == 5
    assert [one["message_id"] for one in log] == receiver.ids()[::-1]
    assert {(one["attempts"], one["status"], one["error"], one["next_try_at"]) for one in log} == {(1, 200, None, None)}
    shown = call("GET", f"/v1/webhooks/{hook['id']}/deliveries/{log[0]['id']}")[1]
    assert shown["body"].encode() == receiver.messages[-1].body
    page = call("GET", f"/v1/webhooks/{hook['id']}/deliveries?limit=2")[1]
    rest = call("GET", f"/v1/webhooks/{hook['id']}/deliveries?cursor={page['next']}")[1]
    assert page["deliveries"] + rest["deliveries"] == log
    wait_until(lambda: hooks.platform.acme.metric("postern_acme_webhook_tries_total", result="delivered") == 5, 10, "it to be counted")


def test_each_gets_what_it_asked_for_and_nothing_of_others(hooks):
    call, platform = hooks.call, hooks.platform
    brand, other = hooks.tenant_token("brand"), hooks.tenant_token("other")
    everything, mine, theirs, few = (hooks.receiver() for _ in range(4))
    operators = hooks.make(everything)
    of_brand = hooks.make(mine, token=brand)
    of_other = hooks.make(theirs, token=other)
    filtered = hooks.make(few, token=brand, events=["domain.verified", "token.*"])
    platform.activate(NAME, "brand")
    hooks.wait(operators, 5)
    assert everything.types() == ["webhook.created", "webhook.created", "webhook.created", "domain.added", "domain.verified"]
    hooks.wait(of_brand, 3, token=brand)
    assert mine.types() == ["webhook.created", "domain.added", "domain.verified"], "not of its own beginning"
    hooks.wait(filtered, 1, token=brand)
    assert few.types() == ["domain.verified"] and theirs.types() == []

    # Another tenant's id is nobody's.
    mine_id, log = of_brand["id"], hooks.log(of_brand, brand)[0]["id"]
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate"), ("GET", "/deliveries"),
                         ("GET", f"/deliveries/{log}"), ("POST", f"/deliveries/{log}/redeliver")):
        body = {} if method == "PATCH" or path == "/rotate" else None
        assert call(method, f"/v1/webhooks/{mine_id}{path}", body, token=other)[0] == 404, (method, path)
        assert call(method, f"/v1/webhooks/{operators['id']}{path}", body, token=brand)[0] == 404, (method, path)
    assert call("GET", f"/v1/webhooks/{of_other['id']}/deliveries/{log}", token=other)[0] == 404
    assert call("POST", f"/v1/webhooks/{of_other['id']}/deliveries/{log}/redeliver", token=other)[0] == 404
    assert [one["id"] for one in call("GET", "/v1/webhooks", token=other)[1]["webhooks"]] == [of_other["id"]]
    assert call("GET", "/v1/webhooks?tenant=brand", token=other)[0] == 403
    assert call("POST", "/v1/webhooks", {"url": mine.url(), "tenant": "brand"}, token=other)[0] == 403
    assert [one["id"] for one in call("GET", "/v1/webhooks?tenant=brand")[1]["webhooks"]] == [of_brand["id"], filtered["id"]]
    assert theirs.types() == []


def test_a_test_event_and_one_once_more(hooks):
    call, receiver = hooks.call, hooks.receiver()
    hook = hooks.make(receiver)
    sent = call("POST", f"/v1/webhooks/{hook['id']}/test")
    assert sent[0] == 202 and sent[1]["type"] == "webhook.test"
    first = hooks.wait(hook, 1)[0]
    assert receiver.messages[0].json["data"] == {"tenant": None, "webhook": hook["id"], "actor": "admin-token"}
    again = call("POST", f"/v1/webhooks/{hook['id']}/deliveries/{first['id']}/redeliver")
    assert again[0] == 202 and again[1]["id"] != first["id"]
    hooks.wait(hook, 2)
    assert receiver.ids() == [first["message_id"]] * 2, "so that who has seen it knows it again"
    assert receiver.messages[0].body == receiver.messages[1].body
    assert call("POST", f"/v1/webhooks/{hook['id']}/deliveries/999/redeliver")[0] == 404


def test_another_secret_signs_beside_the_former_one(hooks):
    call, receiver = hooks.call, hooks.receiver()
    hook = hooks.make(receiver)

    def signers_of_next():
        count = len(receiver.messages)
        call("POST", f"/v1/webhooks/{hook['id']}/test")
        wait_until(lambda: len(receiver.messages) > count, 30, "the message")
        return receiver.messages[-1].signers
    status, turned = call("POST", f"/v1/webhooks/{hook['id']}/rotate", {"overlap_hours": 1})
    assert status == 200 and turned["former_secret_until"]
    receiver.secrets.append(turned["secret"])
    assert signers_of_next() == [hook["secret"], turned["secret"]]
    last = call("POST", f"/v1/webhooks/{hook['id']}/rotate", {"overlap_hours": 0})[1]
    receiver.secrets.append(last["secret"])
    assert last["former_secret_until"] is None
    assert signers_of_next() == [last["secret"]]
    for hours in (-1, 169, 1.5, "1", None):
        assert call("POST", f"/v1/webhooks/{hook['id']}/rotate", {"overlap_hours": hours})[0] == 400, hours


def test_certificates_are_told_of(lab):
    """Issued by a real CA; failing, for a name that does not lead here; and about to end, with nobody who replaces it."""
    hooks = Hooks(lab, edges=1)
    receiver, platform = hooks.receiver(), hooks.platform
    brand = hooks.tenant_token("brand")
    hook = hooks.make(receiver, token=brand, events=["certificate.*"])
    platform.activate(NAME, "brand")
    serial = platform.visit(NAME).serial
    hooks.wait(hook, 1, token=brand)
    data = receiver.messages[0].json["data"]
    assert (data["name"], data["tenant"], data["is_renewal"], data["source"]) == (NAME, "brand", False, "acme")
    assert data["serial"].lower() == serial and data["not_before"] < data["not_after"], data

    platform.dns.publish("away.brand.test", "CNAME", "elsewhere.brand.test.")
    platform.dns.publish("elsewhere.brand.test", "A", platform.ground.address(9))
    domain = platform.api.add("away.brand.test", "brand")
    platform.dns.publish(domain["records"][0]["name"], "TXT", domain["records"][0]["value"])
    assert platform.api.verify("away.brand.test", "brand")["status"] == "active"
    platform.db.query("SELECT enqueue_issuance('away.brand.test', 'first_hit')")
    hooks.wait(hook, 2, token=brand)
    assert receiver.types() == ["certificate.issued", "certificate.failing"]
    data = receiver.messages[1].json["data"]
    assert (data["name"], data["who"], data["not_after"]) == ("away.brand.test", "customer", None), data
    assert data["detail"] and data["next_try_at"]

    platform.db.query("INSERT INTO domains (tenant, name, status, token) VALUES ('brand', 'old.brand.test', 'active', repeat('t', 32))")
    platform.db.query("INSERT INTO certificates SELECT 'old.brand.test', 1, '', '', '', 'CA', '00', 'd', now() - interval '88 d',"
                      " now() + interval '47 h', now() + interval '1 d'")
    platform.acme.restart()  # its upkeep looks at its start, and each half a minute
    wait_until(lambda: "certificate.expiring" in receiver.types(), 60, "the warning")
    data = next(message for message in receiver.messages if message.type == "certificate.expiring").json["data"]
    assert (data["name"], data["days_left"]) == ("old.brand.test", 1), data


def test_what_cannot_be_is_refused_with_the_mend(lab):
    """By a verifier as it is by default: public https endpoints and nothing else."""
    platform = lab.platform(edges=0)
    call = platform.api.call

    def refused(body, field):
        status, problem = call("POST", "/v1/webhooks", body)
        assert (status, problem["field"]) == (400, field), problem
        return problem["detail"]
    good = "https://hooks.brand.test/x"
    for url in ("http://hooks.brand.test/", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://10.0.0.1/",
                "https://localhost/", "https://2130706433/", "https://user:pass@hooks.brand.test/", "https://hooks.brand.test:22/",
                "ftp://hooks.brand.test/", "hooks.brand.test", "", "https://hooks.brand.test/" + "a" * 2000, 7, ["x"], None):
        assert refused({"url": url}, "url"), url
    for events in ("domain.*", [1], [None], ["domain.verifed"], ["*"], ["domain.*"] * 51, {}, None):
        assert refused({"url": good, "events": events}, "events"), events
    refused({"url": good, "label": "x" * 201}, "label")
    refused({"url": good, "tenant": "No Tenant"}, "tenant")
    assert call("POST", "/v1/webhooks", {"url": good, "tenant": "nobody"})[1]["code"] == "no_such_tenant"
    assert call("POST", "/v1/webhooks", {"url": good, "secret": "whsec_mine"})[1]["code"] == "unknown_field"
    made = [call("POST", "/v1/webhooks", {"url": good}) for _ in range(11)]
    assert [status for status, _ in made] == [201] * 10 + [409], made[-1]
    hook = made[0][1]["id"]
    assert call("PATCH", f"/v1/webhooks/{hook}", {"url": "https://192.168.1.1/"})[0] == 400
    assert call("PATCH", f"/v1/webhooks/{hook}", {"enabled": "no"})[0] == 400
    assert call("GET", "/v1/webhooks/x")[0] == 404
    assert call("GET", f"/v1/webhooks/{hook}/deliveries/x")[0] == 404
    assert call("GET", f"/v1/webhooks/{hook}/deliveries?state=lost")[0] == 400
    platform.verifier.restart(seal_public_file=None)
    assert call("POST", "/v1/webhooks", {"url": good})[1]["code"] == "sealing_not_set_up"
    assert call("POST", f"/v1/webhooks/{hook}/rotate", {})[1]["code"] == "sealing_not_set_up"


def test_without_webhooks_an_import_leaves_nothing_behind(hooks):
    lines = b"".join(b'{"name": "n%d.brand.test"}\n' % index for index in range(2000))
    began = time.monotonic()
    status, _ = hooks.call("POST", "/v1/domains/import", lines, headers={"Content-Type": "application/x-ndjson"})
    plain = time.monotonic() - began
    assert status == 200
    assert hooks.platform.db.value("SELECT count(*) FROM webhook_events") == "0"
    receiver = hooks.receiver()
    hook = hooks.make(receiver, events=["domain.added"])
    lines = b"".join(b'{"name": "m%d.brand.test"}\n' % index for index in range(500))
    assert hooks.call("POST", "/v1/domains/import", lines, headers={"Content-Type": "application/x-ndjson"})[0] == 200
    wait_until(lambda: len(receiver.messages) >= 500, 60, "an import's messages")
    hooks.platform.db.wait("SELECT count(*) = 0 FROM webhook_deliveries WHERE state <> 'delivered'", 30)
    assert [message.json["data"]["name"] for message in receiver.messages] == [f"m{index}.brand.test" for index in range(500)]
    assert {tuple(message.signers) for message in receiver.messages} == {(hook["secret"],)}
    print(f"an import of 2,000 without a webhook took {plain:.1f} s; 500 messages to one endpoint "
          f"{receiver.messages[-1].at - receiver.messages[0].at:.1f} s")
