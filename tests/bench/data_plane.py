"""The data plane's rows: what a server's processes spend per handshake, request and mebibyte, and what they hold.

Each server is pinned to one core, the client (load.c) and the origin to the other. CPU is user and system time of all of
a server's threads (schedstat), read by the client around what it counts. Rounds are interleaved, the middle one counts:
machines differ and neighbours disturb, so only the ratio to the best peer of a row means anything."""

import os
import resource
import statistics
import subprocess
import time

import peers
from lab.place import BUILD, tool
from lab.process import run as run_command

ZONE, NAME = "bench.test", "site0.bench.test"
MANY = 10000
COLUMNS = "name, version, chain_pem, key_sealed, key_id, issuer, serial, directory, not_before, not_after, renew_at"


def tool_of_ours(*path):
    return os.path.join(BUILD, "tests", "bench", *path)


def load_command(server, mode, **options):
    options = {"name": NAME, **options, "pids": ",".join(str(pid) for pid in server.pids())}
    return [tool_of_ours("load", "load"), mode, server.address, str(server.port)] + [f"{key}={value}" for key, value in options.items()]


def figures(line):
    return {key: float(value) for key, value in (word.split("=") for word in line.split())}


def start_load(server, mode, core=peers.CLIENTS_CORE, **options):
    return subprocess.Popen(load_command(server, mode, **options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))


def load(server, mode, **options):
    """The client's figures; an error tells what the client saw."""
    client = start_load(server, mode, **options)
    out, errors = client.communicate(timeout=120)
    if client.returncode != 0:
        raise RuntimeError(f"{server.name}, {mode}: {' '.join(errors[:200].split())}")
    return figures(out)


def anonymous_kib(server):
    """Memory that is the server's own: code that is shared and files do not count."""
    total = 0
    for pid in server.pids():
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith(("RssAnon:", "RssShmem:")))
    return total


# ---- rows: (title, unit of the figure, measure one server once)

def handshake(mode, tls, count=300, **options):
    return lambda server: load(server, mode, tls=tls, count=count, warm=32, connections=8, path="/1k", **options)["cpu_us"]


def keep_alive(server):
    return load(server, "requests", count=6000, warm=640, connections=64, path="/1k")


def down(server):
    return load(server, "requests", count=8, warm=4, connections=4, path="/10m", size=10 << 20)["cpu_us"] / 10


def up(server):
    return load(server, "requests", count=8, warm=4, connections=4, path="/up", body=10 << 20)["cpu_us"] / 10


def idle(server):
    """Kibibytes per connection, over what it holds with a few."""
    load(server, "requests", count=2000, warm=64, connections=64, path="/1k")
    time.sleep(0.3)
    before = anonymous_kib(server)
    client = start_load(server, "idle", connections=peers.IDLE_CONNECTIONS, path="/1k")
    client.stdout.readline()
    if client.stdout.readline() != "idle\n":
        raise RuntimeError(f"{server.name}, idle: {client.communicate()[1]}")
    time.sleep(0.5)
    held = anonymous_kib(server) - before
    client.communicate()
    return held / peers.IDLE_CONNECTIONS


class Table:
    def __init__(self, servers):
        self.servers = servers
        self.line("", [server.name for server in servers], "ratio", "goal")

    @staticmethod
    def line(title, cells, ratio="", goal=""):
        print(f"{title:<46}" + "".join(f"{cell:>14}" for cell in cells) + f"{ratio:>8}{goal:>8}", flush=True)

    def row(self, title, cells, goal=None, against=None, digits=1):
        """Figures by name of server, Postern first; `against`: the peers that the goal is about."""
        known = [cells[server.name] for server in self.servers
                 if server.name != "Postern" and server.name in cells and (not against or server.name in against)]
        ratio = f"{cells['Postern'] / min(known):.2f}" if known and "Postern" in cells else ""
        self.line(title, [f"{cells[server.name]:.{digits}f}" if server.name in cells else "-" for server in self.servers],
                  ratio, f"{goal:.2f}" if goal else "")

    def measured(self, title, measure, rounds, goal=None, against=None, digits=1):
        samples, complaints = {server.name: [] for server in self.servers}, set()
        for turn in range(rounds):
            # Who comes first after the slowest finds the caches as that one left them: everybody takes a turn.
            first = turn % len(self.servers)
            for server in self.servers[first:] + self.servers[:first]:
                try:
                    samples[server.name].append(measure(server))
                except (RuntimeError, NotImplementedError) as error:
                    complaints.add(str(error))
        cells = {name: statistics.median(values) for name, values in samples.items() if values}
        self.row(title, cells, goal, against, digits)
        for complaint in sorted(complaints):
            print(f"  - {complaint}", flush=True)


class DataPlane:
    """Certificates, origin, and what the contenders share."""

    def __init__(self, lab, ask):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, hard), hard))
        self.lab, self.ask, self.ground = lab, ask, lab.ground()
        self.folder = lab.folder("certificates")
        run_command([tool_of_ours("make_certificates"), self.ground.seal_key + ".pub", self.folder, str(MANY), ZONE], timeout=120)
        rows = os.path.join(self.folder, "rows")
        run_command([tool("psql"), "-q", "-d", self.ground.database.conninfo(), "-c",
                     f"\\copy certificates ({COLUMNS}) from '{rows}'"], timeout=120)
        self.pem = os.path.join(self.folder, "pem", f"{NAME}.pem")
        self.backends = peers.Backends(lab, self.ground, self.pem).start()

    def own_upstream(self, name, url):
        """That site's requests go there, from the next server on that is started."""
        self.ground.database.query("INSERT INTO domains (tenant, name, status, token, options) VALUES ('default', "
                                   f"'{name}', 'active', '{'0' * 32}', '{{\"upstream\": \"{url}\"}}')")

    def postern(self, folder, **settings):
        return self.lab.use(peers.Postern(self.lab.folder(folder), self.ground.address(29), self.ground.database,
                                          self.ground.seal_key, self.ask, self.backends.origin.text, **settings))


def table(plane, rounds=9, rows=None):
    """The main table. `rows`: titles that begin with one of these words; nothing: all."""
    others, absent = peers.others(plane.lab, plane.pem, plane.backends, plane.ground)
    for name in absent:
        print(f"{name} is absent: not installed, and install_packages could not bring it")
    servers = [plane.postern("postern").start()] + [server.start() for server in others]
    load(servers[0], "full", count=20, warm=1, path="/1k")
    out = Table(servers)

    def wanted(title):
        return not rows or any(title.startswith(word) for word in rows)

    for title, measure, goal, against in (
            ("full TLS 1.3 handshake + request, closed (us)", handshake("full", 13), 1.0, None),
            ("resumed TLS 1.3 (us)", handshake("resumed", 13), 0.9, None),
            ("full TLS 1.2 (us)", handshake("full", 12), 1.0, None),
            ("resumed TLS 1.2 (us)", handshake("resumed", 12), 0.9, None),
            ("body down, 10 MiB (us per MiB)", down, 0.9, None),
            ("body up, 10 MiB (us per MiB)", up, 0.9, None),
            ("idle keep-alive connection (KiB)", idle, 1.0, None)):
        if wanted(title):
            out.measured(title, measure, 1 if measure is idle else rounds, goal, against)
    if wanted("request"):
        requests(out, rounds)
    for server in servers:
        server.stop()


def requests(out, rounds):
    """Keep-alive requests, and what they wait for at half the rate of Postern's worst round, the same for all."""
    speeds = []

    def measure(server):
        found = keep_alive(server)
        if server.name == "Postern":
            speeds.append(found["done"] / found["seconds"])
        return found["cpu_us"]

    out.measured("request, HTTP/1.1 keep-alive, 64 connections (us)", measure, rounds, 0.9, ("nginx", "HAProxy"), 2)
    rate = int(min(speeds) / 2)
    late = {}

    def paced(server):
        found = load(server, "requests", count=rate // 2, warm=64 + rate // 8, connections=64, path="/1k", rate=rate)
        late.setdefault(server.name, []).append(found["p99_us"])
        return found["p50_us"]

    out.measured(f"  p50 at {rate} a second (us)", paced, 3, digits=0)
    out.row("  p99 (us)", {name: statistics.median(values) for name, values in late.items()}, digits=0)


def certificates(plane):
    """What 10,000 certificates cost: memory of each (KiB), and the start (s)."""
    print(f"{MANY} certificates: memory of each (KiB), start (s)")
    start = time.monotonic()
    cold = plane.postern("postern-cold", hot_certificates=16, cert_cache=256 << 20).start()
    took, at_start = time.monotonic() - start, anonymous_kib(cold)
    touch(cold)
    each_cold = (anonymous_kib(cold) - at_start) / MANY
    cold.stop()
    hot = plane.postern("postern-hot", hot_certificates=MANY, cert_cache=256 << 20).start()
    before = anonymous_kib(hot)
    touch(hot)
    each_hot = (anonymous_kib(hot) - before) / MANY
    hot.stop()
    print(f"  Postern: at start {at_start / 1024:.0f} MiB in all, {took:.2f} s; cold {each_cold:.1f} (goal 2), "
          f"hot {each_hot - each_cold:.1f} more (goal 9)")
    for server in peers.many_certificates(plane.lab, plane.ground, plane.backends, os.path.join(plane.folder, "pem")):
        start = time.monotonic()
        server.start()
        took = time.monotonic() - start
        print(f"  {server.name}: {anonymous_kib(server) / MANY:.1f}, {took:.2f} s", flush=True)
        server.stop()


def touch(server):
    """One handshake for each name."""
    load(server, "full", count=MANY, connections=16, path="/1k", name=f"site%d.{ZONE}", names=MANY)


def scaling(plane, rounds=3):
    """CPU per full handshake with one worker on one core and with two on two. In the second case workers and clients fill
    both cores: what the machine leaves idle meanwhile is what workers lose by waiting for each other."""
    cost, rested = {1: [], 2: []}, []
    for _ in range(rounds):
        for workers in (1, 2):
            server = plane.postern(f"postern-{workers}", workers=workers, cores=range(workers)).start()
            load(server, "full", count=50, path="/1k")
            idle_before, wall = idle_seconds(), time.monotonic()
            clients = [start_load(server, "full", core=core, count=2000, connections=8, path="/1k")
                       for core in ((1,) if workers == 1 else (0, 1))]
            before = server_cpu(server)
            outs = [client.communicate(timeout=120) for client in clients]
            spent = server_cpu(server) - before
            if workers == 2:
                rested.append((idle_seconds() - idle_before) / (2 * (time.monotonic() - wall)))
            if any(client.returncode for client in clients):
                raise RuntimeError(str(outs))
            cost[workers].append(spent / (2000 * len(clients)) * 1e6)
            server.stop()
    one, two = statistics.median(cost[1]), statistics.median(cost[2])
    print(f"two workers on two cores against one: {2 * one / two:.2f} x (goal 1.8); CPU per full handshake {one:.0f} and {two:.0f} us, "
          f"machine idle {100 * statistics.median(rested):.0f} %", flush=True)


def server_cpu(server):
    import clients  # beside this file
    return sum(clients.cpu_seconds(pid) for pid in server.pids())


def idle_seconds():
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[4]) / os.sysconf("SC_CLK_TCK")
