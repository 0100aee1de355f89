"""A private PostgreSQL cluster, and databases in it."""

import copy
import os
import pwd
import shutil
import signal

from . import libpq
from .place import free_port, program, tool
from .process import Process, as_user, run, wait_until

BIN = "/usr/lib/postgresql/15/bin"
ROLES = ("postern_edge", "postern_acme", "postern_verifier")


class Cluster:
    """Logs in whoever comes by TCP on loopback. `durable` keeps fsync on. The server refuses to be root: started by
    root it runs as the user postgres, who must be able to reach `directory`."""

    def __init__(self, directory, address="127.0.0.1", port=None, durable=False, template=None):
        self.directory, self.address, self.durable = directory, address, durable
        self.data = os.path.join(directory, "data")
        self.port = port or free_port(address)
        self.process, self.environment = None, {}
        self._own(directory)
        if template:
            run(as_user("postgres", ["cp", "-a", template, self.data]))
        elif not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            shutil.rmtree(self.data, ignore_errors=True)
            run(as_user("postgres", [f"{BIN}/initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                                     "--locale=C.UTF-8", "--no-sync"]), cwd="/")

    @staticmethod
    def _own(directory):
        os.makedirs(directory, exist_ok=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(directory, user.pw_uid, user.pw_gid)

    def start(self, seconds=40):
        # Commits are written, though not to the disk: a killed server has lost none of them.
        speed = [] if self.durable else ["fsync=off", "full_page_writes=off"]
        settings = [f"listen_addresses={self.address}", f"unix_socket_directories={self.directory}",
                    "max_connections=300", "shared_buffers=32MB", "wal_level=replica", "max_wal_size=256MB",
                    "log_min_messages=warning",
                    "dynamic_shared_memory_type=mmap"] + speed  # a killed server leaves nothing outside of its folder
        # Not setpriv's environment: what libfaketime makes as root, PostgreSQL's user may not open.
        argv = ["env"] + [f"{name}={value}" for name, value in self.environment.items()] if self.environment else []
        argv += [f"{BIN}/postgres", "-D", self.data, "-p", str(self.port)]
        for setting in settings:
            argv += ["-c", setting]
        log = os.path.join(self.directory, "postgres.log")
        self.process = Process("postgres", argv, log, user="postgres", cwd="/")
        self.process.wait_ready(self._accepts, seconds)
        return self

    def _accepts(self):
        return libpq.answers(self.conninfo())

    def stop(self):
        """Fast shutdown: sessions are ended, everything is written."""
        if self.process:
            self.process.stop(20, signal.SIGINT)

    def kill(self):
        """As a power cut: the server and all its sessions."""
        self.process.kill()

    def freeze(self):
        """Connections are accepted by the kernel, and nobody ever answers."""
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def conninfo(self, database="postgres", user="postgres"):
        return f"host={self.address} port={self.port} dbname={database} user={user}"

    def migrate(self, name="postern_template"):
        """A database made by the real `postern migrate`, as template for the tests' own."""
        self.query(f"CREATE DATABASE {name}")
        run([program("postern"), "migrate", f"--database={self.conninfo(name)}"])
        return name

    def create(self, name, template):
        self.query(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return Database(self, name)

    def query(self, sql):
        return Database(self, "postgres").query(sql)


class Database:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name

    def conninfo(self, role="postgres"):
        return self.cluster.conninfo(self.name, role)

    def by_socket(self):
        """The same by the server's Unix socket, which is reached from another network namespace too."""
        cluster = copy.copy(self.cluster)
        cluster.address = cluster.directory
        return Database(cluster, self.name)

    def query(self, sql, role="postgres"):
        """Rows as lists of strings; SQL NULL is the empty string."""
        with libpq.Connection(self.conninfo(role)) as connection:
            return connection.query(sql)

    def value(self, sql, role="postgres"):
        rows = self.query(sql, role)
        return rows[0][0] if rows else None

    def number(self, sql):
        return int(self.value(sql))

    def wait(self, sql, seconds=20):
        """Until the query's first value is `t`."""
        with libpq.Connection(self.conninfo()) as connection:
            return wait_until(lambda: connection.query(sql)[:1] == [["t"]], seconds, f"database: {sql}", interval=0.03)

    def dump(self):
        return run([tool("pg_dump"), "-d", self.conninfo()])
