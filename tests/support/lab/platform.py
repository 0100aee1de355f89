"""A whole platform: database, DNS, CA, app, load balancer, verifier, issuers and edges, wired together."""

import os

from . import client_hello, tls
from .api import Api
from .ca_proxy import CaProxy
from .daemons import Acme, Edge, Verifier
from .knot import Knot
from .pebble import Pebble
from .place import free_port
from .process import wait_until
from .servers import HAProxy, Nginx

SAAS_ROOT = "saas.test"
TOKEN = "laboratory-admin-token-0123456789abcdef"


class Ground:
    """What a platform stands on: where it keeps files, what it may use, at which addresses.

    `net` gives the first three numbers of its addresses: .1 the load balancer, .2 everything behind it, .11, .12 …
    the edges. `wanted` maps a port's role to ports to try first (the demo's are meant to be remembered)."""

    def __init__(self, directory, database, seal_key, authority, net, wanted=None, user=None,
                 token=TOKEN):
        self.directory, self.database, self.seal_key, self.authority = directory, database, seal_key, authority
        self.net, self.wanted, self.user, self.token = net, wanted or {}, user, token

    def address(self, number):
        return f"{self.net}{number}"

    def ports(self, role):
        return self.wanted.get(role, ())

    def folder(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path, exist_ok=True)
        return path


class Platform:
    """`edge`, `acme`, `verifier`: settings for each of that kind. Without edges only DNS and
    the verifier run (and CA and issuers, if `issuers` says so). `balancer`: options of HAProxy's servers. `faulty_ca` puts a ca_proxy.CaProxy between issuers
    and Pebble (`platform.ca`). Nothing runs before start()."""

    def __init__(self, ground, edges=2, issuers=None, edge=None, acme=None, verifier=None, pebble=None,
                 pebble_environment=None, faulty_ca=False, balancer=""):
        self.ground, self.db, self.token = ground, ground.database, ground.token
        issuers = (1 if edges else 0) if issuers is None else issuers
        front, back = ground.address(1), ground.address(2)
        nodes = [ground.address(11 + index) for index in range(edges)]
        self.https = free_port(front, *nodes, wanted=ground.ports("https"))
        self.http = free_port(front, *nodes, wanted=ground.ports("http"))
        self.address = front

        self.dns = Knot(ground.folder("knot"), back, wanted_ports=ground.ports("dns"))
        self.pebble = Pebble(ground.folder("pebble"), ground.authority, self.dns.server, self.http, self.https, back,
                             pebble_environment, pebble,
                             (ground.ports("pebble"), ground.ports("pebble_management")))
        self.ca = CaProxy(self.pebble, back) if faulty_ca else self.pebble
        self.app = Nginx(ground.folder("nginx"), back, ground.ports("app"))
        names = [f"edge{index + 1}" for index in range(edges)]
        token_file = os.path.join(ground.directory, "admin-token")
        with open(os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.token + "\n")
        daemons, user = ground.folder("daemons"), {"user": ground.user}
        self.verifier = Verifier(daemons, "verifier", back, {
            "database": self.db.conninfo("postern_verifier"), "saas_root": SAAS_ROOT,
            "apex_addresses": front, "dns_stub": self.dns.stub, "admin_token_file": token_file,
            "seal_public_file": ground.seal_key + ".pub", "pre_issue": "off", **user, **(verifier or {})}, (ground.ports("api"), ground.ports("ask")),
            ground.ports("admin_verifier"))
        self.issuers = [Acme(daemons, f"acme{index + 1}", back, {
            "database": self.db.conninfo("postern_acme"), "seal_key_file": ground.seal_key,
            "acme_directory": self.ca.directory_url, "acme_ca": self.pebble.ca,
            "acme_contact": "mailto:ops@saas.test", "saas_root": SAAS_ROOT, "apex_addresses": front,
            "dns_stub": self.dns.stub, "preflight_port": self.http, "preflight_allow_private": "on", **user, **(acme or {})},
            ground.ports("admin_acme")) for index in range(issuers)]
        self.edges = [Edge(daemons, name, at, self.https, self.http, {
            "database": self.db.conninfo("postern_edge"), "seal_key_file": ground.seal_key, "upstream": self.app.url,
            "ask_url": self.verifier.ask_url, "issue_wait": "15s", **user, **(edge or {})}, ground.ports("admin_edge"))
            for name, at in zip(names, nodes)]
        self.balancer = HAProxy(ground.folder("haproxy"), front, self.https, self.http,
                                [(one.name, one.address, one.https, one.http, one.admin) for one in self.edges],
                                balancer)
        self.api = Api(back, self.verifier.port, self.token)
        self._context = None

    @property
    def acme(self):
        return self.issuers[0]

    @property
    def edge(self):
        return self.edges[0]

    @property
    def servers(self):
        return [self.dns] + ([self.pebble] if self.issuers else []) + ([self.app] if self.edges else [])

    @property
    def daemons(self):
        return [self.verifier] + self.issuers + self.edges

    def parts(self):
        return self.servers + self.daemons + ([self.balancer] if self.edges else [])

    def processes(self):
        return [part.process for part in self.parts() if part.process]

    def start(self, without=()):
        """The servers all at once, then the daemons, then the load balancer, which finds them ready. `without`: parts
        that the scenario starts itself."""
        for parts in (self.servers, self.daemons, [self.balancer] if self.edges else []):
            started = [part for part in parts if part not in without]
            for part in started:
                part.start(wait=False)
            for part in started:
                part.wait_ready()
        if self.edges and self.balancer not in without:
            self.balancer.wait_nodes(*[edge.name for edge in self.edges if edge not in without])
        if self.dns not in without:
            self.dns.publish(f"nlb.{SAAS_ROOT}", "A", self.address)
        return self

    def stop(self):
        for process in self.processes():
            if process.alive:
                process.ask_to_end()
        for part in reversed(self.parts()):
            part.stop()
        if self.ca is not self.pebble:
            self.ca.close()

    # What a customer does

    def activate(self, name, tenant=None):
        """Adds the domain, publishes its records, verifies it. Returns the domain as the API shows it."""
        domain = self.api.add(name, tenant)
        self.dns.publish_records(domain["records"])
        domain = self.api.verify(name, tenant)
        assert domain["status"] == "active", domain
        return domain

    def issue(self, name):
        """As activate, with its certificate made before a visitor waits for it."""
        self.activate(name)
        self.db.query(f"SELECT enqueue_issuance('{name}', 'first_hit')")
        wait_until(lambda: self.stored(name), 30, f"the certificate of {name}")

    # What a visitor does

    @property
    def trust(self):
        """Trusts the test CA alone. The same context for the platform's life, so that sessions can be resumed."""
        if self._context is None:
            self._context = tls.trust(self.pebble.root)
        return self._context

    def _at(self, edge):
        return (self.address if edge is None else edge.address), self.https

    def visit(self, name, path="/", edge=None, context=None, **options):
        """GET https://name/path through the load balancer, or at one edge."""
        return tls.get(*self._at(edge), name, context or self.trust, path, **options)

    def connect(self, name, edge=None, context=None, **options):
        return tls.connect(*self._at(edge), name, context or self.trust, **options)

    def refusal(self, sni, edge=None, **options):
        """How a ClientHello with this name is refused (client_hello.Refusal)."""
        return client_hello.refusal(*self._at(edge), sni, **options)

    # What the operator sees

    def stored(self, name):
        """Serial and version of the stored certificate, None where there is none."""
        rows = self.db.query(f"SELECT serial, version FROM certificates WHERE name = '{name}'")
        return rows[0] if rows else None

    def job(self, name):
        """(state, step, attempts, last_cause) of the name's issuance."""
        rows = self.db.query("SELECT state, step, attempts, coalesce(last_cause, '') FROM issuance_jobs "
                             f"WHERE name = '{name}'")
        return tuple(rows[0]) if rows else None
