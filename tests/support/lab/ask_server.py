"""Somebody else's ask endpoint: any 2xx allows, as Caddy's on_demand_tls has it."""

import collections
import ssl
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .place import free_port


class AskServer:
    """`allowed`: names that get 200; the rest gets 404. `answer(name)` may be replaced, by a status or a status with
    fields; `queries` holds every query."""

    def __init__(self, address, allowed=(), certificate=None, key=None):
        self.address, self.port, self.scheme = address, free_port(address), "https" if certificate else "http"
        self.allowed = set(allowed)
        self.asked, self.queries, self.headers = collections.Counter(), [], []
        self.answer = lambda name: 200 if name in self.allowed else 404
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                query = urllib.parse.urlsplit(self.path).query
                name = urllib.parse.parse_qs(query).get("domain", [""])[0]
                owner.asked[name] += 1
                owner.queries.append(self.path)
                owner.headers.append(dict(self.headers))
                answer = owner.answer(name)
                status, fields = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for field, value in fields.items():
                    self.send_header(field, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
        self._server = ThreadingHTTPServer((address, self.port), Handler)
        self._server.daemon_threads = True
        self._server.request_queue_size = 256
        self._server.handle_error = lambda *_: None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/allowed"):
        return f"{self.scheme}://{self.address}:{self.port}{path}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
