"""SIGHUP reads settings and files again: what is good is in force for the next request, what is bad changes nothing
and is named in the log, and nobody who is being served notices."""

import os
import shutil
import signal
import threading

import pytest

from lab import h2_wire, tls
from lab.ask_server import AskServer
from lab.h2_wire import H2Wire
from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"
RELOADS = "postern_edge_config_reloads_total"


class Node:
    """One edge whose settings are partly in a file, which the test rewrites."""

    def __init__(self, lab):
        self.platform = lab.prepare(edges=1)
        self.origin = lab.use(Origin(self.platform.ground.address(4)))
        self.path = os.path.join(self.platform.ground.directory, "edge.conf")
        self.base = {"upstream": self.origin.url, "header-timeout": "10s", "access-log": "off"}
        edge = self.platform.edge
        edge.settings.pop("upstream")
        edge.settings["config"] = self.path
        self.write()
        self.platform.start()
        self.platform.activate(NAME)
        self.platform.visit(NAME)

    def write(self, **settings):
        values = {**self.base, **{name.replace("_", "-"): value for name, value in settings.items()}}
        with open(self.path + ".new", "w") as file:
            file.writelines(f"{name} {value}\n" for name, value in values.items() if value is not None)
        os.rename(self.path + ".new", self.path)

    @property
    def edge(self):
        return self.platform.edge

    def reload(self, result, **settings):
        """Rewrites the file, sends SIGHUP and waits for the outcome; returns what was logged since."""
        self.write(**settings)
        before, size = self.edge.metric(RELOADS, result=result), len(self.edge.process.log())
        self.edge.process.send(signal.SIGHUP)
        wait_until(lambda: self.edge.metric(RELOADS, result=result) > before, 10, f"a reload that is {result}")
        words = "settings reloaded" if result == "done" else "settings not reloaded"
        wait_until(lambda: words in self.edge.process.log()[size:], 5, words)
        return self.edge.process.log()[size:]


@pytest.fixture
def node(lab):
    return Node(lab)


def test_new_values_are_in_force_and_kept_connections_stay(node):
    sock = node.platform.connect(NAME, edge=node.edge)
    kept = tls.HttpOver(sock, NAME)
    kept.request("GET", "/before")
    assert kept.getresponse().read() == b"ok\n"
    node.reload("done", access_log="on", header_timeout="1s", log_format="json")
    kept.request("GET", "/after?secret=1")
    assert kept.getresponse().read() == b"ok\n", "the connection outlives the reload"
    line = node.edge.process.wait_log(r'\{.*"message":"request".*"path":"/after".*\}')
    assert '"served_before":1' in line[0] and "secret" not in line[0]
    slow = node.platform.connect(NAME, edge=node.edge)
    slow.sendall(b"GET / HTTP/1.1\r\n")
    assert slow.recv(100).startswith(b"HTTP/1.1 408"), "the new header-timeout"
    assert node.edge.metric("postern_edge_config_reload_time_seconds") > 0
    sock.close()
    slow.close()


def test_http2_that_is_switched_off_is_left_with_the_next_answer(node):
    """Who takes it back has a reason: connections that speak it do not stay."""
    wire = H2Wire(node.platform, NAME)
    assert wire.get().status == 200 and not wire.goaways
    node.reload("done", http2="off")
    assert wire.get().status == 200
    wire.to_the_end()
    assert [goaway.error for goaway in wire.goaways][:2] == [h2_wire.NO_ERROR] * 2
    wire.close()


@pytest.mark.parametrize("settings, words", [
    ({"header_timeout": "soon"}, "edge.conf:"),
    ({"header_timeuot": "1s"}, "did you mean `header-timeout`"),
    ({"ask_ca": "/nonexistent.pem"}, "/nonexistent.pem"),
    ({"upstream": None}, "upstream is not set"),
    ({"upstream_ca": "/nonexistent.pem"}, "/nonexistent.pem"),
])
def test_bad_settings_change_nothing(node, settings, words):
    log = node.reload("refused", access_log="on", **settings)
    assert words in log, log
    node.platform.visit(NAME, "/still")
    assert "/still" not in node.edge.process.log(), "the whole file is refused, its good lines too"
    assert node.edge.is_ready()


def refused_alone(node, words):
    """SIGHUP without another file; the thread that reads files is the one that hears signals."""
    size = len(node.edge.process.log())
    node.edge.process.send(signal.SIGHUP)
    wait_until(lambda: words in node.edge.process.log()[size:], 10, words)
    assert node.platform.visit(NAME, edge=node.edge).status == 200  # the balancer may not have noticed the restart


def test_a_fifo_or_half_a_file_holds_nothing_up_and_changes_nothing(node):
    key, ca = (os.path.join(node.platform.ground.directory, name) for name in ("own.key", "ca.pem"))
    node.edge.process.stop()
    shutil.copy(node.edge.settings["seal_key_file"], key)
    node.edge.settings["seal_key_file"] = key
    node.edge.start()
    with open(node.platform.pebble.ca) as whole, open(ca, "w") as half:
        half.write(whole.read()[:-100])
    assert "ask-ca" in node.reload("refused", ask_ca=ca)
    for path, words in ((ca, "nobody writes"), (key, "own.key holds no key"), (node.path, "nobody writes")):
        os.unlink(path)
        os.mkfifo(path, 0o600)
        refused_alone(node, words)
        if path == ca:
            node.write()
    assert node.edge.process.stop() == 0


def test_what_needs_a_restart_is_named_and_keeps_its_value(node):
    log = node.reload("done", workers="7", cert_cache="1M", access_log="on")
    assert "setting=cert-cache" in log
    assert "setting=workers" not in log, "the command line gives it, and wins over the file"
    assert node.platform.visit(NAME).status == 200


def test_a_request_in_flight_does_not_notice(lab):
    halfway, go_on = threading.Event(), threading.Event()

    def script(request):
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
        halfway.set()
        assert go_on.wait(10)
        request.sock.sendall(b"56789")
    node = Node(lab)
    other = lab.use(Origin(node.platform.ground.address(5), script))
    node.reload("done", upstream=other.url)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(node.platform.visit(NAME)))
    thread.start()
    assert halfway.wait(10), "the new upstream gets the request"
    for _ in range(200):
        node.edge.process.send(signal.SIGHUP)
    node.reload("done")
    go_on.set()
    thread.join(10)
    assert answers[0].body == b"0123456789"
    count = len(node.origin.requests)
    assert node.platform.visit(NAME).body == b"ok\n"
    assert len(node.origin.requests) == count + 1, "the first upstream again"


def test_the_ask_endpoint_and_its_token_change(lab):
    node = Node(lab)
    asked = lab.use(AskServer(node.platform.ground.address(6)))
    node.edge.settings.pop("ask_url")
    node.edge.process.stop()
    node.base["ask-url"] = node.platform.verifier.ask_url
    node.write()
    node.edge.start()
    token = os.path.join(node.platform.ground.directory, "ask-token")
    with open(token, "w") as file:
        file.write("first\n")
    node.reload("done", ask_url=asked.url(), ask_token_file=token)
    node.platform.refusal("one.brand.test", edge=node.edge)
    assert asked.asked["one.brand.test"] == 1
    assert asked.headers[-1]["Authorization"] == "Bearer first"
    with open(token, "w") as file:
        file.write("second\n")
    node.reload("done", ask_url=asked.url(), ask_token_file=token)
    node.platform.refusal("two.brand.test", edge=node.edge)
    assert asked.headers[-1]["Authorization"] == "Bearer second", "the file was read again"


def test_a_new_seal_key_is_taken_up(node):
    edge = node.edge
    path = edge.settings["seal_key_file"]
    before = open(path).read()
    try:
        with open(path, "w") as file:
            file.write("nonsense\n")
        log = node.reload("refused")
        assert "seal-key-file" in log and "nonsense" not in log
    finally:
        with open(path, "w") as file:
            file.write(before)
    node.reload("done")
    assert node.platform.visit(NAME).status == 200
