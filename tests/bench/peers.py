"""The contenders of the benchmark's data plane: Postern and what people run today, all with the same certificate, the same
origin, one worker, keep-alive to the origin where they have it, and without access logs.

nginx 1.22 speaks no TLS 1.3 unless told to, and then looks three times as fast at resumption: TLS 1.2 has no key exchange
there. So the versions are set for everybody, and the client asks for one of them."""

import os
import sys

from lab.daemons import Edge
from lab.place import free_port, tool
from lab.process import descendants
from lab.servers import NGINX_COMMAND, NGINX_FRAME, Server, nobodys

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIGS = os.path.join(HERE, "configs")
SERVERS_CORE, CLIENTS_CORE = 0, 1
IDLE_CONNECTIONS = 2000


def pin(pid, cores):
    """All threads of the process and of its children."""
    for one in [pid] + descendants(pid):
        for task in os.listdir(f"/proc/{one}/task"):
            os.sched_setaffinity(int(task), cores)


def template(name):
    with open(os.path.join(CONFIGS, name), encoding="ascii") as file:
        text = file.read()
    return NGINX_FRAME + text if "nginx" in name else text


class Pinned(Server):
    """One of the others, on a core of its own."""

    core = SERVERS_CORE

    def __init__(self, name, directory, address, config, command, **values):
        super().__init__(name, directory, address, free_port(address), template(config), command, **values)

    def start(self, wait=True, seconds=30):
        super().start(wait=False)
        pin(self.process.pid, {self.core})
        self.wait_ready(seconds)
        pin(self.process.pid, {self.core})
        return self

    @property
    def text(self):
        return f"{self.address}:{self.port}"

    def pids(self):
        return [self.process.pid] + descendants(self.process.pid)


class Backend(Pinned):
    """Behind the contenders; its cost is nobody's."""

    core = CLIENTS_CORE


def origin(directory, address):
    made = Backend("origin", directory, address, "origin.nginx", NGINX_COMMAND)
    www = nobodys(os.path.join(directory, "www"))
    for name, size in (("1k", 1024), ("10m", 10 << 20)):
        with open(os.path.join(www, name), "wb") as file:
            file.write(b"x" * size)
    return made


class Backends:
    """Plain HTTP/1.1, the echo behind WebSockets, a server of gRPC (nghttpd, which sends a call's message back), and one
    that speaks TLS itself."""

    def __init__(self, lab, ground, pem):
        self.origin = lab.use(origin(lab.folder("origin"), ground.address(30)))
        self.echo = lab.use(Tool("echo", lab.folder("echo"), ground.address(26),
                                 [sys.executable, os.path.join(HERE, "echo.py"), "{address}", "{port}"]))
        self.grpc = lab.use(Tool("grpc", lab.folder("grpc"), ground.address(27),
                                 ["nghttpd", "--no-tls", "-a", "{address}", "--echo-upload", "--trailer=grpc-status: 0",
                                  "-d", "{directory}", "{port}"]))
        self.tls = lab.use(Backend("tls", lab.folder("tls"), ground.address(28), "tls.nginx", NGINX_COMMAND, pem=pem,
                                   www=os.path.join(self.origin.directory, "www")))

    def start(self):
        for one in (self.origin, self.echo, self.grpc, self.tls):
            one.start()
        return self

    def values(self):
        return {name: getattr(self, name).text for name in ("origin", "echo", "grpc", "tls")}


class Tool(Backend):
    """One that needs no configuration."""

    def __init__(self, name, directory, address, command):
        port = free_port(address)
        filled = [word.format(address=address, port=port, directory=directory) for word in command]
        Server.__init__(self, name, directory, address, port, "", filled)


class Postern:
    name = "Postern"

    def __init__(self, directory, address, database, seal_key, ask, origin, workers=1, cores=(SERVERS_CORE,), **settings):
        self.address, self.port, self.cores = address, free_port(address), set(cores)
        self.edge = Edge(directory, "edge", address, self.port, free_port(address), {
            "database": database.conninfo("postern_edge"), "seal_key_file": seal_key, "ask_url": ask.url,
            "upstream": f"http://{origin}", "workers": workers, "log_level": "warn", "access_log": "off",
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


def is_there(command):
    try:
        return bool(tool(command))
    except FileNotFoundError:
        return False


def made_of(lab, ground, kinds, values, first_address):
    """Servers that are not started, and the names of those that are not installed."""
    made, absent = [], []
    for number, (name, config, command) in enumerate(kinds):
        if not is_there(command[0]):
            absent.append(name)
            continue
        directory = lab.folder(f"{name}-{config}")
        server = lab.use(Pinned(name, directory, ground.address(first_address + number), config, command, **values))
        if name == "Caddy":
            server.environment = {"GOMAXPROCS": "1", "HOME": directory, "XDG_DATA_HOME": directory}
        made.append(server)
    return made, absent


HAPROXY_COMMAND = ["haproxy", "-db", "-f", "{config}"]
CADDY_COMMAND = ["caddy", "run", "--adapter", "caddyfile", "--config", "{config}"]


def others(lab, pem, backends, ground):
    """nginx, HAProxy, Caddy, hitch and h2o."""
    values = {"pem": pem, "address_of_origin": backends.origin.address, "port_of_origin": backends.origin.port,
              **backends.values()}
    return made_of(lab, ground, (("nginx", "nginx", NGINX_COMMAND), ("HAProxy", "haproxy", HAPROXY_COMMAND),
                                 ("Caddy", "caddy", CADDY_COMMAND), ("hitch", "hitch", ["hitch", "--config={config}"]),
                                 ("h2o", "h2o", ["h2o", "-c", "{config}"])), values, 31)


def passing_on(lab, backends, ground):
    """HAProxy, which passes TLS on by its name."""
    return made_of(lab, ground, (("HAProxy", "pass.haproxy", HAPROXY_COMMAND),), backends.values(), 43)


def many_certificates(lab, ground, backends, folder):
    """HAProxy and Caddy again, with every certificate of a folder."""
    values = {"pem": folder, **backends.values()}
    return made_of(lab, ground, (("HAProxy", "haproxy", HAPROXY_COMMAND), ("Caddy", "many.caddy", CADDY_COMMAND)), values, 41)[0]
