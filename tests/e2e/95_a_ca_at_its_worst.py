"""Whatever a CA does, the end is a certificate in place or a failure that is stored and explained, and the CA has seen
few requests. One issuer, one CA, a name for each misdeed, all at once."""

import email.utils
import functools
import gzip
import json
import os
import socket
import threading
import time

import pytest

from lab.clock import clock_or_skip
from lab.issuance import Issuance
from lab.lab import Lab
from lab.place import free_port
from lab.process import run, wait_until

pytestmark = pytest.mark.long

JSON = {"Content-Type": "application/json"}
PEM = {"Content-Type": "application/pem-certificate-chain"}
NAME = "shop.brand.test"
CASES = {}


class Case:
    """`end`: issued, or the cause of the failure. `tries`: how often the job may be tried to get there. `most`: requests
    of a kind that may come; `orders`: the CA's own count. `wait`: bounds of the next try, in seconds. `quota`: its word
    holds the whole account back, so it comes after the others. `lift`: seconds after which the CA behaves."""

    def __init__(self, slug, end="issued", tries=1, orders=1, most=None, total=40, wait=None, quota=False, lift=None):
        self.slug, self.end, self.tries, self.orders, self.most = slug, end, tries, orders, most or {}
        self.total, self.wait, self.quota, self.lift = total, wait, quota, lift
        self.name = f"www.{slug}.test"
        self.tried, self.result, self.error, self.delay = 1, None, "", None
        self.install = None


class SilentListener:
    """Where nobody must be sent: counts who comes."""

    def __init__(self, address):
        self.connections, self._socket = 0, socket.create_server((address, free_port(address)))
        self.url = "http://{}:{}/".format(*self._socket.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                self._socket.accept()[0].close()
                self.connections += 1
        except OSError:
            pass

    def close(self):
        self._socket.close()


def case(slug, **expected):
    def register(install):
        CASES[slug] = Case(slug, **expected)
        CASES[slug].install = install
        return install
    return register


# Nonces and connections

@case("nonce-storm", total=60)
def _(ca, name):
    ca.fail("*", status=400, problem="badNonce", times=20, name=name)


@case("nonce-refused-for-ever", end="ca", orders=0, total=50)
def _(ca, name):
    ca.fail("new-order", status=400, problem="badNonce", times=None, name=name)


@case("no-nonce-anywhere")
def _(ca, name):
    ca.change("*", lambda status, headers, body: (
        status, {key: value for key, value in headers.items() if key.lower() != "replay-nonce"}, body), None, name)


def lost(kind, **expected):
    @case(f"lost-{kind}", **expected)
    def _(ca, name):
        ca.lose(kind, name=name)


lost("new-order", tries=2, orders=2)  # no CA lists an account's orders
for one in ("authorization", "challenge", "order", "certificate"):
    lost(one)
lost("finalize", most={"finalize": 1})


# Refusals

def limited(slug, value, low, high):
    @case(f"limit-{slug}", end="rate_limited", orders=0, total=1, wait=(low, high), quota=True)
    def _(ca, name):
        header = {} if value is None else {"Retry-After": value()}
        ca.fail("new-order", status=429, problem="rateLimited", detail="too many", headers=header, name=name)


def date_in(seconds):
    return lambda: email.utils.formatdate(time.time() + seconds, usegmt=True)


limited("in-seconds", lambda: "3600", 3590, 3970)
limited("as-date", date_in(3600), 3590, 3970)
limited("in-the-past", date_in(-3600), 50, 70)
limited("without-a-time", None, 50, 70)
limited("for-ten-years", lambda: "315360000", 86000, 95100)
limited("of-no-sense", lambda: "soon", 50, 70)


@case("paused-name", end="rejected", orders=0, total=1, wait=(77000, 95100))
def _(ca, name):
    ca.fail("new-order", status=429, problem="rateLimited", name=name, detail="Your account is temporarily prevented from "
            f"requesting certificates for {name} and possibly others. Please visit: https://ca.test/unpause?jwt={'t' * 500}")


@case("html-503", tries=2)
def _(ca, name):
    ca.fail("new-order", status=503, body="<html>busy</html>", name=name)


for one in ("new-order", "authorization", "challenge", "finalize", "order", "certificate"):
    @case(f"error-500-at-{one}", tries=2)
    def _(ca, name, kind=one):
        ca.fail(kind, status=500, name=name)


def edit(change):
    """A change of a JSON document."""
    return lambda status, headers, body: (status, headers, json.dumps(change(json.loads(body))).encode())


# Orders and authorizations

@case("invalid-in-mid-poll", end="connection", most={"finalize": 0})
def _(ca, name):
    error = {"type": "urn:ietf:params:acme:error:connection", "detail": "nobody answers on port 443"}
    ca.change("order", edit(lambda order: {**order, "status": "invalid", "error": error}), None, name)


@case("processing-for-a-while", most={"finalize": 1, "order": 15}, lift=8)
def _(ca, name):
    ca.change("order", edit(lambda order: {**order, "status": "processing"} if order["status"] == "valid" else order),
              None, name)
    ca.change("finalize", edit(lambda order: {**order, "status": "processing"}), None, name)


@case("processing-until-tomorrow", end="ca", most={"finalize": 1, "order": 8}, wait=(86000, 95100))
def _(ca, name):
    def process(status, headers, body):
        order = json.loads(body)
        if order["status"] == "valid":
            order["status"], headers = "processing", {**headers, "Retry-After": "86400"}
        return status, headers, json.dumps(order).encode()
    ca.change("order", process, None, name)
    ca.change("finalize", process, None, name)


@case("finalize-504-that-did-issue", most={"finalize": 1})
def _(ca, name):
    ca.change("finalize", lambda *_: (504, {"Content-Type": "text/html"}, b"<html>gateway</html>"), 1, name)


@case("no-authorizations-at-first")
def _(ca, name):
    ca.change("new-order", edit(lambda order: {**order, "authorizations": []}), 1, name)


@case("valid-authorization-and-an-order-of-no-sense", end="ca", most={"challenge": 0, "finalize": 0})
def _(ca, name):
    ca.change("authorization", edit(lambda one: {**one, "status": "valid"}), None, name)
    ca.change("order", edit(lambda order: {**order, "status": "unheard-of"}), None, name)


@case("strange-challenges")
def _(ca, name):
    def widen(document):
        good = document["challenges"]
        strange = [{**good[0], "token": token, "url": good[0]["url"] + str(index)} for index, token in
                   enumerate(["", "../../etc/passwd", "a" * 300, "ü", 'a"b', "a\nb", None, 7])]
        return {**document, "challenges": strange + [{"type": "http-01"}, {"type": "dns-persist-01", "status": "pending"},
                                                     "junk", None] + good + good}
    ca.change("authorization", edit(widen), None, name)


@case("hostile-tokens-alone", end="rejected", most={"challenge": 0})
def _(ca, name):
    ca.change("authorization", edit(lambda document: {
        **document, "challenges": [{**one, "token": "../" + one["token"]} for one in document["challenges"]]}), None, name)


@case("authorization-for-an-address", end="ca", most={"challenge": 0})
def _(ca, name):
    ca.change("authorization", edit(lambda document: {
        **document, "identifier": {"type": "ip", "value": "192.0.2.1"}}), None, name)


# Bodies

@case("a-gigabyte", tries=2, end="issued")
def _(ca, name):
    def pour(handler, forward):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        for _ in range(1 << 14):
            handler.wfile.write(b" " * (1 << 16))
    ca.act("authorization", pour, 1, name)


@case("a-byte-a-second", tries=2)
def _(ca, name):
    def drip(handler, forward):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(60):
            handler.wfile.write(b" ")
            time.sleep(0.5)
    ca.act("authorization", drip, 2, name)  # a POST-as-GET is repeated once


def answered(slug, status, headers, body, kind="authorization", **expected):
    @case(slug, **expected)
    def _(ca, name):
        ca.change(kind, lambda *_: (status, headers, body), 1, name)


answered("gzip-bomb", 200, {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b" " * (1 << 24)), tries=2)
answered("deep-json", 200, JSON, b"[" * 10000 + b"]" * 10000, tries=2)
answered("deep-objects", 200, JSON, b'{"a":' * 10000 + b"1" + b"}" * 10000, tries=2)
answered("endless-headers", 200, {**JSON, **{f"X-{index}": "y" * 1000 for index in range(90)}}, b"{}", tries=2)


@case("json-called-html")
def _(ca, name):
    ca.change("*", lambda status, headers, body: (status, {**headers, "Content-Type": headers.get(
        "Content-Type", "").replace("application/json", "text/html; charset=x")}, body), None, name)


def redirected(slug, target):
    @case(f"redirect-{slug}", tries=2)
    def _(ca, name):
        ca.fail("authorization", status=302, headers={"Location": target(ca)}, name=name)
        ca.fail("certificate", status=307, headers={"Location": target(ca)}, name=name)
    CASES[f"redirect-{slug}"].tries = 3


redirected("to-http", lambda ca: ca.listener.url)
redirected("within-the-ca", lambda ca: ca.directory_url.replace("/dir", "/elsewhere"))
redirected("to-link-local", lambda ca: "http://169.254.169.254/latest/meta-data/")
redirected("to-a-file", lambda ca: "file:///etc/passwd")


# Certificates

def collected(slug, change, end="certificate", **expected):
    @case(slug, end=end, **expected)
    def _(ca, name):
        ca.change("certificate", lambda status, headers, body: (status, headers, change(ca, name, body)), None, name)


def blocks(pem):
    return [b"-----BEGIN" + part for part in pem.split(b"-----BEGIN")[1:]]


def selfsigned(ca, name):
    certificate, key = ca.pebble.authority.issue(name, f"DNS:{name}")
    with open(certificate, "rb") as one, open(key, "rb") as other:
        return one.read(), other.read()


@functools.cache
def expired_issuer(ca):
    """The intermediate's name and key in a certificate that ended nine days ago."""
    key = os.path.join(ca.pebble.directory, "intermediate.key")
    with open(key, "w") as file:
        file.write(ca.pebble.intermediate_key())
    subject = run(["openssl", "x509", "-noout", "-subject", "-nameopt", "compat"], input=ca.pebble.intermediate())
    return run(["faketime", "-f", "-10d", "openssl", "req", "-x509", "-new", "-key", key, "-days", "1", "-subj",
                subject.strip().removeprefix("subject=")]).encode()


collected("another-key", lambda ca, name, _: selfsigned(ca, name)[0])
collected("another-name", lambda ca, name, _: selfsigned(ca, "other.brand.test")[0])
collected("reversed-chain", lambda ca, name, body: b"".join(reversed(blocks(body))), end="issued")
collected("doubled-leaf", lambda ca, name, body: blocks(body)[0] + body, end="issued")
collected("unrelated-chain", lambda ca, name, body: blocks(body)[0] + selfsigned(ca, name)[0])
collected("expired-chain", lambda ca, name, body: blocks(body)[0] + expired_issuer(ca))
collected("key-in-the-chain", lambda ca, name, body: body + selfsigned(ca, name)[1])
collected("nul-bytes", lambda ca, name, body: body.replace(b"\n", b"\0\n"))
collected("cut-off", lambda ca, name, body: body[:len(body) // 2])


@case("certificate-called-json", end="certificate")
def _(ca, name):
    ca.change("certificate", lambda status, headers, body: (status, {**headers, **JSON}, body), None, name)


# What happened

def look(issuance, cases):
    """Takes the jobs' states over; gives those another try that may have one."""
    rows = {row[0]: row[1:] for row in issuance.db.query(
        "SELECT j.name, state, attempts, coalesce(last_cause, ''), replace(coalesce(last_error, ''), E'\\n', ' '), "
        "extract(epoch FROM next_try_at - last_try_at)::bigint, c.name IS NOT NULL, coalesce(j.directory, '') "
        "FROM issuance_jobs j LEFT JOIN certificates c USING (name)")}
    again = []
    for one in cases:
        state, attempts, cause, error, delay, stored, _ = rows[one.name]
        if state == "idle" and stored == "t":
            one.result = "issued"
        elif state == "failed" and int(attempts) >= one.tried:
            if one.tried < one.tries:
                one.tried += 1
                again.append(f"'{one.name}'")
            else:
                one.result, one.error, one.delay = cause, error, int(delay)
                issuance.db.query(f"UPDATE issuance_jobs SET next_try_at = now() + interval '1 day' "
                                  f"WHERE name = '{one.name}'")
    if again:
        issuance.db.query(f"UPDATE issuance_jobs SET next_try_at = now() WHERE name IN ({', '.join(again)})")
    return all(one.result for one in cases)


def play(issuance, cases):
    for one in cases:
        one.install(issuance.ca, one.name)
    issuance.ask_for(*[one.name for one in cases])
    begin = time.monotonic()

    def is_over():
        # The fleet's breaker and the ledger hold names back for what others met; they have scenarios of their own.
        issuance.db.query("DELETE FROM ca_health; DELETE FROM ca_budget; "
                          "UPDATE issuance_jobs SET next_try_at = now(), waits_for = NULL WHERE waits_for IS NOT NULL")
        for one in cases:
            if one.lift and time.monotonic() - begin > one.lift:
                issuance.ca.clear(one.name)
        return look(issuance, cases)
    try:
        wait_until(is_over, 70, "every name's end", interval=0.3)
    except AssertionError:
        pass  # each name says for itself that it has none


@pytest.fixture(scope="module")
def played(session):
    lab = Lab(session)
    issuance = Issuance(lab, pebble_environment={"PEBBLE_CHAIN_LENGTH": "2"})
    issuance.ca.listener = lab.use(SilentListener(issuance.ground.address(2)))
    issuance.issuer(jobs=64).start()
    play(issuance, [one for one in CASES.values() if not one.quota])
    for one in CASES.values():
        if one.quota:
            play(issuance, [one])
    yield issuance
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


@pytest.mark.parametrize("slug", list(CASES))
def test_the_end_is_as_expected_and_the_ca_saw_few_requests(played, slug):
    one, ca = CASES[slug], played.ca
    seen = {kind: count for (name, kind), count in ca.arrivals.items() if name == one.name}
    assert one.result == one.end, f"{one.error}; requests: {seen}; job: {played.job(one.name)}"
    if one.end != "issued":
        assert one.error and all(byte >= " " for byte in one.error)
        assert played.stored(one.name) is None
    assert ca.orders_for(one.name) == one.orders, seen
    assert sum(seen.values()) <= one.total, seen
    for kind, most in one.most.items():
        assert seen.get(kind, 0) <= most, seen
    if one.wait:
        assert one.wait[0] <= one.delay <= one.wait[1]
    assert ca.listener.connections == 0 and ca.arrivals[None, "other"] == 0, "no redirect is followed"


# What concerns the account or the clock has an issuer of its own.

ACCOUNT_FAULTS = {
    "no nonce": lambda ca: ca.change("new-nonce", lambda status, headers, body: (status, {}, body)),
    "a redirect": lambda ca: ca.fail("directory", status=301, headers={"Location": "http://127.0.0.1:1/dir"}),
    "HTML": lambda ca: ca.fail("new-account", status=503, body="<html>", headers={"Retry-After": "1"}),
    "no directory": lambda ca: ca.fail("directory", status=200, body='{"newNonce": "http://127.0.0.1/"}'),
    "no nonce to be had": lambda ca: ca.fail("new-nonce", status=500),
    "an account elsewhere": lambda ca: ca.change("new-account", lambda status, headers, body: (
        status, {**headers, "Location": "ftp://elsewhere"}, body)),
}


def test_an_account_that_cannot_be_made_is_explained_and_made_later(lab):
    issuances = {words: Issuance(lab) for words in ACCOUNT_FAULTS}
    for words, issuance in issuances.items():
        ACCOUNT_FAULTS[words](issuance.ca)
        issuance.ask_for(NAME)
        issuance.issuer(jobs=2).start(wait=False)
    for words, issuance in issuances.items():
        issuance.wait_failed(NAME)
        assert issuance.db.value("SELECT last_error FROM issuance_jobs"), words

    def is_issued(issuance):
        issuance.retry_soon()
        return issuance.stored(NAME)
    for words, issuance in issuances.items():
        wait_until(lambda: is_issued(issuance), 30, f"a certificate after {words}", interval=0.5)
        assert "There are now 2 accounts" not in issuance.pebble.process.log()
        assert sum(issuance.ca.arrivals.values()) <= 40


def test_an_account_whose_answer_is_lost_is_asked_for_once_more(lab):
    issuance = Issuance(lab)
    issuance.ca.lose("new-account")
    issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    assert issuance.ca.arrivals[None, "new-account"] == 2
    assert "There are now 2 accounts" not in issuance.pebble.process.log()
    assert issuance.db.value("SELECT count(*) FROM failures") == "0"


def window(start, end):
    return json.dumps({"suggestedWindow": {"start": start, "end": end}}).encode()


RENEWAL_INFO = {
    "inverted": (200, JSON, window("2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z")),
    "empty window": (200, JSON, window("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z")),
    "no times": (200, JSON, window("soon", "later")),
    "no JSON": (200, JSON, b"<html>"),
    "unknown": (404, {}, b""),
    "conflict": (409, {"Retry-After": "1"}, b""),
    "moved": (301, {"Location": "http://169.254.169.254/"}, b""),
    "too long": (200, JSON, b" " * 100_000),
    "busy for ten years": (503, {"Retry-After": "315360000"}, b"<html>"),
}


def test_renewal_information_of_no_use_changes_nothing(lab):
    issuance = Issuance(lab)
    url = issuance.ca.directory_url.replace("/dir", "/draft-ietf-acme-ari")
    issuance.ca.change("directory", edit(lambda directory: {**directory, "renewalInfo": url}), None)
    answers = []
    issuance.ca.act("renewal-info", lambda handler, forward: handler.reply(*answers[-1]), None)
    answers.append(RENEWAL_INFO["unknown"])
    issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    renew_at = issuance.db.value("SELECT renew_at FROM certificates")
    for words, answer in RENEWAL_INFO.items():
        answers.append(answer)
        before = issuance.ca.arrivals[None, "renewal-info"]
        issuance.db.query("UPDATE certificates SET ari_next_poll_at = now()")
        wait_until(lambda: issuance.ca.arrivals[None, "renewal-info"] > before, 10, f"the question: {words}")
        issuance.db.wait("SELECT ari_next_poll_at BETWEEN now() + interval '50 s' AND now() + interval '27 h' AND "
                         "ari_next_poll_at NOT BETWEEN now() + interval '59 min' AND now() + interval '60 min' "
                         "FROM certificates")
        assert issuance.db.value("SELECT renew_at FROM certificates") == renew_at, words
        assert issuance.ca.arrivals[None, "renewal-info"] == before + 1, words
    # That last word stands for other certificates, too: they are not asked about now.
    issuance.ask_for("other.brand.test")
    issuance.wait_issued("other.brand.test")
    issuance.db.query("UPDATE certificates SET ari_next_poll_at = now()")
    issuance.db.wait("SELECT min(ari_next_poll_at) BETWEEN now() + interval '50 min' AND now() + interval '70 min' "
                     "FROM certificates")
    assert issuance.ca.arrivals[None, "renewal-info"] == before + 1


def test_a_clock_that_steps_stores_nothing_wrong_and_costs_no_order(lab):
    clock = clock_or_skip(lab)
    issuance = Issuance(lab)
    issuer = issuance.issuer()
    issuer.environment.update(clock.environment)
    issuer.start()
    for index, shift in enumerate(["+91d", "-2d"]):  # the certificate is expired; it is not valid yet
        name = f"n{index}.brand.test"
        clock.set(shift)
        issuance.ask_for(name)
        assert issuance.wait_failed(name) in ("certificate", "network")  # the CA's listener has a certificate too
        assert issuance.stored(name) is None
        clock.set("+0")
        issuance.retry_soon()
        issuance.wait_issued(name)
        assert issuance.ca.orders_for(name) == 1
