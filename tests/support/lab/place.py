"""Where things are: the programs under test, free ports, loopback addresses that no other laboratory uses.

Between the choice of a port and the moment its server listens it looks free to everybody. So what is chosen is claimed,
for the life of this process, by a lock on a byte of a file that all laboratories of this user share."""

import contextlib
import fcntl
import os
import random
import socket
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))

_handed_out = set()
_own_nets = set()
_claims = None
# Bytes of the file of claims: ports of addresses that anyone may use, then nets.
NETS_AT = 65536


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


def _claim(byte):
    """False: another laboratory has it. The kernel lets go when this process ends, however it does."""
    global _claims
    if _claims is None:
        path = os.path.join(tempfile.gettempdir(), f"postern-lab-claims-{os.getuid()}")
        _claims = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(_claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except OSError:
        return False
    return True


def roomy_memory():
    """Where a laboratory's files are best kept: in memory where there is room (PostgreSQL makes hundreds of files for each
    database), else None for the usual place."""
    try:
        room = os.statvfs("/dev/shm")
    except FileNotFoundError:
        return None
    return "/dev/shm" if room.f_bavail * room.f_frsize > 2 << 30 else None


@contextlib.contextmanager
def one_at_a_time(what):
    """For what the processes of a run would otherwise all make at once, in BUILD."""
    with open(os.path.join(BUILD, f".{what}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port(*addresses, wanted=()):
    """A port that is free for TCP and UDP on all the addresses. Below the kernel's ephemeral range, so that no
    outgoing connection takes it in the meantime. `wanted` are tried first."""
    shared = any(address.rpartition(".")[0] + "." not in _own_nets for address in addresses)
    for port in list(wanted) + [random.randrange(10000, 32000) for _ in range(200)]:
        places = {(address, port) for address in addresses}
        if places & _handed_out or not all(_is_free(*place) for place in places):
            continue
        if shared and not _claim(port):
            continue
        _handed_out.update(places)
        return port
    raise RuntimeError(f"no free port on {addresses}")


def _is_free(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def loopback_net():
    """`127.a.b.` at random, that no other laboratory has: all of 127/8 is loopback on Linux."""
    while True:
        a, b = random.randrange(10, 250), random.randrange(1, 250)
        net = f"127.{a}.{b}."
        if net not in _own_nets and _claim(NETS_AT + a * 256 + b):
            _own_nets.add(net)
            return net
