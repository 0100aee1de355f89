"""The ask endpoint under a fixed rate: the verifier on one core, its questions from the other, a million domains in the table."""

import multiprocessing
import socket
import subprocess
import threading
import time

import clients
from issuance import row
from lab.place import program

DOMAINS, STEP = 1000000, 50000
SECONDS, CONNECTIONS, DISTANCE = 20, 32, 0.0005


def pin(pid, core):
    """All threads of a process and of its children, as they are now; one may end meanwhile."""
    subprocess.run(["taskset", "-acp", str(core), str(pid)], check=False, stdout=subprocess.DEVNULL)
    for child in subprocess.run(["pgrep", "-P", str(pid)], text=True, capture_output=True, check=False).stdout.split():
        pin(int(child), core)


def fill(db):
    for first in range(0, DOMAINS, STEP):
        db.query("SET session_replication_role = replica; INSERT INTO domains (tenant, name, status, token, next_check_at)"
                 " SELECT 'default', 'n' || i || '.bench.test', 'active', repeat('t', 32), NULL"
                 f" FROM generate_series({first}, {first + STEP - 1}) i")
    db.query("VACUUM ANALYZE domains")


def measure(platform, rate):
    """p50, p99, p99.9 and the worst in ms, and the CPU of verifier and database for each question in µs."""
    verifier = platform.verifier
    before = clients.cpu_seconds(verifier.process.pid)
    done = subprocess.run(["taskset", "-c", "1", program("tests/bench/ask_load"), verifier.address, str(verifier.ask_port), str(rate),
                           str(rate * SECONDS), str(CONNECTIONS), str(DOMAINS)], text=True, capture_output=True, check=True)
    cpu = (clients.cpu_seconds(verifier.process.pid) - before) / (rate * SECONDS) * 1e6
    return [int(us) / 1000 for us in done.stdout.split()], cpu


def forward(source, sink):
    while data := source.recv(65536):
        time.sleep(DISTANCE)
        sink.sendall(data)


def serve_far_away(listener, target):
    while True:
        near = listener.accept()[0]
        far = socket.create_connection(target)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=forward, args=(near, far), daemon=True).start()
        threading.Thread(target=forward, args=(far, near), daemon=True).start()


class FarAway:
    """A way to the database that takes half a millisecond there and as much back, as between two data centres."""

    def __init__(self, target):
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.process = multiprocessing.Process(target=serve_far_away, args=(listener, target), daemon=True)
        self.process.start()

    def stop(self):
        self.process.terminate()
        self.process.join()


def rows(platform, where):
    for rate in (2000, 4000):
        figures, cpu = measure(platform, rate)
        row(f"ask, {rate} a second, PostgreSQL {where}: p50, p99, p99.9, worst (ms); CPU (µs)",
            ", ".join(f"{figure:.2f}" for figure in figures) + f"; {cpu:.0f}")


def ask(lab):
    platform = lab.platform(own_postgres=True, edges=0)
    cluster, verifier = lab.clusters[-1], platform.verifier
    fill(platform.db)
    for where, core in (("on its core", 0), ("on the client's", 1)):
        pin(verifier.process.pid, 0)
        pin(cluster.process.pid, core)
        rows(platform, where)
    far = lab.use(FarAway((cluster.address, cluster.port)))
    verifier.restart(database=platform.db.conninfo("postern_verifier").replace(f"port={cluster.port}", f"port={far.port}"))
    pin(verifier.process.pid, 0)
    pin(far.process.pid, 1)
    rows(platform, "a millisecond away")


STORIES = {"ask": ask}
