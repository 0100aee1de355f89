"""An order that is given up, because its domain is deleted or the name goes to another CA, leaves no authorization pending at
its CA, where such count against the account; and only who holds the job ends them."""

import json

import pytest

from lab.issuance import Issuance, wait_frozen
from lab.process import wait_until

NAME = "shop.brand.test"
LEASE = {"job_lease": "1s"}


def authorizations(issuance):
    """What the CA says of them, in its own words, as it says it."""
    statuses = []

    def note(status, headers, body):
        statuses.append(json.loads(body).get("status"))
        return status, headers, body
    issuance.ca.change("authorization", note, times=None)
    return statuses


def add_domain(issuance):
    issuance.db.query("INSERT INTO domains (tenant, name, status, token) "
                      f"VALUES ('default', '{NAME}', 'active', repeat('t', 32))")


def fails_at_the_ca(issuance, attempts=1):
    """The order stays where it is: what its CA had was trouble of its own."""
    issuance.ca.fail("challenge", status=500, times=None)
    issuance.ask_for(NAME)
    for attempt in range(1, attempts + 1):
        issuance.db.wait(f"SELECT state = 'failed' AND attempts = {attempt} AND step = 'ordered' FROM issuance_jobs", 20)
        if attempt < attempts:
            issuance.retry_soon()


def delete_domain(issuance):
    issuance.db.query("UPDATE domains SET status = 'released'")
    issuance.retry_soon()


def closed(issuance):
    issuance.db.wait("SELECT state = 'idle' AND step = 'none' AND order_url IS NULL FROM issuance_jobs", 20)


def test_a_domain_that_is_deleted_meanwhile(lab):
    issuance = Issuance(lab, acme={"budget_exact": "1/7d"})
    issuer = issuance.issuer().start()
    add_domain(issuance)
    fails_at_the_ca(issuance)
    statuses = authorizations(issuance)
    delete_domain(issuance)
    closed(issuance)
    assert statuses == ["deactivated"]
    wait_until(lambda: issuer.metric("postern_acme_orders_total", result="forbidden") == 1, 10, "it to be counted")

    # Nothing was made: the ledger, which allows for one certificate, has room for the domain's return.
    issuance.ca.clear()
    issuance.db.query("UPDATE domains SET status = 'active'")
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    assert issuance.ca.orders_for(NAME) == 2


@pytest.mark.parametrize("point", ["before-deactivate", "after-deactivate"])
def test_what_a_killed_issuer_began_is_finished(lab, point):
    issuance = Issuance(lab, acme=LEASE, crash_points=True)
    first = issuance.issuer(kill_at=point).start()
    add_domain(issuance)
    fails_at_the_ca(issuance)
    statuses = authorizations(issuance)
    delete_domain(issuance)
    wait_until(lambda: not first.process.alive, 10, f"the issuer to die {point}")
    issuance.issuer().start()
    closed(issuance)
    assert statuses == ["deactivated"]


def test_a_ca_that_fails_at_it_keeps_no_job(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    add_domain(issuance)
    fails_at_the_ca(issuance)
    issuance.ca.fail("order", status=500, times=None)
    asked = issuance.ca.arrivals[NAME, "order"]
    delete_domain(issuance)
    closed(issuance)
    assert issuance.ca.arrivals[NAME, "order"] == asked + 1


def test_an_order_left_at_the_first_ca(lab):
    issuance = Issuance(lab, second_ca=True)
    issuance.issuer().start()
    fails_at_the_ca(issuance, attempts=2)
    statuses = authorizations(issuance)
    issuance.retry_soon()
    issuance.wait_issued(NAME, seconds=30)
    assert (issuance.ca.orders_for(NAME), issuance.second_ca.orders_for(NAME)) == (1, 1)
    assert statuses == ["pending", "deactivated"]


@pytest.mark.parametrize("why", ["deleted", "another CA"])
def test_who_slept_through_its_lease_ends_nothing(lab, why):
    issuance = Issuance(lab, acme=LEASE, crash_points=True, second_ca=why == "another CA")
    frozen = issuance.issuer(stop_at="before-deactivate").start()
    add_domain(issuance)
    fails_at_the_ca(issuance, attempts=1 if why == "deleted" else 2)
    statuses = authorizations(issuance)
    if why == "deleted":
        delete_domain(issuance)
    else:
        issuance.retry_soon()
    wait_frozen(frozen.process, 20)
    issuance.issuer().start()
    if why == "deleted":
        closed(issuance)
    else:
        issuance.wait_issued(NAME, seconds=30)
    assert statuses[-1] == "deactivated", "by the one that has the job now"
    before = dict(issuance.ca.arrivals), issuance.job(NAME), issuance.stored(NAME)
    frozen.thaw()
    frozen.process.wait_log("another process has this job now" if why == "deleted" else "cannot record the failure", 10)
    assert (dict(issuance.ca.arrivals), issuance.job(NAME), issuance.stored(NAME)) == before
