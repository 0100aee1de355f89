"""A due certificate is renewed and replaced on every node while requests go on."""

import threading

from lab.process import wait_until

NAME = "shop.brand.test"


class Visitors:
    """Visits without a pause until stopped."""

    def __init__(self, platform):
        self.serials, self.failures, self._stop = [], [], threading.Event()
        self._thread = threading.Thread(target=self._run, args=(platform,), daemon=True)
        self._thread.start()

    def _run(self, platform):
        while not self._stop.is_set():
            try:
                self.serials.append(platform.visit(NAME).serial)
            except OSError as error:
                self.failures.append(error)

    def stop(self):
        self._stop.set()
        self._thread.join(20)


def make_due(platform):
    """The issuer looks for due certificates when it starts, and then every half minute."""
    platform.db.query("UPDATE certificates SET renew_at = now() - interval '1 minute'")


def renew(platform, edge_limit):
    platform.activate(NAME)
    for edge in platform.edges:
        platform.visit(NAME, edge=edge)
    old = platform.visit(NAME).serial
    visitors = Visitors(platform)
    make_due(platform)
    platform.acme.restart()
    wait_until(lambda: platform.stored(NAME)[0].lstrip("0").lower() != old.lstrip("0"), 60, "the renewal", interval=0.2)
    for edge in platform.edges:
        wait_until(lambda: platform.visit(NAME, edge=edge).serial != old, edge_limit, f"{edge.name} to replace it")
    new = platform.visit(NAME).serial
    visitors.stop()
    assert not visitors.failures, visitors.failures
    assert set(visitors.serials) == {old, new}
    assert platform.pebble.orders() == 2


def test_renewed_certificate_reaches_every_node(platform):
    renew(platform, 10)


def test_renewed_certificate_reaches_every_node_though_notify_is_lost(lab):
    platform = lab.platform(edge={"cache_max_age": "2s"})
    platform.db.query("ALTER TABLE certificates DISABLE TRIGGER USER")
    renew(platform, 15)


def test_domain_that_was_deleted_is_not_renewed(platform):
    for name in (NAME, "stays.brand.test"):
        platform.activate(name)
        platform.visit(name)
    platform.api.delete(NAME)
    before = platform.stored("stays.brand.test")
    make_due(platform)
    platform.acme.restart()
    wait_until(lambda: platform.stored("stays.brand.test") != before, 40, "the other's renewal", interval=0.2)
    assert platform.pebble.orders() == 3
