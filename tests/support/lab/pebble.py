"""Pebble: a real ACME CA, for tests."""

import json
import os
import re
import subprocess
import urllib.request
import ssl

from .go import go_program
from .place import free_port, tool
from .process import Process, connects


# Debian's 2.4.0 knows neither ARI nor profiles nor dns-persist-01. The commit that 2.10.1 names.
NEWER = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"


def finds(serial):
    """Whether a newer Pebble finds what a renewal replaces: it keeps serials without the zero byte that DER has before one in
    256 of its own, and answers 500 for these."""
    return int(serial, 16).bit_length() % 8 != 0


def newer_pebble():
    """Path of a newer Pebble; None where Go cannot build it."""
    return go_program(NEWER)


class Pebble:
    """`http_port` and `tls_port` are where it goes to validate: the load balancer's. It asks `dns` (address:port)
    and nobody else. `program`: another one than Debian's. `environment` overrides PEBBLE_…; `config` the keys of its configuration file."""

    def __init__(self, directory, authority, dns, http_port, tls_port, address="127.0.0.1", environment=None,
                 config=None, wanted_ports=((), ()), program=None):
        self.directory, self.address, self.dns = directory, address, dns
        self.program = program or tool("pebble")
        self.port = free_port(address, wanted=wanted_ports[0])
        self.management = free_port(address, wanted=wanted_ports[1])
        self.authority, self.ca = authority, authority.ca
        self.root = os.path.join(directory, "issuing-root.pem")
        # Debian's 2.4.0 takes its locks in two orders (reading an authorization, newOrder's look for a valid one, any
        # write): with threads that run at once, 200 orders in a row hang it for good every other time.
        self.environment = {"PEBBLE_VA_NOSLEEP": "1", "GOMAXPROCS": "1", **(environment or {})}
        certificate, key = authority.issue("pebble", f"IP:{address}", "DNS:localhost")
        self.config = {"listenAddress": f"{address}:{self.port}",
                       "managementListenAddress": f"{address}:{self.management}",
                       "certificate": certificate, "privateKey": key, "httpPort": http_port, "tlsPort": tls_port,
                       "ocspResponderURL": "", "externalAccountBindingRequired": False,
                       "certificateValidityPeriod": 90 * 86400, **(config or {})}
        self.process = None
        self._orders_before = 0

    @property
    def directory_url(self):
        return f"https://{self.address}:{self.port}/dir"

    def start(self, wait=True):
        """A restart makes a new CA that knows no account and no order of the former."""
        if self.process:
            self._orders_before += self._orders_logged()
        path = os.path.join(self.directory, "pebble.json")
        with open(path, "w") as file:
            json.dump({"pebble": self.config}, file, indent=2)
        self.process = Process("pebble", [self.program, "-config", path, "-dnsserver", self.dns],
                               os.path.join(self.directory, "pebble.log"), env=self.environment)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        """It says that it listens a moment before it does."""
        def root():
            try:
                return connects(self.address, self.port) and self._management("/roots/0")
            except OSError:
                return None
        self.process.wait_ready(root)
        with open(self.root, "w") as file:
            file.write(root())

    def root_pem(self, index):
        """Root certificate of the index-th chain that it offers."""
        return self._management(f"/roots/{index}")

    def intermediate(self):
        return self._management("/intermediates/0")

    def intermediate_key(self):
        return self._management("/intermediate-keys/0")

    def _management(self, path):
        trust = ssl.create_default_context(cafile=self.ca)
        url = f"https://{self.address}:{self.management}{path}"
        with urllib.request.urlopen(url, timeout=5, context=trust) as answer:
            return answer.read().decode()

    def _orders_logged(self):
        counts = re.findall(r"There are now (\d+) orders in the db", self.process.log())
        return max((int(count) for count in counts), default=0)

    def orders(self):
        """Orders it has accepted since the laboratory began."""
        return self._orders_before + self._orders_logged()

    def requests(self, path=""):
        """How many requests came, for paths that begin so."""
        return len(re.findall(rf"(?:GET|POST|HEAD) {re.escape(path)}\S* -> calling handler", self.process.log()))

    def stop(self):
        if self.process:
            self.process.stop(2)
