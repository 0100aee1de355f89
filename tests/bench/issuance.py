"""The issuing half: a thousand names at once, what an order costs beyond the CA's own time, and a tick of renewals over a
million certificates. Issuers and Pebble share the machine; CPU is the issuers' own (schedstat)."""

import re
import time

import clients
from lab.issuance import Issuance
from lab.process import wait_until

NAMES = 1000


def row(what, *figures):
    print(f"{what:<74}" + "".join(f"{figure:>28}" for figure in figures), flush=True)


def total(issuers, metric):
    return sum(issuer.metric(metric) for issuer in issuers)


def wait_stored(issuance, pattern, count):
    """False: nothing has moved for 20 s. Debian's Pebble 2.4.0 can lock itself up (tests/support/lab/pebble.py)."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 20:
        stored = int(issuance.db.value(f"SELECT count(*) FROM certificates WHERE name LIKE '{pattern}'"))
        if stored == count:
            return True
        if stored != last:
            last, since = stored, time.monotonic()
        time.sleep(0.3)
    return False


def thousand(lab):
    """1,000 never-seen names through two issuers; Pebble finds every challenge answered."""
    while not thousand_once(Issuance(lab)):
        row("  (Pebble has locked itself up: once more, with another)")


def thousand_once(issuance):
    # Past the Python proxy, which would be what is measured.
    issuers = [issuance.issuer(acme_directory=issuance.pebble.directory_url, log_level="warn").start() for _ in range(2)]
    issuance.ask_for(*[f"warm{index}.warm.test" for index in range(40)])
    if not wait_stored(issuance, "warm%", 40):
        return False
    before, requests = [clients.cpu_seconds(one.process.pid) for one in issuers], total(issuers, "postern_acme_requests_total")
    pebble_before = clients.cpu_seconds(issuance.pebble.process.pid)
    start = time.monotonic()
    issuance.ask_for(*[f"n{index}.brand{index}.test" for index in range(NAMES)])
    if not wait_stored(issuance, "n%", NAMES):
        for issuer in issuers:
            issuer.stop()
        return False
    took = time.monotonic() - start
    cpu = sum(clients.cpu_seconds(one.process.pid) for one in issuers) - sum(before)
    pebble = clients.cpu_seconds(issuance.pebble.process.pid) - pebble_before
    failed = issuance.db.value("SELECT count(*) FROM failures")
    row(f"{NAMES} never-seen names at once, two issuers: failed, certificates a minute",
        f"{failed}, {NAMES / took * 60:.0f}")
    row("  the issuers' CPU per certificate; Pebble's (ms); requests for each",
        f"{cpu / NAMES * 1000:.1f}; {pebble / NAMES * 1000:.1f}; "
        f"{(total(issuers, 'postern_acme_requests_total') - requests) / NAMES:.1f}")
    return True


def overhead(lab):
    """One order at a time, validated through a real edge. Our own part is what is left of an order's time without the
    requests to the CA, the pauses in which it is waited for (Pebble says no Retry-After, and validates without its sleep)
    and the look at DNS before it."""
    platform = lab.platform(edges=1)
    acme = platform.acme
    platform.activate("warm.brand.test")
    platform.visit("warm.brand.test")
    parts = ("order", "request", "order_wait", "preflight")

    def sums():
        samples = acme.metrics()
        return [samples[f"postern_acme_{part}_seconds_sum"] for part in parts]
    wait_until(lambda: acme.metric("postern_acme_orders_total", result="issued") == 1, 10, "the warm one to be counted")
    before, times, count = sums(), [], 20
    for index in range(count):
        name = f"n{index}.brand.test"
        platform.activate(name)
        start = time.monotonic()
        platform.visit(name)
        times.append((time.monotonic() - start) * 1000)
    order, request, wait, look = ((after - early) / count * 1000 for after, early in zip(sums(), before))
    row("first hit, 20 one at a time: median, worst (ms)", f"{clients.percentile(times, 0.5):.0f}, {max(times):.0f}")
    row("  of an order: our own part: mean (ms)", f"{order - request - wait - look:.1f}")
    row("  the look at DNS before it; requests to the CA; waiting for its validation: means (ms)",
        f"{look:.1f}; {request:.1f}; {wait:.1f}")


CERTIFICATES = """
    INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, directory, not_before,
                              not_after, renew_at)
    SELECT 'n' || i || '.brand' || i % 50000 || '.test', i, repeat('c', 200), '\\x01', 'k', 'i', 's', 'https://ca.test/dir',
           now() - interval '30 d', now() + interval '60 d', now() + interval '1 h' + i * interval '1 s'
    FROM generate_series(1, 1000000) i"""

# What upkeep shows of the breakers ends it.
LAST_OF_A_TICK = r"postern-acme-upkeep LOG:  duration: .* execute .* FROM ca_health ORDER BY"


def tick(lab):
    """1,000,000 certificates stored, 500 of them due: the database's time for a whole tick of the issuer's upkeep."""
    issuance = Issuance(lab, own_postgres=True, ca_is_up=False)
    db = issuance.db
    start = time.monotonic()
    db.query("ALTER TABLE certificates DISABLE TRIGGER USER")
    db.query(CERTIFICATES)
    db.query("INSERT INTO issuance_jobs (name, state, reason) SELECT name, 'idle', 'first_hit' FROM certificates")
    db.query("UPDATE certificates SET renew_at = now() - interval '1 min' WHERE version <= 500")
    db.query("ALTER TABLE certificates ENABLE TRIGGER USER")
    db.query("VACUUM ANALYZE certificates, issuance_jobs")
    db.query("CHECKPOINT")
    row("  (1,000,000 certificates and jobs were made in)", f"{time.monotonic() - start:.0f} s")
    db.query("ALTER SYSTEM SET log_line_prefix = '%a '")
    db.query("SELECT pg_reload_conf()")
    db.query("ALTER ROLE postern_acme SET log_min_duration_statement = 0")
    issuer = issuance.issuer(jobs=1, log_level="warn")
    sums = []
    for _ in range(3):
        db.query("UPDATE certificates SET renew_at = now() - interval '1 min', renewal_claimed_until = NULL WHERE version <= 500")
        db.query("UPDATE issuance_jobs SET state = 'idle', reason = 'first_hit' WHERE reason = 'renewal'")
        log = lab.clusters[-1].process.log
        known = len(log())
        issuer.start(wait=False)
        # A question to the database would be a scan of a million jobs beside what is measured.
        wait_until(lambda: re.search(LAST_OF_A_TICK, log()[known:]), 30, "the end of a tick", interval=0.2)
        issuer.stop()
        found = re.findall(r"^postern-acme-upkeep LOG:  duration: ([0-9.]+) ms  [^:]*: (.*)$", log()[known:], re.M)
        assert db.value("SELECT count(*) FROM issuance_jobs WHERE reason = 'renewal'") == "500"
        sums.append((sum(float(ms) for ms, sql in found if sql.startswith("WITH batch")), sum(float(ms) for ms, _ in found)))
    row("renewal tick, 1,000,000 certificates, 500 due: claim and enqueue, thrice (ms)",
        ", ".join(f"{due:.0f}" for due, _ in sums))
    row("  with all the other statements of upkeep until then (ms)", ", ".join(f"{all_of_it:.0f}" for _, all_of_it in sums))


STORIES = {"thousand": thousand, "overhead": overhead, "tick": tick}
