"""A session that began on one node is resumed on another, also after a restart, and without the database."""

import ssl

from lab import tls
from lab.place import program
from lab.process import run, wait_until

NAME = "shop.brand.test"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def ticket(platform, context, edge):
    sock = platform.connect(NAME, edge=edge, context=context)
    try:
        connection = tls.HttpOver(sock, NAME)
        connection.request("GET", "/")
        assert connection.getresponse().read()
        return sock.session
    finally:
        sock.close()


def wait_shared(*edges):
    for edge in edges:
        wait_until(lambda: edge.metric("postern_edge_ticket_keys_shared") >= 1, 10, f"{edge.name} to share ticket keys")


def test_resumed_on_the_other_node(platform):
    platform.activate(NAME)
    first, second = platform.edges
    wait_shared(first, second)
    for edge in platform.edges:
        platform.visit(NAME, edge=edge)
    contexts = {version: tls.trust(platform.pebble.root, version=VERSIONS[version]) for version in VERSIONS}
    for version, context in contexts.items():
        assert platform.visit(NAME, edge=second, context=context, session=ticket(platform, context, first)).resumed, version
    # A node that was started anew opens what it sealed before.
    session = ticket(platform, contexts["1.3"], first)
    first.restart()
    wait_shared(first)
    assert platform.visit(NAME, edge=first, context=contexts["1.3"], session=session).resumed
    assert platform.db.value("SELECT string_agg(generation::text, ' ') FROM ticket_keys") == "1"
    told = run([program("postern"), "seal-key", "rotate", f"--database={platform.db.conninfo()}",
                f"--seal-key-file={platform.ground.seal_key}"])
    assert "ticket_keys.key_sealed: 1 rows" in told and "CANNOT" not in told, told


def test_database_that_goes_away_ends_no_session(lab):
    platform = lab.platform(own_postgres=True)
    platform.activate(NAME)
    first, second = platform.edges
    wait_shared(first, second)
    for edge in platform.edges:
        platform.visit(NAME, edge=edge)
    contexts = [tls.trust(platform.pebble.root, version=version) for version in VERSIONS.values()]
    sessions = [ticket(platform, context, first) for context in contexts]
    platform.db.cluster.kill()
    for context, session in zip(contexts, sessions):
        assert platform.visit(NAME, edge=second, context=context, session=session).resumed
        assert platform.visit(NAME, edge=first, context=context, session=ticket(platform, context, first)).resumed
