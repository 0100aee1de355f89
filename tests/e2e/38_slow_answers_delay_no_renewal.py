"""What is asked of a CA apart from orders never holds up what is due; and each CA's quota has ceilings of its own."""

import json

from lab.issuance import Issuance
from lab.process import wait_until


def test_a_ca_that_is_slow_to_say_when_delays_no_renewal(lab):
    issuance = Issuance(lab)
    url = issuance.ca.directory_url.replace("/dir", "/draft-ietf-acme-ari/renewal-info")
    issuance.ca.change("directory", lambda status, headers, body: (
        status, headers, json.dumps({**json.loads(body), "renewalInfo": url}).encode()), times=None)
    issuer = issuance.issuer().start()
    names = ["a.brand.test", "b.brand.test"]
    issuance.ask_for(*names)
    issuance.wait_issued(*names)
    issuer.stop()
    before = [issuance.stored(name) for name in names]
    silence = issuance.ca.hold("renewal-info")
    issuance.db.query("UPDATE certificates SET renew_at = now() - interval '1 h', ari_next_poll_at = now()")
    issuer.start()
    wait_until(lambda: all(issuance.stored(name) != old for name, old in zip(names, before)), 15, "both renewals")
    assert silence.arrived.wait(10), "it was asked, and has not answered"
    silence.open()


def test_the_second_ca_has_ceilings_of_its_own(lab):
    issuance = Issuance(lab, second_ca=True)
    issuance.issuer(budget_orders="1/3h", acme_fallback_budget_orders="2/7d").start()
    names = [f"n{index}.brand{index}.test" for index in range(3)]
    for name in names:
        issuance.ask_for(name)
        issuance.wait_issued(name)
    assert [issuance.ca.orders_for(name) for name in names] == [1, 0, 0]
    assert [issuance.second_ca.orders_for(name) for name in names] == [0, 1, 1]
    issuance.ask_for("last.brand.test")
    issuance.db.wait("SELECT waits_on = 'budget' AND next_try_at > now() + interval '1 h' FROM issuance_jobs "
                     "WHERE name = 'last.brand.test'", 15)
    assert issuance.ca.orders_for("last.brand.test") + issuance.second_ca.orders_for("last.brand.test") == 0
