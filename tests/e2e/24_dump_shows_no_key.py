"""A dump of the database shows no key: not a site's, not an account's, not one of an order in progress."""

import base64
import re

import pytest

from lab.place import program
from lab.process import LabError, run

NAME = "shop.brand.test"

# What the plain DER of any P-256 private key begins with (RFC 5915: version 1, then 32 bytes of key).
EC_PRIVATE_KEY = bytes.fromhex("0201010420")


def test_no_private_key_in_a_dump(lab):
    platform = lab.platform(faulty_ca=True)
    platform.activate(NAME)
    platform.activate("waiting.brand.test")
    platform.visit(NAME)
    gate = platform.ca.hold("finalize")
    platform.db.query("SELECT enqueue_issuance('waiting.brand.test', 'first_hit')")
    assert gate.arrived.wait(10)
    assert platform.db.value("SELECT count(*) FROM issuance_jobs WHERE key_sealed IS NOT NULL AND state = 'running'") == "1"
    dump = platform.db.dump()
    gate.open()

    assert "PRIVATE KEY" not in dump
    binary = b"".join(bytes.fromhex(text) for text in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", dump))
    assert len(binary) > 300, "the sealed keys are in it"
    assert EC_PRIVATE_KEY not in binary, "a key in the clear"
    with open(platform.ground.seal_key) as file:
        secret = file.read().split()[-1]
    assert secret not in dump
    assert base64.b64decode(secret + "==") not in binary


def test_seal_key_is_needed_to_serve(lab):
    """Another key file opens nothing: the certificate cannot be used, and nothing crashes."""
    platform = lab.platform(edges=1, edge={"issue_wait": "2s"})
    platform.issue(NAME)
    platform.visit(NAME)
    platform.acme.stop()
    other = f"{lab.folder('keys')}/other.key"
    run([program("postern"), "seal-key", "new", other])
    platform.edge.restart(seal_key_file=other)
    assert platform.refusal(NAME, edge=platform.edge).alert == "internal_error"


@pytest.mark.parametrize("role, sql", [
    ("postern_verifier", "SELECT key_sealed FROM certificates"),
    ("postern_verifier", "SELECT * FROM ca_accounts"),
    ("postern_verifier", "UPDATE certificates SET chain_pem = ''"),
    ("postern_edge", "SELECT key_sealed FROM issuance_jobs"),
    ("postern_edge", "SELECT * FROM ca_accounts"),
    ("postern_edge", "DELETE FROM certificates"),
    ("postern_edge", "SELECT token FROM domains"),
    ("postern_acme", "SELECT token FROM domains"),
    ("postern_acme", "UPDATE domains SET status = 'active'"),
    ("postern_acme", "SELECT * FROM sessions"),
])
def test_each_role_is_refused_what_is_not_its_business(lab, role, sql):
    database = lab.ground().database
    with pytest.raises(LabError, match="permission denied"):
        database.query(sql, role=role)
