"""`postern reissue`: every certificate is replaced once, at a pace; asked for twice it is one campaign; it goes on after
a restart, and can be cancelled."""

import subprocess

from lab.issuance import Issuance
from lab.place import program
from lab.process import run, wait_until


def reissue(issuance, *options):
    return run([program("postern"), "reissue", f"--database={issuance.db.conninfo()}", *options])


def serials(issuance):
    return dict(issuance.db.query("SELECT name, serial FROM certificates"))


def issue(issuance, count):
    names = [f"n{index}.brand{index}.test" for index in range(count)]
    issuance.ask_for(*names)
    issuance.wait_issued(*names, seconds=20)
    return names


def test_everything_is_replaced_once_however_often_it_is_asked_for(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    issuance.issuer().start()
    names = issue(issuance, 8)
    before = serials(issuance)
    told = reissue(issuance, "--all", "--reason=drill", "--dry-run")
    assert "certificates=8" in told, told
    assert issuance.db.value("SELECT count(*) FROM reissues") == "0"
    reissue(issuance, "--all", "--reason=drill")
    told = reissue(issuance, "--all", "--reason=drill")
    assert "not doubled" in told, told
    issuance.db.wait("SELECT state = 'done' FROM reissues", 15)
    wait_until(lambda: all(serial != before[name] for name, serial in serials(issuance).items()), 15, "new certificates")
    issuance.db.wait("SELECT bool_and(state = 'idle') FROM issuance_jobs")
    assert {issuance.ca.orders_for(name) for name in names} == {2}
    told = reissue(issuance, "--status")
    assert "state=done" in told and "enqueued=8 still_old=0" in told, told


def test_a_campaign_waits_for_the_quota_in_the_last_lane_and_survives_a_restart(lab):
    issuance = Issuance(lab, acme={"budget_orders": "20/10h"})
    issuer = issuance.issuer().start()
    issue(issuance, 6)
    before = serials(issuance)
    reissue(issuance, "--all", "--reason=drill")
    # Of twenty, six are used and twelve kept: two are left for a campaign.
    wait_until(lambda: int(issuance.db.value("SELECT count(*) FROM issuance_jobs WHERE waits_on = 'budget' "
                                             "AND lane = 'reissue'")) == 4, 15, "the others to wait")
    wait_until(lambda: sum(serial != before[name] for name, serial in serials(issuance).items()) == 2, 10, "two of them")
    told = reissue(issuance, "--status")
    assert "waits_on=budget" in told and "still_old=4" in told, told
    issuer.restart()
    issuance.db.query("UPDATE ca_budget SET counted_at = counted_at - interval '10 h', promised = "
                      "array_fill('-infinity'::timestamptz, ARRAY[4]); "
                      "UPDATE issuance_jobs SET next_try_at = now(), turn_at = now() WHERE waits_on IS NOT NULL; NOTIFY postern_job")
    wait_until(lambda: all(serial != before[name] for name, serial in serials(issuance).items()), 15, "the rest")


def test_a_cancelled_campaign_drops_what_has_not_begun(lab):
    issuance = Issuance(lab)
    issuer = issuance.issuer().start()
    issue(issuance, 3)
    before = serials(issuance)
    issuer.stop()
    issuance.db.query("INSERT INTO reissues (selector, reason) VALUES ('all', 'drill')")
    issuance.ask_for(*before, reason="reissue")
    told = reissue(issuance, "--cancel")
    assert "cancelled 1 campaigns and 3 jobs" in told, told
    issuer.start()
    issue(issuance, 4)
    assert all(serial == before.get(name, serial) for name, serial in serials(issuance).items())


def test_one_name_is_enough_and_nonsense_is_refused(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    names = issue(issuance, 2)
    before = serials(issuance)
    reissue(issuance, f"--name={names[0].upper()}", "--reason=key seen in a mail")
    wait_until(lambda: serials(issuance)[names[0]] != before[names[0]], 10, "its new certificate")
    assert serials(issuance)[names[1]] == before[names[1]]
    for options in (["--all"], ["--reason=x"], ["--all", "--name=a.test", "--reason=x"], ["--status", "--cancel"],
                    ["--name=192.0.2.1", "--reason=x"]):
        done = subprocess.run([program("postern"), "reissue", "--database=dbname=x", *options], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 2, done
