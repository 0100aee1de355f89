"""What one node obtained, every node serves: certificates live in PostgreSQL, nodes hold no state of their own."""

NAME = "shop.brand.test"


def test_other_node_serves_the_same_certificate_without_a_further_order(platform):
    platform.activate(NAME)
    first = platform.visit(NAME, edge=platform.edges[0])
    other = platform.visit(NAME, edge=platform.edges[1])
    print(f"first hit {first.milliseconds:.0f} ms, at the other node {other.milliseconds:.0f} ms")
    assert other.serial == first.serial
    assert platform.pebble.orders() == 1


def test_restarted_node_serves_what_is_stored(platform):
    platform.activate(NAME)
    first = platform.visit(NAME, edge=platform.edge)
    platform.edge.restart()
    again = platform.visit(NAME, edge=platform.edge)
    assert again.serial == first.serial
    assert platform.pebble.orders() == 1


def test_validation_reaches_either_node(platform):
    """The CA connects through the load balancer: over some names, both nodes have answered a challenge."""
    for number in range(6):
        platform.activate(f"shop{number}.brand.test")
        platform.visit(f"shop{number}.brand.test", edge=platform.edges[number % 2])
    answered = [edge.metric("postern_edge_challenge_lookups_total") for edge in platform.edges]
    print(f"challenge look-ups by node: {answered}")
    assert all(count > 0 for count in answered)
    assert platform.pebble.orders() == 6
