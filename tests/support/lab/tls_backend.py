"""Servers that TLS is passed on to: they speak TLS themselves, or only record what comes, byte for byte."""

import socket
import ssl
import struct
import threading

from .place import free_port
from .proxy_header import SIGNATURE


class Came:
    """One connection as its server saw it: the PROXY header (None: none came), and whatever the server notes."""

    def __init__(self, peer):
        self.peer, self.header, self.bytes = peer, None, b""
        self.sock = self.resumed = self.alpn = None
        self.ended = threading.Event()


class Backend:
    """Listens until stop(); start() again listens on the same port. `serve(sock, came)` has each connection in a thread of
    its own; the socket is closed after it."""

    def __init__(self, address, serve, port=None):
        self.address, self.port, self.serve = address, port or free_port(address), serve
        self.came, self._door, self._open = [], None, []

    @property
    def place(self):
        return f"{self.address}:{self.port}"

    def start(self):
        self._door = socket.create_server((self.address, self.port), backlog=1024)
        threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()
        return self

    def stop(self):
        if self._door:
            self._door.shutdown(socket.SHUT_RDWR)
            self._door.close()
            self._door = None
        for sock in self._open:
            try:
                sock.close()
            except OSError:
                pass
        self._open = []

    def _accept(self, door):
        while True:
            try:
                sock, peer = door.accept()
            except OSError:
                return
            came = Came(peer)
            self.came.append(came)
            self._open.append(sock)
            threading.Thread(target=self._run, args=(sock, came), daemon=True).start()

    def _run(self, sock, came):
        try:
            sock.settimeout(60)
            self.serve(sock, came)
        except OSError:
            pass
        finally:
            came.ended.set()
            sock.close()


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise OSError("the connection has ended")
        data += more
    return data


class ProxyHeader:
    """A header of version 2: command, addresses, and the values of its TLVs by type."""

    def __init__(self, sock):
        start = read_exactly(sock, 16)
        assert start[:12] == SIGNATURE, start
        self.command, self.family = start[12], start[13]
        body = read_exactly(sock, struct.unpack("!H", start[14:16])[0])
        self.source = self.destination = None
        at = 0
        if self.family != 0:
            family, size = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}[self.family]
            at = 2 * size + 4
            hosts = [socket.inet_ntop(family, body[start:start + size]) for start in (0, size)]
            self.source, self.destination = zip(hosts, struct.unpack("!2H", body[2 * size:at]))
        self.values = {}
        while at < len(body):
            kind, size = struct.unpack("!BH", body[at:at + 3])
            self.values[kind] = body[at + 3:at + 3 + size]
            at += 3 + size


def server_context(chain, key, version=None, alpn=("http/1.1", "imap")):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def echo(context, greeting=b"", proxy=False):
    """TLS, a greeting, and then every byte back, until the client's end."""
    def serve(sock, came):
        if proxy:
            came.header = ProxyHeader(sock)
        with context.wrap_socket(sock, server_side=True) as tls:
            came.sock, came.resumed, came.alpn = tls, tls.session_reused, tls.selected_alpn_protocol()
            tls.sendall(greeting)
            while True:
                data = tls.recv(65536)
                if not data:
                    return
                came.bytes += data
                tls.sendall(data)
    return serve


def record(answer=b"", until_end=True):
    """No TLS: keeps what comes, answers once something came, and ends after the client's end."""
    def serve(sock, came):
        sock.sendall(answer)
        while True:
            data = sock.recv(65536)
            if not data:
                return
            came.bytes += data
            if not until_end:
                return
    return serve
