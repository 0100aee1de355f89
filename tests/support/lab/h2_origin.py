"""An HTTP/2 app whose every frame a scenario may script: for gRPC-like calls, refusals, and whatever the RFC forbids.
Frames are written by hand, field blocks by python3-hpack."""

import collections
import queue
import socket
import ssl
import struct
import threading

import hpack

from .place import free_port

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM, CANCEL = 0, 1, 2, 3, 7, 8
ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED = 11, 13
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4

Frame = collections.namedtuple("Frame", "kind flags stream payload")


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


class Stream:
    """One request. `fields` is its head as it came, `trailers` come with its end."""

    def __init__(self, connection, number, fields):
        self.connection, self.number, self.fields = connection, number, fields
        self.trailers, self.reset_code, self.window = None, None, connection.initial_window
        self._pieces = queue.Queue()

    def get(self, name):
        return next((value for field, value in self.fields if field == name), None)

    def piece(self, timeout=10):
        """The next DATA as it came; None: the request is over, or was reset."""
        data = self._pieces.get(timeout=timeout)
        if data:
            self.connection.give_window(self.number, len(data))
        return data

    def body(self, timeout=10):
        return b"".join(iter(lambda: self.piece(timeout), None))

    def wait_reset(self, timeout=10):
        with self.connection._changed:
            self.connection._changed.wait_for(lambda: self.reset_code is not None, timeout)
        return self.reset_code

    def head(self, status=200, fields=(), end=False):
        self.connection.send_fields(self.number, [(":status", str(status)), *fields], end)

    def data(self, data, end=False):
        self.connection.send_data(self, data, end)

    def end(self, trailers):
        self.connection.send_fields(self.number, trailers, True)

    def answer(self, body=b"ok\n", status=200, fields=()):
        self.head(status, [("content-length", str(len(body))), *fields], not body)
        if body:
            self.data(body, True)

    def reset(self, code):
        self.connection.send(frame(RST_STREAM, 0, self.number, struct.pack(">I", code)))


class Connection:
    def __init__(self, origin, sock):
        self.origin, self.sock = origin, sock
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.streams, self.frames, self.settings = {}, [], {}
        self.window, self.initial_window, self.max_frame = 65535, 65535, 16384
        self._write, self._changed = threading.Lock(), threading.Condition()
        self.is_over = self.deaf = False

    def send(self, data):
        with self._write:
            self.sock.sendall(data)

    def send_fields(self, number, fields, end=False):
        with self._write:
            block = self.encoder.encode(fields)
            first, rest = block[:self.max_frame], block[self.max_frame:]
            out = frame(HEADERS, (END_STREAM if end else 0) | (0 if rest else END_HEADERS), number, first)
            while rest:
                first, rest = rest[:self.max_frame], rest[self.max_frame:]
                out += frame(CONTINUATION, 0 if rest else END_HEADERS, number, first)
            self.sock.sendall(out)

    def send_data(self, stream, data, end=False):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not data or self.is_over or stream.reset_code is not None or
                                       (stream.window > 0 and self.window > 0), 30)
                if self.is_over or stream.reset_code is not None:
                    raise ConnectionError("nobody takes it any more")
                size = min(len(data), self.max_frame, max(stream.window, 0), max(self.window, 0))
                stream.window -= size
                self.window -= size
            piece, data = data[:size], data[size:]
            self.send(frame(DATA, END_STREAM if end and not data else 0, stream.number, piece))
            if not data:
                return

    def give_window(self, number, size):
        if self.origin.gives_window:
            update = struct.pack(">I", size)
            self.send(frame(WINDOW_UPDATE, 0, number, update) + frame(WINDOW_UPDATE, 0, 0, update))

    def change(self, *settings):
        self.send(frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *setting) for setting in settings)))

    def acknowledged(self):
        """How many SETTINGS of its own the other side has acknowledged."""
        return sum(got.kind == SETTINGS and got.flags & ACK for got in self.frames)

    def open_window(self, number, size):
        self.send(frame(WINDOW_UPDATE, 0, number, struct.pack(">I", size)))

    def hang_up(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def go_away(self, last, code=NO_ERROR):
        self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, code)))

    def _read(self, size):
        data = b""
        while len(data) < size:
            chunk = self.sock.recv(size - len(data))
            if not chunk:
                raise ConnectionError("it ended")
            data += chunk
        return data

    def _frame(self):
        head = self._read(9)
        return Frame(head[3], head[4], struct.unpack(">I", head[5:])[0],
                     self._read(int.from_bytes(head[:3], "big")))

    def _take_settings(self, got):
        if got.flags & ACK:
            return
        for at in range(0, len(got.payload), 6):
            name, value = struct.unpack(">HI", got.payload[at:at + 6])
            self.settings[name] = value
            if name == INITIAL_WINDOW_SIZE:
                with self._changed:
                    for stream in self.streams.values():
                        stream.window += value - self.initial_window
                    self.initial_window = value
        if self.origin.acknowledges:
            self.send(frame(SETTINGS, ACK))

    def _take_fields(self, got):
        block, flags = got.payload, got.flags
        if flags & PADDED:
            block = block[1:len(block) - block[0]]
        if flags & PRIORITIZED:
            block = block[5:]
        while not flags & END_HEADERS:
            more = self._frame()
            block, flags = block + more.payload, flags | (more.flags & END_HEADERS)
        fields = [tuple(part.decode() if isinstance(part, bytes) else part for part in field)
                  for field in self.decoder.decode(block)]
        stream = self.streams.get(got.stream)
        if stream:
            stream.trailers = fields
        elif self.deaf:
            return
        else:
            stream = self.streams[got.stream] = Stream(self, got.stream, fields)
            self.origin.requests.append(stream)
            threading.Thread(target=self._run, args=(stream,), daemon=True).start()
        if got.flags & END_STREAM:
            stream._pieces.put(None)

    def _run(self, stream):
        try:
            if stream.get(":path") == "/healthz":
                stream.answer(b"", 200 if self.origin.well else 500)
            else:
                self.origin.script(stream)
        except (OSError, queue.Empty) as error:
            self.origin.errors.append(error)

    def _take(self, got):
        stream = self.streams.get(got.stream)
        if got.kind == SETTINGS:
            self._take_settings(got)
        elif got.kind == HEADERS:
            self._take_fields(got)
        elif got.kind == PING and not got.flags & ACK and self.origin.answers_pings:
            self.send(frame(PING, ACK, 0, got.payload))
        elif got.kind == DATA and stream:
            if got.payload:
                stream._pieces.put(got.payload)
            if got.flags & END_STREAM:
                stream._pieces.put(None)
        elif got.kind == RST_STREAM and stream:
            with self._changed:
                stream.reset_code = struct.unpack(">I", got.payload)[0]
                self._changed.notify_all()
            stream._pieces.put(None)
        elif got.kind == WINDOW_UPDATE:
            size = struct.unpack(">I", got.payload)[0]
            with self._changed:
                if stream:
                    stream.window += size
                elif got.stream == 0:
                    self.window += size
                self._changed.notify_all()

    def serve(self):
        try:
            assert self._read(len(PREFACE)) == PREFACE
            self.change(*self.origin.settings)
            self.send(self.origin.greeting)
            while True:
                got = self._frame()
                self.frames.append(got)
                self._take(got)
        except (OSError, AssertionError) as error:
            self.origin.errors.append(error)
        finally:
            with self._changed:
                self.is_over = True
                self._changed.notify_all()
            for stream in self.streams.values():
                stream._pieces.put(None)
            self.sock.close()


class H2Origin:
    """`script(stream)` answers each request, in a thread of its own. `greeting`: bytes behind its SETTINGS. With
    `certificate` it speaks TLS and takes of `protocols` the first that is offered."""

    def __init__(self, address, script=None, settings=(), greeting=b"", certificate=None, key=None,
                 protocols=("h2",), port=None):
        self.address, self.port = address, port or free_port(address)
        self.connections = []
        self.forget()
        self.script = script or self.obey
        self.settings, self.greeting = settings, greeting
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate, key)
            self.context.set_alpn_protocols(list(protocols))
        self._listener = socket.create_server((address, self.port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def obey(stream):
        stream.body()
        stream.answer()

    def forget(self):
        """Ends all connections; as new."""
        for connection in self.connections:
            connection.hang_up()
        self.script, self.settings, self.greeting = self.obey, (), b""
        self.gives_window = self.acknowledges = self.answers_pings = self.well = True
        self.requests, self.connections, self.errors = [], [], []

    def visits(self):
        """Requests but for health checks."""
        return [stream for stream in self.requests if stream.get(":path") != "/healthz"]

    @property
    def url(self):
        return f"{'https' if self.context else 'h2c'}://{self.address}:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._begin, args=(sock,), daemon=True).start()

    def _begin(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self.context.wrap_socket(sock, server_side=True) if self.context else sock
        except OSError as error:
            self.errors.append(error)
            return
        connection = Connection(self, sock)
        self.connections.append(connection)
        connection.serve()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.forget()
