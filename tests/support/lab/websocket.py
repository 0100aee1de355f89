"""WebSocket (RFC 6455) by hand, both sides: frames over anything that sends and reads bytes, and the two handshakes
over HTTP/1.1. `echo` is an app that says what it is told."""

import base64
import hashlib
import os
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def frame(payload, opcode=TEXT, mask=False, final=True):
    head = bytes([(0x80 if final else 0) | opcode])
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack(">BH", flag | 126, len(payload))
    else:
        head += struct.pack(">BQ", flag | 127, len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + masked(payload, key)


def masked(payload, key):
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big") if size else b""


def read_frame(read):
    """`read(size)` gives exactly so many bytes. (opcode, payload, final)"""
    first, second = read(2)
    size = second & 0x7f
    if size == 126:
        size, = struct.unpack(">H", read(2))
    elif size == 127:
        size, = struct.unpack(">Q", read(8))
    key = read(4) if second & 0x80 else None
    payload = read(size) if size else b""
    return first & 0x0f, masked(payload, key) if key else payload, bool(first & 0x80)


def question(host, path="/chat", key="dGhlIHNhbXBsZSBub25jZQ==", more=""):
    return (f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n").encode()


class WebSocket:
    """The client's side, on a wire.Wire to which nothing was said yet."""

    def __init__(self, wire, host, path="/chat", more=""):
        self.wire = wire
        key = base64.b64encode(os.urandom(16)).decode()
        wire.send(question(host, path, key, more))
        self.answer = wire.head()
        if self.answer.status == 101:
            assert self.answer.get("upgrade").lower() == "websocket", self.answer.fields
            assert self.answer.get("connection").lower() == "upgrade", self.answer.fields
            assert self.answer.get("sec-websocket-accept") == accept_of(key), self.answer.fields

    def send(self, payload, opcode=TEXT, final=True):
        return self.wire.send(frame(payload, opcode, mask=True, final=final))

    def receive(self):
        opcode, payload, _ = read_frame(self.wire.bytes)
        return opcode, payload

    def ask(self, payload, opcode=TEXT):
        """What an echo says to it."""
        self.send(payload, opcode)
        return self.receive()[1]

    def close(self):
        """The closing handshake; how the connection ended."""
        self.send(struct.pack(">H", 1000), CLOSE)
        while self.receive()[0] != CLOSE:
            pass
        self.wire.end()
        self.wire.rest()
        return self.wire.how


def switch(request, behind=b""):
    """Answers a question with 101, and with more bytes in the same segment."""
    accept = accept_of(request.all("sec-websocket-key")[0])
    request.sock.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode() + behind)


def echo(request):
    """A script of origin.Origin: says what it is told until it is told to close."""
    switch(request)
    message, kind = b"", TEXT
    while True:
        opcode, payload, final = read_frame(request.exactly)
        if opcode == CLOSE:
            request.sock.sendall(frame(payload, CLOSE))
            return False
        if opcode == PING:
            request.sock.sendall(frame(payload, PONG))
            continue
        kind = opcode or kind
        message += payload
        if final:
            request.sock.sendall(frame(message, kind))
            message = b""
