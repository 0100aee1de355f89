"""Several tenants may claim a name; one can own it, whoever clicks first or at the same moment."""

import threading

NAME = "shop.brand.test"


def claims(platform, *tenants):
    """Each tenant adds the name; all their TXT records are published."""
    values = []
    for tenant in tenants:
        domain = platform.api.add(NAME, tenant)
        values += [record["value"] for record in domain["records"] if record["type"] == "TXT"]
    assert len(set(values)) == len(tenants), "a token belongs to one claim"
    platform.dns.publish(f"acme_verify.{NAME}", "TXT", *values)


def verify_at_once(platform, tenants):
    answers, barrier = {}, threading.Barrier(len(tenants))

    def verify(tenant):
        barrier.wait()
        answers[tenant] = platform.api.call("POST", f"/v1/domains/{NAME}/verify?tenant={tenant}")
    threads = [threading.Thread(target=verify, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_eight_tenants_that_verify_at_once_one_owns_the_name(lab):
    platform = lab.platform(edges=0)
    tenants = [f"tenant{number}" for number in range(8)]
    claims(platform, *tenants)
    answers = verify_at_once(platform, tenants)
    owners = [tenant for tenant, (status, body) in answers.items() if status == 200 and body["status"] == "active"]
    assert len(owners) == 1, answers
    assert all(status in (200, 409) for status, _ in answers.values()), answers
    assert platform.db.query(f"SELECT count(*) FROM domains WHERE name = '{NAME}' AND status = 'active'") == [["1"]]
    assert platform.verifier.ask(NAME) == 200


def test_second_tenant_is_told_that_another_owns_the_name(lab):
    platform = lab.platform(edges=0)
    claims(platform, "brandowner", "latecomer")
    assert platform.api.verify(NAME, "brandowner")["status"] == "active"
    status, problem = platform.api.call("POST", f"/v1/domains/{NAME}/verify?tenant=latecomer")
    assert status == 409
    assert "brandowner" not in str(problem), "no word of who the owner is"
    assert platform.api.show(NAME, "latecomer")["status"] == "pending"


def test_pending_claim_of_a_stranger_blocks_nobody(lab):
    platform = lab.platform(edges=0)
    platform.api.add(NAME, "squatter")
    assert platform.activate(NAME, "owner")["status"] == "active"
