"""kill -9 of an issuer at every persisted step and around every request: another instance goes on with the same
order. Only between POST newOrder and the commit of its URL may one order be lost."""

import pytest

from lab.issuance import Issuance, wait_frozen
from lab.process import wait_until

LEASE = {"job_lease": "1s"}

STEPS = ["claimed", "ordering", "before-new_order", "ordered", "before-authorization", "after-authorization", "published",
         "before-challenge", "after-challenge", "before-order", "after-order", "finalizing", "before-finalize",
         "after-finalize", "issued", "before-certificate", "after-certificate", "accepted"]


@pytest.fixture
def issuance(lab):
    """With the account made already."""
    built = Issuance(lab, acme=LEASE, crash_points=True)
    built.issuer().start().stop()
    return built


def killed_at(issuance, point, name):
    first = issuance.issuer(kill_at=point).start(wait=False)
    issuance.ask_for(name)
    wait_until(lambda: not first.process.alive, 10, f"the issuer to die at {point}")
    assert first.process.exit_code == -9, first.process.log()[-2000:]


def test_every_step_is_resumed_with_the_same_order(lab):
    # The leases last until they are ended below: no victim takes over what the one before it left.
    issuance = Issuance(lab, acme={"job_lease": "10m"}, crash_points=True)
    issuance.issuer().start().stop()
    names = {point: f"{point}.brand.test".replace("_", "-") for point in STEPS}
    for point, name in names.items():
        killed_at(issuance, point, name)
    issuance.db.query("UPDATE issuance_jobs SET lease_until = now()")
    issuance.issuer().start()
    issuance.wait_issued(*names.values(), seconds=30)
    for point, name in names.items():
        assert issuance.ca.orders_for(name) == 1, f"killed at {point}: {issuance.ca.orders_for(name)} orders"


def test_the_moment_between_new_order_and_its_commit_costs_one_order(issuance):
    killed_at(issuance, "after-new_order", "a.brand.test")
    issuance.issuer().start()
    issuance.wait_issued("a.brand.test")
    assert issuance.ca.orders_for("a.brand.test") == 2


def test_after_the_certificate_is_stored_nothing_is_left_to_do(issuance):
    killed_at(issuance, "stored", "a.brand.test")
    stored = issuance.stored("a.brand.test")
    issuance.issuer().start()
    issuance.ask_for("a.brand.test")
    issuance.wait_issued("a.brand.test")
    assert issuance.stored("a.brand.test") == stored
    assert issuance.ca.orders_for("a.brand.test") == 1


def test_the_account_is_made_once_wherever_its_maker_dies(lab):
    for point in ["account-key", "before-new_account", "after-new_account"]:
        issuance = Issuance(lab, acme={"job_lease": "1s"}, crash_points=True)
        first = issuance.issuer(kill_at=point).start(wait=False)
        wait_until(lambda: not first.process.alive, 10, f"the issuer to die at {point}")
        issuance.issuer().start()
        issuance.ask_for("a.brand.test")
        issuance.wait_issued("a.brand.test")
        accounts = issuance.pebble.process.log().count("There are now 1 accounts in memory")
        assert accounts == 1 and "There are now 2 accounts" not in issuance.pebble.process.log()


@pytest.mark.parametrize("point", ["before-new_order", "published", "before-challenge", "before-finalize", "after-finalize",
                                   "accepted"])
def test_an_issuer_frozen_past_its_lease_writes_and_posts_nothing_more(issuance, point):
    name = "a.brand.test"
    frozen = issuance.issuer(stop_at=point).start()
    issuance.ask_for(name)
    wait_frozen(frozen.process)
    issuance.issuer().start()
    issuance.wait_issued(name)
    stored, seen, orders = issuance.stored(name), dict(issuance.ca.seen), issuance.ca.orders_for(name)
    frozen.thaw()
    wait_until(lambda: frozen.metric("postern_acme_orders_total", result="lost") == 1, 10, "the job to be known lost")
    assert issuance.stored(name) == stored
    assert dict(issuance.ca.seen) == seen
    assert orders == 1


def test_a_stopped_issuer_hands_its_order_on_at_once(lab):
    issuance = Issuance(lab, acme={"job_lease": "60s"})
    first = issuance.issuer().start()
    gate = issuance.ca.hold("challenge")
    issuance.ask_for("a.brand.test")
    gate.arrived.wait(10)
    second = issuance.issuer().start()
    first.process.send(15)
    first.process.wait_log("stopping")
    gate.open()
    issuance.wait_issued("a.brand.test", seconds=5)
    assert issuance.ca.orders_for("a.brand.test") == 1
    wait_until(lambda: second.metric("postern_acme_orders_total", result="issued") == 1, 10, "it to be counted")
    assert first.process.wait(5) == 0
