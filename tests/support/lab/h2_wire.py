"""HTTP/2 frame by frame: a client that says whatever a scenario wants, well formed or not, and keeps all that it hears."""

import socket
import struct
import time

import hpack

from . import tls

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 16
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11
INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, ENABLE_CONNECT_PROTOCOL = 4, 3, 8


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    def __repr__(self):
        return f"<{self.kind} flags={self.flags} stream={self.stream} {len(self.payload)}: {self.payload[:40]!r}>"

    @property
    def error(self):
        return struct.unpack(">I", self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8])[0]

    @property
    def last_stream(self):
        return struct.unpack(">I", self.payload[:4])[0]


class Answer:
    """What a stream has brought so far."""

    def __init__(self):
        self.status, self.fields, self.interim, self.trailers = None, {}, [], None
        self.body, self.reset, self.ended = bytearray(), None, False


class H2Wire:
    def __init__(self, platform, name, edge=None, settings=None, preface=True, alpn=("h2",), read_ahead=None,
                 sock=None):
        self.name = name
        self.sock = sock or platform.connect(name, edge=edge or platform.edge, context=tls.trust(platform.pebble.root, alpn))
        if read_ahead:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_ahead)
        assert self.sock.selected_alpn_protocol() == alpn[0], self.sock.selected_alpn_protocol()
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_allowed_table_size = 4096
        self.decoder.max_header_list_size = 128 * 1024
        self.buffer, self.frames, self.answers, self.goaways = b"", [], {}, []
        self.updates = True   # give windows back as DATA comes
        self.closed = False
        self.next_stream = 1
        self.their = {}
        if preface:
            pairs = b"".join(struct.pack(">HI", key, value) for key, value in (settings or {}).items())
            self.send(PREFACE + frame(SETTINGS, payload=pairs))

    def close(self):
        self.sock.close()

    # ---- saying

    def send(self, data):
        self.sock.sendall(data)

    def block(self, fields):
        return self.encoder.encode([(name, value) for name, value in fields])

    def head(self, path="/", method="GET", extra=(), host=None):
        return [(":method", method), (":scheme", "https"), (":path", path), (":authority", host or self.name), *extra]

    def request(self, fields=None, end=True, stream=None, **how):
        """HEADERS of a new stream; its number."""
        if stream is None:
            stream, self.next_stream = self.next_stream, self.next_stream + 2
        payload = self.block(fields if fields is not None else self.head(**how))
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, payload))
        return stream

    def data(self, stream, data, end=False):
        self.send(frame(DATA, END_STREAM if end else 0, stream, data))

    def window(self, stream, size):
        self.send(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size)))

    def reset(self, stream, error=CANCEL):
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", error)))

    # ---- hearing

    def hear(self, timeout=10):
        """The next frame, a head with its continuations; None: the connection has ended."""
        self.sock.settimeout(timeout)
        heard = self._next()
        if heard:
            self.frames.append(heard)
            self._digest(heard)
        return heard

    def _next(self):
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                chunk = self.sock.recv(65536)
            except ConnectionError:
                chunk = b""
            if not chunk:
                self.closed = True
                return None
            self.buffer += chunk
        size = int.from_bytes(self.buffer[:3], "big")
        heard = Frame(self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big") & 0x7fffffff,
                      self.buffer[9:9 + size])
        self.buffer = self.buffer[9 + size:]
        return heard

    def answer(self, stream):
        return self.answers.setdefault(stream, Answer())

    def _reply(self, data):
        """What a peer says by itself: to an edge that is gone it does not matter."""
        try:
            self.send(data)
        except OSError:
            pass

    def _digest(self, heard):
        answer = self.answer(heard.stream) if heard.stream else None
        if heard.kind == HEADERS:
            while not heard.flags & END_HEADERS:
                assert len(heard.payload) % 16384 == 0, "the edge continues heads only beyond 16 KiB"
                more = self._next()
                assert more and more.kind == CONTINUATION and more.stream == heard.stream, more
                heard.payload += more.payload
                heard.flags |= more.flags & END_HEADERS
            fields = [(name, value) for name, value in self.decoder.decode(heard.payload)]
            status = dict(fields).get(":status")
            if answer.status and not status:
                answer.trailers = dict(fields)
            elif int(status) < 200:
                answer.interim.append(int(status))
            else:
                assert answer.status is None, "one final head"
                answer.status, answer.fields = int(status), dict(fields)
        elif heard.kind == DATA:
            answer.body += heard.payload
            if self.updates and heard.payload:
                update = struct.pack(">I", len(heard.payload))
                self._reply(frame(WINDOW_UPDATE, 0, 0, update))
                if not heard.flags & END_STREAM:
                    self._reply(frame(WINDOW_UPDATE, 0, heard.stream, update))
        elif heard.kind == RST_STREAM:
            answer.reset = heard.error
        elif heard.kind == GOAWAY:
            self.goaways.append(heard)
        elif heard.kind == SETTINGS and not heard.flags & ACK:
            self.their.update(struct.unpack(">HI", heard.payload[at:at + 6]) for at in range(0, len(heard.payload), 6))
            self._reply(frame(SETTINGS, ACK))
        elif heard.kind == PING and not heard.flags & ACK:
            self._reply(frame(PING, ACK, 0, heard.payload))
        if heard.kind in (HEADERS, DATA) and heard.flags & END_STREAM:
            answer.ended = True

    def until(self, condition, timeout=10):
        """Hears until `condition()`; what was heard meanwhile is kept. Fails where the connection ends first."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not heard: {self.frames[-8:]}"
            try:
                heard = self.hear(max(0.05, end - time.monotonic()))
            except TimeoutError:
                continue
            assert heard or condition(), f"the end came first: {self.frames[-8:]}"

    def finish(self, stream, timeout=10):
        """The whole answer of a stream, or its reset."""
        answer = self.answer(stream)
        self.until(lambda: answer.ended or answer.reset is not None, timeout)
        return answer

    def get(self, path="/", **how):
        return self.finish(self.request(path=path, **how))

    def given(self, stream):
        """How much the edge has let a stream send so far, or (0) the connection."""
        return 65535 + sum(int.from_bytes(heard.payload, "big") for heard in self.frames
                           if heard.kind == WINDOW_UPDATE and heard.stream == stream)

    def upload(self, stream, size, before, patience):
        """As much of a body as the windows let through, until all of it is out or nothing more is for a while; how much that
        was. `before` is what other bodies have taken of the connection's window."""
        sent = 0
        while sent < size:
            some = min(self.given(0) - before, self.given(stream)) - sent
            if some > 0:
                some = min(some, size - sent, 16384)
                sent += some
                self.data(stream, b"u" * some, sent == size)
                continue
            try:
                self.hear(patience)
            except TimeoutError:
                break
        return sent

    def to_the_end(self, timeout=10):
        """Until the edge ends the connection."""
        end = time.monotonic() + timeout
        while not self.closed:
            assert time.monotonic() < end, f"still open: {self.frames[-8:]}"
            self.hear(timeout)
