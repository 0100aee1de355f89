"""A database that was not migrated, or for a newer program: said on /readyz, left alone, and no reason for what runs
already to go away."""

from lab.issuance import Issuance
from lab.process import wait_until
from lab.servers import http_status

NAME = "shop.brand.test"
NEWER = "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, '9999_future.sql', '')"


def reason(daemon):
    return http_status(daemon.address, daemon.admin, "/readyz")


def test_an_issuer_leaves_a_newer_database_alone(lab):
    issuance = Issuance(lab)
    issuance.db.query(NEWER)
    issuance.ask_for(NAME)
    issuer = issuance.issuer().start(wait=False)
    wait_until(lambda: "newer than this program" in reason(issuer)[1], 5, "the reason on /readyz")
    issuer.process.wait_log("no job is claimed")
    assert reason(issuer)[0] == 503
    assert issuance.job(NAME)[0] == "queued" and issuance.db.value("SELECT count(*) FROM ca_accounts") == "0"
    issuance.db.query("DELETE FROM schema_migrations WHERE version = 9999")
    issuance.wait_issued(NAME)
    assert issuer.process.log().count("no job is claimed") == 1


def test_what_runs_goes_on_beside_the_migrated_database(lab):
    platform = lab.platform(edges=1)
    platform.activate(NAME)
    platform.db.query(NEWER)
    assert platform.visit(NAME).status == 200, "a first visit"
    for daemon in platform.daemons:
        assert reason(daemon)[0] == 200, daemon.name
    platform.verifier.stop()
    platform.verifier.start(wait=False)
    wait_until(lambda: "newer than this program" in reason(platform.verifier)[1], 5, "the reason on /readyz")
    assert reason(platform.verifier)[0] == 503
