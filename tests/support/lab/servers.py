"""nginx as the app tier and HAProxy as the layer-4 load balancer."""

import http.client
import os
import pwd
import socket

from .place import free_port, tool
from .process import Process, connects, wait_until

LARGE = 32 * 1024 * 1024

NGINX = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 0;
    keepalive_requests 100000;
    default_type text/plain;
    server {{
        listen {address}:{port};
        root {directory}/www;
        location / {{
            default_type application/json;
            add_header X-App nginx;
            return 200 '{{"app":"nginx","host":"$http_host","method":"$request_method","uri":"$request_uri",\
"x_forwarded_for":"$http_x_forwarded_for","x_forwarded_proto":"$http_x_forwarded_proto",\
"x_forwarded_host":"$http_x_forwarded_host","connection":"$connection"}}\\n';
        }}
        location = /large {{ }}
        location = /slow {{ limit_rate 65536; try_files /large =404; }}
    }}
}}
"""

HAPROXY = """\
global
    stats socket {directory}/stats level user
defaults
    mode tcp
    option httpchk GET /readyz
    timeout check 1s
    timeout connect 2s
    timeout client 5m
    timeout server 5m
    retries 2
    option redispatch
listen https
    bind {address}:{https}
    balance roundrobin
{https_servers}
listen http
    bind {address}:{http}
    balance roundrobin
{http_servers}
"""


class Nginx:
    """Answers every path with what it saw, as JSON; /large is 32 MiB, /slow the same at 64 KiB a second."""

    def __init__(self, directory, address="127.0.0.1", wanted_ports=()):
        self.directory, self.address = directory, address
        self.port = free_port(address, wanted=wanted_ports)
        os.makedirs(os.path.join(directory, "www"), exist_ok=True)
        with open(os.path.join(directory, "www", "large"), "wb") as file:
            file.truncate(LARGE)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        self.config = os.path.join(directory, "nginx.conf")
        with open(self.config, "w") as file:
            file.write(NGINX.format(directory=directory, address=address, port=self.port,
                                    user="user nobody nogroup;" if os.geteuid() == 0 else ""))
        self.process = None

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def start(self, wait=True):
        argv = [tool("nginx"), "-c", self.config, "-p", self.directory, "-e", "stderr"]
        self.process = Process("nginx", argv, os.path.join(self.directory, "nginx.log"))
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        self.process.wait_ready(lambda: connects(self.address, self.port))

    def stop(self):
        if self.process:
            self.process.stop(5)


class HAProxy:
    """TCP mode: it knows nothing of TLS or names, as an AWS NLB. `nodes`: (name, address, https port, http port, admin
    port); a node that is not ready there gets no new connection. `server_options`: as `send-proxy-v2`."""

    def __init__(self, directory, address, https, http, nodes, server_options=""):
        self.directory, self.address, self.https, self.http = directory, address, https, http
        line = "    server {0} {1}:{2} check port {3} inter 200ms fastinter 100ms fall 2 rise 1"
        line += f" {server_options}\n"
        self.config = os.path.join(directory, "haproxy.cfg")
        with open(self.config, "w") as file:
            file.write(HAPROXY.format(
                directory=directory, address=address, https=https, http=http,
                https_servers="".join(line.format(name, at, tls, admin) for name, at, tls, _, admin in nodes),
                http_servers="".join(line.format(name, at, plain, admin) for name, at, _, plain, admin in nodes)))
        self.process = None

    def start(self, wait=True):
        self.process = Process("haproxy", [tool("haproxy"), "-db", "-f", self.config],
                               os.path.join(self.directory, "haproxy.log"))
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        self.process.wait_ready(lambda: connects(self.address, self.https))

    def nodes_up(self):
        """Names of the nodes that get new connections."""
        with socket.socket(socket.AF_UNIX) as control:
            try:
                control.connect(os.path.join(self.directory, "stats"))
            except OSError:
                return set()  # not there yet
            control.sendall(b"show stat\n")
            lines = control.makefile().read().splitlines()
        rows = [line.split(",") for line in lines]
        return {row[1] for row in rows if row[0] == "https" and row[1] not in ("FRONTEND", "BACKEND")
                and row[17].startswith("UP")}

    def wait_nodes(self, *names, seconds=10):
        wait_until(lambda: self.nodes_up() == set(names), seconds, f"the load balancer to have {names}, has others")

    def stop(self):
        if self.process:
            self.process.stop(2)


def http_status(address, port, path, timeout=2):
    """Status and body of a plain GET; (0, reason) when nobody answers."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
