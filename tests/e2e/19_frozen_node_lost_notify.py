"""A frozen process, and hints that never come: slower, never wrong, never a second order."""

import threading

from lab.process import wait_until

NAME = "shop.brand.test"


def deaf(platform, role):
    """A LISTEN connection to another database: everything works but no NOTIFY ever arrives."""
    return platform.db.cluster.conninfo("postgres", role)


def test_first_hit_works_without_any_notify(lab):
    platform = lab.prepare()
    for daemon, role in [(edge, "postern_edge") for edge in platform.edges] + [(platform.acme, "postern_acme")]:
        daemon.settings["database_listen"] = deaf(platform, role)
    platform.start()
    platform.activate(NAME)
    visit = platform.visit(NAME)
    print(f"first hit with no NOTIFY at all: {visit.milliseconds:.0f} ms")
    assert visit.status == 200
    assert visit.seconds < 10
    assert platform.pebble.orders() == 1


def test_frozen_node_is_taken_out_and_comes_back(lab):
    platform = lab.platform()
    frozen, well = platform.edges
    platform.activate(NAME)
    platform.visit(NAME, edge=frozen)
    frozen.freeze()
    platform.balancer.wait_nodes(well.name)
    platform.activate("second.brand.test")
    assert platform.visit("second.brand.test").status == 200
    platform.api.delete(NAME)
    frozen.thaw()
    platform.balancer.wait_nodes(frozen.name, well.name)
    wait_until(lambda: platform.refusal(NAME, edge=frozen).alert == "unrecognized_name", 5,
               "the node that slept through the DELETE to hear of it")
    assert platform.visit("second.brand.test", edge=frozen).status == 200


def test_issuer_frozen_past_its_lease_cannot_write_when_it_wakes(lab):
    platform = lab.platform(issuers=2, faulty_ca=True, acme={"job_lease": "3s"}, edge={"issue_wait": "40s"})
    platform.activate(NAME)
    gate = platform.ca.hold("finalize")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(platform.visit(NAME, timeout=50)))
    thread.start()
    assert gate.arrived.wait(10)
    fence = int(platform.db.value(f"SELECT fence FROM issuance_jobs WHERE name = '{NAME}'"))
    owner = next(one for one in platform.issuers if NAME in one.process.log())
    owner.freeze()
    gate.open()
    thread.join(50)
    assert answers and answers[0].status == 200
    version = int(platform.stored(NAME)[1])
    assert version > fence, "another instance finished the same order"
    owner.thaw()
    wait_until(owner.is_ready, 5, "the frozen one to go on")
    platform.activate("next.brand.test")
    platform.visit("next.brand.test")
    assert int(platform.stored(NAME)[1]) == version
    assert platform.pebble.orders() == 2


def test_silent_client_does_not_hold_a_worker_up(lab):
    """One worker; a client that stops in the middle of its ClientHello leaves it free for the others."""
    import socket
    from lab import client_hello
    platform = lab.platform(edges=1, edge={"workers": 1, "hello_timeout": "2s"})
    platform.activate(NAME)
    hello = client_hello.client_hello(NAME.encode())
    silent = []
    for cut in (0, 1, 4, 5, 6, 60, len(hello) - 1):
        sock = socket.create_connection((platform.edge.address, platform.https), 5)
        sock.sendall(hello[:cut])
        silent.append(sock)
    visit = platform.visit(NAME, edge=platform.edge)
    assert visit.status == 200
    for sock in silent:
        sock.settimeout(15)
        while sock.recv(100):
            pass
        sock.close()
