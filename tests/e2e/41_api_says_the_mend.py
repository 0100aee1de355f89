"""The API's contract: what is refused and how it says so, sessions and their protection, ends that are clean."""

import http.client
import json
import socket
import threading
import time

from lab.process import wait_until

NAME = "shop.brand.test"
JSON = {"Content-Type": "application/json"}


def refused(answer, status, *words):
    got, problem = answer
    assert got == status, answer
    assert problem["status"] == status and problem["title"] and problem["code"]
    for word in words:
        assert word in problem["detail"], problem


def raw(platform, text, wait=5):
    """Sends bytes as they are; what came back."""
    with socket.create_connection((platform.verifier.address, platform.verifier.port), timeout=wait) as connection:
        connection.sendall(text)
        answer = b""
        while True:
            part = connection.recv(65536)
            if not part:
                return answer
            answer += part


def test_every_refusal_names_the_field_and_the_mend(lab):
    platform = lab.platform(edges=0)
    call = platform.api.call
    refused(call("POST", "/v1/domains", b"name=x", headers={"Content-Type": "text/plain"}), 415, "application/json")
    refused(call("POST", "/v1/domains", b"{", headers=JSON), 400, "no JSON", "line 1")
    refused(call("POST", "/v1/domains", {"name": NAME, "statuz": 1}), 400, "statuz")
    refused(call("POST", "/v1/domains", {}), 400, "name")
    refused(call("POST", "/v1/domains", {"name": NAME, "tenant": 7}), 400, "tenant")
    refused(call("POST", "/v1/domains", {"name": "10.1.2.3"}), 400, "10.1.2.3", "IP address")
    refused(call("POST", "/v1/domains", {"name": "saas.test"}), 400, "platform")
    refused(call("POST", "/v1/domains", {"name": "www.Saas.test."}), 400, "platform")
    refused(call("POST", "/v1/domains", {"name": ".".join(["a" * 61] * 4) + ".test"}), 400, "too long")
    refused(call("POST", "/v1/domains", b"[" * 60000, headers=JSON), 400, "deep")
    refused(call("GET", f"/v1/domains/{NAME}"), 404, NAME)
    refused(call("POST", f"/v1/domains/{NAME}/verify"), 404, NAME)
    refused(call("DELETE", f"/v1/domains/{NAME}"), 404, NAME)
    refused(call("PUT", "/v1/domains"), 405)
    refused(call("DELETE", f"/v1/domains/{NAME}/verify"), 405)
    refused(call("GET", "/v1/nothing"), 404)
    refused(call("GET", "/v1/domains?limit=0"), 400, "limit")
    refused(call("GET", "/v1/domains?limit=1x"), 400, "limit")
    refused(call("GET", "/v1/domains?cursor=nonsense"), 400, "cursor")
    refused(call("GET", "/v1/domains?status=dead"), 400, "status")
    refused(call("GET", "/v1/domains?tenant=../x"), 400, "tenant")
    refused(call("GET", "/v1/domains", token="wrong"), 401, "Bearer")
    assert platform.db.value("SELECT count(*) FROM domains") == "0"


def test_huge_bodies_are_refused_and_hold_no_memory(lab):
    platform = lab.platform(edges=0)
    before = platform.verifier.process.rss()
    head = (f"POST /v1/domains HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {platform.token}\r\n"
            "Content-Type: application/json\r\n").encode()
    assert b" 413 " in raw(platform, head + b"Content-Length: 10000000\r\n\r\n" + b"x" * 10000)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    try:
        answer = raw(platform, head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunk * 4 + b"0\r\n\r\n")
        assert b" 413 " in answer, answer
        raw(platform, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 160)
    except OSError:
        pass  # cut off while it still sent: as good
    assert platform.verifier.process.rss() - before < 8 * 1024 * 1024
    assert platform.api.add(NAME)["status"] == "pending"


def test_names_are_normalised_and_unicode_is_welcome(lab):
    platform = lab.platform(edges=0)
    domain = platform.api.add("Bücher.Brand.test.")
    assert domain["name"] == "xn--bcher-kva.brand.test"
    status, again = platform.api.call("GET", "/v1/domains/B%C3%9Ccher.brand.test")
    assert (status, again["name"]) == (200, domain["name"])


def test_list_is_paged(lab):
    platform = lab.platform(edges=0)
    names = sorted(f"shop{number}.brand.test" for number in range(7))
    for name in names:
        platform.api.add(name, "a" if name < "shop4" else "b")
    found, cursor = [], ""
    while cursor is not None:
        _, page = platform.api.call("GET", f"/v1/domains?limit=3{cursor and '&cursor=' + cursor}")
        found += [domain["name"] for domain in page["domains"]]
        cursor = page["next"]
    assert found == names
    assert len(platform.api.call("GET", "/v1/domains?tenant=a")[1]["domains"]) == 4
    assert platform.api.call("GET", "/v1/domains?status=active")[1]["domains"] == []


def test_which_claim_is_meant(lab):
    platform = lab.platform(edges=0)
    platform.api.add(NAME, "one")
    assert platform.api.show(NAME)["tenant"] == "one", "the only one"
    platform.api.add(NAME, "two")
    refused(platform.api.call("GET", f"/v1/domains/{NAME}"), 409, "?tenant=")
    platform.api.add(NAME)
    assert platform.api.show(NAME)["tenant"] == "default"
    assert platform.api.show(NAME, "two")["tenant"] == "two"
    platform.api.delete(NAME, "one")
    refused(platform.api.call("GET", f"/v1/domains/{NAME}?tenant=one"), 404, "one")


def log_in(platform, token=None, **headers):
    """Status and cookie."""
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=10)
    connection.request("POST", "/session", json.dumps({"token": token or platform.token}),
                       {**JSON, "X-Postern-Request": "1", **headers})
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("Set-Cookie")


def test_session_is_a_strict_cookie_that_only_our_page_can_use(lab):
    platform = lab.platform(edges=0)
    assert log_in(platform, "a wrong token, a long one")[0] == 401
    status, cookie = log_in(platform)
    assert status == 204
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert word in cookie, cookie
    assert "Secure" not in cookie, "plain http"
    value = cookie.split(";")[0]
    assert value.split("=")[1] not in platform.db.dump(), "only its hash is stored"

    def call(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=10)
        connection.request(method, path, body, {"Cookie": value, **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    marker = {"X-Postern-Request": "1"}
    body = json.dumps({"name": NAME})
    assert call("GET", "/v1/domains") == 200
    assert call("POST", "/v1/domains", body, **JSON) == 403, "no marker"
    assert call("POST", "/v1/domains", body, **JSON, **marker, Origin="http://evil.test") == 403
    assert call("POST", "/v1/domains", body, **JSON, **marker, **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert call("DELETE", f"/v1/domains/{NAME}") == 403
    assert call("POST", "/v1/domains", body, **JSON, **marker) == 201
    assert call("GET", "/v1/domains", Authorization="Bearer wrong") == 401, "a wrong token is not saved by a cookie"
    assert call("DELETE", "/session", **marker) == 204
    assert call("GET", "/v1/domains") == 401
    assert platform.db.value("SELECT actor FROM domain_events WHERE event = 'added'") == "dashboard"


def test_secure_cookie_behind_https(lab):
    platform = lab.platform(edges=0, verifier={"public_url": "https://panel.saas.test"})
    status, cookie = log_in(platform, Origin="https://panel.saas.test")
    assert (status, "Secure" in cookie) == (204, True)
    assert log_in(platform, Origin="http://panel.saas.test")[0] == 403


def test_guessing_tokens_is_slow(lab):
    platform = lab.platform(edges=0)
    statuses = [log_in(platform, f"guess number {number} of many")[0] for number in range(40)]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) < 30


def test_page_forbids_everything_it_does_not_need(lab):
    platform = lab.platform(edges=0)
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=10)
    for path, kind in (("/", "text/html"), ("/js/app.js", "text/javascript"), ("/css/base.css", "text/css")):
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200 and answer.getheader("Content-Type").startswith(kind)
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Referrer-Policy") == "no-referrer"
        assert "innerHTML" not in text and "http://" not in text and "https://" not in text.replace("https://www.w3", "")
        connection.request("GET", path, headers={"If-None-Match": answer.getheader("ETag")})
        again = connection.getresponse()
        again.read()
        assert again.status == 304
    for path in ("/../etc/passwd", "/js/app.js/", "/app.js", "/web/js/app.js"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 404, path


def test_encoded_nul_makes_no_other_name(lab):
    platform = lab.platform(edges=0)
    platform.activate(NAME)
    for path in ("/%00", f"/v1/domains/{NAME}%00.evil.test", "/v1/domains?tenant=default%00x"):
        assert platform.api.call("GET", path)[0] == 400, path
    assert platform.verifier.ask(f"{NAME}%00.evil.test") == 400


def test_database_that_goes_and_comes_back(lab):
    platform = lab.platform(own_postgres=True, edges=0)
    platform.activate(NAME)
    cluster = lab.clusters[0]
    cluster.kill()
    wait_until(lambda: not platform.verifier.is_ready(), 10, "readyz to say no")
    refused(platform.api.call("GET", f"/v1/domains/{NAME}"), 503, "try again")
    assert platform.verifier.ask(NAME) == 503, "never 200 without looking"
    cluster.start()
    wait_until(lambda: platform.api.call("GET", f"/v1/domains/{NAME}")[0] == 200, 15, "the API to be back")
    wait_until(lambda: platform.verifier.ask(NAME) == 200, 15, "ask to be back")
    assert platform.api.verify(NAME)["status"] == "active"


def test_silent_database_holds_nobody_for_long(lab):
    platform = lab.platform(own_postgres=True, edges=0)
    platform.activate(NAME)
    cluster = lab.clusters[0]
    cluster.freeze()
    try:
        start = time.monotonic()
        assert platform.verifier.ask(NAME) == 503
        assert time.monotonic() - start < 10
        start = time.monotonic()
        assert platform.api.call("GET", f"/v1/domains/{NAME}")[0] == 503
        assert time.monotonic() - start < 15
    finally:
        cluster.thaw()
    wait_until(lambda: platform.verifier.ask(NAME) == 200, 15, "ask to be back")


def test_sigterm_lets_a_running_check_finish(lab):
    platform = lab.platform(edges=0)
    platform.api.add(NAME)
    platform.dns.process.freeze()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        platform.api.call("POST", f"/v1/domains/{NAME}/verify")))
    thread.start()
    wait_until(lambda: platform.db.value(f"SELECT check_lease_until > now() FROM domains WHERE name = '{NAME}'") == "t",
               5, "the check to have begun")
    assert platform.verifier.stop() == 0
    thread.join()
    assert answers[0][0] == 200 and answers[0][1]["check"]["outcome"] == "temporary", answers
    platform.dns.process.thaw()


def test_ask_with_token_and_tls_and_its_refusals(lab):
    platform = lab.prepare(edges=0)
    ground = platform.ground
    certificate, key = ground.authority.issue("ask", f"IP:{ground.address(2)}")
    token_file = f"{ground.directory}/ask-token"
    with open(token_file, "w") as file:
        file.write("ask-token-0123456789\n")
    platform.verifier.settings.update(ask_cert_file=certificate, ask_key_file=key, ask_token_file=token_file)
    platform.start()
    platform.activate(NAME)

    def ask(path, method="GET", token="ask-token-0123456789"):
        import ssl
        context = ssl.create_default_context(cafile=ground.authority.ca)
        connection = http.client.HTTPSConnection(ground.address(2), platform.verifier.ask_port, context=context)
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    assert ask(f"/ask?domain={NAME}")[0] == 200
    assert ask(f"/domains/verify?domain={NAME.upper()}.")[0] == 200
    assert ask(f"/domains/verify?domain={NAME}", "HEAD") == (200, b"")
    denied = {ask(f"/ask?domain={name}") for name in ("other.test", "10.0.0.1", "..", "x" * 300, "a%27--", "co.uk")}
    assert denied == {(403, b"not allowed\n")}, "one answer for all that is not allowed"
    assert ask("/ask")[0] == 400
    assert ask("/ask?domain=")[0] == 400
    assert ask("/other?domain=x")[0] == 404
    assert ask("/ask?domain=x", "POST")[0] == 405
    assert ask(f"/ask?domain={NAME}", token=None)[0] == 401
    assert ask(f"/ask?domain={NAME}", token="wrong")[0] == 401
