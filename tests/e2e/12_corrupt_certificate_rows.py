"""A damaged certificate row is logged, never served, never crashes; a good one in memory stays."""

import pytest

from lab.process import wait_until

NAME, OTHER = "shop.brand.test", "other.brand.test"

pytestmark = pytest.mark.long

DAMAGE = {
    "truncated chain": "chain_pem = left(chain_pem, 300)",
    "chain of another name": f"chain_pem = (SELECT chain_pem FROM certificates WHERE name = '{OTHER}')",
    "no PEM at all": "chain_pem = 'junk'",
    "empty chain": "chain_pem = ''",
    "a megabyte of chain": "chain_pem = repeat('x', 1000000)",
    "key of another certificate": f"key_sealed = (SELECT key_sealed FROM certificates WHERE name = '{OTHER}')",
    "truncated key": "key_sealed = substring(key_sealed for 40)",
    "flipped bit in the key": "key_sealed = set_byte(key_sealed, 60, get_byte(key_sealed, 60) # 1)",
    "empty key": "key_sealed = ''",
}


@pytest.fixture
def damaged(lab):
    platform = lab.platform(edge={"issue_wait": "1s", "cache_max_age": "500ms"})
    for name in (NAME, OTHER):
        platform.issue(name)
        platform.visit(name, edge=platform.edges[0])
    platform.acme.stop()  # nobody repairs
    return platform


def damage(platform, change):
    platform.db.query(f"UPDATE certificates SET {change}, version = nextval('fences') WHERE name = '{NAME}'")


def test_each_kind_of_damage_is_logged_never_served_and_the_good_one_in_memory_stays(damaged):
    good, bare = damaged.edges
    serial = damaged.visit(NAME, edge=good).serial
    original = damaged.db.query(f"SELECT chain_pem, encode(key_sealed, 'hex') FROM certificates WHERE name = '{NAME}'")
    assert original
    damaged.db.query("CREATE TABLE kept AS SELECT * FROM certificates")
    for label, change in DAMAGE.items():
        before = [len(edge.process.log()) for edge in damaged.edges]
        damage(damaged, change)
        wait_until(lambda: NAME in good.process.log()[before[0]:] and
                   any(level in good.process.log()[before[0]:] for level in (" error ", " warn ")), 10,
                   f"{label}: a line in the log of the node that has a good one")
        assert damaged.visit(NAME, edge=good).serial == serial, f"{label}: the good one in memory stays"
        answer = damaged.refusal(NAME, edge=bare, timeout=8)
        assert answer.alert == "internal_error", f"{label}: {answer}"
        damaged.db.query("UPDATE certificates c SET chain_pem = k.chain_pem, key_sealed = k.key_sealed "
                         f"FROM kept k WHERE c.name = k.name AND c.name = '{NAME}'")
    assert damaged.visit(OTHER, edge=bare).status == 200


def test_damaged_certificate_is_replaced_by_a_new_one_when_the_issuer_is_there(lab):
    platform = lab.platform()
    platform.activate(NAME)
    first = platform.visit(NAME, edge=platform.edges[0])
    platform.db.query("UPDATE certificates SET chain_pem = left(chain_pem, 300), version = nextval('fences')")
    second = platform.visit(NAME, edge=platform.edges[1])
    assert second.serial != first.serial


def test_expired_certificate_is_never_served(lab):
    platform = lab.platform(edges=1, pebble={"certificateValidityPeriod": 8}, edge={"issue_wait": "1s"})
    platform.issue(NAME)
    platform.visit(NAME)
    platform.acme.stop()
    platform.db.wait(f"SELECT not_after < now() FROM certificates WHERE name = '{NAME}'", 15)
    assert platform.refusal(NAME).alert == "internal_error", "from memory"
    platform.edge.restart()
    assert platform.refusal(NAME, edge=platform.edge).alert == "internal_error", "from the database"
