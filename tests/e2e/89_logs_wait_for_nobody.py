"""The access log: a JSON line for each request, complete and without secrets; and whatever becomes of the place where
lines go, no visitor notices and what is lost is counted."""

import json
import os

import pytest

from lab import tls
from lab.daemons import command_line
from lab.origin import Origin
from lab.place import program
from lab.process import Process, wait_until

NAME = "shop.brand.test"
LOST = "postern_log_lost_lines_total"


def node(lab, **edge):
    platform = lab.prepare(edges=1, edge={"access_log": "on", "log_format": "json", **edge})
    origin = lab.use(Origin(platform.ground.address(4)))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME, edge=platform.edge)
    return platform


def lines(edge, path):
    found = [json.loads(line) for line in edge.process.log().splitlines()
             if line.startswith("{") and '"message":"request"' in line]
    return [line for line in found if line.get("path") == path]


def test_a_line_says_where_the_time_went(lab):
    platform = node(lab)
    edge = platform.edge
    sock = platform.connect(NAME, edge=edge)
    connection = tls.HttpOver(sock, NAME)
    for path in ("/first?token=secret1", "/second"):
        connection.request("POST", path, body=b"x" * 1000, headers={
            "Cookie": "secret2", "Authorization": "Bearer secret3", "User-Agent": 'say "hi"\t\xff',
            "Referer": "https://other.test/page?secret4"})
        assert connection.getresponse().read() == b"ok\n"
    wait_until(lambda: lines(edge, "/second"), 5, "the second line")
    first, second = lines(edge, "/first")[0], lines(edge, "/second")[0]
    assert "secret" not in edge.process.log()
    assert first["client"] == sock.getsockname()[0]
    assert (first["method"], first["host"], first["status"], first["http"]) == ("POST", NAME, 200, "1.1")
    assert first["tls"] in ("TLSv1.2", "TLSv1.3") and first["cipher"] and first["sni"] == NAME
    assert first["resumed"] == "no"
    assert first["bytes_in"] > 1000 and first["bytes_out"] > 40
    assert first["upstream"].startswith(platform.ground.address(4))
    assert first["request_id"] and first["request_id"] != second["request_id"]
    assert first["referer"] == "https://other.test/page"
    for phase in ("hello_us", "handshake_us", "head_us", "first_byte_us", "total_us"):
        assert first[phase] >= 0, phase
    assert first["total_us"] >= first["first_byte_us"]
    assert second["served_before"] == 1 and "handshake_us" not in second and "connect_us" not in second
    sock.close()


def test_what_is_no_request_has_a_line_too(lab):
    platform = node(lab)
    sock = platform.connect(NAME, edge=platform.edge)
    sock.sendall(b"nonsense\r\n\r\n")
    assert sock.recv(100).startswith(b"HTTP/1.1 400")
    platform.edge.process.wait_log(r'"message":"request".*"status":400')
    sock.close()


def test_phases_are_histograms(lab):
    platform = node(lab)
    platform.visit(NAME, edge=platform.edge)
    for phase in ("hello", "handshake", "request_head", "upstream_connect", "first_byte", "request"):
        wait_until(lambda phase=phase: platform.edge.metric(f"postern_edge_{phase}_seconds_count") >= 1, 10, phase)
    wait_until(lambda: platform.edge.metric("postern_edge_request_bytes_total", direction="out") > 40, 10, "its bytes")
    assert platform.edge.metric("postern_edge_memory_bytes") >= 0


@pytest.mark.parametrize("where", ["pipe", "full"])
def test_lines_that_cannot_be_written_hold_up_nobody(lab, where):
    """stdout and stderr end in a pipe that nobody reads, or on a full disk."""
    platform = node(lab)
    edge = platform.edge
    edge.stop()
    path = "/dev/full"
    if where == "pipe":
        path = os.path.join(platform.ground.directory, "blocked")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDWR)
    edge.process = Process("blocked", ["sh", "-c", 'exec "$@" >"$0" 2>&1', path, program(edge.program)]
                           + command_line(edge.settings), os.path.join(platform.ground.directory, "blocked.log"))
    edge.wait_ready()
    sock = platform.connect(NAME, edge=edge)
    request = f"GET /{'x' * 400} HTTP/1.1\r\nHost: {NAME}\r\nUser-Agent: {'y' * 200}\r\n\r\n".encode() * 50
    for _ in range(60):
        sock.sendall(request)
        got = b""
        while got.count(b"HTTP/1.1 200") < 50 or not got.endswith(b"ok\n"):
            got += sock.recv(65536)
    wait_until(lambda: edge.metric(LOST) > 500, 5, "lost lines to be counted")
    assert platform.visit(NAME, edge=edge).status == 200
    if where == "pipe":
        os.close(reader)
    assert edge.stop() == 0
    sock.close()
