"""A hundred first visitors of one name at once: one order, one ask per node, and all of them are served."""

import statistics
from concurrent.futures import ThreadPoolExecutor

from lab.ask_server import AskServer

NAME = "shop.brand.test"
VISITORS = 100


def test_hundred_connections_make_one_order_and_one_ask(lab):
    platform = lab.prepare(edges=1)
    ask = lab.use(AskServer(platform.ground.address(3), allowed=[NAME]))
    platform.edge.settings["ask_url"] = ask.url()
    platform.start()
    platform.activate(NAME)
    with ThreadPoolExecutor(VISITORS) as pool:
        visits = list(pool.map(lambda _: platform.visit(NAME, timeout=30), range(VISITORS)))
    times = [visit.milliseconds for visit in visits]
    print(f"{VISITORS} visitors at once: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms")
    assert {visit.status for visit in visits} == {200}
    assert len({visit.serial for visit in visits}) == 1
    assert platform.pebble.orders() == 1
    assert ask.asked[NAME] == 1


def test_two_nodes_that_see_the_name_at_once_share_the_order(platform):
    platform.activate(NAME)
    with ThreadPoolExecutor(VISITORS) as pool:
        visits = list(pool.map(lambda number: platform.visit(NAME, edge=platform.edges[number % 2], timeout=30),
                               range(VISITORS)))
    assert len({visit.serial for visit in visits}) == 1
    assert platform.pebble.orders() == 1


def test_node_that_asks_just_as_the_other_finishes_orders_nothing(lab):
    """Names one after the other, the second node coming at ever other moments of the first one's issuance."""
    platform = lab.platform()
    names = [f"shop{number}.brand.test" for number in range(12)]
    for name in names:
        platform.activate(name)
    with ThreadPoolExecutor(2) as pool:
        for delay, name in enumerate(names):
            first = pool.submit(platform.visit, name, edge=platform.edges[0])
            # Keeps the second visit away for a time that grows from nothing to about a whole issuance.
            for _ in range(delay):
                platform.db.value("SELECT 1")
            second = platform.visit(name, edge=platform.edges[1])
            assert first.result().serial == second.serial
    assert platform.pebble.orders() == len(names)
