"""Every request's account: what its client began and got, what the app saw, what the edges wrote down. Safe from any
thread."""

import collections
import json
import threading


class Ledger:
    def __init__(self):
        self._lock, self._next = threading.Lock(), 0
        self.kinds = {}          # id → kind of traffic
        self.completed = {}      # id → status that its client read to the last byte
        self.abandoned = set()   # its client left on purpose
        self.broken = {}         # its client did not: what it saw
        self.at_app = collections.Counter()
        self.passed = collections.Counter()  # connections passed on, by how they ended for the client

    def begin(self, kind):
        with self._lock:
            self._next += 1
            name = f"{kind}-{self._next:07d}"
            self.kinds[name] = kind
            return name

    def complete(self, name, status):
        with self._lock:
            self.completed[name] = status

    def abandon(self, name):
        with self._lock:
            self.abandoned.add(name)

    def broke(self, name, error):
        with self._lock:
            self.broken[name] = repr(error)

    def seen_by_app(self, name):
        with self._lock:
            self.at_app[name] += 1

    def passed_on(self, how):
        with self._lock:
            self.passed[how] += 1


class AccessLog:
    """The lines of the edges' access logs, of all their lives."""

    def __init__(self, paths):
        self.lines = collections.defaultdict(list)
        self.passed = self.strangers = 0
        for path in paths:
            with open(path, encoding="utf-8", errors="replace") as file:
                for text in file:
                    if '"request_id"' in text or '"passthrough"' in text:
                        self._take(json.loads(text))

    def _take(self, line):
        if "request_id" in line:
            self.lines[line["request_id"]].append(line)
        elif line.get("message") == "passthrough" or line.get("msg") == "passthrough":
            self.passed += 1


def audit(ledger, log):
    """What does not add up, as sentences; empty: every request is accounted for."""
    wrong = collections.defaultdict(list)
    for name, status in ledger.completed.items():
        lines = log.lines.get(name, [])
        if len(lines) != 1:
            wrong[f"{len(lines)} lines for a request that its client saw to the end"].append(name)
        elif lines[0]["status"] != status:
            wrong[f"its client read {status}, the line says {lines[0]['status']}"].append(name)
        elif status < 400 and not 1 <= ledger.at_app[name] <= 1 + lines[0]["retries"]:
            wrong[f"the app saw it {ledger.at_app[name]} times, the edge tried again {lines[0]['retries']} times"].append(name)
    for name in ledger.at_app:
        if len(log.lines.get(name, [])) != 1:
            wrong[f"{len(log.lines.get(name, []))} lines for a request that the app saw"].append(name)
    for name in log.lines:
        if name not in ledger.kinds and "." not in name:
            wrong["a line for a request that nobody sent"].append(name)
    for name, error in ledger.broken.items():
        wrong[f"broke off: {error}"].append(name)
    return [f"{len(names)} × {what} ({', '.join(sorted(names)[:3])})" for what, names in sorted(wrong.items())]
