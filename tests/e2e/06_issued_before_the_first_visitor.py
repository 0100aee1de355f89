"""A domain that becomes active and points at us has its certificate before anybody visits it (pre-issue)."""

from lab.process import wait_until

NAME = "shop.brand.test"


def test_active_domain_that_points_here_is_issued_for_at_once(lab):
    platform = lab.platform(verifier={"pre_issue": "on"})
    platform.activate(NAME)
    wait_until(lambda: platform.stored(NAME), 10, "the certificate, without a visit")
    visit = platform.visit(NAME)
    print(f"first hit of a pre-issued name: {visit.milliseconds:.0f} ms")
    assert platform.pebble.orders() == 1
    assert platform.api.show(NAME)["certificate"]["state"] == "issued"


def test_domain_that_does_not_point_here_yet_is_watched_and_issued_for_when_it_does(lab):
    platform = lab.platform(verifier={"pre_issue": "on"})
    domain = platform.api.add(NAME)
    text = [record for record in domain["records"] if record["type"] == "TXT"]
    platform.dns.publish_records(text)
    assert platform.api.verify(NAME)["status"] == "active"
    assert platform.job(NAME) is None, "an order would fail its validation now"
    platform.dns.publish_records(domain["records"])
    wait_until(lambda: platform.stored(NAME), 60, "the certificate, without a visit", interval=0.2)
    assert platform.pebble.orders() == 1
