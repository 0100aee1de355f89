"""Time that passes, or steps: an order in progress when the database's clock jumps is finished once, whoever finishes it; and
a certificate that has really expired is replaced while its visitor waits."""

import threading

import pytest

from lab.clock import clock_or_skip
from lab.issuance import Issuance
from lab.process import wait_until

NAME = "shop.brand.test"
LIFE_S = 15


@pytest.mark.parametrize("shift", ["+2h", "-2h"])
def test_an_order_outlives_a_step_of_the_databases_clock(lab, shift):
    clock = clock_or_skip(lab)
    issuance = Issuance(lab, own_postgres=True)
    cluster = lab.clusters[0]
    cluster.stop()
    cluster.environment = clock.environment
    cluster.start()
    first = issuance.issuer(jobs=1).start()
    finalize = issuance.ca.hold("finalize")
    issuance.ask_for(NAME)
    assert finalize.arrived.wait(20)
    fence = issuance.db.value("SELECT fence FROM issuance_jobs")
    second = issuance.issuer(jobs=1).start()
    clock.set(shift)
    if shift.startswith("+"):
        # By the database's clock the lease is over: the other one goes on with the same order.
        issuance.wait_issued(NAME, seconds=30)
        stored = issuance.stored(NAME)
        finalize.open()
        wait_until(lambda: first.metric("postern_acme_orders_total", result="lost") == 1, 20, "the first to let go")
        assert issuance.stored(NAME) == stored and int(stored[1]) > int(fence)
        wait_until(lambda: second.metric("postern_acme_orders_total", result="issued") == 1, 10, "it to be counted")
    else:
        finalize.open()
        issuance.wait_issued(NAME, seconds=30)
        assert issuance.stored(NAME)[1] == fence
    assert issuance.ca.orders_for(NAME) == 1
    # And what is asked for by the new time is issued as ever.
    issuance.ask_for("next.brand.test")
    issuance.wait_issued("next.brand.test", seconds=30)
    assert issuance.ca.orders_for("next.brand.test") == 1


def test_a_certificate_that_has_expired_is_replaced_in_the_handshake(lab):
    platform = lab.prepare(edges=1)
    platform.pebble.config["certificateValidityPeriod"] = LIFE_S
    platform.start()
    platform.activate(NAME)
    old = platform.visit(NAME).serial
    platform.acme.stop()  # nobody renews it
    platform.db.wait("SELECT not_after < now() FROM certificates", LIFE_S + 20)
    visits = []
    visitor = threading.Thread(target=lambda: visits.append(platform.visit(NAME)), daemon=True)
    visitor.start()
    platform.db.wait("SELECT state = 'queued' AND reason = 'repair' AND lane = 'urgent' FROM issuance_jobs", 20)
    assert not visits, "the visitor waits"
    platform.acme.start()
    visitor.join(40)
    assert visits and visits[0].status == 200 and visits[0].serial != old
    assert platform.pebble.orders() == 2
