"""A private DNS: a root, the top level `test`, and customers' zones, each served at port 53 of a loopback address of
its own, signed, in a network namespace of its own. The only way to try out full recursion and validation for real."""

import ctypes
import os
import threading

import dns.message
import dns.query
import dns.rcode
import dns.update
import pytest

from .api import Api
from .daemons import Verifier
from .place import tool
from .process import Process, run, wait_until

CLONE_NEWNET = 0x40000000
TOKEN = "private-root-admin-token-0123456789"
_libc = ctypes.CDLL(None, use_errno=True)

CONFIG = """\
server:
    rundir: {directory}
    listen: {address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {directory}/db
    journal-db-max-size: 16M
    timer-db-max-size: 4M
    kasp-db-max-size: 8M
policy:
  - id: signed
    algorithm: ECDSAP256SHA256
    single-type-signing: on
acl:
  - id: loopback
    address: {updaters}
    action: update
zone:
  - domain: {zone}
    storage: {directory}
    file: zone
    zonefile-sync: -1
    acl: loopback
    dnssec-signing: {signing}
    dnssec-policy: signed
"""


def can_have_namespaces():
    """Making a network namespace takes root."""
    return os.geteuid() == 0 and run_in_own_network(lambda: None, probe=True)


def run_in_own_network(function, probe=False):
    """Runs it in a thread of a network namespace of its own, where only loopback is; what the thread starts is there
    too, and must end with it. Returns its value; raises what it raised."""
    outcome = {}

    def body():
        try:
            if _libc.unshare(CLONE_NEWNET) != 0:
                outcome["refused"] = os.strerror(ctypes.get_errno())
                return
            run([tool("ip"), "link", "set", "lo", "up"])
            outcome["value"] = function()
        except BaseException as error:  # handed on to the caller's thread
            outcome["error"] = error

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return "refused" not in outcome if probe else outcome["value"]


def with_verifier(lab, make_tree, story, **settings):
    """Runs story(api, tree) in a network of its own, with a verifier that recurses from the root of the tree that
    make_tree(directory) starts: it has `hints` and `anchor`, and `stop()`."""
    if not can_have_namespaces():
        pytest.skip("needs root, to make a network namespace")
    ground = lab.ground()
    cluster = ground.database.cluster
    token_file = os.path.join(ground.directory, "token")
    with open(token_file, "w") as file:
        file.write(TOKEN)

    def body():
        tree = make_tree(ground.folder("dns"))
        verifier = Verifier(ground.directory, "verifier", "127.0.0.1", {
            "database": f"host={cluster.directory} port={cluster.port} dbname={ground.database.name} "
                        "user=postern_verifier",
            "saas_root": "saas.test", "admin_token_file": token_file, "dns_root_hints": tree.hints,
            "dns_trust_anchor": tree.anchor, **settings})
        try:
            verifier.start()
            story(Api("127.0.0.1", verifier.port, TOKEN), tree)
        except BaseException:
            print(verifier.process.log()[-4000:] if verifier.process else "the verifier was not started")
            raise
        finally:
            code = verifier.stop()
            tree.stop()
        assert code == 0, verifier.process.log()[-4000:]
    run_in_own_network(body)


class Zone:
    """An authoritative server for one zone. `lines`: more of its zone file. `updaters`: the network that may publish.
    `server`: its name, where it is not the zone's first."""

    def __init__(self, directory, zone, address, lines=(), signed=True, updaters="127.0.0.0/8", server=None):
        self.zone, self.address, self.signed = zone, address, signed
        self.directory = os.path.join(directory, zone.strip(".") or "root")
        os.makedirs(os.path.join(self.directory, "db"))
        self.config = os.path.join(self.directory, "knot.conf")
        primary = f"ns.{zone}" if zone != "." else "ns."
        server = server or primary
        with open(os.path.join(self.directory, "zone"), "w") as file:
            file.write(f"{zone} 3600 SOA {primary} hostmaster.{zone.lstrip('.')} 1 3600 600 86400 3600\n"
                       f"{zone} 3600 NS {server}\n{server} 3600 A {address}\n" + "".join(f"{line}\n" for line in lines))
        with open(self.config, "w") as file:
            file.write(CONFIG.format(directory=self.directory, address=address, zone=zone,
                                     signing="on" if signed else "off", updaters=updaters))
        self.process = Process(f"knot {zone}", [tool("knotd"), "-c", self.config], os.path.join(self.directory, "log"))
        self.process.wait_ready(self._serves)

    def _serves(self):
        try:
            answer = self.ask(self.zone, "DNSKEY" if self.signed else "SOA")
        except (OSError, dns.exception.Timeout):
            return False
        return answer.rcode() == dns.rcode.NOERROR and bool(answer.answer)

    def ask(self, name, kind):
        return dns.query.udp(dns.message.make_query(name, kind), self.address, timeout=0.1)

    def delegation(self, ds=None):
        """The lines that a parent zone has for it. `ds`: instead of the right ones."""
        lines = [f"{self.zone} 3600 NS ns.{self.zone}", f"ns.{self.zone} 3600 A {self.address}"]
        return lines + ([ds or self.ds()] if self.signed else [])

    def ds(self):
        """Its DS record with SHA-256, as a line."""
        lines = run([tool("keymgr"), "-c", self.config, self.zone, "ds"]).splitlines()
        return next(line for line in lines if line.split()[4] == "2")

    def publish(self, name, kind, value):
        update = dns.update.UpdateMessage(self.zone)
        update.replace(dns.name.from_text(name), 3600, kind, value)
        answer = dns.query.tcp(update, self.address, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR, answer
        wait_until(lambda: self.ask(name, kind).answer, 15, f"{name} {kind} to be served")

    def stop(self):
        self.process.stop(5)
