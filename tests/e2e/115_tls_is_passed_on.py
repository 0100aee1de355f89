"""TLS that is not ours: the name in the hello chooses the server, and nothing of what passes is changed."""

import hashlib
import json
import os
import re
import socket
import ssl
import threading
import time

import pytest

from lab import client_hello, tls
from lab.lab import Lab
from lab.place import free_port
from lab.process import wait_until
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
                f"*:{self.smtp} {self.plain.place} plain=on", f"deaf.mail.test:1 {self.one.place}"])

    def connect(self, name, port=None, **options):
        return tls.connect(self.edge.address, port or self.imaps, name, self.trust, **options)

    def greeting(self, name, port=None):
        with self.connect(name, port) as sock:
            return sock.recv(100).decode().strip()

    def raw_connection(self, port=None):
        return socket.create_connection((self.edge.address, port or self.imaps), 20)

    def lines(self):
        return [json.loads(line) for line in self.edge.process.log().splitlines()
                if line.startswith("{") and '"passthrough"' in line]


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


def test_a_port_that_the_edge_does_not_listen_on_is_told(scene):
    assert re.findall(r"a passthrough takes nothing.*passthrough\W+([\w.:*]+)", scene.edge.process.log()) == ["deaf.mail.test:1"]


def test_also_on_the_https_port_and_without_a_certificate_of_ours(scene):
    assert scene.greeting("other.mail.test", scene.edge.https) == "* OK one"
    assert scene.platform.job("other.mail.test") is None and scene.platform.verifier.metric(
        "postern_verifier_ask_answers_total") == 0
    refused = scene.platform.refusal(b"stranger.test", edge=scene.edge)
    assert refused.alert == "unrecognized_name", "no default where names may be ours"


def test_every_split_of_a_hello_passes_unchanged(scene):
    hello = client_hello.client_hello(b"raw.mail.test", alpn=(b"imap",), record_size=40)
    cuts = list(range(1, len(hello), 7)) + [1, 2, 3, 4, 5, 6, 9, 43, 44, 45, len(hello) - 1]
    for at in cuts:
        with scene.raw_connection() as sock:
            sock.sendall(hello[:at])
            if at % 3 == 0:
                time.sleep(0.002)
            sock.sendall(hello[at:] + b"what follows")
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(10) == b""
    wait_until(lambda: sum(came.ended.is_set() for came in scene.raw.came) >= len(cuts), 20, "all to be over")
    assert {came.bytes for came in scene.raw.came} == {hello + b"what follows"}
    with scene.raw_connection() as sock:
        for byte in hello:
            sock.sendall(bytes([byte]))
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10) == b""
    assert scene.raw.came[-1].bytes == hello


def test_an_old_version_an_unknown_extension_and_a_validation_are_the_servers_affair(scene):
    before = len(scene.raw.came)
    message = client_hello.handshake(b"raw.mail.test", extra=b"\xfe\x0d\x00\x04\x00\x01\x02\x03\xaa\xaa\x00\x00")
    hellos = [client_hello.records(message), client_hello.client_hello(b"raw.mail.test", alpn=(b"acme-tls/1",)),
              client_hello.client_hello(b"RAW.Mail.Test.")]
    for port in (scene.imaps, scene.edge.https):
        for hello in hellos:
            with scene.raw_connection(port) as sock:
                sock.sendall(hello)
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(10) == b""
    assert [came.bytes for came in scene.raw.came[before:]] == hellos * 2


def test_the_server_is_told_the_client_and_the_name(scene):
    with scene.connect("told.mail.test") as sock:
        assert sock.recv(100) == b"* OK told\r\n"
        own = sock.getsockname()
    header = scene.told.came[-1].header
    assert (header.command, header.source, header.destination) == (
        0x21, own, (scene.edge.address, scene.imaps))
    assert header.values == {2: b"told.mail.test"}
    with scene.connect("told.mail.test") as sock:
        sock.settimeout(20)
        sock.sendall(b"x" * 100000)
        size = 0
        while size < 100000 + len(b"* OK told\r\n"):
            size += len(sock.recv(65536))


def test_each_side_may_end_first(scene):
    with scene.raw_connection() as sock:
        sock.sendall(client_hello.client_hello(b"raw.mail.test"))
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10) == b"", "the server sees the end and ends too"
    with scene.connect("other.mail.test") as sock:
        sock.recv(100)
        scene.one.came[-1].sock.shutdown(socket.SHUT_WR)  # the server's TCP, under its TLS
        with pytest.raises((ssl.SSLError, ssl.SSLEOFError)):
            if sock.recv(10) == b"":
                raise ssl.SSLEOFError
    last = scene.lines()[-1]
    assert last["end"] == "closed" or last["end"].endswith("_reset"), last


def test_a_reset_of_one_side_is_a_reset_for_the_other(scene):
    before = len(scene.raw.came)
    sock = scene.raw_connection()
    sock.sendall(client_hello.client_hello(b"raw.mail.test"))
    wait_until(lambda: len(scene.raw.came) > before and scene.raw.came[-1].bytes, 10, "the server to have the hello")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    wait_until(lambda: scene.raw.came[-1].ended.is_set(), 10, "the server's connection to end")
    wait_until(lambda: scene.edge.metric("postern_edge_passthrough_ends_total", cause="client_reset") >= 1, 5, "the count")


def test_slow_readers_make_the_sender_wait_not_us_grow(scene):
    resident = scene.edge.process.rss()
    with scene.connect("other.mail.test", timeout=60) as sock:
        sock.recv(100)
        sock.settimeout(1)
        sent = 0
        with pytest.raises((TimeoutError, ssl.SSLError)):
            while sent < 200 << 20:  # the server echoes, and we read nothing
                sent += sock.send(b"y" * 65536)
        assert sent < 64 << 20, "the kernel's buffers, not ours"
        grown = scene.edge.process.rss() - resident
        print(f"{sent >> 10} KiB taken by the kernel, {grown >> 10} KiB more in the edge")
        assert grown < 4 << 20
    wait_until(lambda: scene.edge.metric("postern_edge_passthrough_open") == 0, 20, "the connection to end")


def test_long_bodies_arrive_whole_at_a_reader_that_stops_and_goes(scene):
    sent = os.urandom(1 << 20) * 4
    with scene.connect("other.mail.test", timeout=60) as sock:
        sock.recv(100)
        writer = threading.Thread(target=sock.sendall, args=(sent,))
        writer.start()
        got = bytearray()
        while len(got) < len(sent):
            got += sock.recv(1 << 20)
            if len(got) % 7 == 0:
                time.sleep(0.001)
        writer.join()
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()


def test_a_client_that_waits_is_given_to_the_default_after_the_deadline(scene):
    with scene.raw_connection(scene.smtp) as sock:
        started = time.monotonic()
        assert sock.recv(100) == b"220 hello\r\n"
        assert 0.8 < time.monotonic() - started < 10
    before = scene.edge.metric("postern_edge_refused_total", cause="not_tls")
    with scene.raw_connection(scene.smtp) as sock:
        sock.sendall(b"EHLO me\r\n")
        assert sock.recv(100) == b"220 hello\r\n", "plain=on"
    with scene.raw_connection() as sock:
        sock.sendall(b"a001 CAPABILITY\r\n")
        sock.settimeout(10)
        assert len(sock.recv(100)) == 7 and sock.recv(100) == b"", "an alert and the end"
    wait_until(lambda: scene.edge.metric("postern_edge_refused_total", cause="not_tls") == before + 1, 10, "it to be counted")


def test_the_log_has_a_line_for_each_and_metrics_a_series_for_each_route(scene):
    scene.greeting("told.mail.test")
    scene.greeting("a.deep.mail.test")
    wait_until(lambda: any(line.get("sni") == "told.mail.test" for line in scene.lines()), 5, "the line")
    line = [line for line in scene.lines() if line.get("sni") == "told.mail.test"][-1]
    assert line["route"] == "told.mail.test" and line["upstream"] == scene.told.place and line["end"] == "closed"
    assert line["client"].startswith("127.") and line["bytes_in"] > 200 and line["bytes_out"] > 500
    assert scene.edge.metric("postern_edge_passthrough_connections_total", route="*.deep.mail.test") >= 1
    wait_until(lambda: both_count_the_same(scene, "told.mail.test"), 5, "the log and the metrics to say the same")


def both_count_the_same(scene, route):
    lines = [line for line in scene.lines() if line.get("route") == route]
    return all(sum(line[f"bytes_{direction}"] for line in lines) == scene.edge.metric(
        "postern_edge_passthrough_bytes_total", route=route, direction=direction) for direction in ("in", "out"))


def test_five_thousand_junk_hellos_leave_nothing_behind(scene):
    descriptors, resident = scene.edge.process.descriptors(), scene.edge.process.rss()
    for index in range(5000):
        with scene.raw_connection() as sock:
            kind = index % 4
            sock.sendall([os.urandom(60), b"\x16\x03\x01" + os.urandom(80), b"\x16\x03\x01\x00\x00",
                          client_hello.client_hello(os.urandom(20))[:-1 - index % 50]][kind])
    assert scene.greeting("other.mail.test") == "* OK one"
    wait_until(lambda: scene.edge.process.descriptors() <= descriptors + 2, 20, "the descriptors to be closed")
    assert scene.edge.process.rss() - resident < 8 << 20


def test_a_reload_moves_the_routes(scene):
    settings = os.path.join(scene.lab.folder("reload"), "edge.conf")
    with open(settings, "w") as file:
        file.write(f"passthrough other.mail.test {scene.two.place} check=tls interval=500ms\n")
    scene.edge.restart(passthrough=None, config=settings)
    assert scene.greeting("other.mail.test") == "* OK two"
    with open(settings, "w") as file:
        file.write(f"passthrough other.mail.test {scene.one.place} check=nothing\n")
    scene.edge.process.send(1)
    wait_until(lambda: scene.edge.process.logged("settings not reloaded"), 5, "the refusal")
    wait_until(lambda: scene.edge.process.logged(
        r"passthrough: other.mail.test: .check=nothing.: check is off, tcp or tls"), 10, "the line that names the mend")
    assert scene.greeting("other.mail.test") == "* OK two"
    with open(settings, "w") as file:
        file.write(f"passthrough other.mail.test {scene.one.place}\n")
    scene.edge.process.send(1)
    wait_until(lambda: scene.greeting("other.mail.test") == "* OK one", 5, "the new route")


def test_who_is_silent_both_ways_is_ended_and_who_talks_now_and_then_is_not(scene):
    scene.edge.restart(config=None, passthrough=f".mail.test {scene.one.place}", passthrough_idle_timeout="2s")
    with scene.connect("talks.mail.test") as talker, scene.connect("silent.mail.test") as silent:
        assert talker.recv(100) == silent.recv(100) == b"* OK one\r\n"
        started, ended = time.monotonic(), threading.Event()
        waiting = threading.Thread(target=lambda: (until_the_end(silent), ended.set()))
        waiting.start()
        while not ended.is_set():
            talker.sendall(b"x")
            assert talker.recv(10) == b"x"
            ended.wait(0.2)
            assert time.monotonic() - started < 30
        assert time.monotonic() - started > 1.5
        waiting.join()
    wait_until(lambda: any(line.get("end") == "idle_timeout" for line in scene.lines()), 10, "the line")
    assert scene.edge.metric("postern_edge_passthrough_ends_total", cause="idle_timeout") == 1


def until_the_end(sock):
    try:
        while sock.recv(100):
            pass
    except OSError:
        pass
