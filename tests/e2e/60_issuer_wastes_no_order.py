"""What could cost an order too many, or a job its owner: a CA that takes its time, a Retry-After longer than the lease,
a database that fails just when a stored certificate is to be looked at."""

import time

import pytest

from lab.issuance import Issuance
from lab.process import wait_until

pytestmark = pytest.mark.long

NAME = "shop.brand.test"


@pytest.fixture
def issuance(lab):
    return Issuance(lab)


def owner(issuance):
    return issuance.db.query("SELECT state, fence, lease_until > now() FROM issuance_jobs")[0]


def test_an_answer_that_takes_the_ca_seventeen_seconds_is_waited_for(issuance):
    issuance.issuer().start()
    gate = issuance.ca.hold("new-order", after=True)
    issuance.ask_for(NAME)
    assert gate.arrived.wait(10)
    time.sleep(17)  # the CA's time, not a step to be in time with
    gate.open()
    issuance.wait_issued(NAME)
    assert issuance.ca.orders_for(NAME) == 1
    assert issuance.db.value("SELECT count(*) FROM failures") == "0"


def test_a_retry_after_beyond_the_lease_loses_no_job(issuance):
    issuance.issuer(job_lease="2s").start()

    def pending(status, headers, body):
        return status, {**headers, "Retry-After": "60"}, body.replace(b'"status": "ready"', b'"status": "pending"')
    issuance.ca.change("order", pending, times=None)
    issuance.ask_for(NAME)
    wait_until(lambda: issuance.ca.seen["order"] >= 1, 10, "the poll that is told to come back later")
    before = owner(issuance)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert owner(issuance) == before
        time.sleep(0.2)
    assert before[2] == "t"
    assert issuance.ca.seen["order"] == 1


def test_a_stored_certificate_that_cannot_be_read_is_not_ordered_again(issuance):
    issuer = issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    issuance.db.query("REVOKE SELECT ON certificates FROM postern_acme")
    issuance.db.query("GRANT SELECT (name, not_after, renew_at, source, stored_at, revoked_at, tenant, removed_at) ON certificates TO postern_acme")
    issuance.ask_for(NAME)
    assert issuance.wait_failed(NAME) == "database"
    assert issuance.ca.orders_for(NAME) == 1
    issuance.db.query("GRANT SELECT ON certificates TO postern_acme")
    issuance.db.query("UPDATE issuance_jobs SET next_try_at = now()")
    issuance.db.wait("SELECT state = 'idle' FROM issuance_jobs")
    assert issuance.ca.orders_for(NAME) == 1
    wait_until(lambda: issuer.metric("postern_acme_orders_total", result="unneeded") == 1, 10, "it to be counted")


def retry_soon(issuance):
    issuance.db.query("UPDATE issuance_jobs SET next_try_at = now() WHERE state = 'failed'")


def wait_attempts(issuance, count):
    issuance.db.wait(f"SELECT state = 'failed' AND attempts = {count} FROM issuance_jobs", 15)


@pytest.mark.parametrize("kind", ["order", "certificate"])
def test_what_the_ca_does_not_find_yet_is_looked_for_again(issuance, kind):
    issuance.issuer().start()
    issuance.ca.fail(kind, status=404, times=3)
    issuance.ask_for(NAME)
    for attempt in (1, 2, 3):
        wait_attempts(issuance, attempt)
        if attempt < 3:
            retry_soon(issuance)
    issuance.ca.clear()
    retry_soon(issuance)
    issuance.wait_issued(NAME)
    assert issuance.ca.orders_for(NAME) == 1
    assert issuance.ca.seen["finalize"] == 1


def test_an_order_that_stays_lost_is_replaced_at_last(issuance):
    issuance.issuer().start()
    issuance.ca.fail("order", status=404, times=4)
    issuance.ask_for(NAME)
    for attempt in (1, 2, 3):
        wait_attempts(issuance, attempt)
        assert issuance.ca.orders_for(NAME) == 1
        retry_soon(issuance)
    issuance.wait_issued(NAME)
    assert issuance.ca.orders_for(NAME) == 2


def test_a_certificate_that_is_no_good_costs_an_order_a_day(issuance):
    issuance.issuer().start()
    issuance.ca.change("certificate", lambda status, headers, _: (status, headers, b"junk"), times=None)
    issuance.ask_for(NAME)
    for attempt in range(1, 5):
        wait_attempts(issuance, attempt)
        assert issuance.ca.orders_for(NAME) == 1
        retry_soon(issuance) if attempt < 4 else None
    assert issuance.job(NAME) == ("failed", "none", "4", "certificate")
    assert float(issuance.db.value("SELECT extract(epoch FROM next_try_at - now()) FROM issuance_jobs")) > 20 * 3600
