"""What an app sends beside its answers reaches nobody, and an answer that is odd is passed on whole, refused, or seen to
be cut: never mistaken for another's.

Some 250 odd answers (tests/support/lab/odd_answers.py). After each come two more requests, on the same connection and on
another, through the same few connections to the app."""

import collections
import socket
import threading

from lab import odd_answers
from lab.odd_answers import CUT, KEEP, REFUSED, RESET
from lab.origin import Origin
from lab.wire import Ended, Malformed, Wire, trust

NAME = "shop.brand.test"
CLIENTS = 6


class App:
    """Answers /odd/N by the table and everything else with what it saw."""

    def __init__(self, table):
        self.table = table
        self.is_answered = [threading.Event() for _ in table]
        self.is_ended = [threading.Event() for _ in table]

    def __call__(self, request):
        if not request.target.startswith("/odd/"):
            return request.answer(b"good\n", fields=[("X-Saw", f"{request.method} {request.target}")])
        index = int(request.target[5:])
        odd = self.table[index]
        try:
            request.sock.sendall(odd.data)
            if odd.later:
                self.say_later(index, request.sock)
        except OSError:
            return False  # cut off in the middle of it
        if odd.then == RESET:
            request.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return odd.then == KEEP


    def say_later(self, index, sock):
        """On the idle connection; the edge must end it before it is used again."""
        self.is_answered[index].wait(10)
        sock.sendall(self.table[index].later)
        sock.settimeout(10)
        try:
            while sock.recv(4096):
                pass
        except ConnectionError:
            pass
        self.is_ended[index].set()


class Visitor:
    def __init__(self, platform, app, trust):
        self.platform, self.app, self.trust, self.complaints = platform, app, trust, []

    def wire(self):
        return Wire(self.platform.edge.address, self.platform.edge.https, NAME, self.trust)

    def complain(self, text):
        self.complaints.append(f"/odd/{self.index} ({self.odd.name}): {text}")

    def visit(self, index, odd):
        self.index, self.odd = index, odd
        try:
            with self.wire() as wire:
                goes_on = self.visit_odd(wire)
                self.app.is_answered[index].set()
                if odd.later and not self.app.is_ended[index].wait(10):
                    self.complain("the app's connection was not ended")
                if goes_on:
                    self.expect_good(wire, "same")
            with self.wire() as wire:
                self.expect_good(wire, "other")
        except (Malformed, Ended, OSError) as error:
            self.complain(f"{type(error).__name__}: {error}")

    def request(self, wire, method, target):
        wire.send(f"{method} {target} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        return wire.answer(method)

    def visit_odd(self, wire):
        """True where the connection may be used again."""
        try:
            answer = self.request(wire, self.odd.method, f"/odd/{self.index}")
        except Ended as error:
            if self.odd.expect != CUT:
                self.complain(f"ended: {error}")
            elif error.how == "close_notify":
                self.complain("an end that looks clean")
            return False
        for one in [answer] + answer.interim:
            if one.get("X-Saw") or b"evil" in one.body:
                self.complain(f"bytes that belong to nobody: {one.status} {one.body[:100]!r}")
        self.judge(answer)
        return answer.get("Connection") != "close"

    def judge(self, answer):
        refused = answer.status in (502, 504)
        if self.odd.expect in (REFUSED, CUT) or (self.odd.free and refused):
            # What comes all at once may be refused before a byte of it has gone on.
            if not refused and not (self.odd.free and answer.body == b"hello"):
                self.complain(f"passed as {answer.status} {answer.body[:100]!r}")
        elif (answer.status, answer.body) != self.odd.expect:
            self.complain(f"became {answer.status} {answer.body[:100]!r}")

    def expect_good(self, wire, which):
        target = f"/{which}/{self.index}"
        answer = self.request(wire, "GET", target)
        if answer.get("X-Saw") != f"GET {target}" or answer.body != b"good\n":
            self.complain(f"{which} connection: {answer.status} {answer.get('X-Saw')} {answer.body[:100]!r}")


def visit_all(visitors, cases):
    todo = collections.deque(cases)

    def work(visitor):
        while todo:
            try:
                visitor.visit(*todo.popleft())
            except IndexError:
                return
    threads = [threading.Thread(target=work, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_odd_answers_are_passed_on_whole_refused_or_seen_to_be_cut(lab):
    table = odd_answers.table()
    platform = lab.prepare(edges=1, edge={"workers": 1, "upstream_timeout": "10s"})
    app = App(table)
    origin = lab.use(Origin(platform.ground.address(4), app))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    visitors = [Visitor(platform, app, trust(platform.pebble.root)) for _ in range(CLIENTS)]
    every = list(enumerate(table))
    visit_all(visitors, [one for one in every if not one[1].later])
    # What is said on an idle connection would meet another client's request, were there others.
    visit_all(visitors[:1], [one for one in every if one[1].later])
    complaints = [text for visitor in visitors for text in visitor.complaints]
    assert not complaints, f"{len(complaints)}:\n" + "\n".join(complaints[:60])
    assert platform.edge.process.alive
