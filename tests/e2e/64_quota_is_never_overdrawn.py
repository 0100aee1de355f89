"""The ledger of the CA's quota: what it knows will be refused is not sent; who waits is told until when, and for what;
what the CA says is learnt; the most urgent go first. The fleet has one ledger."""

from lab.clock import clock_or_skip
from lab.issuance import Issuance
from lab.place import program
from lab.process import run, wait_until


def waiting(issuance):
    return int(issuance.db.value("SELECT count(*) FROM issuance_jobs WHERE waits_on = 'budget'"))


def stored(issuance):
    return int(issuance.db.value("SELECT count(*) FROM certificates"))


def time_passes(issuance, interval):
    """As if the buckets had been left alone for so long, and every turn had come."""
    issuance.db.query(f"UPDATE ca_budget SET counted_at = counted_at - interval '{interval}', "
                      f"blocked_until = blocked_until - interval '{interval}', "
                      "promised = array_fill('-infinity'::timestamptz, ARRAY[4])")
    issuance.db.query("UPDATE issuance_jobs SET next_try_at = now(), turn_at = now() WHERE waits_on IS NOT NULL; "
                      "NOTIFY postern_job")


def test_two_issuers_send_no_more_orders_than_the_quota_has(lab):
    issuance = Issuance(lab, acme={"budget_orders": "5/1h"})
    issuance.issuer().start()
    issuance.issuer().start()
    names = [f"n{index}.brand{index}.test" for index in range(12)]
    issuance.ask_for(*names)
    wait_until(lambda: stored(issuance) == 5 and waiting(issuance) == 7, 20, "five certificates and seven that wait")
    assert sum(issuance.ca.orders_for(name) for name in names) == 5
    turns = issuance.db.query("SELECT extract(epoch FROM next_try_at - now()) FROM issuance_jobs "
                              "WHERE waits_on = 'budget' ORDER BY next_try_at")
    minutes = [round(float(turn[0]) / 60) for turn in turns]
    print(f"quota of 5 an hour, the others' turns in {minutes} minutes")
    assert minutes[0] in range(11, 14) and minutes[-1] in range(80, 90), "each has a turn of its own"
    assert issuance.db.value("SELECT count(*) FROM failures") == "0", "nobody failed"

    name = issuance.db.value("SELECT name FROM issuance_jobs WHERE waits_on = 'budget' LIMIT 1")
    told = run([program("postern"), "explain", name, f"--database={issuance.db.conninfo()}"])
    assert "the CA's limit on new orders (5 in 1 h): its turn comes about" in told, told

    time_passes(issuance, "1 hour")
    wait_until(lambda: stored(issuance) == 10 and waiting(issuance) == 2, 20, "the next five")


def waiting_for_a_turn(issuance, issued, others):
    wait_until(lambda: (stored(issuance), waiting(issuance)) == (issued, others), 20, f"{issued} certificates, {others} waiting")


def test_an_issuers_clock_is_not_the_ledgers(lab):
    issuance = Issuance(lab, acme={"budget_orders": "5/1h"})
    for shift in ("+20d", "+0"):
        clock = clock_or_skip(lab, f"clock{shift}")
        clock.set(shift)
        issuer = issuance.issuer()
        issuer.environment.update(clock.environment)
        issuer.start()
    issuance.ask_for(*[f"n{index}.brand{index}.test" for index in range(12)])
    waiting_for_a_turn(issuance, 5, 7)


def test_the_ledgers_clock_may_step(lab):
    clock = clock_or_skip(lab)
    issuance = Issuance(lab, own_postgres=True, acme={"budget_orders": "5/1h"})
    cluster = lab.clusters[0]
    cluster.stop()
    cluster.environment = clock.environment
    cluster.start()
    issuance.issuer().start()

    def come_again():
        issuance.db.query("UPDATE issuance_jobs SET next_try_at = now(), turn_at = now() WHERE waits_on IS NOT NULL; "
                          "UPDATE ca_budget SET promised = array_fill('-infinity'::timestamptz, ARRAY[4]); NOTIFY postern_job")
        issuance.db.wait("SELECT count(*) = 0 FROM issuance_jobs WHERE next_try_at <= now() AND state <> 'idle'")
    issuance.ask_for(*[f"n{index}.brand{index}.test" for index in range(20)])
    waiting_for_a_turn(issuance, 5, 15)
    clock.set("-10m")
    come_again()
    waiting_for_a_turn(issuance, 5, 15)
    clock.set("+1d")  # a day is no more than a whole quota
    come_again()
    waiting_for_a_turn(issuance, 10, 10)
    clock.set("+0")
    come_again()
    waiting_for_a_turn(issuance, 10, 10)
    # What was counted in a day that never was is no reason to wait for that day.
    turn = issuance.db.value("SELECT min(extract(epoch FROM next_try_at - now())) FROM issuance_jobs WHERE waits_on = 'budget'")
    assert float(turn) < 20 * 60
    time_passes(issuance, "1 hour")
    waiting_for_a_turn(issuance, 15, 5)


def test_names_by_the_dozen_under_one_domain_leave_the_others_alone(lab):
    issuance = Issuance(lab, acme={"budget_domain": "3/7d"})
    issuance.issuer().start()
    flood = [f"n{index}.flood.test" for index in range(10)]
    issuance.ask_for(*flood)
    wait_until(lambda: waiting(issuance) == 7, 20, "seven that wait")
    issuance.ask_for("a.other.test")
    issuance.wait_issued("a.other.test")
    assert sum(issuance.ca.orders_for(name) for name in flood) == 3


def test_the_cas_own_word_stops_the_orders_that_it_is_about(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    issuance.ca.fail("new-order", status=429, problem="rateLimited", headers={"Retry-After": "3600"},
                     detail='too many certificates (50) already issued for "brand.test" in the last 168h0m0s')
    issuance.ask_for("a.brand.test")
    assert issuance.wait_failed("a.brand.test") == "rate_limited"
    before = issuance.ca.seen["new-order"]
    issuance.ask_for("b.brand.test", "c.other.test")
    issuance.wait_issued("c.other.test")
    wait_until(lambda: waiting(issuance) == 1, 10, "the name of the same domain to wait")
    assert issuance.ca.seen["new-order"] == before + 1
    time_passes(issuance, "61 min")
    issuance.wait_issued("b.brand.test")


def test_urgent_work_has_what_others_may_not_use(lab):
    issuance = Issuance(lab, acme={"budget_orders": "10/10h"})
    issuance.issuer().start()
    issuance.ask_for(*[f"n{index}.brand{index}.test" for index in range(12)])
    wait_until(lambda: stored(issuance) == 9 and waiting(issuance) == 3, 20, "new customers to have had their share")
    issuance.db.query("UPDATE certificates SET not_before = now() - interval '90 d', not_after = now() - interval '1 h', "
                      "renew_at = now() - interval '30 d' WHERE name = (SELECT min(name) FROM certificates)")
    name = issuance.db.value("SELECT min(name) FROM certificates")
    issuance.ask_for(name, reason="repair")
    issuance.db.wait(f"SELECT not_after > now() FROM certificates WHERE name = '{name}'", 10)


def test_an_order_that_the_ca_lost_costs_no_certificate(lab):
    issuance = Issuance(lab, acme={"budget_exact": "1/7d"})
    issuance.issuer().start()
    issuance.ca.fail("authorization", status=500)
    issuance.ask_for("a.brand.test")
    assert issuance.wait_failed("a.brand.test") == "ca"
    issuance.ca.fail("order", status=404, problem="malformed", detail="no such order")
    issuance.db.query("UPDATE issuance_jobs SET next_try_at = now(), attempts = 5; NOTIFY postern_job")
    issuance.wait_issued("a.brand.test")
    assert issuance.ca.orders_for("a.brand.test") == 2


def test_a_limit_is_learnt_wherever_the_ca_speaks_of_it(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    issuance.ca.fail("finalize", status=429, problem="rateLimited", headers={"Retry-After": "3600"},
                     detail='too many certificates (50) already issued for "brand.test" in the last 168h0m0s')
    issuance.ask_for("a.brand.test")
    assert issuance.wait_failed("a.brand.test") == "rate_limited"
    before = issuance.ca.seen["new-order"]
    issuance.ask_for("b.brand.test")
    wait_until(lambda: waiting(issuance) == 1, 10, "the name of the same domain to wait")
    assert issuance.ca.seen["new-order"] == before


def test_a_refused_order_and_a_failed_validation_cost_no_certificate(lab):
    issuance = Issuance(lab, acme={"budget_exact": "1/7d", "budget_failures": "2/1h"})
    issuance.issuer().start()
    issuance.ca.fail("new-order", status=400, problem="rejectedIdentifier", detail="no")
    issuance.ask_for("a.brand.test")
    assert issuance.wait_failed("a.brand.test") == "rejected"
    issuance.db.query("UPDATE issuance_jobs SET next_try_at = now(); NOTIFY postern_job")
    issuance.wait_issued("a.brand.test")
