"""A connection that waits for its next request keeps what it needs to wait, in either version; and it goes on as if it had
not rested."""

import pytest

from lab import tls
from lab.h2_wire import H2Wire
from lab.origin import Origin
from lab.place import is_sanitized
from lab.process import wait_until

NAME = "shop.brand.test"
COUNT = 400


@pytest.fixture
def place(lab):
    platform = lab.prepare(edges=1, edge={"workers": 1, "idle_timeout": "5m"})
    platform.origin = lab.use(Origin(platform.ground.address(4), lambda request: request.answer(
        b"x" * 20000 if request.target == "/large" else b"ok", fields=[("X-Long", "y" * 6000)])))
    platform.edge.settings["upstream"] = platform.origin.url
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    return platform


def open_h2(place):
    wire = H2Wire(place, NAME)
    assert wire.get().status == 200
    return wire


def open_h1(place):
    connection = tls.HttpOver(place.connect(NAME), NAME)
    ask(connection)
    return connection


def ask(connection, path="/"):
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read()


def cost(place, begin):
    """The connections, and what each has made the edge grow by, in KiB: what is left of it once they have rested."""
    warm = [begin(place) for _ in range(50)]
    before = place.edge.process.rss()
    opened = [begin(place) for _ in range(COUNT)]
    least = []

    def has_settled():
        least.append(place.edge.process.rss())
        return len(least) > 15 and least[-1] == least[-10]
    wait_until(has_settled, 30, "the edge's size to settle", interval=0.2)
    for one in warm:
        (one.sock if isinstance(one, H2Wire) else one).close()
    return opened, (min(least) - before) / 1024 / COUNT


def test_http2(place):
    opened, each = cost(place, open_h2)
    print(f"an idle connection of HTTP/2: {each:.1f} KiB")
    if not is_sanitized("postern-edge"):
        assert each < 30, "without its rest it is 33 and more"
    for wire in opened[::7]:
        assert len(wire.get(path="/large").body) == 20000
        assert wire.get().status == 200
    for wire in opened:
        wire.close()


def test_http1(place):
    opened, each = cost(place, open_h1)
    print(f"an idle connection of HTTP/1.1: {each:.1f} KiB")
    if not is_sanitized("postern-edge"):
        assert each < 20, "OpenSSL's part is 14"
    for connection in opened[::7]:
        assert len(ask(connection, "/large")) == 20000
    for connection in opened:
        connection.close()
