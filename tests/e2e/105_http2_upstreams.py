"""HTTP/2 to the app tier: by prior knowledge and by ALPN, many requests on one connection, and what each side may do to
the other in the middle of one."""

import hashlib
import os
import threading
import time

from lab import tls
from lab.h2_origin import H2Origin
from lab.process import wait_until

NAME = "shop.brand.test"


def platform_with(lab, script=None, **options):
    platform = lab.prepare(edges=1)
    origin = lab.use(H2Origin(platform.ground.address(4), script, **options))
    platform.edge.settings.update({"upstream": origin.url, "workers": 1})
    platform.start(without=[platform.app])
    platform.activate(NAME)
    return platform, origin


def test_requests_share_a_connection_and_say_what_http2_says(lab):
    platform, origin = platform_with(lab)
    for path in ("/a", "/b?c=d"):
        visit = platform.visit(NAME, path, edge=platform.edge)
        assert (visit.status, visit.body) == (200, b"ok\n")
    assert len(origin.connections) == 1
    first = origin.requests[1]
    assert first.fields[:4] == [(":method", "GET"), (":scheme", "http"), (":authority", NAME), (":path", "/b?c=d")]
    names = [name for name, _ in first.fields]
    assert all(name == name.lower() for name in names)
    assert not {"host", "connection", "transfer-encoding", "keep-alive", "upgrade"} & set(names)
    assert first.get("x-forwarded-proto") == "https"
    body = os.urandom(300000)
    origin.script = lambda stream: stream.answer(hashlib.sha256(stream.body()).hexdigest().encode())
    visit = platform.visit(NAME, edge=platform.edge, method="POST", body=body)
    assert visit.body == hashlib.sha256(body).hexdigest().encode()
    assert origin.requests[-1].get("content-length") == "300000"
    assert len(origin.connections) == 1
