"""unbound as the resolver of a CA: full recursion from a private root, with validation."""

import os

import dns.exception
import dns.message
import dns.query

from .place import tool
from .process import Process

CONFIG = """\
server:
    interface: {address}@{port}
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    verbosity: 2
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    root-hints: "{hints}"
    trust-anchor-file: "{anchor}"
    local-zone: "test." nodefault
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
remote-control:
    control-enable: no
"""


class Unbound:
    """Remembers nothing, so that what a scenario publishes is seen."""

    def __init__(self, directory, address, hints, anchor, port=53):
        self.address, self.port, self.server = address, port, f"{address}:{port}"
        path = os.path.join(directory, "unbound.conf")
        with open(path, "w") as file:
            file.write(CONFIG.format(directory=directory, address=address, port=port, hints=hints, anchor=anchor))
        self.process = Process("unbound", [tool("unbound"), "-d", "-p", "-c", path], os.path.join(directory, "unbound.log"))
        self.process.wait_ready(self._answers)

    def ask(self, name, kind, timeout=3):
        return dns.query.udp(dns.message.make_query(name, kind, want_dnssec=True), self.address, port=self.port,
                             timeout=timeout)

    def _answers(self):
        try:
            return self.ask(".", "SOA", 0.2)
        except (OSError, dns.exception.Timeout):
            return False

    def stop(self):
        self.process.stop(5)
