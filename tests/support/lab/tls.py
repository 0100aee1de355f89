"""TLS and HTTP as a visitor speaks them: to any address, with any name."""

import http.client
import json
import socket
import ssl
import time


class Visit:
    """One answered request: what came, over what, and how long it took from connect to the last byte."""

    def __init__(self, status, headers, body, certificate, seconds, resumed, version):
        self.status, self.headers, self.body = status, headers, body
        self.certificate, self.seconds, self.resumed, self.version = certificate, seconds, resumed, version

    @property
    def milliseconds(self):
        return self.seconds * 1000

    @property
    def serial(self):
        return self.certificate["serialNumber"].lower()

    @property
    def names(self):
        return [value for _, value in self.certificate.get("subjectAltName", ())]

    def json(self):
        return json.loads(self.body)


def trust(root, alpn=("http/1.1",), version=None):
    """A context that trusts `root` alone. Use the same one to resume a session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(root)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def connect(address, port, name, context, timeout=15, session=None):
    """A TLS connection whose certificate is checked for `name`."""
    raw = socket.create_connection((address, port), timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(raw, server_hostname=name, session=session)
    except BaseException:
        raw.close()
        raise


class HttpOver(http.client.HTTPConnection):
    """http.client on a connection that is there already."""

    def __init__(self, sock, host, timeout=15):
        super().__init__(host, timeout=timeout)
        self.sock = sock
        self.auto_open = 0


def get(address, port, name, context, path="/", method="GET", headers=None, body=None, timeout=15, session=None):
    """One request on a connection of its own."""
    start = time.monotonic()
    sock = connect(address, port, name, context, timeout, session)
    try:
        # http.client closes the socket with an answer that says `Connection: close`: what TLS knows is read before.
        certificate, resumed, version = sock.getpeercert(), sock.session_reused, sock.version()
        connection = HttpOver(sock, name, timeout)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        data = answer.read()
        return Visit(answer.status, answer.headers, data, certificate, time.monotonic() - start, resumed, version)
    finally:
        sock.close()
