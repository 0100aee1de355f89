"""gRPC through the edge: every kind of call, deadlines, cancellation from either side, statuses with and without a body,
large messages. By frames that the scenario writes, and by npm's grpc-js on both sides."""

import json
import queue
import socket
import struct
import subprocess
import threading

import pytest
from lab import npm
from lab.h2_origin import CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR, REFUSED_STREAM, H2Origin
from lab.h2_wire import H2Wire
from lab.place import free_port, tool
from lab.process import connects, wait_until

NAME = "grpc.brand.test"
MIB = 1024 * 1024


def message(data):
    return struct.pack(">BI", 0, len(data)) + data


class Messages:
    """Takes what comes apart."""

    def __init__(self, stream):
        self.stream, self.buffer = stream, b""

    def next(self):
        while len(self.buffer) < 5 or len(self.buffer) < 5 + struct.unpack(">I", self.buffer[1:5])[0]:
            piece = self.stream.piece()
            if piece is None:
                return None
            self.buffer += piece
        size = struct.unpack(">I", self.buffer[1:5])[0]
        data, self.buffer = self.buffer[5:5 + size], self.buffer[5 + size:]
        return data


HEAD = [("content-type", "application/grpc")]
WELL = [("grpc-status", "0")]


def begin(stream):
    stream.head(200, HEAD)


@pytest.fixture(scope="module")
def stage(shared_lab):
    platform = shared_lab.prepare(edges=1)
    origin = shared_lab.use(H2Origin(platform.ground.address(4)))
    platform.edge.settings.update({"upstream": origin.url, "workers": 1})
    platform.start(without=[platform.app])
    platform.activate(NAME)
    platform.visit(NAME, edge=platform.edge)
    return platform, origin


@pytest.fixture
def call(stage):
    """Begins a call over HTTP/2: (client, stream)."""
    platform, origin = stage
    origin.forget()
    clients = []

    def begin_call(script, method="Unary", fields=(), data=None):
        origin.script = script
        if not clients:
            clients.append(H2Wire(platform, NAME))
        client = clients[0]
        stream = client.request(client.head(f"/test.Test/{method}", "POST", [
            ("content-type", "application/grpc"), ("te", "trailers"), *fields]), end=False)
        if data is not None:
            client.data(stream, message(data), True)
        return client, stream
    yield begin_call
    for client in clients:
        client.close()


def test_unary(stage, call):
    _, origin = stage

    def script(stream):
        data = Messages(stream).next()
        begin(stream)
        stream.data(message(data[::-1]))
        stream.end([*WELL, ("x-bin-bin", "AAH/")])
    client, stream = call(script, fields=[("grpc-timeout", "5S"), ("x-custom", "1")], data=b"hello")
    answer = client.finish(stream)
    assert (answer.status, bytes(answer.body)) == (200, message(b"olleh"))
    assert answer.fields["content-type"] == "application/grpc"
    assert answer.trailers == {"grpc-status": "0", "x-bin-bin": "AAH/"}
    seen = origin.visits()[-1]
    assert seen.get("te") == "trailers"
    assert seen.get("grpc-timeout") == "5S", "the deadline is the app's to keep"
    assert seen.get("x-custom") == "1"


def test_answers_of_trailers_alone(call):
    client, stream = call(lambda stream: stream.head(200, [*HEAD, ("grpc-status", "5"), ("grpc-message", "none")], end=True),
                          data=b"x")
    answer = client.finish(stream)
    assert answer.fields["grpc-status"] == "5" and answer.body == b""
    assert [frame.kind for frame in client.frames if frame.stream == stream and frame.kind < 2] == [1], "one HEADERS"


def test_trailers_behind_a_body_of_announced_length(call):
    body = message(b"olleh")

    def script(stream):
        stream.head(200, [*HEAD, ("content-length", str(len(body)))])
        stream.data(body)
        stream.end(WELL)
    client, stream = call(script, data=b"hello")
    answer = client.finish(stream)
    assert (answer.status, bytes(answer.body), answer.trailers) == (200, body, {"grpc-status": "0"})


def test_client_streaming(call):
    def script(stream):
        messages, count = Messages(stream), 0
        while messages.next() is not None:
            count += 1
        begin(stream)
        stream.data(message(str(count).encode()))
        stream.end(WELL)
    client, stream = call(script, "Collect")
    for number in range(20):
        client.data(stream, message(b"x" * number), number == 19)
    assert bytes(client.finish(stream).body) == message(b"20")


def test_server_streaming_arrives_as_it_is_said(call):
    go_on = threading.Event()

    def script(stream):
        begin(stream)
        stream.data(message(b"first"))
        go_on.wait(10)
        stream.data(message(b"last"))
        stream.end(WELL)
    client, stream = call(script, "Count", data=b"2")
    answer = client.answer(stream)
    client.until(lambda: bytes(answer.body) == message(b"first"))
    go_on.set()
    assert bytes(client.finish(stream).body) == message(b"first") + message(b"last")


def test_both_directions_at_once(call):
    def script(stream):
        messages = Messages(stream)
        begin(stream)
        while (data := messages.next()) is not None:
            stream.data(message(b"re: " + data))
        stream.end(WELL)
    client, stream = call(script, "Chat")
    answer, wanted = client.answer(stream), b""
    for number in range(10):
        client.data(stream, message(b"%d" % number))
        wanted += message(b"re: %d" % number)
        client.until(lambda: bytes(answer.body) == wanted)
    client.data(stream, b"", True)
    assert client.finish(stream).trailers == dict(WELL)


def test_a_client_that_cancels_is_heard(call):
    heard = queue.Queue()

    def script(stream):
        begin(stream)
        stream.data(message(b"x"))
        heard.put(stream.wait_reset())
    client, stream = call(script, "Chat")
    client.until(lambda: client.answer(stream).body)
    client.reset(stream)
    assert heard.get(timeout=10) == CANCEL


@pytest.mark.parametrize("how", ["reset", "goodbye"])
def test_a_client_that_vanishes_cancels_all_its_calls(stage, call, how):
    platform, origin = stage
    heard = queue.Queue()

    def script(stream):
        if stream.get(":path") == "/test.Test/Stays":
            begin(stream)
            messages = Messages(stream)
            stream.data(message(messages.next()))
            stream.end(WELL)
            return
        begin(stream)
        stream.data(message(b"x"))
        heard.put(stream.wait_reset())
    client, stream = call(script, "Stays")
    other = H2Wire(platform, NAME)
    calls = [other.request(other.head("/test.Test/Chat", "POST", [("content-type", "application/grpc"), ("te", "trailers")]),
                           end=False) for _ in range(5)]
    for one in calls:
        other.until(lambda: other.answer(one).body)
    if how == "reset":
        other.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()
    assert [heard.get(timeout=10) for _ in calls] == [CANCEL] * 5
    client.data(stream, message(b"still here"), True)
    assert bytes(client.finish(stream).body) == message(b"still here")
    assert len({one.connection for one in origin.visits()}) == 1


def test_who_gives_no_window_holds_its_own_call(stage, call):
    """From the app's stream to the client's: what is not taken stays with the app."""
    platform, origin = stage
    sent, gone = [0], threading.Event()

    def script(stream):
        begin(stream)
        if stream.get(":path") != "/test.Test/Count":
            stream.data(message(Messages(stream).next()))
            stream.end(WELL)
            return
        try:
            for _ in range(64):
                stream.data(b"x" * MIB)
                sent[0] += MIB
        except ConnectionError:
            gone.set()
    client, held = call(script, "Count", data=b"64")
    client.updates = False
    answer = client.answer(held)
    client.until(lambda: len(answer.body) == 65535)
    client.window(0, MIB)
    for number in range(20):
        _, stream = call(script, data=b"%d" % number)
        assert bytes(client.finish(stream).body) == message(b"%d" % number)
    assert len(answer.body) == 65535 and answer.reset is None and sent[0] < 2 * MIB
    assert len({one.connection for one in origin.visits()}) == 1
    client.reset(held)
    assert gone.wait(10)


@pytest.mark.parametrize("code", [CANCEL, INTERNAL_ERROR, ENHANCE_YOUR_CALM])
def test_an_app_that_resets_is_heard_as_it_said_it(call, code):
    def script(stream):
        begin(stream)
        stream.data(message(b"x"))
        stream.reset(code)
    client, stream = call(script, "Chat")
    answer = client.finish(stream)
    assert answer.reset == code
    client, stream = call(lambda stream: (stream.piece(), stream.answer()), data=b"next")
    assert client.finish(stream).status == 200


def test_a_refused_call_is_made_again(call):
    refused = []

    def script(stream):
        if not refused:
            refused.append(stream.reset(REFUSED_STREAM))
            return
        data = Messages(stream).next()
        begin(stream)
        stream.data(message(data))
        stream.end(WELL)
    client, stream = call(script, data=b"once")
    assert bytes(client.finish(stream).body) == message(b"once")
    assert refused


def test_large_messages_both_ways(call):
    def script(stream):
        data = Messages(stream).next()
        begin(stream)
        stream.data(message(data))
        stream.end(WELL)
    data = bytes(range(256)) * (4 * MIB // 256)
    client, stream = call(script)
    rest = message(data)
    # What the edge has not yet given room for has to wait.
    client.windows = {0: 65535, stream: client.their.get(4, 65535)}

    def take_updates():
        for heard in client.frames:
            if heard.kind == 8 and heard.stream in client.windows:
                client.windows[heard.stream] += struct.unpack(">I", heard.payload)[0]
            if heard.kind == 4 and not heard.flags & 1 and not getattr(client, "settled", False):
                client.settled = True
                client.windows[stream] += client.their.get(4, 65535) - 65535
        client.frames.clear()
        return min(client.windows.values()) > 0
    while rest:
        client.until(take_updates)
        size = min(16384, min(client.windows.values()), len(rest))
        client.data(stream, rest[:size], size == len(rest))
        rest = rest[size:]
        for key in client.windows:
            client.windows[key] -= size
    assert bytes(client.finish(stream, 30).body) == message(data)


def grpc_js(platform, name, *more):
    client = subprocess.run(
        [tool("node"), "grpc_client.mjs", name, platform.edge.address, str(platform.https), platform.pebble.root, *more],
        cwd=npm.BROWSER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert client.returncode == 0, client.stderr
    return json.loads(client.stdout)


def test_what_the_edge_says_in_an_apps_place_is_unavailable_to_grpc_js(stage, call):
    """Our own answers have no grpc-status: clients make UNAVAILABLE of 502, 503 and 504, and may try again."""
    npm.install("@grpc/grpc-js")
    platform, origin = stage
    down, nobody = "down.brand.test", f"h2c://{platform.ground.address(5)}:{free_port(platform.ground.address(5))}"
    platform.activate(down)
    platform.db.query(f"""UPDATE domains SET options = '{{"upstream": "{nobody}"}}' WHERE name = '{down}'""")
    wait_until(lambda: platform.visit(down, edge=platform.edge).status == 503, 10, "the option to count")
    found = grpc_js(platform, down, "once")
    assert found["code"] == 14 and "503" in found["details"], found
    origin.script = lambda stream: stream.connection.send_fields(stream.number, [("server", "x")], True)
    found = grpc_js(platform, NAME, "once")
    assert found["code"] == 14 and "502" in found["details"], found


def test_grpc_js_on_both_sides(lab, stage):
    npm.install("@grpc/grpc-js")
    platform, _ = stage
    name = "js.brand.test"
    address = platform.ground.address(5)
    port = free_port(address)
    app = lab.process("grpc-js", [tool("node"), "grpc_app.mjs", address, str(port)], cwd=npm.BROWSER)
    app.wait_ready(lambda: connects(address, port))
    platform.activate(name)
    platform.db.query(f"""UPDATE domains SET options = '{{"upstream": "h2c://{address}:{port}"}}' WHERE name = '{name}'""")
    wait_until(lambda: platform.visit(name, edge=platform.edge, method="POST").status != 404 and
               platform.edge.metric("postern_edge_upstream_h2_connections") >= 2, 10, "the option to count")
    assert grpc_js(platform, name) == {
        "unary": "hello", "trailer": "seen", "binary": [0, 1, 255], "many": True, "big": True,
        "failed": [9, "as asked: ü"], "deadline": 4, "cancelled": 1, "collected": "3000000", "counted": 8000000,
        "chat": ["re: message 0", "re: message 1", "re: message 2", "re: message 3", "re: message 4"],
        # Of a chat that ended well, grpc-js says the same, also without an edge between.
        "chatCancelled": 1, "heardCancels": "chat message 4,chat x,hang until cancelled,hang until the deadl",
    }
