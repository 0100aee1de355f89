"""Either side may end, reset or dribble at any byte: what was not whole is never taken for whole, what was whole is
answered, and nobody else notices."""

import collections
import socket
import threading

import pytest

from lab.origin import Origin
from lab.origins import Recorder
from lab.wire import Ended, Wire, trust

NAME = "shop.brand.test"
HEAD_MAX, TARGET_MAX = 64 * 1024, 32 * 1024
MIB = 1024 * 1024
CLIENTS = 6

GET = b"GET %s HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (b"POST %s HTTP/1.1\r\nHost: " + NAME.encode() +
           b"\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n")
REQUESTS = {"get": GET, "post": POST, "chunked": CHUNKED}

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH
ANSWERS = {"length": LENGTH, "chunks": CHUNKS, "interim": INTERIM}


def reset_at_close(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class Place:
    """One edge of one worker in front of one app."""

    def __init__(self, platform, edge, app):
        self.platform, self.edge, self.app = platform, edge, app
        self.trust = trust(platform.pebble.root)

    def wire(self):
        return Wire(self.edge.address, self.edge.https, NAME, self.trust)

    def each(self, cases, visit):
        """visit(case) for all, several at a time. Returns the complaints that they returned or raised."""
        todo, complaints = collections.deque(cases), []

        def work():
            while todo:
                try:
                    case = todo.popleft()
                except IndexError:
                    return
                try:
                    text = visit(case)
                except Exception as error:
                    text = f"{type(error).__name__}: {error}"
                if text:
                    complaints.append(f"{case}: {text}")
        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return complaints


@pytest.fixture(scope="module")
def places(shared_lab):
    """In front of a recorder, and in front of an app whose script each test gives."""
    platform = shared_lab.prepare(edges=2, edge={"workers": 1})
    address = platform.ground.address(4)
    apps = [Recorder(address).start(), Origin(address)]
    for edge, app in zip(platform.edges, apps):
        edge.settings["upstream"] = shared_lab.use(app).url
    platform.start()
    platform.activate(NAME)
    for edge in platform.edges:
        platform.visit(NAME, edge=edge)
    return [Place(platform, edge, app) for edge, app in zip(platform.edges, apps)]


@pytest.fixture
def recorded(places):
    return places[0]


@pytest.fixture
def scripted(places):
    """`script(request)` answers everything but GET /."""
    def use(script):
        places[1].app.script = lambda request: request.answer() if request.target == "/" else script(request)
        return places[1]
    return use


def seen_of(place, kind):
    return [one for one in place.app.seen() if one.target.startswith(f"/{kind}/")]


@pytest.mark.parametrize("how", ["end", "reset", "fin"])
def test_request_that_ends_early_reaches_nobody_whole(recorded, how):
    """`fin` ends TCP but not TLS (RFC 9112 section 9.8)."""
    def text_of(kind, cut):
        return REQUESTS[kind] % f"/{how}/{kind}/{cut}".encode()
    cases = [(kind, cut) for kind in REQUESTS for cut in range(len(text_of(kind, 100)) + 1)]

    def visit(case):
        kind, cut = case
        text = text_of(kind, cut)
        with recorded.wire() as wire:
            wire.send(text[:cut])
            if how == "reset":
                return wire.reset()
            if how == "fin":
                wire.sock.shutdown(socket.SHUT_WR)  # without close_notify
            else:
                wire.end()
            if cut >= len(text):
                answer = wire.answer()
                return None if answer.get("X-Saw") else f"whole, and {answer.status}"
            rest = wire.rest()
            return f"an answer to half a request: {rest[:100]!r}" if b" 200 " in rest[:20] else None
    complaints = recorded.each(cases, visit)
    whole = {f"/{how}/{kind}/{cut}" for kind, cut in cases if cut >= len(text_of(kind, cut))}
    seen = [one.target for one in seen_of(recorded, how)]
    complaints += [f"{target} was seen as if it were whole" for target in seen if target not in whole]
    if how != "reset":
        complaints += [f"{target} was not seen" for target in whole - set(seen)]
    complaints += [f"{error} in {raw[-100:]!r}" for error, raw in recorded.app.errors]
    assert not complaints, f"{len(complaints)}:\n" + "\n".join(complaints[:30])


def test_where_a_request_is_split_makes_no_difference(recorded):
    cases = [(kind, cut) for kind, text in REQUESTS.items() for cut in range(1, 2 * len(text % b"/split/each/100/1"))] + [("each", 1)]

    def visit(case):
        kind, cut = case
        kinds = list(REQUESTS) * 3 if kind == "each" else [kind, kind]
        texts = [REQUESTS[one] % f"/split/{one}/{cut}/{index}".encode() for index, one in enumerate(kinds)]
        with recorded.wire() as wire:
            if kind == "each":
                wire.send_each(b"".join(texts))
            else:
                both = b"".join(texts)
                wire.send(both[:cut])
                wire.send(both[cut:])
            for index, one in enumerate(kinds):
                answer = wire.answer()
                wanted = f"{'GET' if one == 'get' else 'POST'} /split/{one}/{cut}/{index}"
                if answer.get("X-Saw") != wanted:
                    return f"{wanted}: {answer.status} {answer.get('X-Saw')}"
    complaints = recorded.each(cases, visit)
    assert not complaints, f"{len(complaints)}:\n" + "\n".join(complaints[:30])
    assert {(one.method, one.body) for one in seen_of(recorded, "split")} == {("GET", b""), ("POST", b"hello")}


def test_heads_exactly_at_their_limits(recorded):
    def head(path, size):
        start = b"GET %s HTTP/1.1\r\nHost: %s\r\nA: " % (path.encode(), NAME.encode())
        return start + b"b" * (size - len(start) - 4) + b"\r\n\r\n"

    def target(size):
        return b"GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (b"t" * (size - 1), NAME.encode())
    cases = [("head", HEAD_MAX, 200), ("head", HEAD_MAX - 1, 200), ("head", HEAD_MAX + 1, 431), ("head", HEAD_MAX + 2, 431),
             ("target", TARGET_MAX, 200), ("target", TARGET_MAX + 1, 414)]
    pieces = (10 ** 6, 16384, 1000, 16383)

    def visit(case):
        (what, size, status), piece = case
        with recorded.wire() as wire:
            wire.send_each(head(f"/{size}/{piece}", size) if what == "head" else target(size), piece)
            answer = wire.answer()
            if answer.status != status:
                return f"{answer.status}"
            if status != 200:
                return f"more: {wire.rest()[:100]!r}" if wire.rest() else None
            wire.send(GET % b"/next")
            return None if wire.answer().get("X-Saw") == "GET /next" else "the next request was lost"
    complaints = recorded.each([(case, piece) for case in cases for piece in pieces], visit)
    assert not complaints, "\n".join(complaints)


def test_who_half_closes_still_gets_every_answer(scripted):
    body = b"0123456789abcdef" * (MIB // 16)

    def app(request):
        request.body()
        request.answer(body if request.target == "/large" else request.target.encode())
    place = scripted(app)

    def visit(count):
        with place.wire() as wire:
            wire.send(b"".join(GET % f"/{index}".encode() for index in range(count)) + POST % b"/large")
            wire.end()
            for index in range(count):
                if wire.answer().body != f"/{index}".encode():
                    return f"answer {index} is another"
            if wire.answer().body != body:
                return "the large answer is not whole"
            return f"more: {wire.rest()[:100]!r}" if wire.rest() else None
    complaints = place.each([0, 1, 2, 10, 50], visit)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_answer_that_ends_early_is_seen_to_be_cut(scripted, how):
    def app(request):
        if not request.target.startswith("/cut/"):
            return request.answer(b"good", fields=[("X-Saw", request.target)])
        _, _, kind, cut = request.target.split("/")
        request.sock.sendall(ANSWERS[kind][:int(cut)])
        if how == "reset":
            reset_at_close(request.sock)
        return False
    place = scripted(app)
    cases = [(kind, cut) for kind, text in ANSWERS.items() for cut in range(len(text) + 1)]

    def visit(case):
        kind, cut = case
        with place.wire() as wire:
            wire.send(GET % f"/cut/{kind}/{cut}".encode())
            try:
                answer = wire.answer()
            except Ended as error:
                return "the end looks clean" if error.how == "close_notify" else None
            whole = cut == len(ANSWERS[kind])
            if answer.status == 502 and not (whole and how == "fin"):
                return None
            if answer.status != 200 or answer.body != b"hello" or not whole:
                return f"{answer.status} {answer.body!r}"
            # Whoever reset its connection behind a whole answer has still given it.
            wire.send(GET % b"/next")
            return None if wire.answer().get("X-Saw") == "/next" else "the next request was lost"
    complaints = place.each(cases, visit)
    assert not complaints, f"{len(complaints)}:\n" + "\n".join(complaints[:30])
    assert place.platform.visit(NAME, "/after", edge=place.edge).body == b"good"


def test_answer_byte_by_byte_is_the_same(scripted):
    def app(request):
        for at in range(len(ANSWERS[request.target[1:]])):
            request.sock.sendall(ANSWERS[request.target[1:]][at:at + 1])
    place = scripted(app)

    def visit(kind):
        with place.wire() as wire:
            for _ in range(3):
                wire.send(GET % f"/{kind}".encode())
                if wire.answer().body != b"hello":
                    return "not the same"
    complaints = place.each(ANSWERS, visit)
    assert not complaints, "\n".join(complaints)


def test_app_that_answers_early_and_ends_is_heard_while_the_upload_goes_on(scripted):
    """Its refusal arrives, whether it then closes, or resets since it never read the body."""
    def app(request):
        if request.method != "POST":
            return request.answer()
        request.answer(b"too large", "413 Content Too Large", [("Connection", "close")])
        if request.target.startswith("/reset"):
            reset_at_close(request.sock)
        return False
    place = scripted(app)
    size = 4 * MIB
    heads = {"length": b"Content-Length: %d\r\n" % size, "chunked": b"Transfer-Encoding: chunked\r\n"}

    def visit(case):
        end, kind, index = case
        with place.wire() as wire:
            wire.send(b"POST /%s/%d HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (end.encode(), index, NAME.encode(), heads[kind]))
            block = b"x" * 65536
            piece = b"10000\r\n" + block + b"\r\n" if kind == "chunked" else block
            for _ in range(size // 65536):
                if not wire.send(piece):
                    break
            answer = wire.answer("POST")
            if end == "close" and (answer.status, answer.body) != (413, b"too large"):
                return f"{answer.status} {answer.body!r}"
            return None if answer.status in (413, 502) else f"{answer.status}"
    cases = [(end, kind, index) for end in ("close", "reset") for kind in heads for index in range(8)]
    complaints = place.each(cases, visit)
    assert not complaints, f"{len(complaints)}:\n" + "\n".join(complaints[:30])
    assert place.platform.visit(NAME, edge=place.edge).status == 200


def test_client_that_resets_in_its_upload_ends_the_apps_connection_too(scripted):
    begun, ended = threading.Event(), threading.Event()

    def app(request):
        begun.set()
        try:
            while request.read(1):
                pass
        finally:
            ended.set()
        return False
    place = scripted(app)
    for fields in (b"Content-Length: 100000\r\n", b"Transfer-Encoding: chunked\r\n"):
        begun.clear(), ended.clear()
        wire = place.wire()
        wire.send(b"POST /upload HTTP/1.1\r\nHost: %s\r\n%s\r\n100\r\n" % (NAME.encode(), fields))
        assert begun.wait(10)
        wire.reset()
        assert ended.wait(10), f"the app's connection stays, with {fields}"
    assert place.platform.visit(NAME, edge=place.edge).status == 200
