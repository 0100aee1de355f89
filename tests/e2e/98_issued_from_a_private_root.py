"""Issuance with DNS as it is: full recursion and validation from a root, for us and for the CA. A name whose DNSSEC is
broken costs no order; the operator's zone is found by the parent's delegation to the verifiers."""

import os
import re

import dns.rcode
import pytest

from lab.daemons import Acme, Verifier
from lab.dns_tree import Zone, can_have_namespaces, run_in_own_network
from lab.pebble import Pebble
from lab.place import free_port, program
from lab.process import run, wait_until
from lab.unbound import Unbound

TOKEN = "private-root-admin-token-0123456789"
WRONG_DS = "{zone} 3600 DS 4711 13 2 " + "ab" * 32
RESPONDER = "127.0.0.10"


class Scene:
    """root → test → shops.test (signed), broken.test (its DS is wrong), saas.test (signed), which delegates acme.saas.test to
    the verifier without a DS. The CA asks an unbound that starts at the root too."""

    def __init__(self, ground):
        self.ground, self.db, self.parts = ground, ground.database.by_socket(), []
        folder = ground.folder("dns")

        def zone(*arguments):
            self.parts.append(Zone(folder, *arguments))
            return self.parts[-1]
        self.shops, self.broken = zone("shops.test.", "127.0.0.3"), zone("broken.test.", "127.0.0.4")
        self.saas = zone("saas.test.", "127.0.0.5", [
            "nlb.saas.test. 3600 A 127.0.0.20", "acme.saas.test. 3600 NS responder.saas.test.",
            f"responder.saas.test. 3600 A {RESPONDER}"])
        top = zone("test.", "127.0.0.2", self.shops.delegation() + self.saas.delegation()
                   + self.broken.delegation(WRONG_DS.format(zone="broken.test.")))
        root = zone(".", "127.0.0.1", top.delegation())
        hints, anchor = os.path.join(folder, "hints"), os.path.join(folder, "anchor")
        with open(hints, "w") as file:
            file.write(". 3600 NS ns.\nns. 3600 A 127.0.0.1\n")
        with open(anchor, "w") as file:
            file.write(root.ds() + "\n")
        self.resolver = Unbound(ground.folder("unbound"), "127.0.0.6", hints, anchor)
        self.pebble = Pebble(ground.folder("pebble"), ground.authority, self.resolver.server, free_port("127.0.0.1"),
                             free_port("127.0.0.1")).start()
        self.parts += [self.resolver, self.pebble]
        self.dns = {"saas_root": "saas.test", "dns_root_hints": hints, "dns_trust_anchor": anchor, "dns_zone": "acme.saas.test"}

    def start(self, daemon, name, **settings):
        part = daemon(self.ground.directory, name, "127.0.0.1", {
            "database": self.db.conninfo(daemon.program.replace("-", "_")), **self.dns, **settings})
        self.parts.append(part)
        return part.start()

    def issuer(self, **settings):
        return self.start(Acme, f"acme{len(self.parts)}", seal_key_file=self.ground.seal_key,
                          acme_directory=self.pebble.directory_url, acme_ca=self.pebble.ca, **settings)

    def responder(self):
        token = os.path.join(self.ground.directory, "token")
        with open(token, "w") as file:
            file.write(TOKEN)
        return self.start(Verifier, "verifier", admin_token_file=token, dns_listen=f"{RESPONDER}:53",
                          dns_ns="responder.saas.test")

    def ask_for(self, name):
        self.db.query(f"SELECT enqueue_issuance('{name}', 'first_hit')")

    def stop(self):
        codes = {part.name: part.stop() for part in reversed(self.parts) if isinstance(part, (Acme, Verifier))}
        for part in reversed(self.parts):
            if part.process and part.process.alive:
                part.stop()
        assert not any(codes.values()), codes


def in_scene(lab, story):
    if not can_have_namespaces():
        pytest.skip("needs root, to make a network namespace")
    ground = lab.ground()

    def body():
        scene = Scene(ground)
        try:
            story(scene)
        except BaseException:
            for part in scene.parts:
                print(f"--- {part.process.name}\n{part.process.log()[-3000:]}")
            raise
        finally:
            scene.stop()
    run_in_own_network(body)


def failure(scene, name):
    scene.db.wait(f"SELECT state = 'failed' FROM issuance_jobs WHERE name = '{name}'", 15)
    return scene.db.query(f"SELECT last_cause, last_actor, foreseen, last_error FROM issuance_jobs WHERE name = '{name}'")[0]


def test_broken_dnssec_is_seen_before_the_order(lab):
    def story(scene):
        scene.issuer()
        assert scene.resolver.ask("www.broken.test", "A").rcode() == dns.rcode.SERVFAIL, "the CA would see nothing"
        scene.ask_for("www.broken.test")
        *verdict, words = failure(scene, "www.broken.test")
        assert verdict == ["dns", "customer", "t"] and "DNSSEC" in words, (verdict, words)
        assert scene.pebble.orders() == 0
    in_scene(lab, story)


def test_a_wrong_anchor_of_ours_is_not_the_customers_fault(lab):
    wrong = os.path.join(lab.directory, "other-root.key")
    with open(wrong, "w") as file:
        file.write(WRONG_DS.format(zone=".") + "\n")

    def story(scene):
        issuer = scene.issuer(dns_trust_anchor=wrong, challenge_types="http-01")
        scene.shops.publish("www.shops.test.", "A", "127.0.0.1")
        scene.ask_for("www.shops.test")
        verdict = failure(scene, "www.shops.test")
        # The order went out, and failed at the CA, since nothing listens here.
        assert (verdict[0], verdict[2]) == ("connection", "f"), verdict
        assert scene.pebble.orders() == 1 and issuer.metric("postern_acme_preflights_total", result="unknown") == 1
    in_scene(lab, story)


def test_the_parents_delegation_leads_the_ca_to_the_verifier(lab):
    name = "www.shops.test"

    def story(scene):
        scene.issuer(challenge_types="dns-01,tls-alpn-01")
        verifier = scene.responder()
        label = re.search(rf"_acme-challenge\.{name} CNAME (\w{{32}})\.<dns-zone>", run(
            [program("postern"), "explain", name, f"--database={scene.db.conninfo()}"]))[1]
        answer = scene.resolver.ask(f"{label}.acme.saas.test", "TXT")
        assert answer.rcode() == dns.rcode.NXDOMAIN, "the parent leads here, and here it is denied"
        scene.shops.publish(f"_acme-challenge.{name}.", "CNAME", f"{label}.acme.saas.test.")
        scene.ask_for(name)
        scene.db.wait(f"SELECT count(*) = 1 FROM certificates WHERE name = '{name}'", 20)
        assert scene.db.value("SELECT string_agg(DISTINCT type, ' ') FROM challenges") == "dns-01"
        wait_until(lambda: verifier.metric("postern_verifier_dns_queries_total", result="udp") >= 2, 10, "it to be counted")
    in_scene(lab, story)
