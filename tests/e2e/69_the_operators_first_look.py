"""The operator's first look, by API and by command: who is alive, what there is, what fails and whose affair it is, what
waits, what is left of the quota, what is due this week."""

import subprocess

from lab.place import program
from lab.process import wait_until

OVERVIEW = "/v1/overview"


def overview(platform):
    code, body = platform.api.call("GET", OVERVIEW)
    assert code == 200, body
    return body


def alive(platform):
    return sorted((node["role"], node["alive"]) for node in overview(platform)["nodes"])


def status(platform):
    done = subprocess.run([program("postern"), "status", f"--database={platform.db.conninfo()}"], text=True, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_process_is_known_from_its_start_to_its_end(lab):
    platform = lab.platform(edges=2)
    everyone = [("acme", True), ("edge", True), ("edge", True), ("verifier", True)]
    wait_until(lambda: alive(platform) == everyone, 30, "four processes that are alive")
    node = next(node for node in overview(platform)["nodes"] if node["id"].endswith(f":{platform.edges[0].admin}"))
    assert node["id"] == f"edge@{node['host']}:{platform.edges[0].admin}"
    assert node["version"] and node["started_at"] <= node["seen_at"]

    platform.edges[1].stop()
    assert alive(platform) == [("acme", True), ("edge", True), ("verifier", True)]
    platform.edges[0].kill()
    assert ("edge", True) in alive(platform)
    # A minute and a half goes by in the table instead of here.
    platform.db.query("UPDATE nodes SET seen_at = seen_at - interval '2 minutes' WHERE role = 'edge'")
    assert alive(platform) == [("acme", True), ("edge", False), ("verifier", True)]
    assert "alive=f" in status(platform)
    platform.edges[0].start()
    wait_until(lambda: ("edge", False) not in alive(platform), 30, "the edge that came back under its own name")
    assert len(alive(platform)) == 3


def test_process_that_starts_without_a_database_is_known_when_there_is_one(lab):
    platform = lab.platform(own_postgres=True, edges=1)
    wait_until(lambda: len(alive(platform)) == 3, 30, "all that are alive")
    platform.edges[0].kill()
    platform.db.query("DELETE FROM nodes WHERE role = 'edge'")
    lab.clusters[0].kill()
    platform.edges[0].start(wait=False)
    platform.edges[0].process.wait_log("no database connection.*postern-edge-heartbeat")
    lab.clusters[0].start()
    wait_until(lambda: platform.api.call("GET", OVERVIEW)[0] == 200 and ("edge", True) in alive(platform), 30, "the edge")


def test_what_fails_waits_and_is_left_is_shown(lab):
    platform = lab.platform(edges=1, acme={"budget_exact": "5/7d", "budget_orders": "300/3h"})
    platform.activate("good.brand.test")
    platform.visit("good.brand.test")
    platform.activate("bad.brand.test")
    platform.dns.remove("bad.brand.test")
    assert platform.refusal("bad.brand.test").alert == "internal_error"
    platform.api.add("pending.brand.test")

    seen = wait_until(lambda: overview(platform)["failures"] and overview(platform), 30, "the failure")
    assert seen["domains"] == {"pending": 1, "active": 2, "drifted": 0, "suspended": 0, "released": 0}
    [failure] = seen["failures"]
    assert (failure["cause"], failure["who"], failure["count"], failure["names"]) == ("dns", "customer", 1, ["bad.brand.test"])
    [orders] = [row for row in seen["budget"] if row["ceiling"] == "orders"]
    assert (orders["key"], orders["left"], orders["capacity"], orders["closed_until"]) == (None, 299, 300, None)
    [exact] = [row for row in seen["budget"] if row["ceiling"] == "exact"]
    assert (exact["key"], exact["left"], exact["capacity"]) == ("good.brand.test", 4, 5)
    assert len(seen["renewals"]) == 7 and len({row["day"] for row in seen["renewals"]}) == 7
    due = platform.db.value("SELECT (renew_at AT TIME ZONE 'UTC')::date - (now() AT TIME ZONE 'UTC')::date FROM certificates")
    assert [row["count"] for row in seen["renewals"]] == [1 if day == int(due) else 0 for day in range(7)]
    platform.db.query("UPDATE certificates SET renew_at = now() + interval '49 h', source = 'upload'")
    assert sum(row["count"] for row in overview(platform)["renewals"]) == 0
    platform.acme.stop()
    platform.db.query("UPDATE issuance_jobs SET state = 'failed', waits_on = 'budget', lane = 'reissue', next_try_at = '2030-01-02Z'"
                      " WHERE name = 'good.brand.test'")
    assert overview(platform)["waiting"] == [{"lane": "reissue", "for": "budget", "jobs": 1, "first_at": "2030-01-02T00:00:00Z",
                                              "last_at": "2030-01-02T00:00:00Z"}]
    printed = status(platform)
    for part in ("status=pending count=1", 'cause=dns who=customer count=1 names=["bad.brand.test"]', "lane=reissue for=budget jobs=1",
                 "ceiling=orders left=299 capacity=300"):
        assert part in printed, printed


def test_it_is_the_operators_alone(platform):
    token = platform.api.call("POST", "/v1/tokens", {"scope": "tenant", "tenant": "default"})[1]["token"]
    code, body = platform.api.call("GET", OVERVIEW, token=token)
    assert (code, body["code"]) == (403, "operator_only")
    assert platform.api.call("GET", OVERVIEW, token="ptn_none")[0] == 401
