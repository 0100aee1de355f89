"""No message is lost, and none is doubled without need: issuers that are killed, frozen, stopped or many, a database that goes
away; and nobody but the receiver ever sees a secret."""

import base64
import re
import signal
import threading
import time

import pytest

from lab.place import program
from lab.process import run, wait_until
from lab.webhooks import Hooks

pytestmark = pytest.mark.long


class Gate:
    """Holds the receiver's answers back."""

    def __init__(self, receiver):
        self.arrived, self._open = threading.Event(), threading.Event()

        def behave(message, handler):
            self.arrived.set()
            self._open.wait(60)
            return 200
        receiver.behave = behave

    def open(self):
        self._open.set()


def end_leases(hooks):
    """As their time does, a minute later."""
    hooks.db.query("UPDATE webhooks SET lease_until = now() WHERE lease_until IS NOT NULL")


def test_killed_between_the_answer_and_its_record(lab):
    hooks = Hooks(lab, crash_points=True)
    receiver = hooks.receiver()
    hook = hooks.make(receiver)
    hooks.acme.stop()
    hooks.acme.environment["POSTERN_TEST_KILL_AT"] = "webhook-sent"
    hooks.happen(3)
    hooks.acme.start(wait=False)
    assert hooks.acme.process.wait(30) == -signal.SIGKILL
    assert len(receiver.messages) == 1
    del hooks.acme.environment["POSTERN_TEST_KILL_AT"]
    hooks.acme.start()
    assert len(receiver.messages) == 1, "the dead one's lease is kept to"
    end_leases(hooks)
    log = hooks.wait(hook, 3)
    assert receiver.ids() == [receiver.ids()[0]] * 2 + [one["message_id"] for one in log[-2::-1]], "once more, with the same id, in order"


def test_frozen_while_another_takes_over(lab):
    hooks = Hooks(lab, issuers=2, crash_points=True, start=False)
    frozen, other = hooks.platform.issuers
    frozen.environment["POSTERN_TEST_STOP_AT"] = "webhook-sent"
    hooks.platform.start(without=[other])
    receiver = hooks.receiver()
    hook = hooks.make(receiver)
    hooks.happen(20)
    wait_until(lambda: len(receiver.messages) == 1, 30, "the first message")
    wait_until(lambda: _state(frozen.process.pid) == "T", 30, "the freeze")
    other.start()
    end_leases(hooks)
    hooks.wait(hook, 20)
    frozen.thaw()
    frozen.process.wait_log("is not recorded", 30)
    assert len(receiver.messages) == 21 and len(set(receiver.ids())) == 20
    assert {one["attempts"] for one in hooks.log(hook)} == {1}


def _state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(") ", 1)[1][0]


def test_two_issuers_send_each_message_once(lab):
    """Each to two of the four endpoints at a time, so that none has them all."""
    hooks = Hooks(lab, issuers=2, acme={"webhook_deliveries": "2"})
    receivers = [hooks.receiver() for _ in range(4)]
    for receiver in receivers:
        receiver.behave = lambda message, handler: time.sleep(0.02) or 200  # so that two endpoints keep an issuer busy
    made = [hooks.make(receiver, events=["domain.*"]) for receiver in receivers]
    writers = [threading.Thread(target=lambda: [hooks.happen(5) for _ in range(10)]) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    for hook in made:
        hooks.wait(hook, 150, seconds=120)
    for receiver, hook in zip(receivers, made):
        assert len(receiver.messages) == len(set(receiver.ids())) == 150
        assert all(message.signers == [hook["secret"]] for message in receiver.messages)
    counts = [issuer.metric("postern_acme_webhook_tries_total", result="delivered") for issuer in hooks.platform.issuers]
    assert sum(counts) == 600 and all(counts), counts
    print(f"shares of two issuers: {counts}")


def test_sigterm_lets_what_is_under_way_end(lab):
    hooks = Hooks(lab)
    receiver = hooks.receiver()
    gate = Gate(receiver)
    hook = hooks.make(receiver)
    hooks.happen(2)
    assert gate.arrived.wait(30)
    threading.Timer(0.5, gate.open).start()
    assert hooks.acme.stop() == 0
    log = hooks.log(hook)
    assert [one["state"] for one in log] == ["waiting", "delivered"], log
    assert hooks.db.value("SELECT lease_until IS NULL FROM webhooks") == "t", "the next one need not wait"
    hooks.acme.start()
    hooks.wait(hook, 2)
    assert receiver.ids() == [one["message_id"] for one in reversed(log)]


def test_sigterm_does_not_wait_for_who_hangs(lab):
    hooks = Hooks(lab)
    receiver = hooks.receiver()
    gate = Gate(receiver)
    hook = hooks.make(receiver)
    hooks.happen()
    assert gate.arrived.wait(30)
    assert hooks.acme.stop() == 0
    assert hooks.db.value("SELECT lease_until IS NULL FROM webhooks") == "t"
    gate.open()
    hooks.acme.start()
    hooks.wait(hook)
    assert len(set(receiver.ids())) == 1


def test_database_away_when_the_answer_comes(lab):
    hooks = Hooks(lab, own_postgres=True)
    receiver = hooks.receiver()
    gate = Gate(receiver)
    hook = hooks.make(receiver)
    hooks.happen()
    assert gate.arrived.wait(30)
    lab.clusters[0].stop()
    gate.open()
    hooks.acme.process.wait_log("database", 10)
    lab.clusters[0].start()
    wait_until(lambda: hooks.call("GET", "/v1/webhooks")[0] == 200, 30, "the API's connections")
    hooks.wait(hook)
    assert len(receiver.messages) == 1, "what came of it was kept in mind"


def test_nobody_sees_a_secret(lab):
    hooks = Hooks(lab)
    receiver = hooks.receiver()
    made = hooks.make(receiver, label="CRM")
    key = {"Idempotency-Key": "once"}
    once = [hooks.call("POST", "/v1/webhooks", {"url": receiver.url()}, headers=key)[1] for _ in range(2)]
    assert once[0]["id"] == once[1]["id"] and once[0]["secret"] and once[1]["secret"] is None
    turned = hooks.call("POST", f"/v1/webhooks/{made['id']}/rotate", {}, headers={"Idempotency-Key": "turn"})[1]
    assert hooks.call("POST", f"/v1/webhooks/{made['id']}/rotate", {}, headers={"Idempotency-Key": "turn"})[1]["secret"] is None
    receiver.secrets += [once[0]["secret"], turned["secret"]]
    hooks.happen(2)
    hooks.wait(made, 2)
    secrets = [made["secret"], once[0]["secret"], turned["secret"]]
    assert len(set(secrets)) == 3
    raw = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    forms = [secret.removeprefix("whsec_") for secret in secrets] + [one.hex() for one in raw]
    dump = hooks.db.dump()
    binary = b"".join(bytes.fromhex(text) for text in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", dump))
    assert len(binary) > 200 and not [one for one in raw if one in binary]
    seen = [dump] + [daemon.process.log() for daemon in hooks.platform.daemons]
    for path in ("", f"/{made['id']}", f"/{made['id']}/deliveries"):
        seen.append(str(hooks.call("GET", f"/v1/webhooks{path}")))
    seen += [str(hooks.call("GET", "/v1/events")), str(hooks.call("PATCH", f"/v1/webhooks/{made['id']}", {"label": None}))]
    seen += [message.body.decode() for message in receiver.messages]
    for text in seen:
        assert not [form for form in forms if form in text]
    for role in ("postern_verifier", "postern_edge"):
        for column in ("secret_sealed", "former_sealed"):
            with pytest.raises(Exception, match="permission denied"):
                hooks.db.query(f"SELECT {column} FROM webhooks", role=role)


def test_another_seal_key(lab):
    """The secret is sealed anew with everything else; an issuer that lacks the key says so, and the message waits."""
    hooks = Hooks(lab)
    receiver = hooks.receiver()
    hook = hooks.make(receiver)
    folder, old = lab.folder("keys"), hooks.platform.ground.seal_key
    run([program("postern"), "seal-key", "new", f"{folder}/fresh"])
    with open(f"{folder}/both", "w") as both:
        for path in (f"{folder}/fresh", old):
            with open(path) as part:
                both.write(part.read())
    run(["chmod", "600", f"{folder}/both"])
    told = run([program("postern"), "seal-key", "rotate", f"--database={hooks.db.conninfo()}", f"--seal-key-file={folder}/both"])
    assert "webhooks.secret_sealed: 1 rows, 1 sealed anew" in told, told
    hooks.happen()
    tried = hooks.wait_tried(hook)
    assert tried["state"] == "waiting" and "cannot sign" in tried["error"], tried
    hooks.acme.process.wait_log("cannot be opened")
    assert not receiver.messages
    hooks.acme.restart(seal_key_file=f"{folder}/both")
    hooks.wait(hook)
    assert receiver.messages[0].signers == [hook["secret"]]


def test_an_endpoint_that_takes_nothing_for_days_is_switched_off(lab):
    hooks = Hooks(lab)
    receiver = hooks.receiver()
    receiver.behave = lambda message, handler: 500
    hook = hooks.make(receiver)
    hooks.happen()
    hooks.wait_tried(hook)
    hooks.db.query("UPDATE webhooks SET failures = 12, failing_since = now() - interval '6 days', pause_until = now()")
    hooks.db.query("UPDATE webhook_deliveries SET next_try_at = now()")
    wait_until(lambda: not hooks.call("GET", f"/v1/webhooks/{hook['id']}")[1]["enabled"], 30, "the end of patience")
    shown = hooks.call("GET", f"/v1/webhooks/{hook['id']}")[1]
    assert shown["disabled_by"] == "failing"
    events = hooks.call("GET", "/v1/events?event=webhook_disabled")[1]["events"]
    assert [event["detail"] for event in events] == [f"webhook {hook['id']}: nothing that was sent to it for days was taken"]
    hooks.acme.restart()  # its upkeep looks at its start, and each half a minute
    assert wait_until(lambda: hooks.log(hook)[0]["state"] == "failed" and hooks.log(hook)[0]["error"], 60, "the end").endswith("switched off.")
