"""A CA that misbehaves: an HTTPS proxy in front of Pebble that counts orders by name and injects faults.

    ca.fail("new-order", status=503, times=2)            answers itself, the CA sees nothing
    ca.fail("new-order", problem="rateLimited", status=429, headers={"Retry-After": "2"})
    ca.lose("new-order")                                 the CA acts, its answer is lost (connection closed)
    gate = ca.hold("finalize"); gate.arrived.wait(); ...; gate.open()
    ca.fail("order", status=500, name="shop.brand.test")  only of this name's requests: many names, each with its fault

It learns from the CA's answers which URL belongs to which name. `ca.arrivals[name, kind]` counts what came, whoever
answered it.
"""

import base64
import collections
import http.client
import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .place import free_port

# Pebble's paths, by what RFC 8555 calls the resource.
KINDS = {"/dir": "directory", "/nonce-plz": "new-nonce", "/sign-me-up": "new-account", "/order-plz": "new-order",
         "/authZ": "authorization", "/chalZ": "challenge", "/finalize-order": "finalize", "/my-order": "order",
         "/certZ": "certificate", "/my-account": "account", "/revoke-cert": "revoke",
         "/rollover-account-key": "key-change", "/draft-ietf-acme-ari": "renewal-info"}


def kind_of(path):
    return next((kind for prefix, kind in KINDS.items() if path.startswith(prefix)), "other")


def _order_of(body):
    payload = json.loads(body)["payload"]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class Gate:
    """Holds requests back until it is opened."""

    def __init__(self):
        self.arrived, self._opened = threading.Event(), threading.Event()

    def open(self):
        self._opened.set()

    def pass_through(self):
        self.arrived.set()
        self._opened.wait(60)


class CaProxy:
    def __init__(self, pebble, address):
        self.pebble, self.address = pebble, address
        self.port = free_port(address)
        self.ca = pebble.ca
        self.order_names = collections.Counter()
        self.order_payloads = []
        self.seen = collections.Counter()
        self.arrivals = collections.Counter()
        self._name_at = {}
        self._faults, self._lock = [], threading.Lock()
        certificate, key = pebble.authority.issue("ca-proxy", f"IP:{address}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        proxy = self

        class Handler(_Handler):
            owner = proxy
        self._server = ThreadingHTTPServer((address, self.port), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        # The handshake belongs to the connection's thread: one silent client must not hold the others up.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                  do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def directory_url(self):
        return f"https://{self.address}:{self.port}/dir"

    def orders_for(self, name):
        """newOrder requests for this name that reached the CA, but for those whose nonce it did not like."""
        return self.order_names[name]

    def act(self, kind, act, times=1, name=None):
        """`act(handler, forward)` answers; `forward()` asks the CA and returns status, headers, body. `kind` "*": any."""
        with self._lock:
            self._faults.append([kind, times, act, name])

    def fail(self, kind, status=500, problem=None, detail="injected", headers=None, times=1, body=None, name=None):
        """The next `times` requests of that kind (None: for ever) get this answer."""
        fields = {"Content-Type": "application/problem+json" if problem else "text/html", **(headers or {})}
        if body is None:
            body = json.dumps({"type": f"urn:ietf:params:acme:error:{problem}", "detail": detail,
                               "status": status}) if problem else "<html>no</html>"
        self.act(kind, lambda handler, forward: handler.reply(status, fields, body.encode()), times, name)

    def lose(self, kind, times=1, name=None):
        def act(handler, forward):
            forward()
            handler.close_connection = True
        self.act(kind, act, times, name)

    def hold(self, kind, times=1, after=False):
        """`after`: the CA has acted, its answer is what is held."""
        gate = Gate()

        def act(handler, forward):
            if after:
                answer = forward()
                gate.pass_through()
            else:
                gate.pass_through()
                answer = forward()
            handler.reply(*answer)
        self.act(kind, act, times)
        return gate

    def change(self, kind, change, times=1, name=None):
        """`change(status, headers, body)` returns what the client gets instead."""
        self.act(kind, lambda handler, forward: handler.reply(*change(*forward())), times, name)

    def clear(self, name=None):
        """Takes all faults away, or those of one name."""
        with self._lock:
            self._faults = [fault for fault in self._faults if name and fault[3] != name]

    def name_of(self, kind, path, body):
        """Whose request is it? None: nobody's in particular."""
        if kind == "new-order":
            return _order_of(body)["identifiers"][0]["value"]
        return self._name_at.get(path)

    def learn(self, name, headers, body):
        text = headers.get("Location", "") + " " + headers.get("Link", "") + " " + body.decode(errors="replace")
        for path in re.findall(rf"https://{re.escape(self.address)}:{self.port}(/[^\s\">]+)", text):
            if name and kind_of(path) not in ("directory", "account", "other"):
                self._name_at[path] = name

    def fault_for(self, kind, name):
        with self._lock:
            for fault in self._faults:
                if fault[0] in (kind, "*") and fault[1] != 0 and fault[3] in (name, None):
                    if fault[1] is not None:
                        fault[1] -= 1
                    return fault[2]
        return None

    def count(self, kind, body, answer):
        self.seen[kind] += 1
        if kind == "new-order" and b"urn:ietf:params:acme:error:badNonce" not in answer:
            order = _order_of(body)
            self.order_payloads.append(order)
            for identifier in order.get("identifiers", ()):
                self.order_names[identifier["value"]] += 1

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = kind_of(self.path)
        name = self.owner.name_of(kind, self.path, body)
        self.owner.arrivals[name, kind] += 1

        def forward():
            status, fields, answer = self._forward(body)
            self.owner.count(kind, body, answer)
            self.owner.learn(name, fields, answer)
            return status, fields, answer
        fault = self.owner.fault_for(kind, name)
        if fault:
            fault(self, forward)
        else:
            self.reply(*forward())

    do_GET = do_POST = do_HEAD = _serve

    def _forward(self, body):
        pebble = self.owner.pebble
        trust = ssl.create_default_context(cafile=pebble.ca)
        connection = http.client.HTTPSConnection(pebble.address, pebble.port, timeout=20, context=trust)
        try:
            # Host stays ours: the CA writes its URLs with it, so every later request comes by here too.
            connection.request(self.command, self.path, body=body or None, headers=dict(self.headers))
            answer = connection.getresponse()
            fields = {}
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                    fields[name] = f"{fields[name]}, {value}" if name in fields else value
            return answer.status, fields, answer.read()
        except OSError as error:
            return 502, {"Content-Type": "text/plain"}, str(error).encode()
        finally:
            connection.close()

    def reply(self, status, fields, body):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
