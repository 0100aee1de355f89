"""Debian's Caddy with on_demand TLS, as the seeds' authors run it: the peer of the benchmark."""

import os

from lab.place import free_port, tool
from lab.process import Process
from lab.servers import connects

CADDYFILE = """\
{{
    admin off
    auto_https disable_redirects
    http_port {http}
    https_port {https}
    storage file_system {directory}/storage
    acme_ca {directory_url}
    acme_ca_root {ca}
    email ops@saas.test
    log {{
        level ERROR
    }}
    on_demand_tls {{
        ask {ask}
    }}
}}
https:// {{
    bind {address}
    tls {{
        on_demand
    }}
    reverse_proxy {upstream} {{
        header_up Host {{host}}
    }}
}}
"""


class Caddy:
    def __init__(self, directory, address, ask_url, upstream):
        os.makedirs(directory, exist_ok=True)
        self.directory, self.address, self.ask_url, self.upstream = directory, address, ask_url, upstream
        self.https, self.http = free_port(address), free_port(address)
        self.process = None

    def start(self, pebble):
        config = os.path.join(self.directory, "Caddyfile")
        with open(config, "w", encoding="ascii") as file:
            file.write(CADDYFILE.format(http=self.http, https=self.https, directory=self.directory, address=self.address,
                                        directory_url=pebble.directory_url, ca=pebble.ca, ask=self.ask_url,
                                        upstream=self.upstream.replace("http://", "")))
        self.process = Process("caddy", [tool("caddy"), "run", "--adapter", "caddyfile", "--config", config],
                               os.path.join(self.directory, "caddy.log"),
                               env={"HOME": self.directory, "XDG_DATA_HOME": self.directory})
        self.process.wait_ready(lambda: connects(self.address, self.https))
        return self

    def stop(self):
        if self.process:
            self.process.stop(5)
