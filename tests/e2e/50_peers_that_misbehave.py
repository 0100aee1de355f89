"""Neither an origin nor a visitor can end the node, hold it up, or stay longer than allowed."""

import time

from lab import tls
from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"
HEAD_MAX = 64 * 1024


def platform_with(lab, script=None, **edge):
    platform = lab.prepare(edges=1, edge=edge)
    origin = lab.use(Origin(platform.ground.address(4), script))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    return platform


def test_origin_whose_head_fills_the_buffer_exactly_gets_its_visitor_a_502(lab):
    def script(request):
        if request.target == "/":
            return request.answer()
        start = b"HTTP/1.1 200 OK\r\nX: "
        request.sock.sendall(start + b"a" * (HEAD_MAX - len(start) - 2) + b"\r\n")
        request.sock.recv(1)
        return False
    platform = platform_with(lab, script)
    assert platform.visit(NAME, "/huge").status == 502
    assert platform.visit(NAME, "/").status == 200


def test_bytes_behind_an_answer_are_never_the_answer_to_somebody_else(lab):
    """HEAD answered with a body, as careless apps do; the body looks like an answer."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def script(request):
        if request.method == "HEAD":
            request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(evil) + evil)
            return True
        return request.answer(b"good")
    platform = platform_with(lab, script, workers=1)
    for _ in range(20):
        assert platform.visit(NAME, method="HEAD").status == 200
        assert platform.visit(NAME).body == b"good"


def test_open_connection_ends_once_its_domain_is_deleted(lab):
    platform = platform_with(lab)
    sock = platform.connect(NAME)
    connection = tls.HttpOver(sock, NAME)

    def visit():
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.getheader("Connection")
    assert visit() is None
    platform.api.delete(NAME)
    wait_until(lambda: visit() == "close", 10, "the connection to end", interval=0.1)
    assert platform.refusal(NAME).alert == "unrecognized_name"


def test_visitor_who_leaves_without_reading_costs_no_cpu(lab):
    platform = platform_with(lab)
    socks = []
    for end in ("silence", "half", "close_notify"):
        sock = platform.connect(NAME, edge=platform.edge)
        sock.sendall(b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\nabc" % NAME.encode())
        if end == "close_notify":
            sock.settimeout(0)
            try:
                sock.unwrap()
            except OSError:
                pass
        elif end == "half":
            sock.shutdown(1)
        socks.append(sock)
    before, start = cpu_seconds(platform.edge.process.pid), time.monotonic()
    wait_until(lambda: time.monotonic() - start > 1, 5, "a second of doing nothing")
    assert cpu_seconds(platform.edge.process.pid) - before < 0.2


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
