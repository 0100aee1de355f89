"""Mixed traffic for as long as is wanted, while settings are read again and one of two edges goes down and comes back:
nothing leaks, and every request is accounted for: its client's count, the app's and the access log's are one."""

import collections
import json
import os
import signal
import statistics
import threading
import time

import traffic
from ledger import AccessLog, Ledger, audit
from lab import tls, websocket, wire
from lab.h2_origin import H2Origin
from lab.origin import Origin
from lab.process import wait_until
from lab.tls_backend import Backend, echo, server_context

NAME = "shop.soak.test"
SAMPLES_EVERY = 1.0
# Of the run, before what it holds is compared: caches, pools and malloc's arenas fill first.
WARM_SHARE = 0.4
# What the resident size may wander by: tickets, kept upstream connections and arenas come and go.
RSS_SLACK_KIB = 3072
PIECE = b"x" * 65536


class App:
    """Answers as the path asks, and tells the ledger who came."""

    def __init__(self, ledger):
        self.ledger = ledger

    def __call__(self, request):
        self.ledger.seen_by_app(request.all("x-request-id")[0])
        kind, _, size = request.target[1:].partition("/")
        if kind == "ws":
            return websocket.echo(request)
        if kind == "up":
            request.answer(str(len(request.body())).encode())
        elif kind == "chunked":
            self.chunked(request, int(size))
        elif kind == "events":
            self.events(request, int(size))
        else:
            self.bytes(request, int(size))
        return True

    @staticmethod
    def bytes(request, size):
        request.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        while request.method != "HEAD" and size > 0:
            some = min(size, len(PIECE))
            request.sock.sendall(PIECE[:some])
            size -= some

    @staticmethod
    def chunked(request, size):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size > 0:
            some = min(size, 10000)
            request.sock.sendall(b"%x\r\n%s\r\n" % (some, PIECE[:some]))
            size -= some
        request.sock.sendall(b"0\r\n\r\n")

    @staticmethod
    def events(request, count):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(count):
            event = b"data: %d\n\n" % number
            request.sock.sendall(b"%x\r\n%s\r\n" % (len(event), event))
            time.sleep(0.01)
        request.sock.sendall(b"0\r\n\r\n")

    def call(self, stream):
        """One call of gRPC: each piece goes back as it came."""
        self.ledger.seen_by_app(stream.get("x-request-id"))
        stream.head(200, [("content-type", "application/grpc")])
        while (piece := stream.piece(30)) is not None:
            stream.data(piece)
        if stream.reset_code is None:
            stream.end([("grpc-status", "0")])


def forgetful(serve):
    """A backend's record of what came would grow without end."""
    def run(sock, came):
        try:
            serve(sock, came)
        finally:
            came.bytes = b""
    return run


class Watch:
    """What a process holds, sampled."""

    def __init__(self, pid):
        self.pid, self.samples = pid, []

    def look(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        self.samples.append((time.monotonic(), rss, self.descriptors()))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def growth_kib(self):
        """From the first part after the warm-up to the last part of the run, medians of each."""
        warm = self.samples[int(len(self.samples) * WARM_SHARE):]
        third = max(1, len(warm) // 3)
        early, late = ([rss for _, rss, _ in part] for part in (warm[:third], warm[-third:]))
        return statistics.median(late) - statistics.median(early)


class Soak:
    """`per_kind`: threads of each kind of visitor. The first edge stays and is told to read its settings again; the second
    goes down and comes back every `life` seconds."""

    def __init__(self, lab, seconds, life=20.0, per_kind=None):
        self.lab, self.seconds, self.life = lab, seconds, life
        self.per_kind = per_kind or {"http1": 3, "http1_left": 1, "http2": 2, "websocket": 1, "websocket_over_http2": 1, "grpc": 1,
                                      "events": 1, "slow_reader": 1, "passed_on": 1, "half_a_hello": 1}
        self.ledger, self.complaints, self.stop = Ledger(), [], threading.Event()
        self.restarts = self.reloads = 0
        self._build()

    def _build(self):
        platform = self.lab.prepare(edge={"access_log": "on", "log_format": "json", "log_level": "warn", "drain_timeout": "5s"})
        self.platform, net = platform, platform.ground.net
        app = App(self.ledger)
        self.origin = self.lab.use(Origin(f"{net}4", app))
        self.calls = self.lab.use(H2Origin(f"{net}5", app.call))
        for origin in (self.origin, self.calls):
            origin.requests = collections.deque(maxlen=1)  # its own record would grow without end
        chain, key = platform.ground.authority.issue("passed", f"DNS:{traffic.PASSED}")
        self.backend = self.lab.use(Backend(f"{net}31", forgetful(echo(server_context(chain, key))))).start()
        for edge in platform.edges:
            edge.settings.update({"upstream": self.origin.url, "passthrough": f"{traffic.PASSED} {self.backend.place}"})
        platform.start()
        platform.activate(NAME)
        platform.activate(traffic.GRPC)
        options = json.dumps({"upstream": self.calls.url})
        platform.db.query(f"UPDATE domains SET options = '{options}' WHERE name = '{traffic.GRPC}'")
        self._visit_each()
        passed = tls.trust(platform.ground.authority.ca, alpn=("http/1.1",))
        self.doors = [traffic.Door(platform, edge, NAME, wire.trust(platform.pebble.root),
                                   tls.trust(platform.pebble.root, ("h2", "http/1.1")), passed) for edge in platform.edges]

    def _visit_each(self):
        for edge in self.platform.edges:
            name = self.ledger.begin("warm")
            visit = self.platform.visit(NAME, "/bytes/1", edge=edge, headers={"X-Request-Id": name})
            self.ledger.complete(name, visit.status)

    # ---- what happens meanwhile

    def _in_order(self, work):
        """A thread's function whose failure is told."""
        def run():
            try:
                work()
            except Exception as error:  # pylint: disable=broad-except
                self.complaints.append(f"{work.__name__}: {error!r}")
        return threading.Thread(target=run, name=work.__name__, daemon=True)

    def _restart(self):
        edge = self.platform.edges[1]
        code = edge.process.stop(20)
        if code != 0:
            self.complaints.append(f"{edge.name} ended with {code}")
        self.restarts += 1
        time.sleep(0.2)
        edge.start()
        self._visit_each()

    def _samples(self):
        while not self.stop.wait(SAMPLES_EVERY):
            self.watch.look()

    def _reloads(self):
        edge = self.platform.edges[0]
        while not self.stop.wait(self.life / 4):
            edge.process.send(signal.SIGHUP)
            self.reloads += 1

    def _run_visitors(self):
        threads = [threading.Thread(target=traffic.visitor, daemon=True,
                                    args=(kind, self.doors, self.ledger, self.stop, self.complaints, f"{kind}{number}"))
                   for kind, count in self.per_kind.items() for number in range(count)]
        threads += [self._in_order(self._samples), self._in_order(self._reloads)]
        for thread in threads:
            thread.start()
        return threads

    # ---- the run

    def _quiet(self):
        """Descriptors with no visitor about, and without the app's kept connections."""
        self.origin.drop()
        for connection in self.calls.connections:
            connection.hang_up()
        least = []

        def settled():
            least.append(self.watch.descriptors())
            return len(least) > 20 and len(set(least[-20:])) == 1
        wait_until(settled, 15, "the edge's descriptors to settle", interval=0.05)
        return least[-1]

    def run(self):
        self.watch = Watch(self.platform.edges[0].process.pid)
        self.descriptors_before = self._quiet()
        end = time.monotonic() + self.seconds
        threads = self._run_visitors()
        # By this thread: what it starts would end with another one.
        while time.monotonic() + self.life < end:
            time.sleep(self.life)
            self._restart()
        time.sleep(max(0, end - time.monotonic()))
        self.stop.set()
        for thread in threads:
            thread.join(60)
            if thread.is_alive():
                self.complaints.append(f"{thread.name} hangs")
        self.descriptors_after = self._quiet()
        return self._judge()

    def _judge(self):
        if not all(edge.process.alive for edge in self.platform.edges):
            return self.complaints + ["an edge has gone"]
        dropped = sum(edge.metric("postern_log_lost_lines_total") for edge in self.platform.edges)
        for edge in self.platform.edges:
            edge.stop()
        log = AccessLog([edge.process.log_path for edge in self.platform.edges])
        wrong = sorted(set(self.complaints)) + audit(self.ledger, log)
        if self.descriptors_after > self.descriptors_before:
            wrong.append(f"{self.descriptors_before} descriptors before, {self.descriptors_after} after")
        if self.seconds >= 60 and self.watch.growth_kib() > RSS_SLACK_KIB:
            wrong.append(f"the resident size grew by {self.watch.growth_kib():.0f} KiB")
        if dropped:
            wrong.append(f"{dropped:.0f} lines of the log were dropped")
        whole = self.ledger.passed["whole"] + self.ledger.passed["cut"]
        if log.passed < whole:
            wrong.append(f"{whole} connections passed on, {log.passed} lines")
        return wrong

    def report(self):
        kinds = collections.Counter(self.ledger.kinds[name] for name in self.ledger.completed)
        statuses = collections.Counter(self.ledger.completed.values())
        samples = self.watch.samples
        yield (f"{self.seconds:.0f} s: {len(self.ledger.completed)} requests to their end ("
               + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) + "), statuses "
               + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
        yield (f"{len(self.ledger.abandoned)} left by their clients or met the end of a connection, {len(self.ledger.broken)} broken, "
               f"{self.ledger.passed['whole']} connections passed on, {self.ledger.passed['cut']} of them cut by a restart")
        yield (f"{self.restarts} restarts of one edge, {self.reloads} reloads of the other; its descriptors {self.descriptors_before} "
               f"before, {max(held for _, _, held in samples)} at most, {self.descriptors_after} after; resident "
               f"{samples[0][1]} KiB at first, {samples[int(len(samples) * WARM_SHARE)][1]} when warm, {samples[-1][1]} at the end, "
               f"{self.watch.growth_kib():+.0f} between the medians")
