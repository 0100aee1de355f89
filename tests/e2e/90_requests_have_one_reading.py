"""The app never sees a request that the edge did not account for, however oddly a client frames what it sends.

A thousand oddities (tests/support/lab/oddities.py) go through TLS to apps of four makes, each behind an edge of its own:
nginx, Apache, node, and a recorder that reads with h11. Behind each, on the same connection and on another, goes a
canary: it gets its own answer or none."""

import collections
import json
import threading

import pytest

from lab import oddities
from lab.oddities import CANARY, CLOSED, CUT, TURNED_AWAY
from lab.origins import ApacheOrigin, NginxOrigin, NodeOrigin, Recorder, Seen
from lab.wire import Ended, Malformed, Wire

pytestmark = pytest.mark.long

NAME = "shop.brand.test"
CLIENTS = 3  # at a time, of each app


class Visitor:
    """One client of one edge, with a connection of its own for the canaries that come on another connection."""

    def __init__(self, platform, edge, origin):
        self.platform, self.edge, self.origin = platform, edge, origin
        self.is_recorder = isinstance(origin, Recorder)
        self.other = None
        self.complaints = []

    def wire(self):
        return Wire(self.edge.address, self.edge.https, NAME, self.platform.trust)

    def visit(self, index, oddity):
        self.name, self.path = oddity.name, f"/q{index:04}"
        try:
            with self.wire() as wire:
                self.send(wire, oddity)
                self.judge(wire, oddity)
            self.visit_on_another_connection()
        except (Malformed, Ended, OSError) as error:
            self.complain(f"{type(error).__name__}: {error}")

    def complain(self, text):
        self.complaints.append(f"{self.origin.name} {self.path} ({self.name}): {text}")

    def fill(self, text):
        data = text if isinstance(text, bytes) else text.encode("latin-1")
        return oddities.fill(data, self.path, NAME)

    def send(self, wire, oddity):
        canary = b"" if oddity.end == CUT else oddities.fill(
            b"GET /canary{q} HTTP/1.1\r\nHost: {h}\r\n\r\n", self.path, NAME)
        wire.send(self.fill(oddity.data) + canary)
        if oddity.end == CUT:
            wire.end()

    def expect_own(self, answer, method, target):
        """An app may have refused, in a way of its own; it must not have answered another request."""
        saw = answer.get("X-Saw")
        wanted = f"{method} {target}"
        if saw != wanted and (saw or self.is_recorder):
            self.complain(f"the answer to {wanted!r} is one to {saw!r}, {answer.status}")

    def expect_end(self, wire):
        rest = wire.rest()
        if rest:
            self.complain(f"more came: {rest[:200]!r}")
        if wire.how == "reset":
            self.complain("the connection was reset")

    def judge(self, wire, oddity):
        if oddity.end == CUT:
            return self.judge_cut(wire)
        answers = []
        for method, target, _ in oddity.seen:
            answers.append(wire.answer(method))
            refused = oddity.free and not answers[0].get("X-Saw") and answers[0].status in oddity.end
            if refused:
                return self.judge_end_of_refusal(wire)
            self.expect_own(answers[-1], method, self.fill(target).decode())
        self.judge_end(wire, oddity, answers)

    def judge_end_of_refusal(self, wire):
        """The edge closes behind its own; an app, whose refusal looks the same, may go on."""
        try:
            answer = wire.answer()
        except Ended as error:
            return self.complain(f"half an answer: {error}") if error.data else None
        if self.is_recorder:
            self.complain("the connection went on behind a refusal")
        self.expect_own(answer, "GET", f"/canary{self.path}")

    def judge_end(self, wire, oddity, answers):
        accepted = oddity.free and answers
        if oddity.end == CLOSED:
            return self.expect_end(wire)
        if oddity.end == TURNED_AWAY:
            return self.judge_turned_away(wire)
        try:
            answer = wire.answer()
        except Ended as error:
            # An app that refused may have had its connection to the client ended with it.
            if (oddity.end == CANARY or accepted) and not (answers and answers[-1].status >= 400):
                raise
            return None if oddity.end == CANARY and not error.data else self.complain(f"no refusal: {error}")
        if oddity.end == CANARY or accepted:
            return self.expect_own(answer, "GET", f"/canary{self.path}")
        if answer.get("X-Saw") or answer.status not in oddity.end:
            self.complain(f"{answer.status} {answer.get('X-Saw')} where {sorted(oddity.end)} is due")
        self.expect_end(wire)

    def judge_turned_away(self, wire):
        answer = wire.answer()
        if answer.status not in (400, 405, 421, 501) or answer.get("X-Saw"):
            self.complain(f"{answer.status} {answer.get('X-Saw')} where a refusal is due")
        try:
            self.expect_own(wire.answer(), "GET", f"/canary{self.path}")
        except Ended as error:
            if error.data:
                raise

    def judge_cut(self, wire):
        rest = wire.rest()
        if rest and not rest.startswith(b"HTTP/1.1 4"):
            self.complain(f"an answer to what was not whole: {rest[:200]!r}")

    def visit_on_another_connection(self):
        target = f"/other{self.path}"
        for fresh in (False, True):
            if fresh or not self.other:
                self.other = self.wire()
            try:
                self.other.send(f"GET {target} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
                answer = self.other.answer()
                break
            except Ended:
                if fresh:
                    raise
        if answer.get("X-Saw") != f"GET {target}":
            self.complain(f"on another connection: {answer.status}, {answer.get('X-Saw')!r} for {target!r}")
        if answer.get("Connection") == "close":
            self.other = None


def visit_all(platform, pairs, table):
    """Every oddity to every app; returns what is to be complained of."""
    visitors, threads = [], []
    for edge, origin in pairs:
        todo = collections.deque(enumerate(table))
        for _ in range(CLIENTS):
            visitor = Visitor(platform, edge, origin)
            visitors.append(visitor)

            def work(todo=todo, visitor=visitor):
                while todo:
                    try:
                        visitor.visit(*todo.popleft())
                    except IndexError:
                        return
            threads.append(threading.Thread(target=work))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [text for visitor in visitors for text in visitor.complaints]


def logged(edge):
    """(method, path) of each request in the edge's access log, and of those among them that an upstream answered."""
    every, answered = collections.Counter(), collections.Counter()
    for line in edge.process.log().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("message") == "request" and "method" in entry:
            one = (entry["method"], entry.get("path", "/"))
            every[one] += 1
            answered[one] += "upstream" in entry
    return every, answered


def expected(table):
    """What a recorder must see of each case, and what it may."""
    must, may = collections.Counter(), collections.Counter()
    for index, oddity in enumerate(table):
        path = f"/q{index:04}"

        def filled(text):
            return oddities.fill(text.encode("latin-1"), path, NAME).decode("latin-1")
        seen = [Seen(method, filled(target), oddities.fill(body, path, NAME)) for method, target, body in oddity.seen]
        (may if oddity.free else must).update(seen)
        must[Seen("GET", f"/other{path}", b"")] += 1
        if oddity.end in (CANARY, TURNED_AWAY) or oddity.free:
            (must if oddity.end == CANARY and not oddity.free else may)[Seen("GET", f"/canary{path}", b"")] += 1
    return must, may


def short(requests):
    """As the log shows them."""
    return collections.Counter((one[0], one[1].split("?")[0][:500]) for one in requests)


@pytest.fixture
def makes(lab):
    """A platform with one edge for each app."""
    platform = lab.prepare(edges=4, edge={"workers": 1, "access_log": "on", "log_format": "json", "idle_timeout": "5m"})
    address = platform.ground.address(4)
    origins = [NginxOrigin(lab.folder("nginx-origin"), address), ApacheOrigin(lab.folder("apache"), address),
               NodeOrigin(lab.folder("node"), address), Recorder(address)]
    for edge, origin in zip(platform.edges, origins):
        lab.use(origin.start())
        edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    return platform, list(zip(platform.edges, origins))


def test_app_sees_nothing_that_the_edge_did_not_account_for(makes):
    platform, pairs = makes
    table = oddities.table()
    complaints = visit_all(platform, pairs, table)
    must, may = expected(table)
    for edge, origin in pairs:
        complaints += [f"{origin.name}: {text}" for text in account(edge, origin, must, may, table)]
    print(f"{len(table)} oddities, {len(pairs)} apps")
    assert not complaints, f"{len(complaints)}:\n" + "\n".join(complaints[:60])


def account(edge, origin, must, may, table):
    seen = collections.Counter(one for one in origin.seen() if one.target and one.target != "/")
    every, answered = logged(edge)
    for one, count in (short(seen.elements()) - every).items():
        yield f"saw {one} {count} times more than the edge has logged"
    if not isinstance(origin, Recorder):
        return
    for one, count in (must - seen).items():
        yield f"did not see {one} ({count})"
    for one, count in (seen - must - may).items():
        yield f"saw {one}, which nobody sent ({count})"
    for one, count in (short((must + may).elements()) & answered - short(seen.elements())).items():
        yield f"did not see {one}, which the edge says it answered ({count})"
    cut = {(oddity.begun[0], f"/q{index:04}") for index, oddity in enumerate(table) if oddity.begun}
    for one in short(origin.begun) - short(seen.elements()):
        if one not in cut and one[1] != "/":
            yield f"saw {one} begin, which nobody sent"
    for error, raw in origin.errors:
        yield f"cannot read what the edge sent: {error}: {raw[-300:]!r}"
