"""HTTP/2 between real clients and an app that speaks HTTP/1.1."""

import hashlib
import os
import re
import subprocess

import h2.connection
import h2.events
import pytest

from lab import tls
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
    elif request.target == "/refuse":
        request.answer(b"not that much", status="413 Content Too Large", fields=[("Connection", "close")])
        return False
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


@pytest.mark.parametrize("size", [50_000, 3 * MIB])
def test_curl_hears_why_the_app_refuses_an_upload(place, size):
    """Half-way: curl goes on sending while the answer is on its way."""
    path = os.path.join(place.ground.directory, f"upload-{size}")
    with open(path, "wb") as file:
        file.write(bytes(size))
    for _ in range(10):
        shown = curl(place, "-i", "-T", path, path="/refuse")
        assert shown.startswith(b"HTTP/2 413") and shown.endswith(b"not that much")


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


def test_nghttp_asks_uploads_and_hears_trailers(place):
    def nghttp(*words, path="/"):
        done = subprocess.run(["nghttp", "-v", "-H", f":authority: {NAME}", *words,
                               f"https://{place.edge.address}:{place.https}{path}"], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode(errors="replace"))

    said = nghttp("-n", "-m", "100")
    assert len(re.findall(r"(?m)^\s*\[.*\(stream_id=\d+\) :status: 200", said)) == 100, said[-3000:]
    assert len(set(re.findall(r"\(stream_id=(\d+)\) :status: 200", said))) == 100, "all of them on one connection"
    path = os.path.join(place.ground.directory, "nghttp-upload")
    with open(path, "wb") as file:
        file.write(os.urandom(MIB))
    with open(path, "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    for more in ((), ("--trailer", "x-sum: 7"), ("-b", "200"), ("--no-content-length",)):
        assert wanted in nghttp("-d", path, *more, path="/echo"), more
    assert "x-sum: 5" in nghttp(path="/trailers") and ":status: 103" in nghttp(path="/interim")


def test_python_h2_uploads_thirty_bodies_at_once(place):
    """A client of another make, which holds us to the letter of frames, windows and states."""
    peer, bodies, answers, over = h2.connection.H2Connection(), {}, {}, set()
    with place.connect(NAME, edge=place.edge, context=tls.trust(place.pebble.root, ("h2",))) as sock:
        sock.settimeout(20)
        peer.initiate_connection()
        for _ in range(30):
            stream = peer.get_next_available_stream_id()
            bodies[stream], answers[stream] = os.urandom(100000), b""
            peer.send_headers(stream, [(":method", "POST"), (":scheme", "https"), (":authority", NAME), (":path", "/echo")])
        left = dict(bodies)
        while len(over) < len(bodies):
            for stream in list(left):
                room = min(peer.local_flow_control_window(stream), peer.max_outbound_frame_size, len(left[stream]))
                if room == 0:
                    continue
                peer.send_data(stream, left[stream][:room], end_stream=room == len(left[stream]))
                left[stream] = left[stream][room:]
                if not left[stream]:
                    del left[stream]
            sock.sendall(peer.data_to_send())
            try:
                heard = sock.recv(65536)
            except TimeoutError:
                pytest.fail(f"the edge says no more: {len(over)} answers are whole, and windows are left of "
                            f"{[peer.local_flow_control_window(stream) for stream in left]}")
            for event in peer.receive_data(heard):
                if isinstance(event, h2.events.DataReceived):
                    answers[event.stream_id] += event.data
                    peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    over.add(event.stream_id)
                assert not isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)), event
    for stream, body in bodies.items():
        assert answers[stream].decode() == hashlib.sha256(body).hexdigest()


def test_access_log_names_the_version(place):
    curl(place, path="/logged")
    place.edge.process.wait_log(r"path=/logged http=2 status=200")
