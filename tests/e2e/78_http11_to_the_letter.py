"""HTTP/1.1 between raw sockets (RFC 9110, 9112): what each side sends, byte for byte, and when."""

import re
import subprocess
import threading
import time

import pytest

from lab.origin import Origin

NAME = "shop.brand.test"


class Wire:
    """One TLS connection of a visitor."""

    def __init__(self, platform):
        self.sock = platform.connect(NAME, edge=platform.edge)
        self.buffer = b""

    def send(self, text):
        self.sock.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def until(self, mark):
        while mark not in self.buffer:
            chunk = self.sock.recv(65536)
            assert chunk, f"the end before {mark!r}; got {self.buffer!r}"
            self.buffer += chunk
        taken, self.buffer = self.buffer.split(mark, 1)
        return taken + mark

    def head(self):
        return self.until(b"\r\n\r\n").decode("latin-1")

    def exactly(self, size):
        while len(self.buffer) < size:
            chunk = self.sock.recv(65536)
            assert chunk, self.buffer
            self.buffer += chunk
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def answer(self):
        """Head and body of a response with a length, chunks, or neither (204, 304)."""
        head = self.head()
        length = re.search(r"(?im)^content-length: (\d+)\r$", head)
        if length:
            return head, self.exactly(int(length[1]))
        if re.search(r"(?im)^transfer-encoding: chunked\r$", head):
            return head, self.until(b"0\r\n\r\n")
        return head, b""

    def rest(self):
        """Everything up to the end of the connection."""
        while chunk := self.sock.recv(65536):
            self.buffer += chunk
        taken, self.buffer = self.buffer, b""
        return taken

    def get(self, line="GET / HTTP/1.1", fields=""):
        self.send(f"{line}\r\nHost: {NAME}\r\n{fields}\r\n")


class Stage:
    """The platform of this file, and the app whose script each test sets."""

    def __init__(self, lab):
        self.platform = lab.prepare(edges=1, edge={"upstream_timeout": "10s"})
        self.script = None
        self.origin = lab.use(Origin(self.platform.ground.address(4), lambda request: self.script(request)))
        self.platform.edge.settings["upstream"] = self.origin.url
        self.play(lambda request: request.answer())
        self.platform.start()
        self.platform.activate(NAME)
        assert self.platform.visit(NAME, edge=self.platform.edge).status == 200

    def play(self, script):
        self.script = script

    def wire(self, script=None):
        self.script = script or (lambda request: request.body() and None or request.answer())
        self.origin.requests.clear()
        return Wire(self.platform)

    @property
    def requests(self):
        return self.origin.requests


@pytest.fixture(scope="module")
def stage(shared_lab):
    return Stage(shared_lab)


# Pipelining and framing


def test_pipelined_requests_are_answered_in_order(stage):
    wire = stage.wire(lambda request: request.body() and None or request.answer(request.target.encode()))
    wire.send("".join(
        f"GET /{number} HTTP/1.1\r\nHost: {NAME}\r\n\r\n" if number % 3 else
        f"POST /{number} HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        for number in range(60)))
    assert [wire.answer()[1] for _ in range(60)] == [f"/{number}".encode() for number in range(60)]
    assert [request.target for request in stage.requests] == [f"/{number}" for number in range(60)]


def test_what_is_pipelined_behind_a_close_is_not_served(stage):
    wire = stage.wire()
    wire.get("GET /1 HTTP/1.1", "Connection: close\r\n")
    wire.get("GET /2 HTTP/1.1")
    answer = wire.rest()
    assert answer.count(b"HTTP/1.1 200") == 1 and b"Connection: close\r\n" in answer
    assert [request.target for request in stage.requests] == ["/1"]


def test_chunks_and_trailers_both_ways(stage):
    def script(request):
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += request.read(1)
        request.received = received
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                             b"4;a=b\r\nwiki\r\n5\r\npedia\r\n0\r\nX-Sum: 9\r\nContent-Length: 3\r\n\r\n")
    wire = stage.wire(script)
    wire.get("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Check\r\n")
    wire.send('5;quoted="a\\"b"\r\nhello\r\n0\r\nX-Check: 1\r\nX-Forwarded-For: 6.6.6.6\r\nHost: evil\r\n\r\n')
    assert wire.head().startswith("HTTP/1.1 200 OK\r\n")
    assert wire.until(b"\r\n\r\n") == b"4\r\nwiki\r\n5\r\npedia\r\n0\r\nX-Sum: 9\r\n\r\n"
    assert stage.requests[0].received == b"5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n"


def test_head_204_and_304_have_no_body_and_leave_the_next_answer_alone(stage):
    answers = {"HEAD": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
               "GET": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
               "OPTIONS": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n",
               "DELETE": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast"}
    wire = stage.wire(lambda request: request.sock.sendall(answers[request.method]))
    for method in answers:
        wire.get(f"{method} / HTTP/1.1")
    heads = [wire.head() for _ in range(4)]
    assert [head.split()[1] for head in heads] == ["200", "204", "304", "200"]
    assert "Content-Length: 500" in heads[0] and "Content-Length: 77" in heads[2]
    assert "content-length" not in heads[1].lower() and "chunked" not in heads[1]
    assert wire.exactly(4) == b"last"


def curl(stage, *arguments, stdin=None):
    """What curl prints, and its exit code."""
    edge = stage.platform.edge
    done = subprocess.run(["curl", "-sS", "--http1.1", "--max-time", "20", "--cacert", stage.platform.pebble.root, "--connect-to",
                           f"::{edge.address}:{edge.https}", *arguments], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return done.stdout, done.returncode


def test_curl_in_its_ways(stage):
    def script(request):
        if request.all("expect"):
            request.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.answer(f"{request.method} {request.target} {len(request.body())}\n".encode())
    stage.wire(script).sock.close()
    url, body = f"https://{NAME}", b"x" * 3000000
    for options, wanted in (([f"{url}/1", f"{url}/2"], b"GET /1 0\nGET /2 0\n"),
                            (["--http1.0", f"{url}/"], b"GET / 0\n"),
                            (["--http1.0", "-H", "Connection: keep-alive", f"{url}/1", f"{url}/2"],
                             b"GET /1 0\nGET /2 0\n"),
                            (["-T", "-", f"{url}/put"], b"PUT /put 3000000\n"),
                            (["-H", "Expect: 100-continue", "-T", "-", f"{url}/put"], b"PUT /put 3000000\n"),
                            (["-H", "Expect: 100-continue", "--data-binary", "@-", f"{url}/post"],
                             b"POST /post 3000000\n"),
                            (["-H", "Expect:", "--data-binary", "@-", f"{url}/post"], b"POST /post 3000000\n")):
        assert curl(stage, *options, stdin=body) == (wanted, 0), options
    head, code = curl(stage, "-I", f"{url}/head")
    assert code == 0 and b"\r\nContent-Length: 13\r\n" in head


# Expectations and interim responses


def test_continue_comes_from_the_app_and_not_before(stage):
    asked = threading.Event()
    go = threading.Event()

    def script(request):
        asked.set()
        assert go.wait(5)
        request.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.answer(request.body())
    wire = stage.wire(script)
    wire.get("PUT / HTTP/1.1", "Content-Length: 5\r\nExpect: 100-Continue\r\n")
    assert asked.wait(5) and stage.requests[0].all("expect") == ["100-Continue"]
    wire.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        wire.sock.recv(1)
    wire.sock.settimeout(10)
    go.set()
    assert wire.head() == "HTTP/1.1 100 Continue\r\n\r\n"
    wire.send("hello")
    assert wire.answer()[1] == b"hello"
    wire.get()  # the connection goes on
    assert wire.head().startswith("HTTP/1.1 100")
    assert wire.answer()[0].startswith("HTTP/1.1 200")


@pytest.mark.parametrize("status", ["417 Expectation Failed", "413 Content Too Large", "401 Unauthorized"])
def test_a_final_answer_instead_of_continue_ends_the_connection(stage, status):
    wire = stage.wire(lambda request: request.answer(b"no", status))
    wire.get("PUT / HTTP/1.1", "Content-Length: 5\r\nExpect: 100-continue\r\n")
    head, body = wire.answer()
    assert head.startswith(f"HTTP/1.1 {status}") and "Connection: close" in head and body == b"no"
    wire.send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert wire.rest() == b""
    assert [request.target for request in stage.requests] == ["/"]


def test_who_expects_and_does_not_wait_is_served(stage):
    def script(request):
        body = request.body()
        request.answer(body)
    wire = stage.wire(script)
    for _ in range(2):
        wire.get("PUT / HTTP/1.1", "Content-Length: 5\r\nExpect: 100-continue\r\n")
        wire.send("hello")
        head, body = wire.answer()
        assert head.startswith("HTTP/1.1 200") and body == b"hello"


def test_an_expectation_of_http_1_0_is_ignored_and_an_unknown_one_refused(stage):
    wire = stage.wire(lambda request: request.answer(request.body()))
    wire.send(f"PUT / HTTP/1.0\r\nHost: {NAME}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
    assert wire.rest().endswith(b"\r\n\r\nhello")
    assert stage.requests[0].all("expect") == []
    wire = stage.wire()
    wire.get("PUT / HTTP/1.1", "Content-Length: 5\r\nExpect: 200-ok\r\n")
    assert wire.rest().startswith(b"HTTP/1.1 417 ")
    assert stage.requests == []


def test_early_hints_pass_and_not_to_http_1_0(stage):
    def script(request):
        request.sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\nX: y\r\n\r\n"
                             b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n")
        request.answer(b"page")
    wire = stage.wire(script)
    wire.get()
    assert wire.head() == "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    assert wire.head() == "HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n"
    assert wire.answer()[1] == b"page"
    wire.send(f"GET / HTTP/1.0\r\nHost: {NAME}\r\n\r\n")
    answer = wire.rest()
    assert b"103" not in answer and answer.endswith(b"\r\n\r\npage")


# Early responses


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_an_early_answer_ends_the_upload_and_never_desynchronises(stage, framing):
    def script(request):
        request.answer(b"enough", "413 Content Too Large")
        return False
    wire = stage.wire(script)
    chunked = framing == "chunks"
    wire.get("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n" if chunked else "Content-Length: 10000000\r\n")
    wire.send(b"186A0\r\n" + b"x" * 100000 + b"\r\n" if chunked else b"x" * 100000)
    head, body = wire.answer()
    assert head.startswith("HTTP/1.1 413") and "Connection: close" in head and body == b"enough"
    with pytest.raises(OSError):
        for _ in range(1000):
            wire.send(f"GET /smuggled HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
            time.sleep(0.005)
    assert [request.target for request in stage.requests] == ["/"]


def test_an_early_answer_while_the_upload_goes_on_arrives_whole(stage):
    """The app answers after the first bytes and reads the rest: the client, who looks at the end only, sees it."""
    def script(request):
        request.read(10)
        request.answer(b"y" * 100000)
        try:
            request.read(1 << 20)
        except OSError:
            pass
        return False
    wire = stage.wire(script)
    wire.get("POST / HTTP/1.1", f"Content-Length: {1 << 20}\r\n")
    try:
        for _ in range(16):
            wire.send(b"x" * 65536)
    except OSError:
        pass
    head, body = wire.answer()
    assert head.startswith("HTTP/1.1 200") and body == b"y" * 100000


# Targets and methods


def test_absolute_form_and_asterisk(stage):
    wire = stage.wire()
    for line, target in ((f"GET https://{NAME}/a?b HTTP/1.1", "/a?b"), (f"GET http://{NAME}?q HTTP/1.1", "/?q"),
                         (f"GET HTTPS://{NAME.upper()} HTTP/1.1", "/"), ("OPTIONS * HTTP/1.1", "*"),
                         (f"OPTIONS https://{NAME} HTTP/1.1", "*"), ("GET //evil.test/x HTTP/1.1", "//evil.test/x"),
                         ("GET /%00%2e%2e/ HTTP/1.1", "/%00%2e%2e/")):
        host = NAME.upper() if NAME.upper() in line else NAME
        wire.send(f"{line}\r\nHost: {host}\r\n\r\n")
        assert wire.answer()[0].startswith("HTTP/1.1 200"), line
        assert stage.requests[-1].target == target
        assert stage.requests[-1].all("host") == [host]


def test_methods_that_are_not_for_gateways(stage):
    for line, status in ((f"CONNECT {NAME}:443 HTTP/1.1", 501), ("TRACE / HTTP/1.1", 501), ("GET * HTTP/1.1", 400),
                         (f"GET {NAME}:443 HTTP/1.1", 400), ("GET x HTTP/1.1", 400), ("GET / HTTP/2.0", 505),
                         ("G@T / HTTP/1.1", 400), ("GET /a b HTTP/1.1", 400),
                         ("GET /#f HTTP/1.1", 400), ("GET  / HTTP/1.1", 400)):
        wire = stage.wire()
        wire.get(line)
        assert wire.head().startswith(f"HTTP/1.1 {status} "), line
        assert stage.requests == []
        wire.sock.close()


def test_max_forwards_of_options(stage):
    wire = stage.wire()
    wire.get("OPTIONS / HTTP/1.1", "Max-Forwards: 0\r\n")
    assert wire.answer()[0].startswith("HTTP/1.1 200")
    assert stage.requests == []
    wire.get("OPTIONS / HTTP/1.1", "Max-Forwards: 5\r\n")
    assert wire.answer()[0].startswith("HTTP/1.1 200")
    assert stage.requests[0].all("max-forwards") == ["4"]
    wire.get("GET / HTTP/1.1", "Max-Forwards: 0\r\n")
    wire.answer()
    assert stage.requests[1].all("max-forwards") == ["0"]


# HTTP/1.0


def test_http_1_0_clients(stage):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    scripts = [lambda request: request.answer(b"hello"), lambda request: request.sock.sendall(chunked)]
    for script in scripts:
        wire = stage.wire(script)
        wire.send("GET / HTTP/1.0\r\n\r\n")
        answer = wire.rest()
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\nhello")
        assert b"chunked" not in answer and b"Connection: close" in answer
        assert stage.requests[0].all("host") == [NAME] and stage.requests[0].version == "HTTP/1.1"
    wire = stage.wire(scripts[0])
    for _ in range(3):
        wire.send(f"GET / HTTP/1.0\r\nHost: {NAME}\r\nConnection: keep-alive\r\n\r\n")
        head, body = wire.answer()
        assert "Connection: keep-alive" in head and body == b"hello"
    wire = stage.wire(scripts[1])
    wire.send(f"GET / HTTP/1.0\r\nHost: {NAME}\r\nConnection: keep-alive\r\n\r\n")
    assert wire.rest().endswith(b"\r\n\r\nhello")


def test_an_app_that_speaks_http_1_0(stage):
    def script(request):
        request.sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nold")
        return False
    wire = stage.wire(script)
    for _ in range(2):
        wire.get()
        head, body = wire.answer()
        assert head.startswith("HTTP/1.1 200 OK") and "chunked" in head and body == b"3\r\nold\r\n0\r\n\r\n"


# What passes and what is added


def test_fields_that_a_gateway_owes(stage):
    wire = stage.wire(lambda request: request.answer(fields=[("Via", "1.0 cache"), ("Server", "app")]))
    wire.send(f"GET / HTTP/1.0\r\nHost: {NAME}\r\nVia: 1.1 cdn\r\nConnection: keep-alive\r\n"
              "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=1,b=2\r\n\r\n")
    head, _ = wire.answer()
    request = stage.requests[0]
    assert request.all("via")[0] == "1.1 cdn" and re.fullmatch(r"1\.0 postern-[0-9a-f]{8}", request.all("via")[1])
    assert request.all("traceparent") == ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]
    assert request.all("tracestate") == ["a=1,b=2"]
    assert re.search(r"(?m)^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$", head)
    assert "Server: app\r\n" in head and head.count("Server:") == 1 and "Via: 1.0 cache\r\n" in head
    wire = stage.wire(lambda request: request.answer(fields=[("Date", "Sun, 06 Nov 1994 08:49:37 GMT")]))
    wire.get()
    head, _ = wire.answer()
    assert head.count("Date: ") == 1 and "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in head


def test_requests_of_two_readings_are_refused_and_closed(stage):
    post = f"POST / HTTP/1.1\r\nHost: {NAME}\r\n"
    for request in (post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                    post + "Content-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
                    post + "Content-Length: 3, 3\r\n\r\nabc",
                    post + "Content-Length:\r\n\r\n", post + "Content-Length: 0x3\r\n\r\nabc",
                    post + "Content_Length: 3\r\n\r\n", post + "Transfer-Encoding: chunked, chunked\r\n\r\n",
                    post + "Transfer-Encoding:\x0bchunked\r\n\r\n", post + "Transfer-Encoding : chunked\r\n\r\n",
                    post + "X: a\rb\r\n\r\n", post + "X: a\0b\r\n\r\n", post + "X: a\nY: b\r\n\r\n",
                    post + " X: a\r\n\r\n", post + ": a\r\n\r\n", post + "Connection: host\r\n\r\n",
                    post.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    f"GET / HTTP/1.1\r\nHost: {NAME}\r\nHost: {NAME}\r\n\r\n", f"GET / HTTP/1.1\nHost: {NAME}\n\n"):
        wire = stage.wire()
        wire.send(request + f"GET /smuggled HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
        answer = wire.rest()
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, (request, answer)
        assert b"Connection: close\r\n" in answer
        assert stage.requests == [], request
