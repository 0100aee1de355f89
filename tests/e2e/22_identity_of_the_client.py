"""The app learns who is there from the edge alone: what a client claims about itself is removed."""

from lab.origin import Origin

NAME = "shop.brand.test"


def ask(lab, raw_fields, request_line="GET /path HTTP/1.1", count=1):
    """Sends a head byte for byte; returns the requests as the app got them, and the platform."""
    platform = lab.prepare(edges=1)
    origin = lab.use(Origin(platform.ground.address(4)))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    sock = platform.connect(NAME, edge=platform.edge)
    client = sock.getsockname()[0]
    for _ in range(count):
        sock.sendall(f"{request_line}\r\nHost: {NAME}\r\n{raw_fields}\r\n".encode())
        assert b"200 OK" in sock.recv(4096)
    sock.close()
    return origin.requests, client


def test_forwarded_fields_are_removed_as_sent_and_set_from_the_peer(lab):
    requests, client = ask(lab, "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Forwarded-Proto: http\r\n"
                                "X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\n")
    request = requests[0]
    assert request.all("x-forwarded-for") == [client]
    assert request.all("x-forwarded-proto") == ["https"]
    assert request.all("x-forwarded-host") == [NAME]
    assert b"6.6.6.6" not in request.head and b"evil.test" not in request.head


def test_underscore_twins_and_relatives_are_removed(lab):
    requests, _ = ask(lab, "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: http\r\nForwarded: for=6.6.6.6\r\n"
                           "X-Real-IP: 6.6.6.6\r\n")
    assert b"6.6.6.6" not in requests[0].head


def test_fields_named_in_connection_cannot_remove_what_the_edge_sets(lab):
    requests, client = ask(lab, "Connection: X-Forwarded-For, X-Forwarded-Proto, x-secret\r\nX-Secret: 1\r\n")
    request = requests[0]
    assert request.all("x-forwarded-for") == [client]
    assert request.all("x-forwarded-proto") == ["https"]
    assert request.all("x-secret") == []


def test_hop_by_hop_fields_stay_on_their_hop(lab):
    requests, _ = ask(lab, "Connection: keep-alive, TE\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
                           "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\n"
                           "X-Stays: yes\r\n")
    request = requests[0]
    for name in ("keep-alive", "proxy-connection", "upgrade"):
        assert request.all(name) == [], name
    # The edge passes trailers on and says so for itself (RFC 9110 section 10.1.4).
    assert (request.all("te"), request.all("connection")) == (["trailers"], ["te"])
    assert request.all("x-stays") == ["yes"]


def test_host_and_target_reach_the_app_byte_for_byte(lab):
    requests, _ = ask(lab, "", "GET /a%2Fb/../c?d=%20&e=+ HTTP/1.1")
    assert requests[0].target == "/a%2Fb/../c?d=%20&e=+"
    assert requests[0].all("host") == [NAME]


def test_every_request_of_a_connection_is_treated_so(lab):
    requests, client = ask(lab, "X-Forwarded-For: 6.6.6.6\r\n", count=3)
    assert [request.all("x-forwarded-for") for request in requests] == [[client]] * 3


def test_another_host_than_the_one_of_the_handshake_is_misdirected(lab):
    platform = lab.platform(edges=1)
    platform.activate(NAME)
    platform.activate("other.brand.test")
    visit = platform.visit(NAME, headers={"Host": "other.brand.test"})
    assert visit.status == 421


def test_two_ways_to_read_a_request_are_none(lab):
    platform = lab.prepare(edges=1)
    origin = lab.use(Origin(platform.ground.address(4)))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    for head in ("POST / HTTP/1.1\r\nHost: {0}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 "POST / HTTP/1.1\r\nHost: {0}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                 "GET / HTTP/1.1\r\nHost: {0}\r\nHost: evil.test\r\n\r\n",
                 "GET / HTTP/1.1\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost : {0}\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost: {0}\r\n folded: yes\r\n\r\n",
                 "POST / HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
                 "POST / HTTP/1.1\r\nHost: {0}\r\nContent-Length: +3\r\n\r\nabc"):
        sock = platform.connect(NAME, edge=platform.edge)
        sock.sendall(head.format(NAME).encode())
        answer = b""
        while chunk := sock.recv(4096):
            answer += chunk
        sock.close()
        assert answer.startswith(b"HTTP/1.1 400") or answer.startswith(b"HTTP/1.1 501"), (head, answer)
    assert origin.requests == []
