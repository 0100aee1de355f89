"""A request may turn its connection into a tunnel: WebSocket and any other protocol over HTTP/1.1. Nothing passes before
the app's 101, everything after it, each direction ends by itself, and no answer but a 101 opens one."""

import hashlib
import json
import os
import re
import signal
import threading
import time

import pytest

from lab import websocket, wire
from lab.app_origin import AppOrigin
from lab.origin import Origin
from lab.place import free_port, is_sanitized, tool
from lab.process import connects, wait_until
from lab.websocket import BINARY, PING, PONG, WebSocket

NAME, NGINX_APP, DOOMED = "shop.brand.test", "nginx.brand.test", "doomed.brand.test"
NODE_APP, NODE_TLS_APP = "node.brand.test", "node-tls.brand.test"
KIB, MIB = 1024, 1024 * 1024

NODE = """
const [address, port, cert, key] = process.argv.slice(2);
const fs = require('fs');
const answer = (request, response) => response.end('no tunnel');
const server = cert ? require('https').createServer({cert: fs.readFileSync(cert), key: fs.readFileSync(key)}, answer)
    : require('http').createServer(answer);
server.on('upgrade', (request, socket, head) => {
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: ' + request.headers.upgrade + '\\r\\nConnection: Upgrade\\r\\n\\r\\n');
    socket.write(head);
    socket.on('error', () => {});
    socket.pipe(socket);
});
server.listen(Number(port), address);
"""
NGINX = """
location /chat {{
    proxy_pass {url};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade;
    proxy_set_header Host $host;
}}
"""


class App(Origin):
    """An app whose script each test may set; asked for anything but a tunnel it says ok."""

    def __init__(self, address):
        self.on_upgrade = websocket.echo
        super().__init__(address, self.serve)

    def serve(self, request):
        if request.all("upgrade"):
            return self.on_upgrade(request)
        request.body()
        return request.answer()


@pytest.fixture(scope="module")
def place(shared_lab):
    """Two edges, the second with short deadlines; an app in Python, one in node, and nginx that speaks TLS before the first."""
    platform = shared_lab.prepare(edges=2, edge={
        "access_log": "on", "cache_max_age": "1s", "upstream_ca": shared_lab.session.authority.ca})
    ground = platform.ground
    platform.origin = shared_lab.use(App(ground.address(4)))
    for edge in platform.edges:
        edge.settings["upstream"] = platform.origin.url
    platform.edges[1].settings.update(tunnel_idle_timeout="2s", drain_timeout="1s")
    folder = shared_lab.folder("origins")
    os.chmod(folder, 0o711)
    pem, key = shared_lab.session.authority.issue("tunnel-app", f"IP:{ground.address(5)}")
    front = shared_lab.use(AppOrigin(folder, "tls", ground.address(5), certificate=pem, key=key,
                                     more=NGINX.format(url=platform.origin.url))).start()
    apps = {NGINX_APP: front.url, NODE_APP: node_app(shared_lab, ground.address(5)),
            NODE_TLS_APP: node_app(shared_lab, ground.address(5), pem, key)}
    platform.start(without=[platform.app])
    for name in (NAME, DOOMED, *apps):
        platform.activate(name)
    for name, url in apps.items():
        platform.db.query(f"UPDATE domains SET options = '{json.dumps({'upstream': url})}' WHERE name = '{name}'")
    for name in (NAME, DOOMED, *apps):
        assert platform.visit(name, edge=platform.edge).status == 200
    platform.wires = wire.trust(platform.pebble.root)
    platform.wires.set_alpn_protocols(["http/1.1"])
    return platform


@pytest.fixture(autouse=True)
def the_app_echoes(place):
    """And no tunnel of an earlier test is left to be counted."""
    place.origin.on_upgrade = websocket.echo
    wait_until(lambda: open_now(place.edge) == 0, 5, "earlier tunnels to have ended")


def node_app(lab, address, pem=None, key=None):
    script, port = os.path.join(lab.directory, "echo.js"), free_port(address)
    with open(script, "w") as file:
        file.write(NODE)
    tls = [pem, key] if pem else []
    process = lab.process("node-tls" if tls else "node", [tool("node"), script, address, str(port), *tls])
    process.wait_ready(lambda: connects(address, port))
    return f"http{'s' if tls else ''}://{address}:{port}"


def wire_to(platform, name=NAME, edge=None):
    edge = edge or platform.edge
    return wire.Wire(edge.address, edge.https, name, platform.wires)


def open_now(edge):
    return edge.metric("postern_edge_tunnels")


def ended(edge, how):
    return edge.metric("postern_edge_tunnels_ended_total", end=how)


def test_five_hundred_tunnels_at_once(place):
    count = 500
    descriptors = lambda: len(os.listdir(f"/proc/{place.edge.process.pid}/fd"))
    fds, before = descriptors(), place.edge.process.rss()
    wires = [wire_to(place) for _ in range(count)]
    chats = [WebSocket(one, NAME) for one in wires]
    wait_until(lambda: open_now(place.edge) == count, 5, "all of them to be counted")
    grown = place.edge.process.rss() - before
    for round_ in range(2):
        for number, chat in enumerate(chats):
            chat.send(b"%d" % (number + round_))
        assert all(chat.receive()[1] == b"%d" % (number + round_) for number, chat in enumerate(chats))
    print(f"{count} tunnels: {grown / count / KIB:.0f} KiB each")
    assert is_sanitized("postern-edge") or grown < count * 64 * KIB
    for one in wires[::2]:
        one.reset()
    for one in wires[1::2]:
        one.close()
    wait_until(lambda: open_now(place.edge) == 0, 10, "all of them to have ended")
    wait_until(lambda: descriptors() <= fds + 2, 10, "their descriptors to be closed")


def test_messages_of_every_size_pass_both_ways(place):
    with wire_to(place) as one:
        chat = WebSocket(one, NAME)
        assert chat.answer.status == 101
        for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
            data = os.urandom(size)
            assert chat.ask(data, BINARY) == data
        assert chat.ask("grüße".encode()).decode() == "grüße"
        chat.send(b"are you there", PING)
        assert chat.receive() == (PONG, b"are you there")
        for piece in (b"in ", b"three "):
            chat.send(piece, final=False) if piece == b"in " else chat.send(piece, 0, final=False)
        chat.send(b"pieces", 0)
        assert chat.receive()[1] == b"in three pieces"
        assert chat.close() == "close_notify"


def test_a_thousand_frames_of_one_byte_sent_byte_by_byte(place):
    with wire_to(place) as one:
        chat = WebSocket(one, NAME)
        one.send_each(b"".join(websocket.frame(b"x", mask=True) for _ in range(300)))
        many = b"".join(websocket.frame(b"y", mask=True) for _ in range(1000))
        one.send(many)
        assert b"".join(chat.receive()[1] for _ in range(1300)) == b"x" * 300 + b"y" * 1000


@pytest.mark.parametrize("name", [NAME, NGINX_APP], ids=["python", "nginx with TLS"])
def test_many_messages_under_way_arrive_whole(place, name):
    messages = [os.urandom(100_000) for _ in range(40)]
    with wire_to(place, name) as one:
        chat = WebSocket(one, name)
        for number, message in enumerate(messages):
            chat.send(message, BINARY)
            if number >= 4:
                assert chat.receive()[1] == messages[number - 4]
        assert [chat.receive()[1] for _ in range(4)] == messages[-4:]


@pytest.mark.parametrize("name", [NODE_APP, NODE_TLS_APP], ids=["node", "node with TLS"])
def test_any_protocol_with_bytes_behind_the_head_until_either_side_ends(place, name):
    before = ended(place.edge, "whole")
    with wire_to(place, name) as one:
        one.send(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: echo/2\r\n\r\nat once".encode())
        answer = one.head()
        assert (answer.status, answer.get("upgrade"), answer.get("connection")) == (101, "echo/2", "upgrade")
        assert one.bytes(7) == b"at once"
        one.send(b"GET / HTTP/1.1\r\n\r\n")
        assert one.bytes(18) == b"GET / HTTP/1.1\r\n\r\n", "what looks like HTTP is not read"
        many = os.urandom(3 * MIB)
        back = b""
        for at in range(0, len(many), 200_000):
            one.send(many[at:at + 200_000])
            back += one.bytes(min(200_000, len(many) - at))
        assert back == many
        one.send(b"the last")
        one.end()
        assert one.rest() == b"the last" and one.how == "close_notify"
    wait_until(lambda: ended(place.edge, "whole") == before + 1, 5, "the tunnel to have ended whole")


def test_nothing_passes_before_the_101(place):
    asked, go_on, seen = threading.Event(), threading.Event(), []

    def script(request):
        request.sock.settimeout(0.3)
        asked.set()
        try:
            seen.append(request.buffer + request.sock.recv(100))
        except TimeoutError:
            seen.append(request.buffer)
        go_on.wait(5)
        request.sock.settimeout(5)
        websocket.switch(request, b"first")
        seen.append(request.exactly(5))
        return False
    place.origin.on_upgrade = script
    with wire_to(place) as one:
        one.send(websocket.question(NAME) + b"early")
        assert asked.wait(5)
        wait_until(lambda: seen, 5, "the app to have listened for a while")
        assert seen == [b""]
        go_on.set()
        assert one.head().status == 101 and one.bytes(5) == b"first"
        wait_until(lambda: seen[1:] == [b"early"], 5, "what had waited")


def test_the_app_sees_both_fields_and_who_asks(place):
    with wire_to(place) as one:
        chat = WebSocket(one, NAME, more="X-Forwarded-For: 1.2.3.4\r\n")
        chat.ask(b"x")
    request = place.origin.requests[-1]
    assert request.all("upgrade") == ["websocket"] and request.all("connection") == ["upgrade"]
    assert request.all("x-forwarded-for") == [place.edge.address] or request.all("x-forwarded-for") != ["1.2.3.4"]
    assert request.all("x-forwarded-proto") == ["https"] and request.all("host") == [NAME]


@pytest.mark.parametrize("first", ["client", "app"])
def test_each_direction_ends_by_itself(place, first):
    got = []

    def script(request):
        websocket.switch(request)
        if first == "app":
            request.sock.sendall(b"bye")
            request.sock.shutdown(1)
        while data := request.sock.recv(65536):
            got.append(data)
        if first == "client":
            time.sleep(0.2)
            request.sock.sendall(b"still here")
        return False
    place.origin.on_upgrade = script
    before = ended(place.edge, "whole")
    with wire_to(place) as one:
        one.send(websocket.question(NAME))
        assert one.head().status == 101
        if first == "client":
            one.send(b"bye")
            one.end()
            assert one.rest() == b"still here"
        else:
            assert one.rest() == b"bye"
            one.send(b"still here")
            one.end()
        assert one.how == "close_notify"
    wanted = b"bye" if first == "client" else b"still here"
    wait_until(lambda: b"".join(got) == wanted, 5, "the app to have what the client sent")
    wait_until(lambda: ended(place.edge, "whole") == before + 1, 5, "the tunnel to have ended whole")


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "426 Upgrade Required"])
def test_another_answer_is_an_ordinary_one(place, status):
    place.origin.on_upgrade = lambda request: request.answer(b"no", status)
    with wire_to(place) as one:
        one.send(websocket.question(NAME))
        answer = one.answer()
        assert (answer.status, answer.body) == (int(status[:3]), b"no")
        one.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert one.answer().body == b"ok\n"


def test_an_app_that_believes_in_a_tunnel_is_told_nothing_more(place):
    """It answers 200 and takes what follows for the other protocol, or for a request: there is nothing that follows."""
    heard = []

    def script(request):
        request.answer(b"no")
        request.sock.settimeout(10)
        try:
            heard.append(request.buffer + request.sock.recv(1000))
        except OSError as error:
            heard.append(error)
        return False
    place.origin.on_upgrade = script
    smuggled = f"GET /admin HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    for fields, body in (("", b""), (f"Content-Length: {len(smuggled)}\r\n", smuggled),
                         ("Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled))):
        with wire_to(place) as one:
            one.send(websocket.question(NAME, more=fields) + body + f"GET /next HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            answers = [one.answer(), one.answer()]
            assert [answer.status for answer in answers] == [200, 200]
            assert answers[1].body == b"ok\n", "the next request is read by us, and goes elsewhere"
    wait_until(lambda: heard, 15, "the app to have listened")
    assert heard == [b""], "the connection ends with the answer"
    assert "/admin" not in [request.target for request in place.origin.requests], "a body is a body"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket, h2c\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
], ids=["of another protocol", "of one more", "of none", "with a length", "in chunks"])
def test_a_101_that_grants_something_else_is_502(place, answer):
    place.origin.on_upgrade = lambda request: request.sock.sendall(answer) or False
    with wire_to(place) as one:
        one.send(websocket.question(NAME))
        assert one.answer().status == 502
    assert open_now(place.edge) == 0


@pytest.mark.parametrize("question", [
    "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
    "GET / HTTP/1.1\r\nUpgrade: echo\r\n", "GET / HTTP/1.1\r\nUpgrade: echo\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
    "GET / HTTP/1.0\r\nUpgrade: echo\r\nConnection: upgrade\r\n",
    "POST / HTTP/1.1\r\nUpgrade: echo\r\nConnection: upgrade\r\nContent-Length: 4\r\n"],
    ids=["nothing", "h2c", "without Connection", "twice", "HTTP/1.0", "with a body"])
def test_a_101_that_nobody_asked_for_is_502(place, monkeypatch, question):
    heard = []

    def switch(request):
        request.body()
        request.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nopen")
        heard.append(request.sock.recv(100))
        return False
    monkeypatch.setattr(place.origin, "script", switch)
    with wire_to(place) as one:
        one.send(question.encode() + f"Host: {NAME}\r\n\r\nbody".encode())
        assert one.answer().status == 502
    wait_until(lambda: heard or place.origin.errors, 5, "the app to have listened")
    assert heard in ([], [b""])
    assert open_now(place.edge) == 0


def test_what_passes_is_counted_and_logged(place):
    edge = place.edge

    def carried():
        return [edge.metric("postern_edge_tunnel_bytes_total", direction=way) for way in ("in", "out")]

    def script(request):
        websocket.switch(request, b"12345")
        request.exactly(10)
        request.sock.sendall(b"x" * 100_000)
        return False
    place.origin.on_upgrade = script
    before, whole = carried(), ended(edge, "whole")
    with wire_to(place) as one:
        one.send(websocket.question(NAME, path="/counted") + b"early" + b"and w")
        assert one.head().status == 101
        assert len(one.rest()) == 100_005
        one.end()
    wait_until(lambda: ended(edge, "whole") == whole + 1, 5, "it to have ended whole")
    assert [now - then for now, then in zip(carried(), before)] == [10, 100_005]
    line = wait_until(lambda: [line for line in edge.process.log().splitlines() if "/counted" in line], 5, "its line")[0]
    assert re.search(r'"?status"?[=:] ?"?101\b', line) and re.search(r'"?tunnel_end"?[=:] ?"?whole', line), line


def test_a_second_101_is_the_other_protocols_business(place):
    again = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"
    place.origin.on_upgrade = lambda request: websocket.switch(request, again) or False
    with wire_to(place) as one:
        one.send(websocket.question(NAME))
        assert one.head().status == 101
        assert one.rest() == again


@pytest.mark.parametrize("fields", [
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n", "Upgrade: websocket, h2c\r\nConnection: upgrade\r\n",
    "Upgrade: TLS/1.2\r\nConnection: upgrade\r\n", "Upgrade: websocket\r\n", "Upgrade: web socket\r\nConnection: upgrade\r\n"])
def test_what_is_no_question_is_an_ordinary_request(place, fields):
    with wire_to(place) as one:
        one.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n{fields}\r\n".encode())
        assert one.answer().body == b"ok\n"
    request = place.origin.requests[-1]
    assert not request.all("upgrade") and not request.all("connection") and not request.all("http2-settings")


def test_who_does_not_read_holds_the_app_not_memory_nor_others(place):
    sent, lock, count, stop = [0], threading.Lock(), 20, threading.Event()

    def script(request):
        websocket.switch(request)
        block = b"x" * 65536
        request.sock.settimeout(0.2)
        while not stop.is_set():
            try:
                size = request.sock.send(block)
            except TimeoutError:
                continue
            with lock:
                sent[0] += size
        return False
    place.origin.on_upgrade = script
    before = place.edge.process.rss()
    wires = [wire_to(place) for _ in range(count)]
    for one in wires:
        one.send(websocket.question(NAME))
        assert one.head().status == 101
    last = -1
    while last != sent[0]:
        last = sent[0]
        start = time.monotonic()
        assert place.visit(NAME, edge=place.edge).status == 200
        neighbour = time.monotonic() - start
        time.sleep(0.4)
    grown = place.edge.process.rss() - before
    print(f"{count} tunnels that nobody reads: the app could send {sent[0] / count / MIB:.1f} MiB each, the edge grew by "
          f"{grown / count / KIB:.0f} KiB each; a neighbour's visit took {neighbour * 1000:.0f} ms")
    assert sent[0] < count * 32 * MIB
    assert is_sanitized("postern-edge") or grown < count * MIB
    stop.set()
    for one in wires:
        one.reset()


def test_a_silent_tunnel_ends_and_a_talking_one_does_not(place):
    edge = place.edges[1]
    assert place.visit(NAME, edge=edge).status == 200
    with wire_to(place, edge=edge) as silent, wire_to(place, edge=edge) as talking:
        WebSocket(silent, NAME)
        chat = WebSocket(talking, NAME)
        ends = threading.Thread(target=silent.rest)
        ends.start()
        while ends.is_alive():
            assert chat.ask(b"still here") == b"still here"
            ends.join(0.1)
        assert silent.how == "fin", "cut, and seen to be cut"
        assert chat.ask(b"and now") == b"and now"
    wait_until(lambda: ended(edge, "idle") == 1, 5, "it to be counted")
    edge.process.wait_log(r'"?tunnel_end"?[=:] ?"?idle')


def test_a_suspended_domains_tunnels_end(place):
    with wire_to(place, DOOMED) as doomed, wire_to(place) as other:
        WebSocket(doomed, DOOMED)
        chat = WebSocket(other, NAME)
        place.db.query(f"UPDATE domains SET status = 'suspended' WHERE name = '{DOOMED}'")
        start = time.monotonic()
        doomed.rest()
        print(f"a tunnel of a domain that was suspended ended after {time.monotonic() - start:.1f} s")
        assert doomed.how == "fin"
        assert chat.ask(b"x") == b"x"
    wait_until(lambda: ended(place.edge, "unserved") == 1, 5, "it to be counted")


def test_a_drain_waits_for_tunnels_until_its_deadline(place):
    edge = place.edges[1]
    with wire_to(place, edge=edge) as one:
        chat = WebSocket(one, NAME)
        edge.process.send(signal.SIGTERM)
        edge.process.wait_log("draining")
        start = time.monotonic()
        while one.how is None and time.monotonic() - start < 20:
            try:
                chat.ask(b"still here")
            except wire.Ended:
                break
        lasted = time.monotonic() - start
    assert edge.process.wait(10) == 0
    assert 0.8 < lasted < 15, lasted
    assert re.search(r'"?tunnel_end"?[=:] ?"?drain', edge.process.log())
