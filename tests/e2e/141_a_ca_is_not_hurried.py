"""However many names wait, and however ill the CA is, requests come at a pace that its front takes: fresh nonces, the directory,
and, where the operator says so, all of them. And when it says when to come again, a process that begins anew knows it too."""

import email.utils
import time

import pytest

from lab.issuance import Issuance
from lab.process import wait_until


def note_times(issuance, kind):
    times = []

    def act(handler, forward):
        times.append(time.monotonic())
        handler.reply(*forward())
    issuance.ca.act(kind, act, None)
    return times


def most_within(times, seconds):
    return max(sum(1 for other in times if at <= other < at + seconds) for at in times)


def test_sixty_four_jobs_at_once_fetch_one_directory_and_few_nonces(lab):
    issuance = Issuance(lab)
    issuance.issuer().start().stop()  # with the account made already
    nonces, directories = note_times(issuance, "new-nonce"), note_times(issuance, "directory")
    names = [f"n{index}.brand{index}.test" for index in range(64)]
    issuance.ask_for(*names)
    issuance.issuer(jobs=64).start()
    issuance.wait_issued(*names, seconds=60)
    assert len(directories) == 1
    assert 1 <= most_within(nonces, 1) <= 26, most_within(nonces, 1)
    assert issuance.db.value("SELECT count(*) FROM failures") == "0"


def test_a_directory_that_cannot_be_had_is_asked_for_more_and_more_seldom(lab):
    issuance = Issuance(lab)
    issuance.issuer().start().stop()  # an issuer that knows its account begins with the directory
    times = []

    def fail(handler, forward):
        times.append(time.monotonic())
        handler.reply(500, {}, b"")
    issuance.ca.act("directory", fail, None)
    issuance.issuer().start()
    names = [f"n{index}.brand.test" for index in range(20)]
    issuance.ask_for(*names)
    issuance.db.wait("SELECT count(*) > 0 AND now() > min(requested_at) + interval '8 s' FROM issuance_jobs", 20)
    assert len(times) <= 5, times
    # Who came when it had just failed waits for it, and has not failed.
    assert int(issuance.db.value("SELECT count(*) FROM failures")) <= len(times)
    issuance.ca.clear()

    def is_done():
        # The breaker's own pause, and its growing pace, have scenarios of their own.
        issuance.db.query("DELETE FROM ca_health; UPDATE issuance_jobs SET next_try_at = now() WHERE state IN ('queued', 'failed')")
        return issuance.db.value("SELECT count(*) FROM certificates") == str(len(names))
    wait_until(is_done, 90, "every name's certificate", interval=0.5)


def test_the_operators_pace_is_kept(lab):
    issuance = Issuance(lab)
    issuance.issuer(budget_requests="12/1s").start()
    times = note_times(issuance, "*")
    names = [f"n{index}.brand{index}.test" for index in range(8)]
    issuance.ask_for(*names)
    issuance.wait_issued(*names, seconds=60)
    assert len(times) > 40 and most_within(times, 2) <= 6 + 2 * 12 + 2, most_within(times, 2)


def in_an_hour():
    return email.utils.formatdate(time.time() + 3600, usegmt=True)


@pytest.mark.parametrize("value", [lambda: "3600", in_an_hour], ids=["seconds", "date"])
@pytest.mark.parametrize("status, problem", [(429, "rateLimited"), (503, None)])
@pytest.mark.parametrize("kind", ["new-account", "new-order"])
def test_what_the_ca_asked_for_outlives_the_process(lab, kind, status, problem, value):
    issuance = Issuance(lab)
    issuance.ca.fail(kind, status=status, problem=problem, headers={"Retry-After": value()}, times=None)
    issuer = issuance.issuer().start(wait=False)
    issuance.ask_for("a.brand.test")
    issuance.db.wait("SELECT state = 'failed' AND next_try_at > now() + interval '50 min' FROM issuance_jobs", 15)
    asked = sum(count for (_, one), count in issuance.ca.arrivals.items() if one == kind)
    assert asked == 1
    for index in range(2):
        issuer.restart(wait=False)
        name = f"n{index}.brand{index}.test"
        issuance.ask_for(name)
        wait_until(lambda: issuance.db.value("SELECT next_try_at > now() + interval '50 min' FROM issuance_jobs "
                                             f"WHERE name = '{name}'") == "t", 15, "the new name to wait, too")
    assert sum(count for (_, one), count in issuance.ca.arrivals.items() if one == kind) == asked
