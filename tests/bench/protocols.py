"""What is spoken beside HTTP/1.1: HTTP/2, WebSockets, gRPC, and TLS that is passed on unopened. Measured as data_plane.py
does: CPU of the server's own threads, rounds interleaved, the middle one."""

import time

import peers
from data_plane import ZONE, Table, anonymous_kib, handshake, load, start_load
from peers import IDLE_CONNECTIONS

ECHO, GRPC, PASSED = f"site1.{ZONE}", f"site2.{ZONE}", f"site3.{ZONE}"
GRPC_MESSAGE = 5 + 64
TUNNEL = 1 << 20


def h2_request(server):
    return load(server, "h2", count=16000, warm=2048, connections=16, streams=16, path="/1k")["cpu_us"]


def h2_down(server):
    return load(server, "h2", count=8, warm=4, connections=4, streams=1, path="/10m", size=10 << 20)["cpu_us"] / 10


def h2_up(server):
    return load(server, "h2", count=8, warm=4, connections=4, streams=1, path="/up", body=10 << 20)["cpu_us"] / 10


def h2_idle(server):
    """Kibibytes per connection, over what it holds with a few."""
    load(server, "h2", count=2000, warm=64, connections=16, streams=4, path="/1k")
    time.sleep(0.3)
    before = anonymous_kib(server)
    client = start_load(server, "h2-idle", connections=IDLE_CONNECTIONS, path="/1k")
    client.stdout.readline()
    if client.stdout.readline() != "idle\n":
        raise RuntimeError(f"{server.name}, idle: {client.communicate()[1]}")
    time.sleep(2)
    held = anonymous_kib(server) - before
    client.communicate()
    return held / IDLE_CONNECTIONS


def message(server):
    return load(server, "tunnel", count=6000, warm=640, connections=64, path="/ws", body=64, name=ECHO)["cpu_us"]


def tunnelled(server):
    """A mebibyte one way: each goes there and comes back."""
    return load(server, "tunnel", count=64, warm=8, connections=4, path="/ws", body=TUNNEL, name=ECHO)["cpu_us"] / 2


def call(server):
    if server.name == "h2o":
        raise NotImplementedError("h2o 2.2 speaks HTTP/1.1 to upstreams")
    return load(server, "h2", count=8000, warm=1024, connections=16, streams=16, path="/grpc/echo.Echo/Call",
                body=GRPC_MESSAGE, size=GRPC_MESSAGE, grpc=1, name=GRPC)["cpu_us"]


def passed_body(server):
    return load(server, "requests", count=16, warm=4, connections=4, path="/10m", size=10 << 20, name=PASSED)["cpu_us"] / 10


def passed_connection(server):
    return handshake("full", 13, name=PASSED)(server)


TERMINATED = (
    ("HTTP/2 request, 16 connections x 16 streams (us)", h2_request, 0.9),
    ("HTTP/2 body down, 10 MiB (us per MiB)", h2_down, 0.9),
    ("HTTP/2 body up, 10 MiB (us per MiB)", h2_up, 0.9),
    ("HTTP/2 idle connection (KiB)", h2_idle, 0.9),
    ("WebSocket message of 64 bytes and back (us)", message, 0.9),
    ("WebSocket tunnel (us per MiB)", tunnelled, 0.9),
    ("gRPC unary call (us)", call, 0.9))
PASSED_ON = (
    ("TLS passed on: connection + request (us)", passed_connection, 0.9),
    ("TLS passed on: body down, 10 MiB (us per MiB)", passed_body, 0.9))


def measure(servers, kinds, rounds, rows):
    out = Table(servers)
    for title, one, goal in kinds:
        if not rows or any(title.startswith(word) for word in rows):
            out.measured(title, one, 1 if one is h2_idle else rounds, goal, digits=2 if one in (h2_request, message, call) else 1)


def protocols(plane, rounds=9, rows=None):
    """HTTP/2, WebSockets, gRPC; then, by other servers, TLS that is passed on."""
    plane.own_upstream(ECHO, f"http://{plane.backends.echo.text}")
    plane.own_upstream(GRPC, f"h2c://{plane.backends.grpc.text}")
    others, absent = peers.others(plane.lab, plane.pem, plane.backends, plane.ground)
    servers = [plane.postern("postern").start()] + [server.start() for server in others if server.name != "hitch"]
    measure(servers, TERMINATED, rounds, rows)
    for server in servers:
        server.stop()
    passing, missing = peers.passing_on(plane.lab, plane.backends, plane.ground)
    own = plane.postern("postern-passing", passthrough=f"{PASSED} {plane.backends.tls.text}")
    servers = [own.start()] + [server.start() for server in passing]
    measure(servers, PASSED_ON, rounds, rows)
    for server in servers:
        server.stop()
    for name in absent + missing:
        print(f"{name} is absent: not installed, and install_packages could not bring it")
