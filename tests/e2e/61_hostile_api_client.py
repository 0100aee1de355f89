"""What a careless or hostile client of the API sends ends in a sentence that says the mend, and in nothing else."""

import socket
import time

import pytest

from lab.process import wait_until

pytestmark = pytest.mark.long  # a deadline of half a minute

NAME = "shop.brand.test"


def raw(platform, path, method="GET"):
    """The answer to a request whose path goes out byte by byte as it is."""
    with socket.create_connection((platform.verifier.address, platform.verifier.port), timeout=5) as connection:
        connection.sendall(method.encode() + b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                           b"Authorization: Bearer " + platform.token.encode() + b"\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer.decode()  # raises where it is not UTF-8


def test_bytes_that_are_no_text_are_the_clients_fault(lab):
    platform = lab.platform(edges=0)
    for path in (b"/v1/domains/%ff", b"/v1/domains/%c3%28", b"/v1/domains/\xff\xfe", b"/v1/domains/x" + "é".encode() * 200):
        answer = raw(platform, path)
        assert " 400 " in answer and "name: " in answer, answer
    for cursor in (b"%ff/a/1", b"a/%ff/1", b"a", b"a/b", b"/b/1", b"a/b/x", b"a/b/1x", b"a/b/" + b"9" * 30, b"a" * 500 + b"/b/1"):
        answer = raw(platform, b"/v1/domains?cursor=" + cursor)
        assert " 400 " in answer and "earlier answer" in answer, answer
    assert "refused" not in platform.verifier.process.log(), "the database was asked"


def test_connections_that_say_nothing_hold_the_api_up_for_seconds_and_ask_not_at_all(lab):
    platform = lab.platform(edges=0)
    idle = [socket.create_connection((platform.verifier.address, platform.verifier.port)) for _ in range(300)]
    start = time.monotonic()
    assert platform.verifier.ask("nobody.test") == 403, "on a listener of its own"

    def answers():
        try:
            return platform.api.call("GET", "/v1/domains", timeout=2)[0] == 200
        except OSError:
            return False
    wait_until(answers, 25, "the API to answer again, sooner than after the 30 s of a connection in peace")
    print(f"300 silent connections held the API up for {time.monotonic() - start:.1f} s")
    for one in idle:
        one.close()


def test_a_parameter_nobody_knows_is_no_wish_fulfilled(lab):
    platform = lab.platform(edges=0)
    platform.api.add(NAME)
    platform.api.add(NAME, "brand")
    for query in ("tennant=brand", "tenant", "tenant=", "tenant=brand&tenant=default", "tenant=brand&force=1"):
        for method, tail in (("DELETE", ""), ("GET", ""), ("POST", "/verify")):
            status, problem = platform.api.call(method, f"/v1/domains/{NAME}{tail}?{query}")
            assert status == 400 and problem["code"] in ("unknown_parameter", "invalid_tenant"), problem
    assert platform.api.call("GET", "/v1/domains?page=2")[0] == 400
    assert platform.db.value("SELECT count(*) FROM domains") == "2"


def test_a_wrong_method_on_the_dashboard_says_which_is_right(lab):
    platform = lab.platform(edges=0)
    for path in (b"/", b"/js/app.js"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            answer = raw(platform, path, method)
            assert " 405 " in answer and "Allow: GET" in answer, answer
        assert " 200 " in raw(platform, path, "HEAD")
    for path in (b"/../js/app.js", b"/..%2f..%2fetc/passwd", b"//etc/passwd", b"/js/app.js/..", b"/app.js", b"/web/js/app.js"):
        assert " 404 " in raw(platform, path), path
