"""What the operator asked of the issuers is done once, wherever the one that does it is killed or frozen: another account key,
the account's end, a new one, a revocation. So is the account's making."""

import pytest

from lab.issuance import Issuance, wait_frozen
from lab.process import wait_until

ROLLOVER = ["task-claimed", "key-staged", "before-key_change", "after-key_change", "key-switched"]
NAME = "shop.brand.test"


def account(issuance):
    return issuance.db.query("SELECT account_url, key_version, status FROM ca_accounts")[0]


def issue(issuance, *names):
    issuance.ask_for(*names)
    issuance.wait_issued(*names, seconds=30)


def accounts_at_the_ca(issuance):
    return issuance.pebble.process.log().count("accounts in memory")


def leases_run_out(issuance):
    """What would take minutes."""
    issuance.db.query("UPDATE ca_tasks SET lease_until = now() WHERE state = 'running'; UPDATE ca_accounts SET lease_until = now()")


def ask(issuance, kind):
    issuance.db.query(f"INSERT INTO ca_tasks (kind, directory) VALUES ('{kind}', '{issuance.ca.directory_url}')")


def killed_and_finished(issuance, kind, point):
    """The task, begun by an issuer that dies at `point`, done by another; returns that one, which goes on."""
    victim = issuance.issuer(kill_at=point).start(wait=False)
    ask(issuance, kind)
    wait_until(lambda: not victim.process.alive, 15, f"the issuer to die at {point}")
    leases_run_out(issuance)
    second = issuance.issuer().start(wait=False)
    issuance.db.wait("SELECT bool_and(state IN ('done', 'failed')) FROM ca_tasks", 20)
    assert issuance.db.query("SELECT state, result FROM ca_tasks WHERE state = 'failed'") == [], point
    return second


def test_a_rollover_is_done_once_wherever_its_issuer_dies(lab):
    issuance = Issuance(lab, crash_points=True)
    issuance.issuer().start().stop()
    url = account(issuance)[0]
    for count, point in enumerate(ROLLOVER, 1):
        second = killed_and_finished(issuance, "rollover", point)
        assert account(issuance) == [url, str(1 + count), "valid"], point
        issue(issuance, f"{point}.brand.test".replace("_", "-"))
        second.stop()
    assert issuance.ca.seen["key-change"] == len(ROLLOVER)
    assert issuance.db.value("SELECT key_next_sealed IS NULL FROM ca_accounts") == "t"
    assert accounts_at_the_ca(issuance) == 1


def test_an_account_is_ended_and_begun_anew_once_wherever_its_issuer_dies(lab):
    issuance = Issuance(lab, crash_points=True)
    issuance.issuer().start().stop()
    for count, (end, begin) in enumerate([("before-account", "task-claimed"), ("after-account", "account-renewed"),
                                          ("account-ended", "account-renewed")], 1):
        killed_and_finished(issuance, "deactivate", end).stop()
        assert account(issuance)[2] == "deactivated", end
        second = killed_and_finished(issuance, "register", begin)
        issue(issuance, f"n{count}.brand.test")
        assert account(issuance)[1:] == [str(1 + count), "valid"], begin
        second.stop()
        assert accounts_at_the_ca(issuance) == 1 + count
    assert issuance.db.value("SELECT count(*) FROM ca_tasks WHERE state <> 'done'") == "0"


@pytest.mark.parametrize("kind, point", [("rollover", "before-key_change"), ("rollover", "after-key_change"),
                                         ("revoke", "before-revoke"), ("revoke", "after-revoke")])
def test_who_slept_through_its_lease_writes_and_posts_nothing_more(lab, kind, point):
    issuance = Issuance(lab, crash_points=True)
    steady = issuance.issuer().start()
    issue(issuance, NAME)
    steady.stop()
    frozen = issuance.issuer(stop_at=point).start()
    operator = None
    if kind == "revoke":
        operator = issuance.operator_begins("certificate", "revoke", NAME, "--reason=cessationOfOperation")
    else:
        ask(issuance, kind)
    wait_frozen(frozen.process)
    leases_run_out(issuance)
    second = issuance.issuer().start()
    issuance.db.wait("SELECT bool_and(state = 'done') FROM ca_tasks", 20)
    second.stop()

    def everything():
        return (account(issuance), dict(issuance.ca.arrivals), issuance.db.query(
            "SELECT t.state, t.result, t.fence, finished_at, t.attempts, revoked_at, c.xmin FROM ca_tasks t, certificates c"))
    before = everything()
    frozen.thaw()
    frozen.process.wait_log("the operator's task is left for later", 20)
    assert everything() == before
    assert operator is None or operator.wait(20) == 0
    assert account(issuance)[1] == ("1" if kind == "revoke" else "2")


@pytest.mark.parametrize("point", ["account-key", "before-new_account"])
def test_an_account_that_another_has_made_meanwhile_is_not_asked_for_again(lab, point):
    issuance = Issuance(lab, crash_points=True)
    frozen = issuance.issuer(stop_at=point).start(wait=False)
    wait_frozen(frozen.process)
    leases_run_out(issuance)
    issuance.issuer().start()
    issue(issuance, NAME)
    asked = issuance.ca.arrivals[None, "new-account"]
    frozen.thaw()
    wait_until(frozen.is_ready, 15, "the thawed one to know the account")
    assert issuance.ca.arrivals[None, "new-account"] == asked
    assert accounts_at_the_ca(issuance) == 1
