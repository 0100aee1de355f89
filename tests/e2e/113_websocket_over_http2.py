"""A WebSocket may share its connection with everything else: extended CONNECT over HTTP/2 (RFC 8441), spoken as HTTP/1.1
to the app, with flow control, ends and resets of each stream its own."""

import os
import re
import signal
import socket
import threading
import time

import pytest

from lab import websocket
from lab.h2_origin import H2Origin
from lab.h2_wire import CANCEL, ENABLE_CONNECT_PROTOCOL, END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, H2Wire, frame
from lab.origin import Origin
from lab.process import wait_until
from lab.websocket import BINARY, CLOSE, TEXT

NAME, H2C_APP = "shop.brand.test", "h2c.brand.test"
KIB, MIB = 1024, 1024 * 1024


class App(Origin):
    def __init__(self, address):
        self.on_upgrade = websocket.echo
        super().__init__(address, self.serve)

    def serve(self, request):
        if request.all("upgrade"):
            return self.on_upgrade(request)
        request.body()
        return request.answer()


@pytest.fixture(scope="module")
def place(shared_lab):
    platform = shared_lab.prepare(edges=2, edge={"access_log": "on"})
    platform.origin = shared_lab.use(App(platform.ground.address(4)))
    for edge in platform.edges:
        edge.settings["upstream"] = platform.origin.url
    platform.edges[1].settings.update(tunnel_idle_timeout="2s", drain_timeout="1s")
    platform.start(without=[platform.app])
    platform.activate(NAME)
    for edge in platform.edges:
        assert platform.visit(NAME, edge=edge).status == 200
    return platform


@pytest.fixture(autouse=True)
def the_app_echoes(place):
    place.origin.on_upgrade = websocket.echo
    wait_until(lambda: open_now(place.edge) == 0, 5, "earlier tunnels to have ended")


def open_now(edge):
    return edge.metric("postern_edge_tunnels")


def ended(edge, how):
    return edge.metric("postern_edge_tunnels_ended_total", end=how)


def connect_fields(name=NAME, path="/chat", protocol="websocket", extra=()):
    return [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "https"), (":path", path), (":authority", name),
            ("sec-websocket-version", "13"), *extra]


class Chat:
    """One WebSocket on a connection that may have others."""

    def __init__(self, one, wait=True, **how):
        self.one = one
        self.stream = one.request(connect_fields(**how), end=False)
        if wait:
            self.heard(lambda answer: answer.status)

    @property
    def answer(self):
        return self.one.answer(self.stream)

    def heard(self, wanted):
        while not wanted(self.answer) and self.answer.reset is None:
            assert self.one.hear() is not None, "the connection ended"
        return self.answer

    def bytes(self, size):
        self.heard(lambda answer: len(answer.body) >= size or answer.ended)
        data = bytes(self.answer.body[:size])
        del self.answer.body[:size]
        return data

    def send(self, payload, opcode=TEXT):
        data = websocket.frame(payload, opcode, mask=True)
        for at in range(0, len(data), 16384):
            self.one.data(self.stream, data[at:at + 16384])

    def receive(self):
        return websocket.read_frame(self.bytes)[:2]

    def ask(self, payload, opcode=TEXT):
        self.send(payload, opcode)
        return self.receive()[1]


def test_many_websockets_and_requests_share_a_connection(place):
    before = ended(place.edge, "whole")
    one = H2Wire(place, NAME)
    chats = [Chat(one, wait=False) for _ in range(30)]
    for chat in chats:
        assert chat.heard(lambda answer: answer.status).status == 200
        assert not {"sec-websocket-accept", "upgrade", "connection"} & set(chat.answer.fields)
    assert one.their.get(ENABLE_CONNECT_PROTOCOL) == 1
    wait_until(lambda: open_now(place.edge) == 30, 5, "all of them to be counted")
    for number, chat in enumerate(chats):
        chat.send(b"%d" % number)
    plain = one.request(one.head())
    for number, chat in enumerate(chats):
        assert chat.receive() == (TEXT, b"%d" % number)
    while not one.answer(plain).ended:
        one.hear()
    assert one.answer(plain).status == 200
    for chat in chats:
        chat.send(b"\x03\xe8", CLOSE)
        assert chat.receive() == (CLOSE, b"\x03\xe8")
        one.data(chat.stream, b"", end=True)
    wait_until(lambda: open_now(place.edge) == 0 and ended(place.edge, "whole") == before + 30, 5, "the tunnels to have ended")
    one.close()
    request = place.origin.requests[-2]
    assert "GET" in {one.method for one in place.origin.requests[-31:]}
    assert request.all("sec-websocket-version") == ["13"]
    place.edge.process.wait_log(r"path=/chat .*status=200 .*tunnel_end=whole")


def test_the_app_is_asked_as_over_http_1_1_with_a_key_of_its_own(place):
    one = H2Wire(place, NAME)
    chat = Chat(one, extra=[("sec-websocket-key", "bWluZSBpcyBub3Qgb3Vycw=="), ("sec-websocket-protocol", "x"), ("origin", "https://a")])
    assert chat.ask(b"hello") == b"hello"
    request = place.origin.requests[-1]
    assert (request.method, request.target, request.version) == ("GET", "/chat", "HTTP/1.1")
    assert request.all("upgrade") == ["websocket"] and request.all("connection") == ["upgrade"]
    assert request.all("host") == [NAME] and request.all("origin") == ["https://a"]
    assert len(request.all("sec-websocket-key")) == 1 and request.all("sec-websocket-key") != ["bWluZSBpcyBub3Qgb3Vycw=="]
    assert not request.all("content-length") and not request.all("transfer-encoding")
    one.close()


def test_what_comes_early_waits_and_large_messages_keep_to_the_windows(place):
    go_on, seen = threading.Event(), []

    def script(request):
        request.sock.settimeout(0.3)
        try:
            seen.append(request.buffer + request.sock.recv(100))
        except TimeoutError:
            seen.append(request.buffer)
        go_on.wait(5)
        request.sock.settimeout(20)
        return websocket.echo(request)
    place.origin.on_upgrade = script
    one = H2Wire(place, NAME)
    chat = Chat(one, wait=False)
    chat.send(b"early")
    wait_until(lambda: seen, 5, "the app to have listened")
    assert seen == [b""]
    go_on.set()
    assert chat.receive()[1] == b"early"
    for _ in range(12):
        message = os.urandom(60000)
        assert chat.ask(message, BINARY) == message
    one.close()


def test_each_direction_ends_by_itself(place):
    got = []

    def script(request):
        websocket.switch(request, b"hello")
        while data := request.sock.recv(65536):
            got.append(data)
        request.sock.sendall(b"still here")
        return False
    place.origin.on_upgrade = script
    before = ended(place.edge, "whole")
    one = H2Wire(place, NAME)
    chat = Chat(one)
    assert chat.bytes(5) == b"hello"
    one.data(chat.stream, b"bye", end=True)
    chat.heard(lambda answer: answer.ended)
    assert chat.answer.body == b"still here" and chat.answer.reset is None
    assert b"".join(got) == b"bye"
    wait_until(lambda: ended(place.edge, "whole") == before + 1, 5, "the tunnel to have ended whole")

    def app_first(request):
        websocket.switch(request)
        request.sock.shutdown(socket.SHUT_WR)
        while data := request.sock.recv(65536):
            got.append(data)
        return False
    place.origin.on_upgrade = app_first
    got.clear()
    chat = Chat(one)
    chat.heard(lambda answer: answer.ended)
    assert chat.answer.reset is None, "the client may go on"
    one.data(chat.stream, b"more")
    one.data(chat.stream, b" and more", end=True)
    wait_until(lambda: b"".join(got) == b"more and more", 5, "the app to have it all")
    wait_until(lambda: ended(place.edge, "whole") == before + 2, 5, "the tunnel to have ended whole")
    plain = one.request(one.head())
    while not one.answer(plain).ended:
        one.hear()
    one.close()


def test_a_question_may_be_all_that_the_client_says(place):
    """END_STREAM with the head: its direction has ended before the tunnel opens."""
    heard = []

    def script(request):
        websocket.switch(request)
        heard.append(request.sock.recv(100))
        request.sock.sendall(b"news")
        return False
    place.origin.on_upgrade = script
    before = ended(place.edge, "whole")
    one = H2Wire(place, NAME)
    answer = one.finish(one.request(connect_fields(), end=True))
    assert (answer.status, answer.body, answer.reset) == (200, b"news", None)
    assert heard == [b""], "an end, not a reset"
    wait_until(lambda: ended(place.edge, "whole") == before + 1, 5, "the tunnel to have ended whole")
    one.close()


def test_a_connection_that_vanishes_resets_all_that_it_carried(place):
    ends, lock = [], threading.Lock()

    def script(request):
        websocket.switch(request)
        try:
            end = request.sock.recv(100)
        except ConnectionResetError:
            end = "reset"
        with lock:
            ends.append(end)
        return False
    place.origin.on_upgrade = script
    before = ended(place.edge, "client")
    one = H2Wire(place, NAME)
    for _ in range(5):
        Chat(one)
    wait_until(lambda: open_now(place.edge) == 5, 5, "all of them to be counted")
    one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    one.close()
    wait_until(lambda: ends == ["reset"] * 5, 5, "the app to see five resets")
    wait_until(lambda: ended(place.edge, "client") == before + 5, 5, "them to be counted")


def test_an_app_of_http2_alone_is_asked_for_no_websocket(place):
    """The tunnel is spoken as HTTP/1.1, whatever the app's SETTINGS offer (RFC 8441); its other requests share a connection."""
    origin = H2Origin(place.ground.address(5), settings=[(ENABLE_CONNECT_PROTOCOL, 1)])
    origin.settings = [(ENABLE_CONNECT_PROTOCOL, 1)]
    place.activate(H2C_APP)
    place.db.query(f"""UPDATE domains SET options = '{{"upstream": "{origin.url}"}}' WHERE name = '{H2C_APP}'""")
    wait_until(lambda: place.visit(H2C_APP, edge=place.edge) and origin.visits(), 10, "the option to count")
    one = H2Wire(place, H2C_APP)
    for _ in range(5):
        assert Chat(one, name=H2C_APP).answer.status == 502
        assert one.get().status == 200
    assert {stream.get(":method") for stream in origin.visits()} == {"GET"}
    assert not any(stream.get(":protocol") or stream.get("upgrade") for stream in origin.visits())
    assert open_now(place.edge) == 0
    one.close()
    origin.close()


def note_ends(place):
    """What the app reads after its switch, or "reset", one for each of its tunnels from now on."""
    ends = []

    def script(request):
        websocket.switch(request)
        try:
            ends.append(request.sock.recv(100))
        except ConnectionResetError:
            ends.append("reset")
        return False
    place.origin.on_upgrade = script
    return ends


def test_a_reset_is_a_reset_on_the_other_side(place):
    ends = note_ends(place)
    one = H2Wire(place, NAME)
    chat = Chat(one)
    one.reset(chat.stream)
    wait_until(lambda: ends == ["reset"], 5, "the app to see a reset")

    def breaks(request):
        websocket.switch(request)
        request.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False
    place.origin.on_upgrade = breaks
    chat = Chat(one)
    chat.heard(lambda answer: answer.reset is not None)
    assert chat.answer.reset == CANCEL
    one.close()


def test_a_websocket_has_no_trailers(place):
    """Which would be an end to one reader and nothing to another (RFC 9113 section 8.5)."""
    ends = note_ends(place)
    one = H2Wire(place, NAME)
    chat = Chat(one)
    one.send(frame(HEADERS, END_HEADERS | END_STREAM, chat.stream, one.block([("x-sum", "1")])))
    chat.heard(lambda answer: answer.ended)
    assert chat.answer.reset == PROTOCOL_ERROR
    wait_until(lambda: ends, 5, "the app to hear of it")
    assert ends == ["reset"]
    one.close()


@pytest.mark.parametrize("status, wanted", [("403 Forbidden", 403), ("302 Found", 302), ("426 Upgrade Required", 426), ("200 OK", 502),
                                            ("204 No Content", 502)])
def test_what_is_no_websocket_is_no_200(place, status, wanted):
    place.origin.on_upgrade = lambda request: request.answer(b"", status)
    one = H2Wire(place, NAME)
    chat = Chat(one)
    assert chat.answer.status == wanted
    chat.heard(lambda answer: answer.ended)
    one.close()


def test_an_app_that_answers_another_key_is_502(place):
    place.origin.on_upgrade = lambda request: request.sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n") or False
    one = H2Wire(place, NAME)
    assert Chat(one).answer.status == 502
    assert open_now(place.edge) == 0
    one.close()


def test_other_connects_are_answered_by_the_letter(place):
    one = H2Wire(place, NAME)
    assert Chat(one, protocol="connect-udp").answer.status == 501
    plain = one.request([(":method", "CONNECT"), (":authority", f"{NAME}:443")], end=False)
    while one.answer(plain).status is None:
        one.hear()
    assert one.answer(plain).status == 501
    for fields in ([(":method", "GET"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/"), (":authority", NAME)],
                   [(":method", "CONNECT"), (":protocol", "websocket"), (":authority", NAME)],
                   [(":method", "CONNECT"), (":protocol", ""), (":scheme", "https"), (":path", "/"), (":authority", NAME)]):
        stream = one.request(fields, end=False)
        while one.answer(stream).reset is None:
            one.hear()
        assert one.answer(stream).reset == PROTOCOL_ERROR
    one.close()


def test_who_gives_no_window_holds_the_app_alone(place):
    sent, stop = [0], threading.Event()

    def script(request):
        websocket.switch(request)
        request.sock.settimeout(0.2)
        while not stop.is_set():
            try:
                sent[0] += request.sock.send(b"x" * 65536)
            except TimeoutError:
                continue
        return False
    place.origin.on_upgrade = script
    one = H2Wire(place, NAME)
    one.updates = False
    chat = Chat(one)
    chat.heard(lambda answer: len(answer.body) == 65535)
    one.window(0, MIB)
    place.origin.on_upgrade = websocket.echo
    other = Chat(one)
    assert other.ask(b"hello") == b"hello"
    assert len(chat.answer.body) == 65535, "not a byte above its window"
    stop.set()
    print(f"a WebSocket without window: the app could send {sent[0] / MIB:.1f} MiB")
    assert sent[0] < 32 * MIB
    one.close()


def test_an_end_waits_for_a_window(place):
    """Nothing but DATA may say it (RFC 9113 section 8.5), and an empty window lets no DATA through."""
    def script(request):
        websocket.switch(request, b"x" * 65535)
        return False
    place.origin.on_upgrade = script
    one = H2Wire(place, NAME)
    one.updates = False
    chat = Chat(one)
    chat.heard(lambda answer: len(answer.body) == 65535)
    one.window(0, MIB)
    assert one.get().status == 200
    assert not chat.answer.ended
    one.window(chat.stream, 1)
    chat.heard(lambda answer: answer.ended)
    assert chat.answer.trailers is None and chat.answer.reset is None
    one.close()


def test_silent_tunnels_end_and_a_drain_waits_for_the_others(place):
    edge = place.edges[1]
    one = H2Wire(place, NAME, edge=edge)
    silent, talking = Chat(one), Chat(one)
    while silent.answer.reset is None:
        assert talking.ask(b"still here") == b"still here"
    assert silent.answer.reset == CANCEL
    wait_until(lambda: ended(edge, "idle") == 1, 5, "it to be counted")
    edge.process.send(signal.SIGTERM)
    edge.process.wait_log("draining")
    assert talking.ask(b"in the drain") == b"in the drain"
    start = time.monotonic()
    try:
        while not one.closed and talking.answer.reset is None:
            talking.send(b"still here")
            one.hear()
    except OSError:
        pass  # it has ended meanwhile
    assert 0.5 < time.monotonic() - start < 15, "until its deadline, and no longer"
    assert one.goaways
    assert edge.process.wait(10) == 0
    assert re.search(r"tunnel_end=drain", edge.process.log())
    one.close()
