"""The contenders of the benchmark's data plane: Postern and what people run today, all with the same certificate, the same
origin, one worker, keep-alive to the origin where they have it, and without access logs.

nginx 1.22 speaks no TLS 1.3 unless told to, and then looks three times as fast at resumption: TLS 1.2 has no key exchange
there. So the versions are set for everybody, and the client asks for one of them."""

import os
import pwd
import shutil

from lab.daemons import Edge
from lab.place import free_port, tool
from lab.process import Process, connects, descendants

SERVERS_CORE, CLIENTS_CORE = 0, 1
IDLE_CONNECTIONS = 2000

ORIGIN = """\
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
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=10;
    server {{
        listen {address}:{port} backlog=4096;
        root {directory}/www;
        # Reads the whole body before it answers.
        location = /up {{
            client_body_buffer_size 12m;
            proxy_pass http://{address}:{port}/1k;
            proxy_http_version 1.1;
            proxy_method GET;
            proxy_set_body "";
            proxy_pass_request_headers off;
        }}
    }}
}}
"""

NGINX = """\
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
    upstream origin {{
        server {origin};
        keepalive 256;
        keepalive_requests 100000000;
    }}
    server {{
        listen {address}:{port} ssl backlog=4096;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering off;
            proxy_buffers 8 32k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""

HAPROXY = """\
global
    nbthread 1
    maxconn 8000
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always
frontend front
    bind {address}:{port} backlog 4096 ssl crt {pem} alpn http/1.1
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    default_backend origin
backend origin
    server origin {origin}
"""

CADDY = """\
{{
    admin off
    auto_https off
    log {{
        level ERROR
    }}
    servers {{
        protocols h1
    }}
}}
https://:{port} {{
    bind {address}
    tls {pem} {pem}
    reverse_proxy {origin} {{
        transport http {{
            keepalive_idle_conns_per_host 256
        }}
    }}
}}
"""

HITCH = """\
frontend = {{ host = "{address}" port = "{port}" }}
backend = "[{address_of_origin}]:{port_of_origin}"
pem-file = "{pem}"
workers = 1
backlog = 4096
alpn-protos = "http/1.1"
tls-protos = TLSv1.2 TLSv1.3
daemon = off
syslog = off
keepalive = 600
{user_line}
"""

H2O = """\
num-threads: 1
max-connections: 8000
http1-request-timeout: 600
pid-file: {directory}/h2o.pid
error-log: {directory}/h2o.error
user: {user_name}
temp-buffer-path: {directory}
listen:
  host: {address}
  port: {port}
  ssl:
    certificate-file: {pem}
    key-file: {pem}
    minimum-version: TLSv1.2
hosts:
  default:
    paths:
      "/":
        proxy.reverse.url: "http://{origin}/"
        proxy.preserve-host: ON
        proxy.timeout.keepalive: 600000
"""


def pin(pid, cores):
    """All threads of the process and of its children."""
    for one in [pid] + descendants(pid):
        for task in os.listdir(f"/proc/{one}/task"):
            os.sched_setaffinity(int(task), cores)


def nobodys(directory):
    os.makedirs(directory, exist_ok=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(directory, user.pw_uid, user.pw_gid)
    return directory


class Server:
    """A configuration file and a process of one of the others."""

    core = SERVERS_CORE
    environment = {}

    def __init__(self, name, directory, address, template, command, **values):
        self.name, self.directory, self.address, self.port = name, nobodys(directory), address, free_port(address)
        self.config = os.path.join(directory, "config")
        self.command = command
        with open(self.config, "w", encoding="ascii") as file:
            file.write(template.format(directory=directory, address=address, port=self.port,
                                       user="user nobody nogroup;" if os.geteuid() == 0 else "",
                                       user_line='user = "nobody"' if os.geteuid() == 0 else "",
                                       user_name=pwd.getpwuid(os.geteuid()).pw_name, **values))
        self.process = None

    def start(self, seconds=30):
        argv = [word.format(config=self.config, directory=self.directory) for word in self.command]
        self.process = Process(self.name, [tool(argv[0])] + argv[1:], os.path.join(self.directory, "log"),
                               env=self.environment)
        pin(self.process.pid, {self.core})
        self.process.wait_ready(lambda: connects(self.address, self.port), seconds)
        pin(self.process.pid, {self.core})
        return self

    def pids(self):
        return [self.process.pid] + descendants(self.process.pid)

    def stop(self):
        if self.process:
            self.process.stop(5)


class Origin(Server):
    core = CLIENTS_CORE

    def __init__(self, directory, address):
        super().__init__("origin", directory, address, ORIGIN, ["nginx", "-c", "{config}", "-p", "{directory}", "-e", "stderr"])
        www = nobodys(os.path.join(directory, "www"))
        for name, size in (("1k", 1024), ("10m", 10 << 20)):
            with open(os.path.join(www, name), "wb") as file:
                file.write(b"x" * size)
        self.text = f"{address}:{self.port}"


class Postern:
    name = "Postern"

    def __init__(self, directory, address, database, seal_key, ask, origin, workers=1, cores=(SERVERS_CORE,), **settings):
        self.address, self.port, self.cores = address, free_port(address), set(cores)
        self.edge = Edge(directory, "edge", address, self.port, free_port(address), {
            "database": database.conninfo("postern_edge"), "seal_key_file": seal_key, "ask_url": ask.url,
            "upstream": f"http://{origin.text}", "workers": workers, "log_level": "warn", "access_log": "off",
            "idle_timeout": "10m", "header_timeout": "10m", **settings})

    def start(self):
        self.edge.start(wait=False)
        pin(self.edge.process.pid, self.cores)
        self.edge.wait_ready()
        pin(self.edge.process.pid, self.cores)
        return self

    @property
    def process(self):
        return self.edge.process

    def pids(self):
        return [self.edge.process.pid]

    def stop(self):
        self.edge.stop()


def others(lab, pem, origin, ground):
    """nginx, HAProxy, Caddy, hitch and h2o, not started; those that are not installed are named in the second list."""
    made, absent = [], []
    values = {"pem": pem, "origin": origin.text, "address_of_origin": origin.address, "port_of_origin": origin.port}
    kinds = (("nginx", NGINX, ["nginx", "-c", "{config}", "-p", "{directory}", "-e", "stderr"]),
             ("HAProxy", HAPROXY, ["haproxy", "-db", "-f", "{config}"]),
             ("Caddy", CADDY, ["caddy", "run", "--adapter", "caddyfile", "--config", "{config}"]),
             ("hitch", HITCH, ["hitch", "--config={config}"]),
             ("h2o", H2O, ["h2o", "-c", "{config}"]))
    for number, (name, template, command) in enumerate(kinds):
        try:
            tool(command[0])
        except FileNotFoundError:
            absent.append(name)
            continue
        directory = lab.folder(name)
        server = Server(name, directory, ground.address(31 + number), template, command, **values)
        if name == "Caddy":
            server.environment = {"GOMAXPROCS": "1", "HOME": directory, "XDG_DATA_HOME": directory}
        made.append(server)
    return made, absent


def many_certificates(lab, ground, origin, folder):
    """HAProxy and Caddy again, with every certificate of a folder."""
    made = []
    if shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        made.append(Server("HAProxy", lab.folder("HAProxy-many"), ground.address(41), HAPROXY,
                           ["haproxy", "-db", "-f", "{config}"], pem=folder, origin=origin.text))
    if shutil.which("caddy"):
        directory = lab.folder("Caddy-many")
        template = CADDY.replace("tls {pem} {pem}", "tls {{\n        load {pem}\n    }}")
        made.append(Server("Caddy", directory, ground.address(42), template,
                           ["caddy", "run", "--adapter", "caddyfile", "--config", "{config}"], pem=folder, origin=origin.text))
        made[-1].environment = {"GOMAXPROCS": "1", "HOME": directory, "XDG_DATA_HOME": directory}
    return made
