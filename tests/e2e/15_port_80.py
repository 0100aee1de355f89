"""Port 80 answers http-01 challenges on any node and sends everything else to https with host and path kept."""

import http.client

from lab.process import wait_until

NAME = "shop.brand.test"


def plain(platform, path, host, method="GET", edge=None):
    address = edge.address if edge else platform.address
    connection = http.client.HTTPConnection(address, platform.http, timeout=5)
    try:
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location"), answer.read()
    finally:
        connection.close()


def test_certificate_by_http_01_through_either_node(lab):
    platform = lab.platform(acme={"challenge_types": "http-01"})
    for number in range(4):
        platform.activate(f"shop{number}.brand.test")
        assert platform.visit(f"shop{number}.brand.test").status == 200
    log = platform.pebble.process.log()
    assert "Attempting to validate w/ HTTP" in log
    assert platform.pebble.orders() == 4


def test_everything_else_is_sent_to_https(platform):
    for method in ("GET", "HEAD", "POST"):
        status, location, _ = plain(platform, "/a/b?c=d&e=%20", NAME, method)
        assert status == 308, method
        assert location == f"https://{NAME}/a/b?c=d&e=%20"


def test_redirect_keeps_no_port_and_cannot_be_split(platform):
    assert plain(platform, "/x", f"{NAME}:{platform.http}")[1] == f"https://{NAME}/x"
    for host in ("evil.test/..", "a b", "", "evil.test\\@x", "user@evil.test"):
        status, location, _ = plain(platform, "/x", host)
        assert status == 400, (host, status, location)


def test_unknown_or_misplaced_tokens_are_404(platform):
    """The look-up matches token and host against a live row, whatever the path tries."""
    for path in ("/.well-known/acme-challenge/unknown", "/.well-known/acme-challenge/../../etc/passwd",
                 "/.well-known/acme-challenge/", "/.well-known/acme-challenge/a%2fb",
                 "/.well-known/acme-challenge/" + "a" * 2000):
        status, location, body = plain(platform, path, NAME)
        assert status in (404, 400) or (status == 308 and "/../" in path), (path, status, location)
        assert b"root:" not in body


def test_token_answers_for_its_host_only(lab):
    platform = lab.platform(faulty_ca=True, acme={"challenge_types": "http-01"})
    platform.activate(NAME)
    gate = platform.ca.hold("challenge")
    platform.db.query(f"SELECT enqueue_issuance('{NAME}', 'first_hit')")
    assert gate.arrived.wait(10)
    token, authorization = platform.db.query("SELECT token, key_authorization FROM challenges")[0]
    path = f"/.well-known/acme-challenge/{token}"
    for edge in platform.edges:
        assert plain(platform, path, NAME, edge=edge)[::2] == (200, authorization.encode())
        assert plain(platform, path, "other.brand.test", edge=edge)[0] == 404
    gate.open()
    wait_until(lambda: platform.stored(NAME), 10, "the certificate")
    # The token stays for a while, for validators that are late.
    platform.db.query("UPDATE challenges SET expires_at = now()")
    wait_until(lambda: plain(platform, path, NAME)[0] == 404, 5, "the token to be forgotten")
