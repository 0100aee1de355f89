"""A crowd of slow clients in a process of its own: connections that say a byte now and then, in the middle of a ClientHello, of a
head, of a body.

    python3 -m lab.slow_crowd ADDRESS HTTPS_PORT HTTP_PORT NAME HELLOS HEADS BODIES

Says `there` once all of them are, and goes on until its standard input ends; then how many had been ended meanwhile."""

import resource
import select
import socket
import ssl
import subprocess
import sys

from . import client_hello
from .process import LabError

PAUSE = 0.002


class SlowCrowd:
    """The process, for who wants one."""

    def __init__(self, edge, name, hellos, heads, bodies, folder):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.slow_crowd", edge.address, str(edge.https), str(edge.http), name,
             str(hellos), str(heads), str(bodies)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)
        if self._process.stdout.readline() != "there\n":
            raise LabError("the crowd did not come")

    def disperse(self):
        """How many of them the edge had ended."""
        said, _ = self._process.communicate(timeout=30)
        return int(said)


def begin(address, port, data):
    sock = socket.create_connection((address, port), 30)
    sock.sendall(data)
    return sock


def crowd(address, https, http, name, hellos, heads, bodies):
    """(socket, the byte it says again and again)"""
    hello = client_hello.client_hello(name.encode())
    trusting = ssl._create_unverified_context()  # noqa: S323: what the edge shows is judged elsewhere
    for _ in range(heads):
        yield begin(address, http, f"GET / HTTP/1.1\r\nHost: {name}\r\nX-Slow: ".encode()), b"x"
    for _ in range(bodies):
        sock = trusting.wrap_socket(socket.create_connection((address, https), 30), server_hostname=name)
        sock.sendall(f"POST / HTTP/1.1\r\nHost: {name}\r\nContent-Length: 1000000\r\n\r\n".encode())
        yield sock, b"x"
    for number in range(hellos):
        yield begin(address, https, hello[:20 + number % 60]), b""


def main(address, https, http, name, *counts):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    there = list(crowd(address, int(https), int(http), name, *map(int, counts)))
    talking = [(sock, byte) for sock, byte in there if byte]
    print("there", flush=True)
    ended, turn = set(), 0
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        sock, byte = talking[turn % len(talking)]
        turn += 1
        try:
            sock.sendall(byte)
        except OSError:
            ended.add(sock)
    print(len(ended))


if __name__ == "__main__":
    main(*sys.argv[1:])
