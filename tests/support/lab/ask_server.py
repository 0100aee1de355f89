"""Somebody else's ask endpoint: any 2xx allows, as Caddy's on_demand_tls has it."""

import collections
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .place import free_port


class AskServer:
    """`allowed`: names that get 200; the rest gets 404. `answer(name)` may be replaced; `queries` holds every query."""

    def __init__(self, address, allowed=()):
        self.address, self.port = address, free_port(address)
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
                self.send_response(owner.answer(name))
                self.send_header("Content-Length", "0")
                self.end_headers()
        self._server = ThreadingHTTPServer((address, self.port), Handler)
        self._server.daemon_threads = True
        self._server.request_queue_size = 256
        self._server.handle_error = lambda *_: None
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/allowed"):
        return f"http://{self.address}:{self.port}{path}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
