"""Webhooks from their receivers' side: an endpoint, by https, that checks what it gets as Standard Webhooks has it (by the
letter of the specification, with Python's own hmac), and misbehaves as it is told; and a platform that sends to such."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .issuance import build_crash_variant
from .place import free_port
from .process import wait_until

TOLERANCE_S = 300


class Message:
    """One request as it came. `signers`: which of the receiver's secrets its signatures fit."""

    def __init__(self, path, headers, body, secrets):
        self.path, self.headers, self.body, self.at = path, headers, body, time.monotonic()
        self.id, self.timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
        self.signers = [secret for secret in secrets if self._is_signed_with(secret)]
        self.fresh = abs(time.time() - int(self.timestamp or 0)) < TOLERANCE_S

    def _is_signed_with(self, secret):
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        content = f"{self.id}.{self.timestamp}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(f"v1,{expected}", one) for one in self.headers.get("webhook-signature", "").split(" "))

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.json["type"]


class Receiver:
    """`secrets`: those that it checks with. `behave(message, handler)` may be replaced: it answers by itself, and returns
    True, or returns a status. `messages` holds all that came; nothing is checked at the door."""

    def __init__(self, address, certificate=None, key=None, port=None):
        self.address, self.port = address, port or free_port(address)
        self.scheme = "https" if certificate else "http"
        self.secrets, self.messages, self._files = [], [], (certificate, key)
        self.behave = lambda message, handler: 200
        self._server = None
        self.start()

    def start(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                message = Message(self.path, self.headers, body, owner.secrets)
                owner.messages.append(message)
                answer = owner.behave(message, self)
                if answer is True:
                    return
                status, fields, text = answer if isinstance(answer, tuple) else (answer, {}, b"")
                self.send_response(status)
                for field, value in {**fields, "Content-Length": str(len(text))}.items():
                    self.send_header(field, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST
        self._server = ThreadingHTTPServer((self.address, self.port), Handler)
        self._server.daemon_threads = True
        self._server.request_queue_size = 256
        self._server.handle_error = lambda *_: None
        if self.scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._files)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/hook", host=None):
        return f"{self.scheme}://{host or self.address}:{self.port}{path}"

    def types(self):
        return [message.type for message in self.messages]

    def ids(self):
        return [message.id for message in self.messages]

    def stop(self):
        """Connections are refused from now on."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    close = stop


class Hooks:
    """A platform, by default without edges, whose issuers may send to the platform's own loopback net, where the receivers are, and
    nowhere else that is not public; they trust the receivers' CA. `acme`, `verifier`: more settings. Names are looked up
    at the platform's DNS server."""

    def __init__(self, lab, edges=0, issuers=1, acme=None, verifier=None, crash_points=False, start=True, **options):
        self.lab = lab
        self.platform = lab.prepare(edges=edges, issuers=issuers, acme=dict(acme or {}), verifier=dict(verifier or {}), **options)
        ground = self.platform.ground
        self.address, self.authority, self.db, self.call = ground.address(2), ground.authority, self.platform.db, self.platform.api.call
        allowed = {"webhook_allow": ground.address(0) + "/24"}
        for daemon in [self.platform.verifier] + self.platform.issuers:
            daemon.settings = {**allowed, **daemon.settings}
        for issuer in self.platform.issuers:
            issuer.settings = {"webhook_ca": self.authority.ca, **issuer.settings}
            if crash_points:
                issuer.program = build_crash_variant()
        if start:
            self.platform.start()

    @property
    def acme(self):
        return self.platform.acme

    def receiver(self, *names, tls=True, address=None):
        address = address or self.address
        subjects = [f"IP:{address}"] + [f"DNS:{name}" for name in names]
        files = self.authority.issue("hook-" + "-".join([address, *names]), *subjects) if tls else (None, None)
        return self.lab.use(Receiver(address, *files))

    def make(self, receiver=None, token=None, url=None, **more):
        """A webhook that leads to the receiver, who gets its secret."""
        status, made = self.call("POST", "/v1/webhooks", {"url": url or receiver.url(), **more}, token=token)
        assert status == 201, made
        if receiver:
            receiver.secrets.append(made["secret"])
        return made

    def tenant_token(self, tenant):
        self.call("POST", "/v1/tenants", {"id": tenant})
        return self.call("POST", "/v1/tokens", {"scope": "tenant", "tenant": tenant})[1]["token"]

    def happen(self, count=1, tenant="default"):
        """So many events, one after the other."""
        self.db.query(f"INSERT INTO domain_events (tenant, name, event, actor) SELECT '{tenant}', 'n' || i || '.test', 'added',"
                      f" 'test' FROM generate_series(1, {count}) i")

    def log(self, hook, token=None):
        return self.call("GET", f"/v1/webhooks/{hook['id']}/deliveries?limit=500", token=token)[1]["deliveries"]

    def wait(self, hook, count=1, state="delivered", token=None, seconds=60):
        """Until its log has so many entries, all in that state. Returns them, the newest first."""
        def all_there():
            found = self.log(hook, token)
            return found if len(found) >= count and all(one["state"] == state for one in found) else None
        return wait_until(all_there, seconds, f"{count} deliveries {state}", 0.1)

    def wait_tried(self, hook, attempts=1, seconds=60):
        """Until the newest entry of its log has been tried so often. Returns it."""
        def tried():
            found = self.log(hook)
            return found[0] if found and found[0]["attempts"] >= attempts else None
        return wait_until(tried, seconds, f"{attempts} tries", 0.1)
