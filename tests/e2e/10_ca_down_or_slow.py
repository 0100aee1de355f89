"""A CA that is down or slow: the visitor's handshake ends at its deadline, the job waits, retries, and gets there."""

from lab.process import wait_until

NAME = "shop.brand.test"


def test_handshake_ends_at_its_deadline_and_the_job_succeeds_later(lab):
    platform = lab.prepare(edge={"issue_wait": "2s"}, faulty_ca=True)
    platform.start()
    gate = platform.ca.hold("new-order")
    platform.activate(NAME)
    answer = platform.refusal(NAME)
    assert answer.alert == "internal_error", answer
    assert 1.5 < answer.seconds < 10, answer
    assert gate.arrived.is_set()
    gate.open()
    wait_until(lambda: platform.stored(NAME), 10, "the job to go on without a visitor")
    assert platform.visit(NAME).status == 200
    assert platform.pebble.orders() == 1


def test_ca_that_is_down_is_tried_again(lab):
    platform = lab.prepare(edge={"issue_wait": "2s"})
    platform.start(without=[platform.pebble, platform.acme])
    platform.acme.start(wait=False)
    platform.activate(NAME)
    answer = platform.refusal(NAME)
    assert answer.alert == "internal_error", answer
    assert answer.seconds < 10, answer
    wait_until(lambda: platform.job(NAME)[0] == "failed", 10, "the failure to be noted")
    platform.db.wait("SELECT count(*) = 1 FROM failures")
    cause, retry = platform.db.query("SELECT cause, extract(epoch FROM retry_at - now()) FROM failures")[0]
    print(f"remembered: {cause}, next try in {float(retry):.0f} s")
    assert float(retry) > 0
    platform.pebble.start()

    def issued_when_due():
        platform.db.query("UPDATE issuance_jobs SET next_try_at = now() WHERE state = 'failed'")
        return platform.stored(NAME)
    wait_until(issued_when_due, 30, "the retry to succeed", interval=0.5)
    assert platform.db.value("SELECT count(*) FROM failures") == "0", "a success forgets"
    wait_until(lambda: served(platform), 5, "the name to be served", interval=0.1)


def test_errors_of_the_ca_grow_the_delay_and_are_remembered_by_cause(lab):
    platform = lab.platform(edges=1, edge={"issue_wait": "2s"}, faulty_ca=True)
    platform.activate(NAME)
    platform.ca.fail("new-order", status=429, problem="rateLimited", headers={"Retry-After": "300"}, times=None)
    assert platform.refusal(NAME).alert == "internal_error"
    platform.db.wait("SELECT count(*) = 1 FROM failures")
    rows = platform.db.query("SELECT cause, extract(epoch FROM retry_at - now()) FROM failures")
    assert float(rows[0][1]) > 250, "Retry-After is a minimum"
    before = platform.ca.seen["new-order"]
    for _ in range(5):
        platform.refusal(NAME)
    assert platform.ca.seen["new-order"] == before, "visitors do not hammer a CA that said no"
    assert platform.pebble.orders() == 0


def served(platform):
    try:
        return platform.visit(NAME).status == 200
    except OSError:
        return False
