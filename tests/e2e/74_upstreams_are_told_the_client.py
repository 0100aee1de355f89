"""PROXY protocol to the upstream: each request's connection says whose it is, and none is shared."""

import os

from lab import tls
from lab.app_origin import AppOrigin
from lab.process import wait_until

NAME = "shop.brand.test"


def test_each_connection_says_whose_it_is(lab):
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    app = lab.use(AppOrigin(folder, "app", "127.9.79.20", options=" proxy_protocol")).start()
    platform = lab.prepare(edges=1, edge={"upstream": app.url, "upstream_proxy_protocol": "v2",
                                          "upstream_health": "/healthz", "upstream_health_interval": "1s"})
    platform.start(without=[platform.app])
    platform.activate(NAME)
    for _ in range(3):
        assert platform.visit(NAME, edge=platform.edge).body == b"app"
    sock = platform.connect(NAME, edge=platform.edge)
    kept = tls.HttpOver(sock, NAME)
    for _ in range(3):
        kept.request("GET", "/")
        assert kept.getresponse().read() == b"app"
    client = sock.getsockname()[0]
    sock.close()
    asked = app.wait_asked(6, "/")
    assert {line[4] for line in asked} == {client}
    assert len({line[5] for line in asked}) == 6, "a connection for each request"
    assert {line[4] for line in app.wait_asked(2, "/healthz")} != {client}, "a check is nobody's"
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_idle") == 0, 10, "it to be counted")
