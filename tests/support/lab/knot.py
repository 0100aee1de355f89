"""knot as the authoritative server of the zone test., changed by dynamic updates as a customer changes records."""

import os

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.update

from .place import free_port, tool
from .process import LabError, Process

CONFIG = """\
server:
    rundir: {directory}
    listen: {address}@{port}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {directory}/db
    journal-db-max-size: 16M
    timer-db-max-size: 4M
acl:
  - id: loopback
    address: 127.0.0.0/8
    action: [update, transfer]
template:
  - id: default
    storage: {directory}
    zonefile-sync: -1
    acl: loopback
zone:
"""

# TTLs and the SOA's minimum are long on purpose: whoever caches an answer or an NXDOMAIN is found out.
ZONE = """\
$ORIGIN {zone}.
$TTL 3600
@ SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 3600
@ NS ns.{zone}.
ns A {address}
"""


class Knot:
    """One zone holds the customers' and the platform's names, because an authoritative server follows a CNAME only
    inside a zone and the CA's look-up ends here. More zones by `zones`; `texts` has the whole text of some of them, None for
    one whose file is missing, for which knot answers SERVFAIL."""

    def __init__(self, directory, address="127.0.0.1", zones=("test",), wanted_ports=(), texts=None):
        self.directory, self.address, self.zones, self.texts = directory, address, list(zones), texts or {}
        self.port = free_port(address, wanted=wanted_ports)
        os.makedirs(os.path.join(directory, "db"), exist_ok=True)
        text = CONFIG.format(directory=directory, address=address, port=self.port)
        for zone in self.zones:
            text += f"  - domain: {zone}\n"
            zone_text = self.texts.get(zone, ZONE.format(zone=zone, address=address))
            if zone_text is None:
                continue
            with open(os.path.join(directory, f"{zone}.zone"), "w") as file:
                file.write(zone_text)
        self.config = os.path.join(directory, "knot.conf")
        with open(self.config, "w") as file:
            file.write(text)
        self.process = None

    @classmethod
    def at(cls, address, port, zones=("test",)):
        """One that another process started, to change its records."""
        server = cls.__new__(cls)
        server.address, server.port, server.zones, server.process = address, port, list(zones), None
        server.texts = {}
        return server

    @property
    def server(self):
        """As Pebble's command line has it."""
        return f"{self.address}:{self.port}"

    @property
    def stub(self):
        return f"test={self.address}@{self.port}"

    def start(self, wait=True):
        self.process = Process("knot", [tool("knotd"), "-c", self.config], os.path.join(self.directory, "knot.log"))
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        self.process.wait_ready(lambda: all(self._serves(zone) for zone in self.zones
                                           if self.texts.get(zone, "") is not None))

    def _serves(self, zone):
        try:
            answer = self.ask(zone, "SOA", timeout=0.3)
        except (OSError, dns.exception.Timeout):
            return False
        return answer.rcode() == dns.rcode.NOERROR and bool(answer.answer)

    def ask(self, name, kind, timeout=3):
        return dns.query.udp(dns.message.make_query(name, kind), self.address, port=self.port, timeout=timeout)

    def _update(self, name, change):
        zone = max((zone for zone in self.zones if f".{name}".endswith(f".{zone}")), key=len)
        update = dns.update.UpdateMessage(zone)
        change(update, dns.name.from_text(name))
        answer = dns.query.tcp(update, self.address, port=self.port, timeout=5)
        if answer.rcode() != dns.rcode.NOERROR:
            raise LabError(f"DNS update of {name} refused: {dns.rcode.to_text(answer.rcode())}")

    def publish(self, name, kind, *values):
        """Replaces the records of that name and type. Visible when this returns."""
        if kind == "TXT":
            values = [value if value.startswith('"') else f'"{value}"' for value in values]
        if kind == "CNAME":
            values = [value.rstrip(".") + "." for value in values]

        def change(update, owner):
            update.delete(owner, kind)
            for value in values:
                update.add(owner, 3600, kind, value)
        self._update(name, change)

    def remove(self, name, kind=None):
        self._update(name, lambda update, owner: update.delete(owner, kind) if kind else update.delete(owner))

    def publish_records(self, records):
        """As the API lists them, without what is optional."""
        records = [record for record in records if not record.get("optional")]
        for kind, name in {(record["type"], record["name"]) for record in records}:
            self.publish(name, kind, *[r["value"] for r in records if (r["type"], r["name"]) == (kind, name)])

    def stop(self):
        if self.process:
            self.process.stop(5)
