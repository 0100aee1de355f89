"""An upload with anything wrong is refused, with what is wrong and how to mend it; and wherever an upload went well or not, its
key is in no table, no log, no answer, and no longer in the verifier's memory."""

import base64
import http.client
import json
import os
import re

import pytest

from lab.private_ca import P256, P521, PrivateCA

NAME, TENANT = "shop.brand.test", "brand-7"


class Desk:
    def __init__(self, lab):
        self.platform = lab.platform(edges=0, verifier={"log_level": "debug"})
        self.ca = PrivateCA(lab.folder("customer"))
        self.other = PrivateCA(lab.folder("other"))
        self.token = self.platform.api.tenant_token(TENANT)
        self.platform.activate(NAME, TENANT)
        self.good = self.ca.issue(NAME)

    def send(self, body, **options):
        return self.platform.api.call("POST", "/v1/certificates", body, token=self.token, **options)

    def stored(self):
        return int(self.platform.db.value("SELECT count(*) FROM certificates"))


@pytest.fixture(scope="module")
def desk(shared_lab):
    return Desk(shared_lab)


def der_of(desk, pem, *command):
    desk.ca.convert(pem, *command, "-in", "in.pem", "-outform", "DER", "-out", "out.der")
    with open(os.path.join(desk.ca.base, "out.der"), "rb") as file:
        return base64.b64encode(file.read()).decode()


def pkcs12(desk, issued):
    desk.ca.convert(issued.leaf + issued.key, "pkcs12", "-export", "-in", "in.pem", "-passout", "pass:x", "-out", "out.p12")
    with open(os.path.join(desk.ca.base, "out.p12"), "rb") as file:
        return base64.b64encode(file.read()).decode()


def same_subject(desk):
    """A chain whose intermediate has the right name and another key."""
    return desk.good.leaf + desk.other.middle + desk.other.root


# What is sent instead of {chain, key} of the good one; the answer's code and field, and words of it.
CASES = {
    "wrong key": (lambda d: {"key": d.ca.issue(NAME).key}, "invalid_chain", "chain", "for this private key"),
    "expired": (lambda d: issue(d, end="20240101000000Z"), "invalid_chain", "chain", "expired at 2024-01-01"),
    "not yet valid": (lambda d: issue(d, start="20400101000000Z"), "invalid_chain", "chain", "not valid before 2040-01-01"),
    "leaf alone": (lambda d: {"chain": d.good.leaf}, "chain_incomplete", "chain", "Customer's intermediate"),
    "no root that is known": (lambda d: {"chain": d.good.leaf + d.ca.middle}, "chain_incomplete", "chain", "Customer's root"),
    "intermediate left out": (lambda d: {"chain": d.good.leaf + d.ca.root}, "invalid_chain", "chain", "signs nothing in it"),
    "another CA's intermediate": (lambda d: {"chain": same_subject(d)}, "invalid_chain", "chain", "signs nothing in it"),
    "100 certificates": (lambda d: {"chain": d.good.leaf + "".join(hundred(d))}, "invalid_chain", "chain", "more than 10"),
    "two leafs": (lambda d: {"chain": d.ca.issue(NAME).leaf + d.good.chain}, "invalid_chain", "chain", "signs nothing in it"),
    "private key in the chain": (lambda d: {"chain": d.good.chain + d.good.key}, "invalid_chain", "chain", "belongs elsewhere"),
    "chain and key exchanged": (lambda d: {"chain": d.good.key, "key": d.good.chain}, "invalid_key", "key", "no private key"),
    "certificate as key": (lambda d: {"key": d.good.leaf}, "invalid_key", "key", "no private key"),
    "two keys": (lambda d: {"key": d.good.key + d.ca.issue(NAME).key}, "invalid_key", "key", "two private keys"),
    "chain in DER": (lambda d: {"chain": der_of(d, d.good.leaf, "x509")}, "invalid_chain", "chain", "no certificate"),
    "key in DER": (lambda d: {"key": der_of(d, d.good.key, "pkey")}, "invalid_key", "key", "openssl pkey"),
    "PKCS #12": (lambda d: {"chain": pkcs12(d, d.good), "key": pkcs12(d, d.good)}, "invalid_key", "key", "openssl pkcs12"),
    "Ed25519": (lambda d: issue(d, kind=("ed25519",)), "invalid_key", "key", "P-256 or P-384"),
    "P-521": (lambda d: issue(d, kind=P521), "invalid_key", "key", "P-256 or P-384"),
    "RSA-1024": (lambda d: issue(d, kind=("rsa:1024",)), "invalid_key", "key", "from 2,048 to 4,096"),
    "SHA-1": (lambda d: issue(d, digest="sha1"), "invalid_chain", "chain", "too weak a signature"),
    "for clients": (lambda d: issue(d, more="extendedKeyUsage=clientAuth"), "invalid_chain", "chain", "serverAuth"),
    "no names": (lambda d: issue(d, names=()), "invalid_chain", "chain", "subjectAltName"),
    "a CA's own": (lambda d: {"chain": d.ca.root, "key": read(d.ca, "root.key")}, "invalid_chain", "chain", "a CA's"),
    "name not owned": (lambda d: issue(d, names=("www.brand.test", "a.test")), "name_not_yours", None, "www.brand.test (and 1 more)"),
    "encrypted": (lambda d: {"key": d.ca.encrypt(d.good.key, "right")}, "passphrase_needed", "passphrase", "is missing"),
    "wrong pass phrase": (lambda d: {"key": d.ca.encrypt(d.good.key, "right"), "passphrase": "wrong"}, "wrong_passphrase",
                          "passphrase", "wrong"),
    "too dear to open": (lambda d: {"key": d.ca.encrypt(d.good.key, "p", "-iter", "1000001"), "passphrase": "p"}, "invalid_key",
                         "key", "takes too long"),
    "cut off": (lambda d: {"chain": d.good.leaf[:300]}, "invalid_chain", "chain", "cut off"),
    "key cut off": (lambda d: {"key": d.good.key[:60]}, "invalid_key", "key", "cut off"),
    "NUL in the chain": (lambda d: {"chain": d.good.chain + "\0"}, "invalid_json", None, None),
    "NUL in the pass phrase": (lambda d: {"passphrase": "a\0b"}, "invalid_json", None, None),
    "chain missing": (lambda d: {"chain": None}, "missing_field", "chain", "is missing"),
    "chain empty": (lambda d: {"chain": ""}, "missing_field", "chain", "is missing"),
    "key missing": (lambda d: {"key": None}, "missing_field", "key", "is missing"),
    "chain is a list": (lambda d: {"chain": [d.good.leaf]}, "invalid_field", "chain", "a string"),
    "pass phrase is a number": (lambda d: {"passphrase": 7}, "invalid_field", "passphrase", "a string"),
    "other names asked for": (lambda d: {"names": ["www.brand.test"]}, "name_not_covered", "names", "www.brand.test"),
    "no names asked for": (lambda d: {"names": []}, "invalid_field", "names", "1 to 100"),
    "odd names asked for": (lambda d: {"names": [7]}, "invalid_name", "names", "must be host names"),
    "another tenant": (lambda d: {"tenant": "default"}, "other_tenant", "tenant", "brand-7"),
    "unknown field": (lambda d: {"password": "x"}, "unknown_field", "password", "unknown"),
}


def issue(desk, names=(NAME,), **options):
    issued = desk.ca.issue(*names, **options)
    return {"chain": issued.chain, "key": issued.key}


def read(ca, name):
    with open(os.path.join(ca.base, name)) as file:
        return file.read()


def hundred(desk):
    # Short ones, so that a hundred fit into a body; different ones, since copies count once.
    made = [desk.other.root, desk.other.middle, desk.ca.middle, desk.ca.root] + [desk.ca.issue(NAME).leaf for _ in range(8)]
    return made + made * 7


def secrets_of(pem):
    """What would give a key away: its text's lines, and its bytes."""
    lines = [line for line in pem.splitlines() if len(line) > 40 and not line.startswith("-")]
    return lines + [base64.b64decode("".join(lines))]


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told(desk, case):
    make, code, field, words = CASES[case]
    body = {"chain": desk.good.chain, "key": desk.good.key, **make(desk)}
    status, answer = desk.send(body)
    assert status == (403 if code in ("name_not_yours", "other_tenant") else 400), answer
    assert (answer["code"], answer.get("field")) == (code, field), answer
    assert words is None or words in answer["detail"], answer
    assert answer["detail"].endswith((".", ")")), answer
    assert "PRIVATE" not in answer["detail"].replace("-----BEGIN PRIVATE KEY-----", "")
    assert not any(line in str(answer) for line in body["key"].splitlines() if len(line) > 40) if body["key"] else True
    assert desk.stored() == 0


def test_a_megabyte_is_too_much(desk):
    # Told as soon as the length is known: who goes on sending may find the connection closed.
    verifier = desk.platform.verifier
    connection = http.client.HTTPConnection(verifier.address, verifier.port, timeout=30)
    connection.putrequest("POST", "/v1/certificates")
    for field in (("Authorization", f"Bearer {desk.token}"), ("Content-Type", "application/json"), ("Content-Length", 2 ** 20)):
        connection.putheader(*field)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "too_large")
    connection.close()
    body = json.dumps({"chain": desk.good.chain + " " * 66000, "key": desk.good.key})
    assert desk.send(body, headers={"Content-Type": "application/json"})[0] == 413
    assert desk.stored() == 0


def test_another_tenants_name_says_no_more_than_nobodys(desk):
    stranger = desk.platform.api.tenant_token("stranger")
    theirs = desk.ca.issue(NAME)
    answers = [desk.platform.api.call("POST", "/v1/certificates", {"chain": one.chain, "key": one.key}, token=stranger)
               for one in (theirs, desk.ca.issue("nobody.brand.test"))]
    assert [answer[0] for answer in answers] == [403, 403]
    assert answers[0][1]["detail"].replace(NAME, "X") == answers[1][1]["detail"].replace("nobody.brand.test", "X")
    # Added, and not proven, is not enough.
    desk.platform.api.add(NAME, "stranger")
    assert desk.platform.api.call("POST", "/v1/certificates", {"chain": theirs.chain, "key": theirs.key}, token=stranger)[0] == 403
    assert desk.stored() == 0


def test_without_a_seal_key_nothing_is_taken(desk):
    desk.platform.verifier.restart(seal_public_file="")
    try:
        status, answer = desk.send({"chain": desk.good.chain, "key": desk.good.key})
        assert (status, answer["code"]) == (409, "sealing_not_set_up")
    finally:
        desk.platform.verifier.restart(seal_public_file=f"{desk.platform.ground.seal_key}.pub")


ONE_REGION_MAX = 2 ** 30


def memory_of(pid):
    """All that the process could read in its own memory; None where a sanitizer has taken terabytes of addresses."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            if "r" not in line.split()[1] or "[v" in line:
                continue
            if end - start > ONE_REGION_MAX:
                return None
            try:
                memory.seek(start)
                found.append(memory.read(end - start))
            except (OSError, ValueError, OverflowError):
                continue
    return b"".join(found)


def test_the_key_is_nowhere_but_sealed(desk):
    """Of keys of each kind, in the clear and encrypted, stored or refused, repeated by Idempotency-Key."""
    rsa, encrypted = desk.ca.issue(NAME, kind=("rsa:2048",)), desk.ca.issue(NAME, kind=P256)
    secrets, locked = [], desk.ca.encrypt(encrypted.key, "correct horse battery")
    for number, (issued, more) in enumerate([(desk.good, {}), (rsa, {}), (encrypted, {"key": locked, "passphrase": "correct horse battery"}),
                                             (rsa, {"chain": desk.good.leaf})]):
        secrets += secrets_of(issued.key)
        body = {"chain": issued.chain, "key": issued.key, **more}
        # A connection that ends with its request is not cleaned for another one.
        statuses = [desk.send(body, headers={"Idempotency-Key": f"key-{number}", **more})[0]
                    for more in ({}, {"Connection": "close"})]
        assert statuses == ([400, 400] if number == 3 else [201 if number == 0 else 200] * 2)
    secrets += secrets_of(locked) + ["correct horse battery"]
    scalar = desk.ca.convert(desk.good.key, "pkey", "-in", "in.pem", "-noout", "-text")
    secrets.append(bytes.fromhex(re.search(r"priv:([0-9a-f:\s]+)pub", scalar).group(1).replace(":", "").replace("\n", "").replace(" ", "")))

    dump = desk.platform.db.dump()
    binary = b"".join(bytes.fromhex(text) for text in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", dump))
    assert NAME in dump and "key-3" in dump and len(binary) > 200
    log = desk.platform.verifier.process.log()
    assert "certificate uploaded" in log
    places = {"dump": dump.encode() + binary, "log": log.encode()}
    memory = memory_of(desk.platform.verifier.process.pid) if os.geteuid() == 0 else None
    if memory:
        places["memory"] = memory
    else:
        print("SKIPPED: the verifier's memory is looked at by root alone, and not with a sanitizer in it")
    for place, content in places.items():
        assert len(content) > 1000, place
        for secret in secrets:
            needle = secret if isinstance(secret, bytes) else secret.encode()
            assert needle not in content, f"{place} holds {needle[:12]}… of a key"
