"""HTTP/2 between real clients and an app that speaks HTTP/1.1."""

import hashlib
import os
import re
import subprocess

import pytest

from lab.origin import Origin
from lab.process import wait_until
from lab.servers import LARGE

NAME = "shop.brand.test"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def place(shared_lab):
    platform = shared_lab.prepare(edges=1)
    platform.edge.settings["access_log"] = "on"
    origin = shared_lab.use(Origin(platform.ground.address(4), app))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    platform.activate(NAME)
    return platform


def app(request):
    if request.target == "/large":
        request.answer(b"x" * LARGE)
    elif request.target.startswith("/echo"):
        body = request.body()
        request.answer(hashlib.sha256(body).hexdigest().encode(), fields=[("X-Size", str(len(body)))])
    elif request.target == "/trailers":
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                             b"5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n")
    elif request.target == "/interim":
        request.sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        request.answer(b"late")
    elif request.target == "/empty":
        request.sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    else:
        request.body()
        request.answer(request.head, fields=[("X-Mixed-Case", "Kept"), ("Connection", "keep-alive")])


def curl(platform, *arguments, name=NAME, path="/"):
    done = subprocess.run(["curl", "-sS", "--http2", "--cacert", platform.pebble.root, "--connect-to",
                           f"{name}:443:{platform.edge.address}:{platform.https}", f"https://{name}{path}",
                           *arguments], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl_gets_a_page(place):
    shown = curl(place, "-i").decode()
    head, body = shown.split("\r\n\r\n", 1)
    assert head.startswith("HTTP/2 200")
    assert "x-mixed-case: Kept" in head and "connection" not in head.lower()
    assert re.search(r"(?m)^x-request-id: \w{32}\r?$", head) and re.search(r"(?m)^date: ", head)
    lines = body.split("\r\n")
    assert lines[0] == "GET / HTTP/1.1" and lines[1] == f"Host: {NAME}"
    assert [line for line in lines if line.startswith("Via: 2.0 postern-")]
    assert "X-Forwarded-Proto: https" in lines


def test_curl_posts_and_gets_it_back(place):
    body = os.urandom(5 * MIB)
    wanted = hashlib.sha256(body).hexdigest().encode()
    for extra in ((), ("-H", "Expect: 100-continue")):
        done = subprocess.run(["curl", "-sS", "--http2", "--cacert", place.pebble.root, "--connect-to",
                               f"{NAME}:443:{place.edge.address}:{place.https}", f"https://{NAME}/echo",
                               "--data-binary", "@-", *extra], input=body, capture_output=True, timeout=60, check=False)
        assert done.stdout == wanted, done.stderr


def test_curl_hears_why_an_upload_is_refused(place):
    """Our answer comes before the body has gone out: what resets the rest must not hide it from curl 7.88."""
    small = "small.brand.test"
    place.activate(small)
    place.db.query(f"""UPDATE domains SET options = '{{"max_body": 1000}}' WHERE name = '{small}'""")
    wait_until(lambda: place.visit(small, edge=place.edge, method="POST", body=b"x" * 2000).status == 413, 10, "the option to count")
    path = os.path.join(place.ground.directory, "upload")
    with open(path, "wb") as file:
        file.write(bytes(3 * MIB))
    for _ in range(10):
        assert curl(place, "-i", "-T", path, name=small).startswith(b"HTTP/2 413")


def test_head_and_no_content_have_no_body(place):
    assert b"content-length" in curl(place, "-I")
    assert curl(place, "-i", path="/empty").startswith(b"HTTP/2 204")


def test_trailers_and_interim_responses_pass(place):
    assert b"x-sum: 5" in curl(place, "-i", path="/trailers")
    shown = curl(place, "-i", path="/interim")
    assert shown.startswith(b"HTTP/2 103") and b"HTTP/2 200" in shown and shown.endswith(b"late")


def test_large_body_arrives_whole(place):
    assert len(curl(place, path="/large")) == LARGE


def test_h2load_gets_every_answer(place):
    done = subprocess.run(["h2load", "-n2000", "-c4", "-m16", "--connect-to",
                           f"{place.edge.address}:{place.https}", f"https://{NAME}/"], capture_output=True, timeout=60,
                          check=False)
    text = done.stdout.decode()
    assert "2000 succeeded" in text and "Application protocol: h2" in text, text + done.stderr.decode()


def test_access_log_names_the_version(place):
    curl(place, path="/logged")
    place.edge.process.wait_log(r"path=/logged http=2 status=200")
