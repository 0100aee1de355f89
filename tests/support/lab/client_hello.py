"""ClientHello by hand, for names that no TLS library would send, and the alert that answers it."""

import os
import socket
import struct
import time

ALERTS = {0: "close_notify", 10: "unexpected_message", 40: "handshake_failure", 47: "illegal_parameter", 49: "access_denied",
          50: "decode_error", 70: "protocol_version", 80: "internal_error", 112: "unrecognized_name",
          120: "no_application_protocol"}


def _vector(size, data):
    return len(data).to_bytes(size, "big") + data


def _extension(kind, data):
    return struct.pack("!H", kind) + _vector(2, data)


def handshake(sni=b"shop.brand.test", alpn=(), extra=b""):
    """The handshake message without record header. `sni`: bytes as they shall stand there, None for no extension,
    a list for several names."""
    extensions = b""
    if sni is not None:
        names = sni if isinstance(sni, (list, tuple)) else [sni]
        extensions += _extension(0, _vector(2, b"".join(b"\0" + _vector(2, name) for name in names)))
    extensions += _extension(10, _vector(2, struct.pack("!HH", 0x001D, 0x0017)))
    extensions += _extension(13, _vector(2, struct.pack("!4H", 0x0403, 0x0804, 0x0401, 0x0503)))
    if alpn:
        extensions += _extension(16, _vector(2, b"".join(_vector(1, protocol) for protocol in alpn)))
    extensions += _extension(43, _vector(1, struct.pack("!HH", 0x0304, 0x0303)))
    extensions += _extension(51, _vector(2, struct.pack("!H", 0x001D) + _vector(2, os.urandom(32))))
    extensions += extra
    suites = struct.pack("!5H", 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F)
    body = (b"\x03\x03" + os.urandom(32) + _vector(1, os.urandom(32)) + _vector(2, suites) + b"\x01\x00"
            + _vector(2, extensions))
    return b"\x01" + _vector(3, body)


def records(message, size=16384):
    """The message in TLS records of at most `size` bytes."""
    return b"".join(b"\x16\x03\x01" + _vector(2, message[at:at + size]) for at in range(0, len(message), size))


def client_hello(sni=b"shop.brand.test", alpn=(), record_size=16384):
    return records(handshake(sni, alpn), record_size)


class Refusal:
    """How a connection ended before its handshake."""

    def __init__(self, raw, seconds):
        self.raw, self.seconds = raw, seconds

    @property
    def alert(self):
        """The alert's name, if these bytes are one fatal alert and nothing else."""
        if len(self.raw) == 7 and self.raw[0] == 21 and self.raw[1] == 3 and self.raw[3:6] == b"\0\x02\x02":
            return ALERTS.get(self.raw[6], str(self.raw[6]))
        return None

    def __repr__(self):
        return f"<{self.alert or self.raw[:20]!r} after {self.seconds:.3f} s>"


def refusal(address, port, sni=b"shop.brand.test", alpn=(), timeout=15, hello=None):
    """Sends a ClientHello and reads to the end, or to the first bytes that are no alert."""
    if isinstance(sni, str):
        sni = sni.encode()
    start = time.monotonic()
    with socket.create_connection((address, port), timeout) as sock:
        sock.settimeout(timeout)
        sock.sendall(hello if hello is not None else client_hello(sni, alpn))
        raw = b""
        try:
            while True:
                chunk = sock.recv(4096)
                if not chunk:
                    break
                raw += chunk
                if raw[0] != 21:
                    break
        except ConnectionResetError:
            pass
        return Refusal(raw, time.monotonic() - start)
