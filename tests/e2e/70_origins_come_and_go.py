"""Several real origins, one of which dies under load, stays away and comes back: no visitor sees it."""

import http.client
import os
import ssl
import threading
import time

from lab import tls
from lab.app_origin import AppOrigin
from lab.origin import Origin
from lab.process import wait_until

NAME = "shop.brand.test"


def platform_with(lab, *urls, **edge):
    platform = lab.prepare(edges=1, edge={"upstream": list(urls), **edge})
    platform.start(without=[platform.app])
    platform.activate(NAME)
    platform.visit(NAME, edge=platform.edge)
    return platform


def origins(lab, platform_net, *names):
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    return [lab.use(AppOrigin(folder, name, f"{platform_net}{20 + index}")).start()
            for index, name in enumerate(names)]


class Load:
    """Visitors that ask one thing after the other on connections that they keep, until stop()."""

    def __init__(self, platform, visitors=6):
        self.platform, self.statuses, self.names, self.troubles = platform, [], [], []
        self.stopping, self.lock = False, threading.Lock()
        self.threads = [threading.Thread(target=self._visit) for _ in range(visitors)]
        for thread in self.threads:
            thread.start()

    def _visit(self):
        connection = None
        while not self.stopping:
            try:
                if connection is None:
                    sock = self.platform.connect(NAME, edge=self.platform.edge)
                    connection = tls.HttpOver(sock, NAME)
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read()
                with self.lock:
                    self.statuses.append(answer.status)
                    self.names.append(body.decode())
                if answer.will_close:
                    connection = None
            except (OSError, http.client.HTTPException, ssl.SSLError) as error:
                with self.lock:
                    self.troubles.append(repr(error))
                connection = None

    def more(self, count):
        """Waits for so many further answers."""
        wanted = len(self.statuses) + count
        wait_until(lambda: len(self.statuses) >= wanted, 60, f"{count} further answers")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def test_a_killed_origin_costs_no_request_and_comes_back_by_itself(lab):
    ones = origins(lab, "127.9.70.", "red", "green", "blue")
    platform = platform_with(lab, *[one.url for one in ones], upstream_health="/healthz",
                             upstream_health_interval="1s", upstream_slow_start="1s")
    load = Load(platform)
    try:
        load.more(300)
        ones[1].kill()
        load.more(600)
        wait_until(lambda: platform.edge.metric("postern_edge_upstream_up", upstream=ones[1].url) == 0, 15,
                   "the dead origin to be seen as down")
        seen = len(load.names)
        load.more(200)
        assert "green" not in load.names[seen:]
        ones[1].start()
        wait_until(lambda: platform.edge.metric("postern_edge_upstream_up", upstream=ones[1].url) == 1, 15,
                   "the origin to be up again")
        seen = len(load.names)
        wait_until(lambda: "green" in load.names[seen:], 10, "the origin that is back to get requests")
    finally:
        load.stop()
    retries = platform.edge.metric("postern_edge_upstream_retries_total")
    print(f"{len(load.statuses)} requests while an origin died and came back: all answered, {retries:.0f} taken to "
          f"another one")
    assert not load.troubles
    assert set(load.statuses) == {200}
    assert retries > 0
    shares = [load.names.count(one.name) for one in ones]
    assert min(shares) > 0


def test_without_checks_a_dead_origin_is_ejected_and_tried_again(lab):
    ones = origins(lab, "127.9.71.", "red", "green")
    platform = platform_with(lab, *[one.url for one in ones])
    load = Load(platform, visitors=2)
    try:
        load.more(50)
        ones[0].kill()
        wait_until(lambda: platform.edge.metric("postern_edge_upstream_ejections_total") > 0, 10, "an ejection")
        ones[0].start()
        seen = len(load.names)
        wait_until(lambda: "red" in load.names[seen:], 15, "the origin that is back to get requests")
    finally:
        load.stop()
    assert not load.troubles
    assert set(load.statuses) == {200}


def test_an_origin_that_breaks_off_never_gets_a_post_again(lab):
    """It reads the whole request and closes: whether it was carried out nobody knows."""
    def read_and_close(request):
        request.body()
        return False
    one = lab.use(Origin("127.9.72.20", read_and_close))
    other = lab.use(Origin("127.9.72.21", read_and_close))
    platform = platform_with(lab, one.url, other.url)
    before = len(one.requests) + len(other.requests)
    assert platform.visit(NAME, method="POST", body=b"pay", edge=platform.edge).status == 502
    assert len(one.requests) + len(other.requests) == before + 1
    assert platform.visit(NAME, method="POST", body=b"", edge=platform.edge).status == 502
    assert len(one.requests) + len(other.requests) == before + 2
    assert platform.visit(NAME, edge=platform.edge).status == 502
    assert len(one.requests) + len(other.requests) == before + 4, "a GET goes to one other, and no further"


def test_no_upstream_left_is_503_at_once_with_the_operators_page(lab):
    page = os.path.join(lab.folder("pages"), "503.html")
    with open(page, "w") as file:
        file.write("<h1>We are coming back</h1>")
    os.chmod(os.path.dirname(page), 0o711)
    one = origins(lab, "127.9.73.", "red")[0]
    platform = platform_with(lab, one.url, error_page_503=page, upstream_health="/healthz",
                             upstream_health_interval="1s")
    assert platform.visit(NAME, edge=platform.edge).status == 200
    one.kill()
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_up", upstream=one.url) == 0, 15, "it to be down")
    assert platform.edge.process.logged(r"an upstream address is down.*problem=refused")
    started = time.monotonic()
    visit = platform.visit(NAME, edge=platform.edge)
    assert (visit.status, visit.body) == (503, b"<h1>We are coming back</h1>")
    assert visit.headers["Content-Type"] == "text/html; charset=utf-8"
    assert time.monotonic() - started < 4, "less than a connect may take"
