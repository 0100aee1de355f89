"""The circuit breaker: when a CA fails for several names in a row, or asks for peace, the fleet leaves it alone; then
one tries. Jobs keep their place and are told until when."""

import json

from lab.issuance import Issuance
from lab.process import wait_until


def waiting(issuance):
    return int(issuance.db.value("SELECT count(*) FROM issuance_jobs WHERE waits_on = 'ca'"))


def pause_is_over(issuance):
    issuance.db.query("UPDATE ca_health SET open_until = now() - interval '1 s'")
    issuance.db.query("UPDATE issuance_jobs SET next_try_at = now() WHERE state IN ('queued', 'failed'); "
                      "NOTIFY postern_job")


def test_failures_in_a_row_stop_the_whole_fleet_and_one_success_starts_it(lab):
    issuance = Issuance(lab)
    first, second = issuance.issuer(jobs=2).start(), issuance.issuer(jobs=2).start()
    issuance.ca.fail("new-order", status=500, times=None)
    issuance.ask_for(*[f"n{index}.brand.test" for index in range(5)])
    issuance.db.wait("SELECT open_until > now() FROM ca_health")
    before = dict(issuance.ca.seen)
    late = [f"late{index}.brand.test" for index in range(20)]
    issuance.ask_for(*late)
    wait_until(lambda: int(issuance.db.value("SELECT count(*) FROM issuance_jobs WHERE name LIKE 'late%' "
                                             "AND waits_on = 'ca'")) == 20, 10, "all of them to wait")
    assert dict(issuance.ca.seen) == before, "nobody contacts it"
    assert "left alone" in issuance.db.value("SELECT waits_for FROM issuance_jobs WHERE waits_on = 'ca' LIMIT 1")
    opened = first.metric("postern_acme_breaker_opened_total") + second.metric("postern_acme_breaker_opened_total")
    assert opened == 1

    pause_is_over(issuance)
    wait_until(lambda: issuance.db.value("SELECT opened FROM ca_health") == "2", 10, "the try to fail")
    assert issuance.db.value("SELECT open_until > now() + interval '20 s' FROM ca_health") == "t", "a longer pause"
    tried = issuance.ca.seen["new-order"] - before.get("new-order", 0)
    assert tried == 0, "the fault answers before the CA"

    issuance.ca.clear()
    pause_is_over(issuance)
    issuance.db.wait("SELECT open_until IS NULL FROM ca_health", 15)
    # The minute of growing pace is over, too (tests/pg/breaker_test.c has it).
    issuance.db.query("UPDATE ca_health SET resumed_at = NULL; "
                      "UPDATE issuance_jobs SET next_try_at = now() WHERE state <> 'idle'; NOTIFY postern_job")
    issuance.wait_issued(*late, seconds=20)
    assert all(issuance.ca.orders_for(name) == 1 for name in late)


def test_retry_after_of_a_503_is_obeyed_by_everybody(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    issuance.ca.fail("new-order", status=503, headers={"Retry-After": "120"})
    issuance.ask_for("a.brand.test")
    issuance.wait_failed("a.brand.test")
    before = dict(issuance.ca.seen)
    issuance.ask_for("b.brand.test")
    wait_until(lambda: waiting(issuance) == 1, 10, "the other name to wait")
    seconds = float(issuance.db.value("SELECT extract(epoch FROM next_try_at - now()) FROM issuance_jobs "
                                      "WHERE name = 'b.brand.test'"))
    assert 110 < seconds < 160
    assert dict(issuance.ca.seen) == before


def test_a_name_that_fails_alone_stops_nobody(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    issuance.ca.fail("authorization", status=500, times=None)
    issuance.ask_for("a.brand.test")
    for attempt in range(1, 8):
        issuance.db.wait(f"SELECT attempts = {attempt} AND state = 'failed' FROM issuance_jobs")
        issuance.db.query("UPDATE issuance_jobs SET next_try_at = now(); NOTIFY postern_job")
    issuance.ca.clear()
    issuance.ask_for("b.brand.test")
    issuance.wait_issued("b.brand.test")


def test_who_does_not_say_when_to_renew_is_asked_by_nobody_for_a_while_and_goes_on_issuing(lab):
    issuance = Issuance(lab)
    url = issuance.ca.directory_url.replace("/dir", "/draft-ietf-acme-ari/renewal-info")
    issuance.ca.change("directory", lambda status, headers, body: (
        status, headers, json.dumps({**json.loads(body), "renewalInfo": url}).encode()), times=None)
    issuance.ca.fail("renewal-info", status=503, headers={"Retry-After": "1200"}, times=None)
    first = issuance.issuer().start()
    names = ["a.brand.test", "b.brand.test"]
    issuance.ask_for(*names)
    issuance.wait_issued(*names)

    def questions():
        return issuance.ca.arrivals[None, "renewal-info"]

    def put_off():
        issuance.db.query("UPDATE certificates SET ari_next_poll_at = now()")
        # While it is decided, a certificate is set aside for an hour.
        issuance.db.wait("SELECT bool_and(ari_next_poll_at > now() AND"
                         " abs(extract(epoch FROM ari_next_poll_at - now()) - 3600) > 120) FROM certificates")
    put_off()
    assert questions() == 1, "of two names one was enough"
    first.stop()
    issuance.issuer().start()
    put_off()
    assert questions() == 1, "what another issuer met with holds"
    issuance.ask_for("c.brand.test")
    issuance.wait_issued("c.brand.test")

    issuance.ca.clear()
    issuance.ca.fail("renewal-info", status=404, times=None)  # of this certificate it knows nothing: the CA is well
    issuance.db.query("UPDATE ca_health SET open_until = now() - interval '1 s'")
    issuance.db.query("UPDATE certificates SET ari_next_poll_at = now()")
    issuance.db.wait("SELECT count(*) = 0 FROM ca_health WHERE open_until IS NOT NULL")
    wait_until(lambda: questions() == 4, 10, "all three to be asked about")

    issuance.db.query(f"INSERT INTO ca_health (directory, open_until) VALUES ('{issuance.ca.directory_url}', now() + interval '5 min')"
                      " ON CONFLICT (directory) DO UPDATE SET open_until = EXCLUDED.open_until")
    put_off()
    assert questions() == 4, "nor is a CA asked that orders leave alone"
