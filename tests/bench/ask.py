"""An ask endpoint that costs next to nothing and is a process of its own: nginx, which allows all names but denied….

Its log is the count of what was asked."""

import collections
import os

from lab.place import free_port, tool
from lab.process import Process
from lab.servers import connects

CONFIG = """\
daemon off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    log_format name $arg_domain;
    access_log {directory}/asked.log name;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000;
    server {{
        listen {address}:{port};
        location /ask {{
            if ($arg_domain ~ ^denied) {{ return 404; }}
            return 200;
        }}
    }}
}}
"""


class Ask:
    def __init__(self, directory, address="127.0.0.1"):
        port = free_port(address)
        self.url, self.log = f"http://{address}:{port}/ask", os.path.join(directory, "asked.log")
        config = os.path.join(directory, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(directory=directory, address=address, port=port))
        self.process = Process("ask", [tool("nginx"), "-c", config, "-p", directory, "-e", "stderr"],
                               os.path.join(directory, "nginx.log"))
        self.process.wait_ready(lambda: connects(address, port))

    def asked(self):
        """How often each name was asked for, so far."""
        with open(self.log, encoding="ascii") as file:
            return collections.Counter(file.read().split())

    def stop(self):
        self.process.stop(5)
