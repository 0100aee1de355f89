"""One test's laboratory: a folder, platforms and processes in it, and the end of all of them."""

import fcntl
import glob
import os
import re
import shutil
import tempfile
import time

from .authority import Authority
from .place import loopback_net, program, roomy_memory
from .platform import Ground, Platform
from .postgres import Cluster, Database
from .process import Process, run

PREFIX = "postern-lab-"
CRASH = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed|SUMMARY: \w+Sanit")


def remove_leftovers(where):
    """Of runs that were killed: their folders are locked by nobody."""
    for path in glob.glob(os.path.join(where, PREFIX + "*", "alive")):
        try:
            with open(path) as alive:
                fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            continue
        # Made and not locked yet, maybe, or its servers are about to end.
        if time.time() - os.path.getmtime(path) > 60:
            shutil.rmtree(os.path.dirname(path), ignore_errors=True)


class Session:
    """What all tests of a run share: a PostgreSQL cluster with one database per test, a key, a small CA."""

    def __init__(self):
        where = roomy_memory() or tempfile.gettempdir()
        remove_leftovers(where)
        self.directory = tempfile.mkdtemp(prefix=PREFIX, dir=where)
        os.chmod(self.directory, 0o711)
        self._alive = open(os.path.join(self.directory, "alive"), "w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self.authority = Authority(self.directory)
        self.seal_key = os.path.join(self.directory, "seal.key")
        run([program("postern"), "seal-key", "new", self.seal_key])
        self._count = 0
        self.pristine, self.template = self._make_pristine()
        self.cluster = Cluster(os.path.join(self.directory, "postgres"), template=self.pristine)
        self.cluster.start()

    def _make_pristine(self):
        """Data folder of a stopped cluster, to be copied, and the name of the migrated database in it."""
        cluster = Cluster(os.path.join(self.directory, "pristine"))
        try:
            cluster.start()
            return cluster.data, cluster.migrate()
        finally:
            cluster.stop()

    def database(self):
        self._count += 1
        return self.cluster.create(f"t{self._count}", self.template)

    def close(self):
        self.cluster.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Lab:
    def __init__(self, session):
        self.session = session
        self.directory = tempfile.mkdtemp(prefix="lab-", dir=session.directory)
        os.chmod(self.directory, 0o711)
        self.platforms, self.clusters, self.others, self._closers = [], [], [], []
        self._databases = []

    def folder(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path, exist_ok=True)
        return path

    def own_cluster(self):
        """A PostgreSQL server for this test alone, to be killed or frozen."""
        cluster = Cluster(os.path.join(self.directory, f"postgres{len(self.clusters)}"),
                          template=self.session.pristine)
        self.clusters.append(cluster)
        return cluster.start()

    def ground(self, own_postgres=False):
        """Files, a fresh migrated database and addresses for daemons that a scenario wires itself."""
        if own_postgres:
            database = Database(self.own_cluster(), self.session.template)
        else:
            database = self.session.database()
            self._databases.append(database.name)
        folder = self.folder(f"ground{len(self.platforms)}")
        return Ground(folder, database, self.session.seal_key, self.session.authority, loopback_net())

    def prepare(self, own_postgres=False, **options):
        """A platform that does not run yet."""
        platform = Platform(self.ground(own_postgres), **options)
        self.platforms.append(platform)
        return platform

    def platform(self, own_postgres=False, **options):
        """A running platform; options as of platform.Platform."""
        return self.prepare(own_postgres, **options).start()

    def process(self, name, argv, **options):
        """Any other program, ended with the test."""
        process = Process(name, argv, os.path.join(self.directory, f"{name}.log"), **options)
        self.others.append(process)
        return process

    def use(self, part):
        """Anything with close() or stop() that shall end with the test."""
        self._closers.append(part)
        return part

    def processes(self):
        clusters = [cluster.process for cluster in self.clusters if cluster.process]
        return [process for platform in self.platforms for process in platform.processes()] + clusters + self.others

    def logs(self, tail=6000):
        """(name, end of its log) of each process."""
        return [(process.name, process.log()[-tail:]) for process in self.processes()]

    def close(self):
        """Ends everything. Returns what no scenario may leave behind: crashes, unclean ends."""
        complaints = []
        for part in reversed(self._closers):
            (getattr(part, "close", None) or part.stop)()
        for platform in self.platforms:
            running = [daemon for daemon in platform.daemons if daemon.process and daemon.process.alive]
            for daemon in running:
                daemon.process.ask_to_end()
            for daemon in reversed(running):
                code = daemon.stop()
                if code != 0:
                    complaints.append(f"{daemon.name} ended with {code} after SIGTERM")
            platform.stop()
        for process in self.others:
            process.kill()
        complaints += [f"{process.name}: {found[0]}" for process in self.processes()
                       if (found := CRASH.search(process.log()))]
        complaints += [f"{process.name} died of signal {-process.exit_code}" for process in self.processes()
                       if (process.exit_code or 0) in (-4, -6, -7, -8, -11)]
        for cluster in self.clusters:
            cluster.stop()
        return complaints

    def remove(self):
        for name in self._databases:
            self.session.cluster.query(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(self.directory, ignore_errors=True)
