"""Where things are: the programs under test, free ports, loopback addresses that no other laboratory uses."""

import os
import random
import socket

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))

_handed_out = set()


def program(name):
    """Path of one of the programs under test."""
    return os.path.join(BUILD, name)


def is_sanitized(name):
    """Built by `make asan` or `make tsan`: slower, and memory that was freed stays for a while."""
    with open(program(name), "rb") as file:
        text = file.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def tool(name):
    """Path of a server; daemons of Debian live in sbin, which is not in everybody's PATH."""
    for folder in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin", "/usr/local/sbin"]:
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"{name} is not installed: run `make deps`")


def free_port(*addresses, wanted=()):
    """A port that is free for TCP and UDP on all the addresses. Below the kernel's ephemeral range, so that no
    outgoing connection takes it in the meantime. `wanted` are tried first."""
    for port in list(wanted) + [random.randrange(10000, 32000) for _ in range(200)]:
        places = {(address, port) for address in addresses}
        if not places & _handed_out and all(_is_free(*place) for place in places):
            _handed_out.update(places)
            return port
    raise RuntimeError(f"no free port on {addresses}")


def _is_free(address, port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def loopback_net():
    """`127.a.b.` at random: all of 127/8 is loopback on Linux."""
    return f"127.{random.randrange(10, 250)}.{random.randrange(1, 250)}."
