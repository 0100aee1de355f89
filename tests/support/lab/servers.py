"""nginx as the app tier and HAProxy as the layer-4 load balancer."""

import http.client
import os
import pwd
import socket

from .place import free_port, tool
from .process import Process, connects, wait_until

LARGE = 32 * 1024 * 1024

# What every nginx of ours has around its own `servers`; braces are doubled for str.format.
NGINX_FRAME = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 0;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
"""
NGINX_COMMAND = ["nginx", "-c", "{config}", "-p", "{directory}", "-e", "stderr"]

NGINX = NGINX_FRAME + """\
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


def nobodys(directory):
    """A folder that the servers' own user may write to."""
    os.makedirs(directory, exist_ok=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(directory, user.pw_uid, user.pw_gid)
    return directory


class Server:
    """A server of somebody else's: a configuration made of a template, and a process. In the command `{config}` and
    `{directory}` are filled in."""

    environment = {}

    def __init__(self, name, directory, address, port, template, command, **values):
        self.name, self.directory, self.address, self.port = name, nobodys(directory), address, port
        self.config, self.process = os.path.join(directory, "config"), None
        self.command = [word.format(config=self.config, directory=directory) for word in command]
        is_root = os.geteuid() == 0
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(template.format(directory=directory, address=address, port=port,
                                       user="user nobody nogroup;" if is_root else "",
                                       user_line='user = "nobody"' if is_root else "",
                                       user_name=pwd.getpwuid(os.geteuid()).pw_name, **values))

    def start(self, wait=True, seconds=30):
        self.process = Process(self.name, [tool(self.command[0])] + self.command[1:],
                               os.path.join(self.directory, "log"), env=self.environment)
        if wait:
            self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=30):
        self.process.wait_ready(lambda: connects(self.address, self.port), seconds)

    def stop(self):
        if self.process:
            self.process.stop(5)


class Nginx(Server):
    """Answers every path with what it saw, as JSON; /large is 32 MiB, /slow the same at 64 KiB a second."""

    def __init__(self, directory, address="127.0.0.1", wanted_ports=()):
        super().__init__("nginx", directory, address, free_port(address, wanted=wanted_ports), NGINX, NGINX_COMMAND)
        os.makedirs(os.path.join(directory, "www"), exist_ok=True)
        with open(os.path.join(directory, "www", "large"), "wb") as file:
            file.truncate(LARGE)

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"


class HAProxy(Server):
    """TCP mode: it knows nothing of TLS or names, as an AWS NLB. `nodes`: (name, address, https port, http port, admin
    port); a node that is not ready there gets no new connection. `server_options`: as `send-proxy-v2`."""

    def __init__(self, directory, address, https, http, nodes, server_options=""):
        line = "    server {0} {1}:{2} check port {3} inter 200ms fastinter 100ms fall 2 rise 1"
        line += f" {server_options}\n"
        super().__init__("haproxy", directory, address, https, HAPROXY, ["haproxy", "-db", "-f", "{config}"],
                         https=https, http=http,
                         https_servers="".join(line.format(name, at, tls, admin) for name, at, tls, _, admin in nodes),
                         http_servers="".join(line.format(name, at, plain, admin) for name, at, _, plain, admin in nodes))
        self.https, self.http = https, http

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

    def wait_nodes(self, *names, seconds=30):
        wait_until(lambda: self.nodes_up() == set(names), seconds, f"the load balancer to have {names}, has others")


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
