"""The addresses behind an upstream's name change, as those of an internal load balancer do: the edge follows, and a
look-up that fails takes nothing away."""

import os
import shutil
import subprocess

import pytest

from lab.app_origin import AppOrigin
from lab.place import free_port
from lab.process import wait_until

NAME = "shop.brand.test"
ORIGIN = "app.internal.example"


def can_have_mounts():
    """A file of hosts of the edge's own takes a mount namespace, which takes root."""
    return shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Hosts:
    """The /etc/hosts that an edge sees. Written in place: what is mounted is the file, not its name."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "hosts")
        open(self.path, "w").close()

    def say(self, *addresses):
        text = "".join(f"{address} {ORIGIN}\n" for address in addresses) + "127.0.0.1 localhost\n"
        with open(self.path, "r+") as file:
            file.write(text)
            file.truncate()

    def seen_by(self, daemon):
        daemon.prefix = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', self.path]


def prepared(lab, **edge):
    if not can_have_mounts():
        pytest.skip("needs root, to make a mount namespace")
    platform = lab.prepare(edges=1, edge={"upstream_resolve": "200ms", **edge})
    hosts = Hosts(lab.folder("hosts"))
    hosts.seen_by(platform.edge)
    return platform, hosts


def two_origins(lab):
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    port = free_port("127.9.74.20", "127.9.74.21")
    return [lab.use(AppOrigin(folder, name, address, port)).start()
            for name, address in (("old", "127.9.74.20"), ("new", "127.9.74.21"))]


def test_a_changed_address_is_followed_and_the_gone_one_is_left_alone(lab):
    platform, hosts = prepared(lab)
    old, new = two_origins(lab)
    platform.edge.settings["upstream"] = f"http://{ORIGIN}:{old.port}"
    hosts.say(old.address)
    platform.start(without=[platform.app])
    platform.activate(NAME)
    assert platform.visit(NAME).body == b"old"
    hosts.say(old.address, new.address)
    wait_until(lambda: platform.visit(NAME).body == b"new", 10, "the new address to be used as well")
    hosts.say(new.address)
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_addresses") == 1, 10, "the old one to be gone")
    asked = len(old.asked("/"))
    assert {platform.visit(NAME).body for _ in range(10)} == {b"new"}
    assert len(old.asked("/")) == asked
    # What was kept open to the old address is closed; the new one's may stay.
    wait_until(lambda: not connections_to(old), 5, "connections to the old address to be closed")
    failed = platform.edge.metric("postern_edge_upstream_lookups_total", result="failed")
    hosts.say()
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_lookups_total", result="failed") > failed, 30,
               "a look-up that fails")
    assert platform.visit(NAME).body == b"new"


def connections_to(origin):
    """Established TCP connections to it, by the kernel's list."""
    wanted = "%02X%02X%02X%02X:%04X" % (*reversed([int(part) for part in origin.address.split(".")]), origin.port)
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return [row for row in rows if row[2] == wanted and row[3] == "01"]


def test_a_name_that_is_not_there_yet_does_not_end_the_start(lab):
    platform, hosts = prepared(lab, upstream_connect_timeout="1s")
    old, _ = two_origins(lab)
    platform.edge.settings["upstream"] = f"http://{ORIGIN}:{old.port}"
    platform.start(without=[platform.app])
    platform.activate(NAME)
    assert platform.visit(NAME).status == 503
    platform.edge.process.wait_log("cannot be looked up.*" + ORIGIN)
    hosts.say(old.address)
    wait_until(lambda: platform.visit(NAME).status == 200, 30, "the name to be found")
