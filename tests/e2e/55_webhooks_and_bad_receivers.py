"""Receivers of webhooks that are down, slow, hostile, or not who they should be: nothing goes where it must not, nobody else
waits for them, and what they missed comes later."""

import socket
import threading
import time

import dns.message
import dns.rrset
import pytest

from lab.place import free_port
from lab.process import wait_until
from lab.webhooks import Hooks

pytestmark = pytest.mark.long


class Victim:
    """Somebody who must not be connected to."""

    def __init__(self, address, port=None):
        self.address, self.port, self.connections = address, port or free_port(address), 0
        self._socket = socket.create_server((address, self.port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                connection.close()
        except OSError:
            pass

    def close(self):
        self._socket.close()


class Rebinder:
    """The name server of a zone, which gives another address each time that it is asked."""

    def __init__(self, address, addresses):
        self.port, self.asked = free_port(address), 0
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, self.port))
        self.stub = f"rebind.test={address}@{self.port}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                wire, peer = self._socket.recvfrom(4096)
                query = dns.message.from_wire(wire)
                answer = dns.message.make_response(query)
                answer.flags |= dns.flags.AA
                question = query.question[0]
                if question.rdtype == dns.rdatatype.A:
                    address = self._addresses[self.asked % len(self._addresses)]
                    self.asked += 1
                    answer.answer = [dns.rrset.from_text(question.name, 0, "IN", "A", address)]
                self._socket.sendto(answer.to_wire(), peer)
        except OSError:
            pass

    def close(self):
        self._socket.close()


@pytest.fixture(scope="module")
def hooks(shared_lab):
    return Hooks(shared_lab)


@pytest.fixture(autouse=True)
def leave_nothing_waiting(hooks):
    yield
    for hook in hooks.call("GET", "/v1/webhooks")[1]["webhooks"]:
        hooks.call("DELETE", f"/v1/webhooks/{hook['id']}")


def test_down_and_up_again(hooks):
    receiver = hooks.receiver()
    hook = hooks.make(receiver)
    receiver.stop()
    hooks.happen(3)
    failed = wait_until(lambda: [one for one in hooks.log(hook) if one["error"]], 30, "a failed try")[0]
    assert failed["state"] == "waiting" and failed["next_try_at"] and failed["status"] is None
    shown = hooks.call("GET", f"/v1/webhooks/{hook['id']}")[1]
    assert shown["failures"] >= 1 and shown["failing_since"] and shown["enabled"]
    receiver.start()
    log = hooks.wait(hook, 3)
    assert max(one["attempts"] for one in log) >= 2 and {one["error"] for one in log} == {None}
    assert sorted(receiver.ids()) == sorted(one["message_id"] for one in log), "each of them once"
    assert all(message.signers for message in receiver.messages)
    shown = hooks.call("GET", f"/v1/webhooks/{hook['id']}")[1]
    assert (shown["failures"], shown["failing_since"]) == (0, None)


@pytest.mark.parametrize("status", [500, 404])
def test_what_is_no_2xx_is_tried_again(hooks, status):
    receiver = hooks.receiver()
    receiver.behave = lambda message, handler: (status, {}, b"no\x00\x1b[2J" + b"\xff" * 2000) if len(receiver.messages) < 2 else 204
    hook = hooks.make(receiver)
    hooks.happen()
    failed = hooks.wait_tried(hook)
    assert failed["status"] == status and str(status) in failed["error"], failed
    assert failed["answer"] is None or len(failed["answer"]) <= 1024 and "\x1b" not in failed["answer"]
    done = hooks.wait(hook)[0]
    assert (done["attempts"], done["status"], done["answer"]) == (2, 204, None)
    assert len(set(receiver.ids())) == 1 and receiver.messages[0].body == receiver.messages[1].body
    assert receiver.messages[0].timestamp < receiver.messages[1].timestamp, "the signature is of its own time"


def test_retry_after_is_kept_to(hooks):
    receiver = hooks.receiver()
    receiver.behave = lambda message, handler: (429, {"Retry-After": "8"}, b"") if len(receiver.messages) < 2 else 200
    hook = hooks.make(receiver)
    hooks.happen()
    hooks.wait(hook)
    assert receiver.messages[1].at - receiver.messages[0].at >= 7.5


def test_gone_is_gone(hooks):
    receiver, watcher = hooks.receiver(), hooks.receiver()
    receiver.behave = lambda message, handler: 410
    hook = hooks.make(receiver, tenant=None)
    hooks.make(watcher, events=["webhook.disabled"])
    hooks.happen()
    wait_until(lambda: watcher.messages, 30, "the news")
    assert f"webhook {hook['id']}:" in watcher.messages[0].json["data"]["detail"]
    shown = hooks.call("GET", f"/v1/webhooks/{hook['id']}")[1]
    assert (shown["enabled"], shown["disabled_by"]) == (False, "gone")
    hooks.happen()
    wait_until(lambda: hooks.log(hook)[0]["state"] == "failed", 60, "the end of what waited")
    assert len(receiver.messages) == 1
    receiver.behave = lambda message, handler: 200
    assert hooks.call("PATCH", f"/v1/webhooks/{hook['id']}", {"enabled": True})[1]["disabled_by"] is None
    hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")
    wait_until(lambda: hooks.log(hook)[0]["state"] == "delivered", 30, "the test")


def test_who_hangs_holds_up_nobody(hooks):
    """More of them than the issuer sends to at a time would matter; here are ten of its 32, in every stage."""
    release = threading.Event()

    def hang(message, handler):
        release.wait(60)
        return 200

    def hang_in_the_answer(message, handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x")
        release.wait(60)
        return True
    silent = hooks.lab.use(Victim(hooks.address))
    backlog = socket.create_server((hooks.address, free_port(hooks.address)), backlog=0)
    slow, slow_answer, well = hooks.receiver(), hooks.receiver(), hooks.receiver()
    slow.behave, slow_answer.behave = hang, hang_in_the_answer
    hanging = [hooks.make(slow, path) for path in [None] * 5]
    answering = hooks.make(slow_answer)
    nobody = hooks.make(url=f"https://{hooks.address}:{silent.port}/")
    accepted_by_the_kernel = hooks.make(url=f"https://{hooks.address}:{backlog.getsockname()[1]}/")
    good = hooks.make(well)
    hooks.happen(30)
    began = time.monotonic()
    wait_until(lambda: len(well.messages) == 30, 60, "the other one's messages")
    assert len(slow.messages) == len(hanging) and not any(one["attempts"] for one in hooks.log(hanging[0])), "still at their first"
    took = time.monotonic() - began
    hooks.wait(good, 30)
    for hook in (hanging[0], nobody, accepted_by_the_kernel):
        first = wait_until(lambda: [one for one in hooks.log(hook) if one["attempts"]], 60, "its first try's end")[0]
        assert first["state"] == "waiting" and first["error"], first
    assert "in time" in [one for one in hooks.log(hanging[0]) if one["attempts"]][0]["error"]
    done = wait_until(lambda: [one for one in hooks.log(answering) if one["state"] == "delivered"], 60, "who said 200")[0]
    assert done["answer"] == "x", "who has said 200 has the message"
    release.set()
    backlog.close()
    print(f"30 messages beside eight that hang: {took:.1f} s")


def test_slow_but_there(hooks):
    receiver = hooks.receiver()

    def slow(message, handler):
        time.sleep(4)  # as slow applications are
        return 200
    receiver.behave = slow
    hook = hooks.make(receiver)
    hooks.happen()
    done = hooks.wait(hook)[0]
    assert done["attempts"] == 1 and done["took_ms"] >= 4000


def test_redirects_lead_nowhere(hooks):
    elsewhere, receiver = hooks.receiver(), hooks.receiver()
    inside = "http://169.254.169.254/latest/meta-data/"
    targets = {301: elsewhere.url("/taken"), 302: inside, 303: "file:///etc/passwd", 307: elsewhere.url(), 308: "https://127.0.0.1/"}
    receiver.behave = lambda message, handler: (int(message.path[1:]), {"Location": targets[int(message.path[1:])]}, b"")
    sent = [(status, hooks.make(receiver, url=receiver.url(f"/{status}"), events=["domain.*"])) for status in targets]
    hooks.happen()
    for status, hook in sent:
        failed = hooks.wait_tried(hook)
        assert (failed["status"], failed["state"]) == (status, "waiting") and "redirects are not followed" in failed["error"]
    assert not elsewhere.messages


@pytest.mark.parametrize("addresses, delivered", [
    (["127.0.0.1"], False),
    (["169.254.169.254"], False),
    (["10.0.0.1", "192.168.0.1", "100.64.0.1"], False),
    (["0.0.0.0"], False),
    (["::1"], False),
    (["::ffff:127.0.0.1"], False),
    (["127.0.0.1", "{receiver}"], True),  # the one that is allowed, and that alone
])
def test_names_that_lead_inside(hooks, addresses, delivered):
    name = f"n{addresses[0].replace('.', '-').replace(':', '-').strip('-')}.hooks{len(addresses)}.test"
    receiver = hooks.receiver(name)
    victim = hooks.lab.use(Victim("127.0.0.1", receiver.port))
    addresses = [address.format(receiver=hooks.address) for address in addresses]
    hooks.platform.dns.publish(name, "AAAA" if ":" in addresses[0] else "A", *addresses)
    hook = hooks.make(receiver, url=receiver.url(host=name))
    before = hooks.acme.metric("postern_acme_webhook_tries_total", result="barred")
    hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")
    tried = hooks.wait_tried(hook)
    assert tried["state"] == ("delivered" if delivered else "waiting"), tried
    assert len(receiver.messages) == delivered
    if not delivered:
        assert tried["error"] == "Its name leads to an address that is not a public one: nothing was sent.", tried
        wait_until(lambda: hooks.acme.metric("postern_acme_webhook_tries_total", result="barred") > before, 10, "it to be counted")
    assert victim.connections == 0
    assert not any(address in str(tried) for address in addresses), "nobody learns by it what is inside"
    victim.close()


def test_names_that_lead_elsewhere_later(lab):
    """The address that was looked at is the one that is used; and it is looked at each time."""
    hooks = Hooks(lab, start=False)
    rebinder = lab.use(Rebinder(hooks.address, [hooks.address, "127.0.0.1"]))
    hooks.acme.settings["dns_stub"] = [hooks.acme.settings["dns_stub"], rebinder.stub]
    hooks.platform.start()
    receiver = hooks.receiver("a.rebind.test")
    victim = lab.use(Victim("127.0.0.1", receiver.port))
    hook = hooks.make(receiver, url=receiver.url(host="a.rebind.test"))
    outcomes = set()
    for _ in range(8):
        sent = hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")[1]["id"]
        tried = wait_until(lambda: next(one for one in hooks.log(hook) if one["id"] == sent)["attempts"] and hooks.log(hook), 30, "a try")
        outcomes |= {one["error"] for one in tried if one["id"] == sent}
    assert outcomes == {None, "Its name leads to an address that is not a public one: nothing was sent."}, outcomes
    assert receiver.messages and rebinder.asked >= 4
    assert victim.connections == 0


def test_an_address_that_is_not_allowed_any_more(hooks):
    """As an operator who takes webhook-allow back; or somebody who has got past the API."""
    victim = hooks.lab.use(Victim("127.0.0.1"))
    hook = hooks.make(hooks.receiver())
    for url in (f"https://127.0.0.1:{victim.port}/", f"http://{hooks.address}:{victim.port}/", "file:///etc/passwd", "https://[::1]/"):
        hooks.db.query(f"UPDATE webhooks SET url = '{url}' WHERE id = {hook['id']}")
        sent = hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")[1]["id"]
        wait_until(lambda: next(one for one in hooks.log(hook) if one["id"] == sent)["attempts"], 30, "a try")
        assert hooks.log(hook)[0]["error"].startswith("Its url is not allowed any more"), hooks.log(hook)[0]
    assert victim.connections == 0


def pour(part, status=200, head=True):
    def behave(message, handler):
        if head:
            handler.send_response(status)
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        try:
            for _ in range(20000):
                handler.wfile.write(part)
        except OSError:
            pass
        handler.close_connection = True
        return True
    return behave


def test_endless_answers_are_cut_off(hooks):
    receiver = hooks.receiver()
    before = hooks.acme.process.rss()
    cases = [(pour(b"x" * 65536), "delivered", 200), (pour(b"x" * 65536, 500), "waiting", 500),
             (pour(b"X-Endless: " + b"y" * 4000 + b"\r\n", head=False), "waiting", None)]
    for behave, state, status in cases:
        receiver.behave = behave
        hook = hooks.make(receiver)
        hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")
        tried = hooks.wait_tried(hook)
        assert (tried["state"], tried["status"]) == (state, status), tried
        if status:
            assert tried["answer"] == "x" * 1024
        else:
            assert "header" in tried["error"]
        hooks.call("DELETE", f"/v1/webhooks/{hook['id']}")
    assert hooks.acme.process.rss() - before < 64 << 20


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 99999 X\r\n\r\n", b"\x00" * 100,
                                    b"HTTP/0.9 200\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_nonsense_is_no_delivery(hooks, answer):
    receiver = hooks.receiver()

    def behave(message, handler):
        handler.wfile.write(answer)
        handler.close_connection = True
        return True
    receiver.behave = behave
    hook = hooks.make(receiver)
    hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")
    tried = hooks.wait_tried(hook)
    assert tried["state"] == "waiting" and tried["error"], tried


def test_who_cannot_show_a_certificate_gets_nothing(lab):
    hooks = Hooks(lab, acme={"webhook_ca": None})
    stranger = hooks.receiver()
    hook = hooks.make(stranger)
    hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")
    assert "certificate" in hooks.wait_tried(hook)["error"]
    hooks.acme.restart(webhook_ca=hooks.authority.ca)
    hooks.platform.dns.publish("named.hooks.test", "A", hooks.address)
    other = hooks.make(stranger, url=stranger.url(host="named.hooks.test"))
    hooks.call("POST", f"/v1/webhooks/{other['id']}/test")
    assert "named.hooks.test" in hooks.wait_tried(other)["error"], "a certificate for another name"
    assert not [message for message in stranger.messages if message.headers["Host"].startswith("named")]
    plain = hooks.receiver(tls=False)
    status, _ = hooks.call("POST", "/v1/webhooks", {"url": plain.url()})
    assert status == 400
    hooks.platform.verifier.restart(webhook_http="on")
    hooks.acme.restart(webhook_http="on")
    hook = hooks.make(plain)
    hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")
    hooks.wait(hook)
    assert plain.messages[0].signers == [hook["secret"]]


def test_no_proxy_is_asked(lab):
    hooks = Hooks(lab, start=False)
    proxy = lab.use(Victim(hooks.address))
    hooks.acme.environment = {name: f"http://{proxy.address}:{proxy.port}" for name in (
        "https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY")}
    hooks.acme.environment["no_proxy"] = hooks.platform.pebble.address
    hooks.platform.start()
    receiver = hooks.receiver("direct.hooks.test")
    hooks.platform.dns.publish("direct.hooks.test", "A", hooks.address)
    hook = hooks.make(receiver, url=receiver.url(host="direct.hooks.test"))
    hooks.call("POST", f"/v1/webhooks/{hook['id']}/test")
    hooks.wait(hook)
    assert proxy.connections == 0
