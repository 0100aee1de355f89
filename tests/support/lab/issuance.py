"""The issuing half alone: a database, Pebble behind a counting, faulty CA, and issuers; no edge and no DNS.

Pebble finds every challenge answered, unless it is told otherwise, and the issuers do not look before they order. With `crash_points` the issuers are of the variant
that can be killed or frozen at a named moment (acme/crash_point.h)."""

import functools
import os
import re
import subprocess

from .ca_proxy import CaProxy
from .daemons import Acme
from .pebble import Pebble
from .place import BUILD, ROOT, free_port, one_at_a_time, program
from .process import LabError, wait_until


@functools.cache
def build_crash_variant():
    """Path below BUILD of the issuer with crash points, built if `make test` has not."""
    path = "crash/postern-acme"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    with one_at_a_time("crash-variant"):
        done = subprocess.run(["make", "-s", "-C", ROOT, f"BUILD={BUILD}", os.path.join(BUILD, path)],
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"the variant with crash points does not build:\n{done.stdout[-3000:]}")
    return path


class Issuance:
    """`issuer()` makes one more; nothing of it runs before its start()."""

    def __init__(self, lab, own_postgres=False, pebble_environment=None, acme=None, crash_points=False, ca_is_up=True,
                 pebble_config=None, pebble_program=None, second_ca=False, second_config=None):
        ground = lab.ground(own_postgres)
        self.ground, self.db, self._acme = ground, ground.database, acme or {}
        address = ground.address(2)
        environment = {"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_WFE_NONCEREJECT": "0", **(pebble_environment or {})}

        def pebble(name, config):
            # Nobody listens at the ports where Pebble would validate, nor at its DNS server's.
            return Pebble(ground.folder(name), ground.authority, f"{address}:{free_port(address)}", free_port(address),
                          free_port(address), address, environment, config, program=pebble_program)
        self.pebble = pebble("pebble", pebble_config)
        self.ca = CaProxy(self.pebble, address)
        self.second_pebble = pebble("pebble2", second_config) if second_ca else None
        self.second_ca = CaProxy(self.second_pebble, address) if second_ca else None
        self.issuers = []
        self._program = build_crash_variant() if crash_points else Acme.program
        lab.platforms.append(self)
        for server in self.servers if ca_is_up else []:
            server.start()

    # As lab.Lab wants it of a platform

    @property
    def servers(self):
        return [self.pebble] + ([self.second_pebble] if self.second_pebble else [])

    @property
    def daemons(self):
        return self.issuers

    def processes(self):
        return [part.process for part in self.servers + self.issuers if part.process]

    def stop(self):
        for part in self.issuers + self.servers:
            part.stop()
        for proxy in [self.ca, self.second_ca]:
            if proxy:
                proxy.close()

    # What scenarios do

    def issuer(self, kill_at=None, stop_at=None, **settings):
        issuer = Acme(self.ground.folder("daemons"), f"acme{len(self.issuers) + 1}", self.ground.address(2), {
            "database": self.db.conninfo("postern_acme"), "seal_key_file": self.ground.seal_key,
            "acme_directory": self.ca.directory_url, "acme_ca": self.pebble.ca, "preflight": "off", **self._acme, **settings})
        if self.second_ca:
            issuer.settings.setdefault("acme_fallback_directory", self.second_ca.directory_url)
            issuer.settings.setdefault("acme_fallback_ca", self.second_pebble.ca)
        issuer.program = self._program
        if kill_at:
            issuer.environment["POSTERN_TEST_KILL_AT"] = kill_at
        if stop_at:
            issuer.environment["POSTERN_TEST_STOP_AT"] = stop_at
        self.issuers.append(issuer)
        return issuer

    def ask_for(self, *names, reason="first_hit"):
        rows = ", ".join(f"('{name}')" for name in names)
        self.db.query(f"SELECT enqueue_issuance(n, '{reason}') FROM (VALUES {rows}) AS wanted (n)")

    def operator_begins(self, *words):
        """`postern` as the operator runs it, while it runs."""
        return subprocess.Popen([program("postern"), *words, f"--database={self.db.conninfo()}"], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def operator(self, *words):
        """The finished process of what the operator ran, its output in .stdout."""
        return subprocess.run([program("postern"), *words, f"--database={self.db.conninfo()}"], text=True, timeout=90,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def retry_soon(self):
        self.db.query("UPDATE issuance_jobs SET next_try_at = now() WHERE state = 'failed'")

    def stored(self, name):
        """(serial, version) of the stored certificate, None where there is none."""
        rows = self.db.query(f"SELECT serial, version FROM certificates WHERE name = '{name}'")
        return tuple(rows[0]) if rows else None

    def job(self, name):
        """(state, step, attempts, last_cause)."""
        rows = self.db.query("SELECT state, step, attempts, coalesce(last_cause, '') FROM issuance_jobs "
                             f"WHERE name = '{name}'")
        return tuple(rows[0]) if rows else None

    def wait_issued(self, *names, seconds=25):
        wanted = ", ".join(f"'{name}'" for name in names)
        self.db.wait(f"SELECT count(*) = {len(names)} FROM certificates JOIN issuance_jobs USING (name) "
                     f"WHERE name IN ({wanted}) AND state = 'idle'", seconds)

    def wait_failed(self, name, seconds=25):
        """Returns the cause."""
        self.db.wait(f"SELECT state = 'failed' FROM issuance_jobs WHERE name = '{name}'", seconds)
        return self.job(name)[3]


def is_frozen(process):
    with open(f"/proc/{process.pid}/stat") as file:
        return re.search(r"\) (\S)", file.read())[1] == "T"


def wait_frozen(process, seconds=10):
    wait_until(lambda: is_frozen(process), seconds, f"{process.name} to freeze")
