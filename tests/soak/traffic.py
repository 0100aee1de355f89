"""The visitors of a soak: each kind is one function that does one visit at one edge, by its rules, and tells the ledger."""

import random
import socket
import ssl
import struct
import time

from lab import tls, wire
from lab.h2_wire import H2Wire
from lab.websocket import WebSocket, frame, read_frame

MANY = 300 * 1024
BODY, GOAWAY = 16000, 7  # of a frame of HTTP/2: what always fits, its type
PASSED = "mail.passed.test"
GRPC = "grpc.soak.test"


class Left(Exception):
    """The visitor goes on purpose."""


class Door:
    """Where visitors come in. `is_steady`: it does not go down meanwhile, so that nothing may break off there."""

    def __init__(self, platform, edge, name, context, h2_context, passed_context):
        self.platform, self.edge, self.name, self.is_steady = platform, edge, name, edge is platform.edges[0]
        self.context, self.h2_context, self.passed_context = context, h2_context, passed_context

    def wire(self):
        return wire.Wire(self.edge.address, self.edge.https, self.name, self.context, timeout=30)

    def reset(self, sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()


def head(method, path, door, name, *fields):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {door.name}", f"X-Request-Id: {name}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def question(door, name, chance):
    """A request of any kind: its bytes, its method, how long the answer's body must be (None: any)."""
    what = chance.choice(("get", "get", "get", "head", "chunked", "post", "post-chunked"))
    size = chance.choice((0, 1, 1024, 17000, chance.randrange(MANY)))
    if what == "get":
        return head("GET", f"/bytes/{size}", door, name), "GET", size
    if what == "head":
        return head("HEAD", f"/bytes/{size}", door, name), "HEAD", 0
    if what == "chunked":
        return head("GET", f"/chunked/{size}", door, name), "GET", size
    body = b"u" * size
    if what == "post":
        return head("POST", "/up", door, name, f"Content-Length: {size}") + body, "POST", len(str(size))
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[at:at + 4096] for at in range(0, size, 4096)))
    return head("POST", "/up", door, name, "Transfer-Encoding: chunked") + pieces + b"0\r\n\r\n", "POST", len(str(size))


def http1(door, ledger, chance):
    """Keep-alive requests until the edge wants no more, or enough is enough."""
    with door.wire() as visitor:
        for _ in range(chance.randrange(1, 25)):
            name = ledger.begin("h1")
            request, method, size = question(door, name, chance)
            try:
                visitor.send(request)
                answer = visitor.answer(method)
            except (wire.Ended, OSError) as error:
                settle(door, ledger, name, error, began=getattr(error, "data", b""))
                return
            if answer.status == 200 and method != "HEAD" and len(answer.body) != size:
                raise AssertionError(f"{name}: {len(answer.body)} bytes instead of {size}")
            ledger.complete(name, answer.status)
            if (answer.get("connection") or "").lower() == "close":
                return


def settle(door, ledger, name, error, began=b""):
    """An end that nobody asked for. At a door that goes down a request may meet the end of a kept connection, but no
    answer that had begun may be cut."""
    if door.is_steady or began:
        ledger.broke(name, error)
    else:
        ledger.abandon(name)


def http1_left(door, ledger, chance):
    """A download or an upload that is reset in the middle."""
    with door.wire() as visitor:
        name = ledger.begin("reset")
        if chance.random() < 0.5:
            visitor.send(head("GET", "/bytes/3000000", door, name))
            visitor.more()
        else:
            visitor.send(head("POST", "/up", door, name, "Content-Length: 3000000") + b"u" * chance.randrange(200000))
        visitor.reset()
        ledger.abandon(name)


def websocket(door, ledger, chance):
    name = ledger.begin("ws")
    with door.wire() as visitor:
        try:
            socket_of = WebSocket(visitor, door.name, "/ws", more=f"X-Request-Id: {name}\r\n")
            if socket_of.answer.status != 101:
                ledger.complete(name, socket_of.answer.status)
                return
            for _ in range(chance.randrange(1, 20)):
                message = b"m" * chance.choice((1, 100, 5000, 70000))
                assert socket_of.ask(message) == message
            if chance.random() < 0.3:
                visitor.reset()
                ledger.abandon(name)
                return
            socket_of.close()
            ledger.complete(name, 101)
        except (wire.Ended, OSError) as error:
            # A drain ends tunnels at its time.
            settle(door, ledger, name, error)


def events(door, ledger, chance):
    """Server-sent events, heard to their end or until somebody closes the page."""
    with door.wire() as visitor:
        name, leaves = ledger.begin("sse"), chance.random() < 0.5
        try:
            visitor.send(head("GET", "/events/20", door, name))
            if leaves:
                visitor.more()
                ledger.abandon(name)
                return
            answer = visitor.answer("GET")
            assert answer.body.count(b"data: ") == 20, f"{name}: {answer.body!r}"
            ledger.complete(name, answer.status)
        except (wire.Ended, OSError) as error:
            settle(door, ledger, name, error, began=getattr(error, "data", b""))


def slow_reader(door, ledger, chance):
    """A telephone in a tunnel: more than fits into any buffer, read a little at a time."""
    with door.wire() as visitor:
        name, size, got = ledger.begin("slow"), 1 << 20, 0
        try:
            visitor.send(head("GET", f"/bytes/{size}", door, name, "Connection: close"))
            while piece := visitor.sock.recv(chance.randrange(1, 65536)):
                got += len(piece)
                time.sleep(0.005)
            assert got > size, f"{name}: {got} bytes with the head"
            ledger.complete(name, 200)
        except OSError as error:
            settle(door, ledger, name, error, began=b"x" if got else b"")


class Call:
    """One stream of HTTP/2 that both sides speak on, alone on its connection."""

    def __init__(self, door, fields, name):
        self.wire = H2Wire(door.platform, name, edge=door.edge)
        self.stream = self.wire.request(fields, end=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()

    @property
    def answer(self):
        return self.wire.answer(self.stream)

    def heard(self, wanted):
        """The drain of an edge ends what goes on for too long, with a reset or its connection."""
        while not wanted(self.answer):
            if self.answer.reset is not None:
                raise ConnectionError(f"RST_STREAM {self.answer.reset}")
            if self.wire.hear(30) is None:
                raise ConnectionError("the connection ended")
        return self.answer

    def take(self, size):
        self.heard(lambda answer: len(answer.body) >= size)
        data = bytes(self.answer.body[:size])
        del self.answer.body[:size]
        return data

    def say(self, data, end=False):
        for at in range(0, len(data), BODY):
            self.wire.data(self.stream, data[at:at + BODY], end and at + BODY >= len(data))


def websocket_over_http2(door, ledger, chance):
    name = ledger.begin("ws2")
    fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/ws"),
              (":authority", door.name), ("sec-websocket-version", "13"), ("x-request-id", name)]
    with Call(door, fields, door.name) as call:
        try:
            status = call.heard(lambda answer: answer.status).status
            if status != 200:
                ledger.complete(name, status)
                return
            for _ in range(chance.randrange(1, 20)):
                message = b"m" * chance.choice((1, 100, 5000))
                call.say(frame(message, mask=True))
                assert read_frame(call.take)[1] == message
            if chance.random() < 0.3:
                call.wire.reset(call.stream)
                ledger.abandon(name)
                return
            call.say(frame(b"\x03\xe8", opcode=8, mask=True), end=True)
            call.heard(lambda answer: answer.ended)
            ledger.complete(name, status)
        except OSError as error:
            settle(door, ledger, name, error)


def grpc(door, ledger, chance):
    """A call in both directions to an app that speaks HTTP/2, some cancelled."""
    name = ledger.begin("grpc")
    fields = [(":method", "POST"), (":scheme", "https"), (":path", "/soak.Echo/Talk"), (":authority", GRPC),
              ("te", "trailers"), ("content-type", "application/grpc"), ("x-request-id", name)]
    with Call(door, fields, GRPC) as call:
        try:
            for _ in range(chance.randrange(1, 10)):
                message = b"g" * chance.choice((1, 1000, 8000))
                call.say(struct.pack(">BI", 0, len(message)) + message)
                if call.heard(lambda answer: answer.status).status != 200:
                    ledger.complete(name, call.answer.status)
                    return
                assert call.take(5 + len(message))[5:] == message
            if chance.random() < 0.3:
                call.wire.reset(call.stream)
                ledger.abandon(name)
                return
            call.wire.data(call.stream, b"", end=True)
            answer = call.heard(lambda answer: answer.ended)
            assert answer.trailers == {"grpc-status": "0"}, f"{name}: {answer.trailers}"
            ledger.complete(name, answer.status)
        except OSError as error:
            settle(door, ledger, name, error, began=b"x" if call.answer.status else b"")


def passed_on(door, ledger, chance):
    """TLS to the server behind, which sends back what it gets."""
    message = b"p" * chance.choice((1, 1000, 100000))
    try:
        sock = tls.connect(door.edge.address, door.edge.https, PASSED, door.passed_context, 30)
    except OSError:
        if door.is_steady:
            raise
        return
    try:
        sock.sendall(message)
        got = 0
        while got < len(message):
            piece = sock.recv(65536)
            if not piece:
                raise ConnectionError("the passed connection ended")
            got += len(piece)
        ledger.passed_on("whole")
        if chance.random() < 0.2:
            door.reset(sock)
    except OSError as error:
        ledger.passed_on("cut")
        if door.is_steady:
            raise AssertionError(f"passed on: {error!r}") from error
    finally:
        sock.close()


def half_a_hello(door, ledger, chance):
    """Somebody who connects and goes away in the middle of TLS."""
    try:
        with socket.create_connection((door.edge.address, door.edge.https), 30) as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:chance.randrange(12)])
            if chance.random() < 0.5:
                door.reset(sock)
    except OSError:
        pass


class H2Visit:
    """One connection of HTTP/2 with a few requests side by side, some of them reset."""

    def __init__(self, door, ledger, chance):
        import h2.config
        import h2.connection
        self.door, self.ledger, self.chance = door, ledger, chance
        self.sock = tls.connect(door.edge.address, door.edge.https, door.name, door.h2_context, 30)
        if self.sock.selected_alpn_protocol() != "h2":
            self.sock.close()
            raise Left()
        self.peer = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.open, self.goes_away, self.raw = {}, False, b""

    def without_goaway(self, data):
        """Whole frames, but for GOAWAY: after one the library takes nothing more, and the streams that are under way go
        on (RFC 9113 section 6.8)."""
        self.raw += data
        whole = b""
        while len(self.raw) >= 9 and len(self.raw) >= (size := 9 + int.from_bytes(self.raw[:3], "big")):
            frame, self.raw = self.raw[:size], self.raw[size:]
            if frame[3] != GOAWAY:
                whole += frame
                continue
            self.goes_away = True
            for stream in [one for one in self.open if one > int.from_bytes(frame[9:13], "big")]:
                self.ledger.abandon(self.open.pop(stream)[0])
        return whole

    def begin(self):
        name = self.ledger.begin("h2")
        stream = self.peer.get_next_available_stream_id()
        size = self.chance.choice((0, 1, 1024, 17000, self.chance.randrange(MANY)))
        post = self.chance.random() < 0.3 and self.peer.outbound_flow_control_window >= BODY
        fields = [(":method", "POST" if post else "GET"), (":scheme", "https"), (":authority", self.door.name),
                  (":path", "/up" if post else f"/bytes/{size}"), ("x-request-id", name)]
        body = b"u" * min(size, BODY) if post else b""
        self.peer.send_headers(stream, fields, end_stream=not post)
        if post:
            self.peer.send_data(stream, body, end_stream=True)
        self.open[stream] = [name, None, 0, len(str(len(body))) if post else size]
        if self.chance.random() < 0.1:
            self.peer.reset_stream(stream, 8)
            self.ledger.abandon(name)
            self.open.pop(stream)

    def take(self, data):
        import h2.events
        for event in self.peer.receive_data(self.without_goaway(data)):
            stream = self.open.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.DataReceived):
                self.peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if stream:
                    stream[2] += len(event.data)
            elif stream and isinstance(event, h2.events.ResponseReceived):
                stream[1] = int(dict(event.headers)[":status"])
            elif stream and isinstance(event, h2.events.StreamEnded):
                name, status, got, size = self.open.pop(event.stream_id)
                if status == 200 and got != size:
                    raise AssertionError(f"{name}: {got} bytes instead of {size}")
                self.ledger.complete(name, status)
            elif stream and isinstance(event, h2.events.StreamReset):
                name, status, *_ = self.open.pop(event.stream_id)
                settle(self.door, self.ledger, name, f"RST_STREAM {event.error_code}", began=b"x" if status else b"")

    def run(self):
        self.peer.initiate_connection()
        left = self.chance.randrange(1, 30)
        try:
            while left > 0 or self.open:
                while left > 0 and len(self.open) < 8 and not self.goes_away:
                    self.begin()
                    left -= 1
                if self.goes_away:
                    left = 0
                self.sock.sendall(self.peer.data_to_send())
                if not self.open:
                    continue
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionError("the connection ended")
                self.take(data)
            self.peer.close_connection()
            self.sock.sendall(self.peer.data_to_send())
        except OSError as error:
            for name, status, *_ in self.open.values():
                settle(self.door, self.ledger, name, error, began=b"x" if status else b"")
        finally:
            self.sock.close()


def http2(door, ledger, chance):
    try:
        visit = H2Visit(door, ledger, chance)
    except Left:
        return
    visit.run()


KINDS = {kind.__name__: kind for kind in (http1, http1_left, http2, websocket, websocket_over_http2, grpc, events, slow_reader,
                                          passed_on, half_a_hello)}


def visitor(kind, doors, ledger, stop, complaints, seed):
    """A thread's life."""
    chance = random.Random(seed)
    while not stop.wait(0.002):
        door = chance.choice(doors)
        try:
            KINDS[kind](door, ledger, chance)
        except (ConnectionError, ssl.SSLError, TimeoutError) as error:
            # Nothing had been asked yet: at a door that is down there is nobody.
            if door.is_steady:
                complaints.append(f"{kind} at {door.edge.name}: {error!r}")
        except Exception as error:  # pylint: disable=broad-except
            complaints.append(f"{kind} at {door.edge.name}: {error!r}")
