"""One worker of a node no longer turns, for whatever reason, and all else of the process runs: the node says so within
seconds, the load balancer leaves it alone, and it comes back when the worker does."""

from lab.one_thread import FrozenThread
from lab.process import wait_until
from lab.servers import http_status

NAME = "shop.brand.test"


def test_a_node_with_a_stuck_worker_is_left_alone_until_it_turns_again(lab):
    platform = lab.platform()
    platform.activate(NAME)
    platform.visit(NAME)
    first, second = platform.edges
    with FrozenThread(first.process, "worker-0"):
        wait_until(lambda: platform.balancer.nodes_up() == {second.name}, 15, "the node to be left alone")
        status, reason = http_status(first.address, first.admin, "/readyz")
        assert status == 503 and "worker 0 is stuck" in reason
        for _ in range(20):
            assert platform.visit(NAME, timeout=5).status == 200
    wait_until(lambda: platform.balancer.nodes_up() == {first.name, second.name}, 15, "the node to come back")
    for _ in range(10):
        assert platform.visit(NAME, edge=first, timeout=5).status == 200
