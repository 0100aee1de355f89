"""What a tenant's token cannot do: end the operator's suspension, see who another tenant is, hold what all share, outlive
its revocation."""

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.process import wait_until


@pytest.fixture(scope="module")
def platform(shared_lab):
    return shared_lab.platform(edges=0)


def token_of(platform, tenant):
    platform.api.call("POST", "/v1/tenants", {"id": tenant})
    return platform.api.call("POST", "/v1/tokens", {"scope": "tenant", "tenant": tenant})[1]


def txt(domain):
    return next(record for record in domain["records"] if record["type"] == "TXT")


def code(answer):
    return answer[0], answer[1].get("code")


class Import:
    """One that comes in piece by piece."""

    def __init__(self, platform, token):
        self.socket = socket.create_connection((platform.verifier.address, platform.verifier.port), timeout=30)
        self.socket.sendall(f"POST /v1/domains/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def send(self, text):
        self.socket.sendall(f"{len(text):x}\r\n{text}\r\n".encode())

    def end(self):
        """Its status and body."""
        self.socket.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self):
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        return answer.status, answer.read().decode()

    def close(self):
        self.socket.close()


def lines(word, first, count):
    return "".join(f'{{"name": "{word}{number}.brand.test"}}\n' for number in range(first, first + count))


def test_operators_suspension_is_not_ended_by_deleting_and_proving_anew(platform):
    name, token = "banned.brand.test", token_of(platform, "brand")["token"]
    platform.activate(name, "brand")
    assert platform.api.call("POST", f"/v1/domains/{name}/suspend")[1]["suspended_by"] == "operator"
    assert code(platform.api.call("DELETE", f"/v1/domains/{name}", token=token)) == (403, "operator_only")
    assert platform.api.show(name, "brand")["status"] == "suspended"
    assert platform.verifier.ask(name) == 403
    assert platform.api.call("DELETE", f"/v1/domains/{name}")[0] == 204, "the operator may"


def test_taken_over_tenant_does_not_learn_who_did_it_from_where(platform):
    name, first, second = "takeover.brand.test", token_of(platform, "one"), token_of(platform, "two")
    platform.activate(name, "one")
    later = txt(platform.api.call("POST", "/v1/domains", {"name": name}, token=second["token"])[1])
    platform.dns.publish(later["name"], "TXT", later["value"])
    assert platform.api.call("POST", f"/v1/domains/{name}/verify", token=second["token"])[1]["status"] == "active"
    event = platform.api.call("GET", f"/v1/events?name={name}", token=first["token"])[1]["events"][0]
    assert (event["event"], event["actor"], event["remote"]) == ("taken_over", "other-tenant", None), event
    event = platform.api.call("GET", f"/v1/events?name={name}", token=second["token"])[1]["events"][0]
    assert (event["event"], event["actor"]) == ("verified", f"token:{second['id']}"), event


def test_a_tenants_slow_imports_leave_room_for_others(platform):
    slow, other = token_of(platform, "slow")["token"], token_of(platform, "other")["token"]
    begun = lambda: platform.db.value("SELECT last_value || is_called::text FROM imports")  # noqa: E731
    before = begun()
    held = Import(platform, slow)
    wait_until(lambda: begun() != before, 10, "the first to be let in")
    assert [Import(platform, slow).answer()[0] for _ in range(5)] == [429] * 5
    for token in (other, platform.token):
        import_ = Import(platform, token)
        import_.send(lines(f"room{token[-4:].lower()}x", 0, 1))
        assert import_.end()[0] == 200
    held.send(lines("slow", 0, 1))
    assert held.end()[0] == 200
    wait_until(lambda: Import(platform, slow).end()[0] == 200, 10, "room for its next one")


def test_import_ends_with_its_token(platform):
    token = token_of(platform, "leaving")
    import_ = Import(platform, token["token"])
    import_.send(lines("leaving", 0, 200))
    count = lambda: int(platform.db.value("SELECT count(*) FROM domains WHERE tenant = 'leaving'"))  # noqa: E731
    wait_until(lambda: count() == 200, 20, "the first batch")
    assert platform.api.call("DELETE", f"/v1/tokens/{token['id']}")[0] == 204
    import_.send(lines("leaving", 200, 200))
    status, body = import_.end()
    assert (status, "revoked" in body) == (401, True), body[:300]
    assert count() == 200


def test_one_of_many_changes_with_the_same_etag_wins(platform):
    platform.api.call("POST", "/v1/tenants", {"id": "raced"})
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=30)
    connection.request("GET", "/v1/tenants/raced", headers={"Authorization": f"Bearer {platform.token}"})
    tag = connection.getresponse().getheader("ETag")

    def change(number):
        return platform.api.call("PATCH", "/v1/tenants/raced", {"max_domains": 100 + number}, headers={"If-Match": tag})[0]
    held = threading.Thread(target=platform.db.query, args=(
        "BEGIN; SELECT 1 FROM tenants WHERE id = 'raced' FOR UPDATE; SELECT pg_sleep(1); COMMIT",))
    held.start()
    wait_until(lambda: platform.db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1", 10, "the lock")
    with ThreadPoolExecutor(4) as pool:  # all of them wait for the row at once
        assert sorted(pool.map(change, range(4))) == [200] + [412] * 3
    held.join()


def test_platform_name_keeps_its_upstream_whatever_else_is_called_so(platform):
    name = "up.saas.test"
    assert platform.api.call("POST", "/v1/domains", {"name": name, "options": {"upstream": "http://10.0.0.1"}})[0] == 201
    change = {"options": {"upstream": None, "response_headers": {"remove": ["upstream"]}}}
    assert code(platform.api.call("PATCH", f"/v1/domains/{name}", change)) == (400, "invalid_options")


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_ask_answers_many_at_once_while_the_database_is_away(lab, how):
    platform = lab.platform(edges=0, own_postgres=True)
    platform.activate("shop.brand.test")
    assert platform.verifier.ask("shop.brand.test") == 200
    getattr(lab.clusters[0], how)()

    def ask(_):
        began = time.monotonic()
        return platform.verifier.ask("shop.brand.test"), time.monotonic() - began
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(ask, range(40)))
    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < 10, sorted(seconds for _, seconds in answers)
    lab.clusters[0].thaw() if how == "freeze" else lab.clusters[0].start()
    wait_until(lambda: platform.verifier.ask("shop.brand.test") == 200, 15, "ask to recover")
