"""dns-01 by delegation: a customer's _acme-challenge is a CNAME into the operator's zone, which the verifier serves."""

import re
import socket
import subprocess

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from lab.lab import Lab
from lab.place import free_port, program
from lab.process import wait_until
from lab.recursor import Recursor

ZONE = "acme.saas.test"
NAME = "shop.brand.test"
LABEL = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def scene(session):
    lab = Lab(session)
    platform = lab.prepare(edges=1, acme={"dns_zone": ZONE})
    back = platform.ground.address(2)
    platform.dns_at = (back, free_port(back))
    platform.verifier.settings.update({"dns_listen": f"{back}:{platform.dns_at[1]}", "dns_zone": ZONE,
                                       "dns_ns": ["ns1.saas.test", "ns2.saas.test"]})
    platform.pebble.dns = lab.use(Recursor(platform.ground.address(6), platform.dns, platform.dns_at, ZONE)).server
    platform.start()
    yield platform
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def ask(scene, name, kind="TXT", tcp=False, **options):
    query = dns.message.make_query(name, kind, **options)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, scene.dns_at[0], port=scene.dns_at[1], timeout=3)


def publish(scene, label, *digests):
    scene.db.query(f"DELETE FROM challenges WHERE label = '{label}'")
    for number, digest in enumerate(digests):
        scene.db.query("INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at, label, digest) "
                       f"VALUES ('{label[:4]}.test', 'dns-01', 't{number}', 'x', 1, now() + interval '1 minute', "
                       f"'{label}', '{digest}')")


def test_a_name_that_delegates_is_issued_to_before_it_leads_here(scene):
    domain = scene.api.add(NAME)
    scene.dns.publish_records([record for record in domain["records"] if record["type"] == "TXT"])
    assert scene.api.verify(NAME)["status"] == "active"
    done = subprocess.run([program("postern"), "explain", NAME, f"--database={scene.db.conninfo()}"], text=True,
                          timeout=30, stdout=subprocess.PIPE, check=True)
    label = re.search(rf"_acme-challenge\.{NAME} CNAME (\w{{32}})\.<dns-zone>", done.stdout)[1]
    scene.dns.publish(f"_acme-challenge.{NAME}", "CNAME", f"{label}.{ZONE}")
    scene.db.query(f"SELECT enqueue_issuance('{NAME}', 'first_hit')")
    scene.db.wait(f"SELECT count(*) = 1 FROM certificates WHERE name = '{NAME}'", 15)
    assert scene.db.value("SELECT string_agg(type, ' ') FROM challenges") == "dns-01"
    assert scene.verifier.metric("postern_verifier_dns_queries_total", result="udp") > 0


def test_texts_are_answered_with_authority_whatever_the_case(scene):
    publish(scene, LABEL, "first-digest", "second-digest")
    for tcp in (False, True):
        answer = ask(scene, f"{LABEL.upper()}.Acme.SAAS.test", tcp=tcp)
        assert answer.rcode() == dns.rcode.NOERROR and answer.flags & dns.flags.AA
        assert not answer.flags & dns.flags.RA
        assert {text.strings[0] for text in answer.answer[0]} == {b"first-digest", b"second-digest"}


def test_what_is_not_there_is_denied_as_it_should_be(scene):
    publish(scene, LABEL, "digest")
    no_data = ask(scene, f"{LABEL}.{ZONE}", "A")
    assert (no_data.rcode(), len(no_data.answer)) == (dns.rcode.NOERROR, 0)
    assert no_data.authority[0].rdtype == dns.rdatatype.SOA and no_data.flags & dns.flags.AA
    for name in (f"{'f' * 32}.{ZONE}", f"www.{ZONE}", f"deep.{LABEL}.{ZONE}"):
        missing = ask(scene, name)
        assert missing.rcode() == dns.rcode.NXDOMAIN and missing.authority[0].rdtype == dns.rdatatype.SOA
    for name, kind in (("example.com", "TXT"), ("saas.test", "SOA"), (ZONE, "AXFR")):
        assert ask(scene, name, kind, tcp=kind == "AXFR").rcode() == dns.rcode.REFUSED


def test_the_zone_tells_about_itself(scene):
    soa = ask(scene, ZONE, "SOA").answer[0][0]
    assert soa.mname.to_text() == "ns1.saas.test." and soa.minimum == 1
    assert {ns.target.to_text() for ns in ask(scene, ZONE, "NS").answer[0]} == {"ns1.saas.test.", "ns2.saas.test."}
    assert ask(scene, ZONE, "A").authority[0].rdtype == dns.rdatatype.SOA


def test_what_does_not_fit_comes_by_tcp(scene):
    publish(scene, LABEL, *[f"{number}{'x' * 60}" for number in range(8)])
    short = ask(scene, f"{LABEL}.{ZONE}")
    assert short.flags & dns.flags.TC and not short.answer
    assert len(ask(scene, f"{LABEL}.{ZONE}", tcp=True).answer[0]) == 8
    whole = ask(scene, f"{LABEL}.{ZONE}", use_edns=0, payload=4096)
    assert len(whole.answer[0]) == 8 and whole.payload == 1232
    newer = dns.message.make_query(f"{LABEL}.{ZONE}", "TXT")
    newer.use_edns(1)
    assert dns.query.udp(newer, *scene.dns_at[:1], port=scene.dns_at[1], timeout=3).rcode() == dns.rcode.BADVERS


def test_noise_is_survived(scene):
    publish(scene, LABEL, "digest")
    good = dns.message.make_query(f"{LABEL}.{ZONE}", "TXT").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noisy:
        for size in range(len(good)):
            noisy.sendto(good[:size], scene.dns_at)
        noisy.sendto(good + b"x" * 1400, scene.dns_at)
        noisy.sendto(bytes([good[0], good[1], 0x80]) + good[3:], scene.dns_at)
    # Silent TCP clients take all places for a while: they are let go, and UDP goes on meanwhile.
    silent = [socket.create_connection(scene.dns_at) for _ in range(40)]
    assert ask(scene, f"{LABEL}.{ZONE}").answer

    def by_tcp():
        try:
            return ask(scene, f"{LABEL}.{ZONE}", tcp=True).answer
        except (OSError, EOFError):
            return None
    wait_until(by_tcp, 12, "the silent clients to be let go")
    for one in silent:
        one.close()
