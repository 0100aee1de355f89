"""Without the verifier stored names are served, by nodes that just started too; new names are refused for now."""

STORED, NEW = "shop.brand.test", "new.brand.test"


def test_stored_names_are_served_and_new_ones_refused_for_now(platform):
    platform.activate(STORED)
    platform.activate(NEW)
    serial = platform.visit(STORED).serial
    platform.verifier.kill()
    platform.edge.restart()
    assert platform.visit(STORED, edge=platform.edge).serial == serial, "a node that has nothing in memory"
    answer = platform.refusal(NEW, edge=platform.edge)
    assert answer.alert == "internal_error", answer
    assert answer.seconds < 4, answer
    assert platform.job(NEW) is None

    platform.verifier.start()
    visit_soon(platform, NEW)


def test_verifier_that_accepts_and_stays_silent_costs_a_bounded_wait(platform):
    platform.activate(STORED)
    platform.activate(NEW)
    platform.visit(STORED)
    platform.verifier.freeze()
    answer = platform.refusal(NEW, edge=platform.edge, timeout=20)
    assert answer.alert == "internal_error", answer
    assert answer.seconds < 15, answer
    assert platform.visit(STORED, edge=platform.edge).status == 200
    platform.verifier.thaw()
    visit_soon(platform, NEW)


def visit_soon(platform, name):
    """The refusal of something temporary is remembered for a second or so."""
    from lab.process import wait_until

    def served():
        try:
            return platform.visit(name, edge=platform.edge).status == 200
        except OSError:
            return False
    wait_until(served, 5, f"{name} to be served again", interval=0.1)
