"""A pending domain whose records appear becomes active, and is served, without anybody clicking Verify."""

import time

from lab.process import wait_until

NAME = "shop.brand.test"


def test_from_visible_record_to_served_name_under_a_minute(platform):
    domain = platform.api.add(NAME)
    wait_until(lambda: platform.db.value("SELECT count(*) FROM domain_checks WHERE checked_by = 'poller'") != "0", 30,
               "the poller's first look, before the records are there")
    platform.dns.publish_records(domain["records"])
    start = time.monotonic()

    def served():
        try:
            return platform.visit(NAME, timeout=5).status == 200
        except OSError:
            return False
    wait_until(served, 60, "the name to be served", interval=0.5)
    print(f"from the TXT record being visible to the name being served: {time.monotonic() - start:.1f} s")
    assert platform.api.show(NAME)["status"] == "active"
