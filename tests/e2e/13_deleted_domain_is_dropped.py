"""After DELETE every node stops serving the name within seconds, with and without the NOTIFY that says so."""

import time

from lab.process import wait_until

NAME = "shop.brand.test"


def served_everywhere(platform):
    platform.activate(NAME)
    for edge in platform.edges:
        assert platform.visit(NAME, edge=edge).status == 200


def seconds_until_dropped(platform, limit):
    start = time.monotonic()
    for edge in platform.edges:
        wait_until(lambda: platform.refusal(NAME, edge=edge).alert == "unrecognized_name", limit,
                   f"{edge.name} to drop the name", interval=0.05)
    return time.monotonic() - start


def test_dropped_on_both_nodes_when_notify_comes(platform):
    served_everywhere(platform)
    platform.api.delete(NAME)
    took = seconds_until_dropped(platform, 10)
    print(f"dropped on both nodes after {took:.2f} s")


def test_dropped_on_both_nodes_though_notify_is_lost(lab):
    platform = lab.platform(edge={"cache_max_age": "2s"})
    served_everywhere(platform)
    platform.db.query("ALTER TABLE domains DISABLE TRIGGER USER")
    platform.api.delete(NAME)
    took = seconds_until_dropped(platform, 15)
    print(f"dropped on both nodes after {took:.2f} s, cache-max-age 2 s, no NOTIFY")


def test_domain_added_again_is_served_again(platform):
    served_everywhere(platform)
    platform.api.delete(NAME)
    seconds_until_dropped(platform, 10)
    platform.activate(NAME)
    for edge in platform.edges:
        wait_until(lambda: platform.refusal(NAME, edge=edge).alert is None, 5, f"{edge.name} to hear of it")
        assert platform.visit(NAME, edge=edge).status == 200
    assert platform.pebble.orders() == 1, "the stored certificate is still good"


def test_delete_of_what_is_not_there_is_404(platform):
    assert platform.api.call("DELETE", f"/v1/domains/{NAME}")[0] == 404
