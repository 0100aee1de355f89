"""Thousands of names that nobody added: the CA hears nothing, each is asked for once at most, memory stays flat."""

import collections
import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ask_server import AskServer
from lab.place import is_sanitized

pytestmark = pytest.mark.alone

NAME = "shop.brand.test"
JUNK = 2000
MIB = 1024 * 1024


def flood(platform, label, count=JUNK):
    with ThreadPoolExecutor(40) as pool:
        return list(pool.map(lambda number: platform.refusal(f"{label}{number}.junk.test", edge=platform.edge),
                             range(count)))


def test_flood_reaches_neither_the_ca_nor_memory(lab):
    platform = lab.prepare(edges=1)
    ask = lab.use(AskServer(platform.ground.address(3), allowed=[NAME]))
    platform.edge.settings["ask_url"] = ask.url()
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    requests, orders = platform.pebble.requests(), platform.pebble.orders()

    alerts = collections.Counter(answer.alert for answer in flood(platform, "warm"))
    before = platform.edge.process.rss()
    for wave in range(2):
        alerts.update(answer.alert for answer in flood(platform, f"wave{wave}-"))
    grown = platform.edge.process.rss() - before
    repeated = flood(platform, "wave1-", 500)
    print(f"{3 * JUNK} junk names: {dict(alerts)}, {sum(ask.asked.values())} asks, "
          f"the edge grew by {grown / MIB:.1f} MiB, p50 {statistics.median(a.seconds for a in repeated) * 1000:.1f} ms")
    assert set(alerts) <= {"unrecognized_name", "internal_error"}
    assert alerts["unrecognized_name"] > 2 * JUNK, "shedding is for more than this"
    assert max(ask.asked.values()) == 1, ask.asked.most_common(3)
    assert platform.pebble.orders() == orders
    assert platform.pebble.requests() == requests
    assert platform.db.value("SELECT count(*) FROM issuance_jobs") == "1"
    assert is_sanitized("postern-edge") or grown < 8 * MIB
    assert platform.visit(NAME, edge=platform.edge).status == 200
