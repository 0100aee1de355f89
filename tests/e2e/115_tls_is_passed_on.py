"""TLS that is not ours: the name in the hello chooses the server, and nothing of what passes is changed."""

import json
import os
import re
import socket
import ssl
import subprocess
import time

import pytest

from lab import client_hello, tls
from lab.lab import Lab
from lab.place import free_port
from lab.process import run, wait_until
from lab.tls_backend import Backend, echo, record, server_context


class Scene:
    """An edge with a pass-through port, and the servers behind it."""

    def __init__(self, lab):
        self.lab = lab
        self.platform = lab.prepare(edges=1)
        self.edge, net = self.platform.edge, self.platform.ground.net
        self.authority = self.platform.ground.authority
        chain, key = self.authority.issue("passed", "DNS:*.mail.test", "DNS:mail.test", "DNS:*.deep.mail.test")
        context = server_context(chain, key)
        self.trust = tls.trust(self.authority.ca, alpn=("imap",))
        self.one = lab.use(Backend(f"{net}31", echo(context, b"* OK one\r\n"))).start()
        self.two = lab.use(Backend(f"{net}32", echo(context, b"* OK two\r\n"))).start()
        self.rest = lab.use(Backend(f"{net}33", echo(context, b"* OK rest\r\n"))).start()
        self.raw = lab.use(Backend(f"{net}34", record())).start()
        self.told = lab.use(Backend(f"{net}35", echo(context, b"* OK told\r\n", proxy=True))).start()
        self.plain = lab.use(Backend(f"{net}36", record(b"220 hello\r\n"))).start()
        self.imaps, self.smtp = free_port(self.edge.address), free_port(self.edge.address)
        self.platform.start(without=[self.platform.pebble, self.platform.acme])
        self.edge.restart(
            listen_passthrough=[f"{self.edge.address}:{self.imaps}", f"{self.edge.address}:{self.smtp}"],
            access_log="on", hello_timeout="1s", log_format="json", passthrough=[
                f"turn.mail.test {self.one.place} {self.two.place}",
                f"raw.mail.test {self.raw.place}",
                f"told.mail.test {self.told.place} proxy=v2",
                f"*.deep.mail.test {self.two.place}",
                f".mail.test {self.one.place}",
                f"*:{self.imaps} {self.rest.place}",
                f"*:{self.smtp} {self.plain.place} plain=on"])

    def connect(self, name, port=None, **options):
        return tls.connect(self.edge.address, port or self.imaps, name, self.trust, **options)

    def greeting(self, name, port=None):
        with self.connect(name, port) as sock:
            return sock.recv(100).decode().strip()

    def raw_connection(self, port=None):
        return socket.create_connection((self.edge.address, port or self.imaps), 20)

    def lines(self):
        return [json.loads(line) for line in self.edge.process.log().splitlines()
                if line.startswith("{") and '"msg":"passthrough"' in line]


@pytest.fixture(scope="module")
def scene(session):
    lab = Lab(session)
    yield Scene(lab)
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def test_exact_name_then_one_label_then_suffix_then_default(scene):
    assert scene.greeting("a.deep.mail.test") == "* OK two", "one label more"
    assert scene.greeting("other.mail.test") == "* OK one", "the suffix"
    with pytest.raises(ssl.SSLCertVerificationError):
        scene.greeting("mail.test.example")  # the default's certificate is of another name: it is passed on, not ours
    wait_until(lambda: scene.rest.came, 5, "the default to have it")
    turns = [scene.greeting("turn.mail.test") for _ in range(6)]
    assert sorted(turns) == ["* OK one"] * 3 + ["* OK two"] * 3 and turns[0] != turns[1], turns
