"""A CA that is down, slow, limiting, forgetful or wrong: the job waits and retries, orders are not multiplied, what is
stored is what was asked for."""

import json

import pytest

from lab.issuance import Issuance
from lab.process import wait_until

NAME = "shop.brand.test"


@pytest.fixture
def issuance(lab):
    built = Issuance(lab)
    built.issuer().start()
    return built


def retry_soon(issuance):
    issuance.db.query("UPDATE issuance_jobs SET next_try_at = now() WHERE state = 'failed'")


def test_an_order_takes_the_cas_round_trips_and_little_more(issuance):
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    assert issuance.ca.orders_for(NAME) == 1
    assert issuance.ca.seen["finalize"] == 1
    assert issuance.ca.seen["challenge"] == 1
    assert issuance.ca.seen["authorization"] <= 8
    assert issuance.db.value("SELECT count(*) FROM challenges WHERE expires_at > now() + interval '61 s'") == "0"


def test_a_ca_that_refuses_two_nonces_of_five_is_no_obstacle(lab):
    # Six tries a POST: one in 250 fails and is tried again 5 s later. With nine of ten refused it is every other POST,
    # and the growing pauses, not the nonces, decide how long it takes.
    issuance = Issuance(lab, pebble_environment={"PEBBLE_WFE_NONCEREJECT": "40"})
    issuance.issuer().start()
    names = [f"n{index}.brand.test" for index in range(5)]
    issuance.ask_for(*names)
    issuance.wait_issued(*names, seconds=60)
    assert issuance.pebble.orders() == len(names)


def test_a_ca_that_is_down_at_the_start_is_waited_for(lab):
    issuance = Issuance(lab, ca_is_up=False)
    issuance.issuer().start(wait=False)
    issuance.ask_for(NAME)
    assert issuance.wait_failed(NAME) == "ca"  # the proxy in front answers 502
    issuance.pebble.start()
    issuance.wait_issued(NAME, seconds=30)
    assert issuance.job(NAME) == ("idle", "none", "0", "")
    assert issuance.db.value("SELECT count(*) FROM failures") == "0"


def test_a_limit_is_obeyed_for_as_long_as_the_ca_says(issuance):
    issuance.ca.fail("new-order", status=429, problem="rateLimited", detail="too many orders", headers={"Retry-After": "2"})
    issuance.ask_for(NAME)
    assert issuance.wait_failed(NAME) == "rate_limited"
    wait = float(issuance.db.value("SELECT extract(epoch FROM next_try_at - last_try_at) FROM issuance_jobs"))
    assert 2 <= wait < 3
    issuance.db.wait("SELECT detail = 'too many orders' FROM failures")
    issuance.wait_issued(NAME)
    assert issuance.ca.orders_for(NAME) == 1


def test_a_lost_answer_to_finalize_is_looked_up_not_repeated(issuance):
    issuance.ca.lose("finalize")
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    assert issuance.issuers[0].metric("postern_acme_failures_total") == 0
    assert issuance.ca.seen["finalize"] == 1
    assert issuance.ca.orders_for(NAME) == 1


def test_a_500_to_finalize_is_looked_up_before_it_is_tried_again(issuance):
    issuance.ca.fail("finalize", status=500)
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    assert issuance.issuers[0].metric("postern_acme_failures_total") == 0
    assert issuance.ca.seen["finalize"] == 1  # the failed one never reached the CA
    assert issuance.ca.orders_for(NAME) == 1


def test_a_503_in_the_middle_resumes_the_same_order(issuance):
    for kind in ["authorization", "order", "certificate"]:
        name = f"{kind}.brand.test"
        issuance.ca.fail(kind, status=503, times=1)
        issuance.ask_for(name)
        assert issuance.wait_failed(name) == "ca"
        assert issuance.job(name)[1] != "none"
        retry_soon(issuance)
        issuance.wait_issued(name)
        assert issuance.ca.orders_for(name) == 1


def test_a_lost_answer_to_the_challenge_does_no_harm(issuance):
    issuance.ca.lose("challenge")
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    assert issuance.ca.orders_for(NAME) == 1


def test_a_certificate_for_another_name_is_not_stored(issuance):
    issuance.ask_for("other.brand.test")
    issuance.wait_issued("other.brand.test")
    other = issuance.db.value("SELECT chain_pem FROM certificates")
    issuance.ca.change("certificate", lambda status, headers, body: (status, headers, other.encode()))
    issuance.ask_for(NAME)
    assert issuance.wait_failed(NAME) == "certificate"
    assert issuance.stored(NAME) is None
    retry_soon(issuance)
    issuance.wait_issued(NAME)


def test_a_body_that_is_no_chain_is_not_stored(issuance):
    junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for index, body in enumerate([b"", b"not PEM", b"\0" * 1000, junk, b"x" * 200_000]):
        name = f"n{index}.brand.test"
        issuance.ca.change("certificate", lambda status, headers, _, answer=body: (status, headers, answer))
        issuance.ask_for(name)
        assert issuance.wait_failed(name) in ("certificate", "ca"), body[:20]
        assert issuance.stored(name) is None


def test_a_document_that_is_none_fails_the_job_with_a_reason(issuance):
    for kind in ["new-order", "authorization", "order"]:
        for index, body in enumerate([b"[" * 10_000, b"<html>", b"{}", b"x" * 100_000]):
            name = f"{kind}{index}.brand.test"
            issuance.ca.change(kind, lambda status, headers, _, answer=body: (status, headers, answer))
            issuance.ask_for(name)
            assert issuance.wait_failed(name) == "ca", (kind, body[:20])
            assert issuance.db.value(f"SELECT last_error FROM issuance_jobs WHERE name = '{name}'") != ""
            retry_soon(issuance)
            issuance.wait_issued(name)


def test_unknown_challenges_are_ignored(issuance):
    def widen(status, headers, body):
        document = json.loads(body)
        strange = [{"type": "dns-persist-01", "status": "pending", "url": document["challenges"][0]["url"] + "x"},
                   {"type": "http-01", "status": "pending", "url": document["challenges"][0]["url"] + "y", "token": "../x"}]
        return status, headers, json.dumps({**document, "challenges": strange + document["challenges"]}).encode()
    issuance.ca.change("authorization", widen, times=None)
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)


def test_an_authorization_that_is_valid_already_needs_no_challenge(lab):
    issuance = Issuance(lab, pebble_environment={"PEBBLE_AUTHZREUSE": "100"})
    issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    issuance.db.query("UPDATE certificates SET renew_at = now()")
    issuance.ask_for(NAME, reason="renewal")
    wait_until(lambda: issuance.ca.orders_for(NAME) == 2, 10, "the second order")
    issuance.db.wait(f"SELECT renew_at > now() FROM certificates WHERE name = '{NAME}'")
    assert issuance.ca.seen["challenge"] == 1


def test_a_ca_that_forgot_the_account_gets_it_again(issuance):
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    issuance.pebble.stop()
    issuance.pebble.start()
    issuance.ask_for("second.brand.test")
    issuance.wait_issued("second.brand.test", seconds=20)


def test_a_refused_validation_is_remembered_and_the_next_type_tried(lab):
    issuance = Issuance(lab, pebble_environment={"PEBBLE_VA_ALWAYS_VALID": "0"})
    issuance.issuer().start()
    issuance.ask_for(NAME)
    cause = issuance.wait_failed(NAME, seconds=30)
    assert cause in ("dns", "connection", "unauthorized")
    assert issuance.job(NAME) == ("failed", "none", "1", cause)
    issuance.db.wait("SELECT count(*) > 0 FROM failures")
    rows = issuance.db.query("SELECT cause, count, extract(epoch FROM retry_at - last_at)::integer FROM failures")
    assert rows[0][:2] == [cause, "1"] and 54 <= int(rows[0][2]) <= 66
    retry_soon(issuance)
    issuance.db.wait("SELECT attempts = 2 FROM issuance_jobs", 30)
    types = [row[0] for row in issuance.db.query("SELECT type FROM challenges ORDER BY id")]
    assert types == ["tls-alpn-01", "http-01"]
    assert issuance.ca.orders_for(NAME) == 2
