"""Whatever a CA never does is waited for, and not for ever: within the bounds of the issuer the job has its failure, in words,
and the CA was asked a few dozen times at most. And what a CA says about when to come again is heeded."""

import json
import time

import pytest

from lab.issuance import Issuance
from lab.process import wait_until

pytestmark = pytest.mark.long


def edit(change):
    """A change of a JSON document."""
    return lambda status, headers, body: (status, headers, json.dumps(change(json.loads(body))).encode())


def always(**members):
    return edit(lambda document: {**document, **members})


def never_decided(ca, name):
    ca.change("authorization", always(status="pending"), None, name)
    ca.change("order", always(status="pending"), None, name)


def never_finished(ca, name):
    for kind in ("finalize", "order"):
        ca.change(kind, edit(lambda order: {**order, "status": "processing" if order["status"] == "valid" else order["status"]}),
                  None, name)


def never_ready(ca, name):
    ca.change("order", always(status="pending"), None, name)


def nothing_to_prove(ca, name):
    for kind in ("new-order", "order"):
        ca.change(kind, always(status="pending", authorizations=[]), None, name)


def ready_for_ever(ca, name):
    def stay(handler, forward):
        handler.reply(200, {"Content-Type": "application/json"}, json.dumps({
            "status": "ready", "authorizations": [], "finalize": ca.directory_url.replace("/dir", "/finalize-order/" + name),
        }).encode())
    ca.change("new-order", edit(lambda order: {**order, "status": "ready"}), None, name)
    ca.act("finalize", stay, None, name)
    ca.act("finalize", stay, None, None)
    ca.act("order", stay, None, name)


def never_answered(ca, name):
    def hang(handler, forward):
        time.sleep(40)
        handler.close_connection = True
    ca.act("authorization", hang, None, name)


# What the CA never does: the cause, words of the reason, and the most requests of a kind that it may see.
CASES = {
    never_decided: ("ca", "did not decide about the challenge", {"challenge": 1, "finalize": 0, "order": 30, "authorization": 16}),
    never_finished: ("ca", "did not finish the order", {"finalize": 1, "order": 40}),
    never_ready: ("ca", "did not finish the order", {"finalize": 0, "order": 34}),
    nothing_to_prove: ("ca", "did not finish the order", {"finalize": 0, "challenge": 0, "order": 34}),
    ready_for_ever: ("ca", "keeps the order ready", {"order": 4}),
    never_answered: ("network", "timed out", {"authorization": 2, "challenge": 0}),
}


def test_what_never_comes_is_waited_for_and_explained(lab):
    issuance = Issuance(lab)
    names = {f"www.{install.__name__.replace('_', '-')}.test": install for install in CASES}
    for name, install in names.items():
        install(issuance.ca, name)
    issuance.issuer(jobs=len(names)).start()
    issuance.ask_for(*names)

    def have_failed():
        issuance.db.query("UPDATE issuance_jobs SET next_try_at = now() + interval '1 day' WHERE state = 'failed'")
        return issuance.db.value("SELECT count(*) FROM issuance_jobs WHERE state = 'failed'") == str(len(names))
    wait_until(have_failed, 150, "every job's end", interval=0.5)
    told = {name: (cause, error) for name, cause, error in issuance.db.query(
        "SELECT name, last_cause, last_error FROM issuance_jobs")}
    for name, install in names.items():
        cause, words, most = CASES[install]
        seen = {kind: count for (one, kind), count in issuance.ca.arrivals.items() if one == name}
        assert told[name][0] == cause and words in told[name][1], (name, told[name])
        assert issuance.stored(name) is None and issuance.ca.orders_for(name) == 1, name
        assert sum(seen.values()) <= 64, (name, seen)
        for kind, count in most.items():
            assert seen.get(kind, 0) <= count, (name, seen)
    assert issuance.ca.arrivals[None, "finalize"] <= 3


def mark_answered(issuance):
    """As an edge does that has answered the CA."""
    wait_until(lambda: issuance.db.query("UPDATE challenges SET seen_at = now() WHERE seen_at IS NULL RETURNING id"), 10,
               "the challenge's row", interval=0.002)


def test_an_order_is_asked_for_when_it_said_and_its_authorization_sooner(lab):
    issuance = Issuance(lab)
    issuance.issuer().start()
    asked = []

    def note(kind):
        def act(handler, forward):
            asked.append((kind, time.monotonic()))
            status, headers, body = forward()
            if kind == "order" and len([one for one, _ in asked if one == "order"]) == 1:
                headers, body = {**headers, "Retry-After": "4"}, json.dumps({**json.loads(body), "status": "pending"}).encode()
            handler.reply(status, headers, body)
        issuance.ca.act(kind, act, None)
    note("order")
    note("authorization")
    issuance.ask_for("www.brand.test")
    mark_answered(issuance)
    issuance.wait_issued("www.brand.test")
    orders = [at for kind, at in asked if kind == "order"]
    assert orders[1] - orders[0] > 3.9, asked
    assert [at for kind, at in asked if kind == "authorization" and orders[0] < at < orders[0] + 2], "it decides meanwhile"
    assert issuance.db.value("SELECT count(*) FROM failures") == "0"
