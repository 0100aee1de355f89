"""The verifier's REST API, as a customer's program uses it."""

import http.client
import json


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"API: {status} {body}")
        self.status, self.body = status, body


class Api:
    def __init__(self, address, port, token):
        self.address, self.port, self.token = address, port, token

    def call(self, method, path, body=None, token=None, headers=None, timeout=30):
        """(status, parsed body or text). Never raises for a status."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=timeout)
        try:
            fields = {"Authorization": f"Bearer {token or self.token}", **(headers or {})}
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
                fields.setdefault("Content-Type", "application/json")
            connection.request(method, path, body=body, headers=fields)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            kind = answer.getheader("Content-Type", "")
            return answer.status, json.loads(text) if kind.endswith("json") and "ndjson" not in kind and text else text
        finally:
            connection.close()

    def _demand(self, method, path, body=None, wanted=(200, 201, 204)):
        status, answer = self.call(method, path, body)
        if status not in wanted:
            raise ApiError(status, answer)
        return answer

    @staticmethod
    def _path(name, tail="", tenant=None):
        return f"/v1/domains/{name}{tail}" + (f"?tenant={tenant}" if tenant else "")

    def add(self, name, tenant=None):
        return self._demand("POST", "/v1/domains", {"name": name, **({"tenant": tenant} if tenant else {})})

    def list(self):
        return self._demand("GET", "/v1/domains")

    def show(self, name, tenant=None):
        return self._demand("GET", self._path(name, "", tenant))

    def verify(self, name, tenant=None):
        return self._demand("POST", self._path(name, "/verify", tenant))

    def tenant_token(self, tenant):
        """A token of a tenant that is made for it."""
        self._demand("POST", "/v1/tenants", {"id": tenant})
        return self._demand("POST", "/v1/tokens", {"scope": "tenant", "tenant": tenant})["token"]

    def delete(self, name, tenant=None):
        return self._demand("DELETE", self._path(name, "", tenant))


class Page:
    """A browser's page of the dashboard, as far as the API sees it: a cookie, and the header that only our page can set."""

    def __init__(self, daemon, origin=None):
        self.daemon, self.origin = daemon, origin
        self.cookie = None  # "name=value"
        self.set_cookie = None  # as it came

    def call(self, method, path, body=None, **headers):
        """(status, parsed body or text)."""
        connection = http.client.HTTPConnection(self.daemon.address, self.daemon.port, timeout=30)
        fields = {"X-Postern-Request": "1"}
        if self.origin:
            fields["Origin"] = self.origin
        if self.cookie:
            fields["Cookie"] = self.cookie
        if body is not None:
            fields["Content-Type"] = "application/json"
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {name: value for name, value in fields.items() if value is not None})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            self.set_cookie = answer.getheader("Set-Cookie")
            kind = answer.getheader("Content-Type", "")
            return answer.status, json.loads(text) if "json" in kind and text else text
        finally:
            connection.close()

    def log_in(self, **body):
        """POST /session with `token=` or `link=`; keeps the cookie. The status and the problem, if there was one."""
        answer = self.call("POST", "/session", body)
        if answer[0] == 204:
            self.cookie = self.set_cookie.split(";")[0]
        return answer
