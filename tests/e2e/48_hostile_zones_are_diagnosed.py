"""The diagnosis where DNS is as it is on the internet: referrals from a root, validation, name servers of public addresses;
and zones whose owners mean harm: they cost no more than their bound, reach nobody in our own network, and put nothing but
text into an answer."""

import itertools
import os
import socket
import threading
import time

import dns.message
import dns.rcode

from lab.dns_tree import Zone, with_verifier
from lab.internet import Internet
from lab.odd_dns import OddDns, answer_to
from lab.place import tool
from lab.process import run, wait_until

WRONG_DS = "{zone} 3600 DS 4711 13 2 " + "ab" * 32
HERE, ROOT, TEST, GOOD, ODD, NOBODY = "9.1.0.1", "9.1.0.2", "9.1.0.3", "9.1.0.4", "9.1.0.5", "9.1.0.99"
FIRST, SECOND, BROKEN, SAAS, MANY = "9.1.0.6", "9.1.0.7", "9.1.0.8", "9.1.0.9", "9.1.0.10"
PRIVATE = "10.0.0.53"
EVIL = '<img src=x onerror=alert(1)>\\027[2J\\000\\255'
BOUND = 12  # seconds: 5 for the look-ups, and what a busy machine adds


def delegation(zone, *servers):
    """`servers`: (name, address or None)."""
    return ([f"{zone} 3600 NS {name}" for name, _ in servers]
            + [f"{name} 3600 A {address}" for name, address in servers if address])


class Counter:
    """Listens where nobody of the outside may lead us, and counts what comes."""

    def __init__(self, address):
        self.packets = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while self._socket.recvfrom(4096):
                self.packets += 1
        except OSError:
            pass

    def close(self):
        self._socket.close()


class Odd:
    """The zone odd.test, by name: huge.odd.test a TXT record of nearly 64 KiB, harm.odd.test bytes and markup,
    half.odd.test cut over UDP and silent over TCP, alien.odd.test the answer to another question, noise.odd.test no DNS."""

    def __init__(self):
        self.server = OddDns(ODD, self.answer, port=53)

    def answer(self, query, name, kind, tcp):
        if kind == "SOA" and name == "odd.test":
            return answer_to(query, (name, "SOA", "ns.odd.test. hostmaster.odd.test. 7 3600 600 86400 60"))
        if kind == "NS" and name == "odd.test":
            return answer_to(query, (name, "NS", "ns.odd.test."))
        if name == "ns.odd.test" and kind == "A":
            return answer_to(query, (name, "A", ODD))
        if "huge" in name and kind == "TXT":
            return answer_to(query, (name, "TXT", *[f'"{"x" * 250}{index:04}"' for index in range(240)])) if tcp else self.cut(query)
        if "harm" in name and kind == "TXT":
            return answer_to(query, (name, "TXT", f'"{EVIL}"'))
        if name == "harm.odd.test" and kind in ("A", "AAAA", "CNAME"):
            return answer_to(query, (name, "CNAME", '\\<script\\>\\027\\255.evil.test.'))
        if "half" in name:
            return None if tcp else self.cut(query)
        if "alien" in name and kind in ("A", "TXT"):
            return dns.message.make_response(dns.message.make_query("other.odd.test", kind, id=query.id))
        if "noise" in name and kind in ("A", "TXT"):
            return query.to_wire()[:2] + b"\x84\x00\xff\xff\xff\xff\xff\xff\xff\xff" + os.urandom(40)
        return answer_to(query, code=dns.rcode.NOERROR)

    @staticmethod
    def cut(query):
        reply = answer_to(query)
        reply.flags |= dns.flags.TC
        return reply


class Scene:
    """root → test → good.test (signed), pair.test (two servers), broken.test (its DS is wrong), lame.test (delegated to a
    server that does not have it), dead.test (nobody there), inward.test (its servers have private addresses and this
    machine's), hundred.test (a hundred name servers), odd.test, saas.test."""

    def __init__(self, directory):
        self.internet = Internet(HERE, [ROOT, TEST, GOOD, ODD, FIRST, SECOND, BROKEN, SAAS, MANY])
        self.parts = []
        over = self.internet.run

        def zone(name, address, lines=(), signed=False, folder="", **options):
            path = os.path.join(directory, folder)
            self.parts.append(over(lambda: Zone(path, name, address, lines, signed, updaters="9.0.0.0/8", **options)))
            return self.parts[-1]
        names = [f"ns{index}.hundred.test." for index in range(100)]
        self.good = zone("good.test.", GOOD, signed=True)
        self.broken = zone("broken.test.", BROKEN, signed=True)
        self.first = zone("pair.test.", FIRST, delegation("pair.test.", ("ns2.pair.test.", SECOND)), folder="first")
        self.second = zone("pair.test.", SECOND, delegation("pair.test.", ("ns.pair.test.", FIRST)), folder="second",
                           server="ns2.pair.test.")
        self.many = zone("hundred.test.", MANY, [f"hundred.test. 3600 NS {name}" for name in names]
                         + [f"{name} 3600 A {MANY}" for name in names])
        self.saas = zone("saas.test.", SAAS, [f"nlb.saas.test. 3600 A {SAAS}"])
        lines = (self.good.delegation() + self.broken.delegation(WRONG_DS.format(zone="broken.test."))
                 + delegation("pair.test.", ("ns.pair.test.", FIRST), ("ns2.pair.test.", SECOND))
                 + self.saas.delegation() + self.many.delegation()
                 + delegation("lame.test.", ("ns.lame.test.", GOOD))
                 + delegation("dead.test.", ("ns.dead.test.", NOBODY))
                 + delegation("odd.test.", ("ns.odd.test.", ODD))
                 + delegation("inward.test.", ("a.inward.test.", PRIVATE), ("b.inward.test.", "127.0.0.1"))
                 + delegation("self.test.", ("ns.self.test.", HERE)))
        self.top = zone("test.", TEST, lines, signed=True)
        self.root = zone(".", ROOT, self.top.delegation(), signed=True)
        self.odd = over(Odd)
        self.hints, self.anchor = os.path.join(directory, "root.hints"), os.path.join(directory, "root.key")
        with open(self.hints, "w") as file:
            file.write(f". 3600 NS ns.\nns. 3600 A {ROOT}\n")
        with open(self.anchor, "w") as file:
            file.write(self.root.ds() + "\n")

    def publish(self, zone, name, kind, value):
        self.internet.run(lambda: zone.publish(name + ".", kind, value))

    def stop(self):
        self.odd.server.close()
        for zone in self.parts:
            zone.stop()
        self.internet.close()


def with_scene(lab, story, **settings):
    with_verifier(lab, Scene, story, apex_addresses=SAAS, **settings)


def verify(api, name, add=True):
    if add:
        api.add(name)
    start = time.monotonic()
    domain = api.verify(name)
    took = time.monotonic() - start
    assert took < BOUND, f"{name} took {took:.1f} s"
    return domain, {verdict["code"]: verdict for verdict in domain["last_check"]["verdicts"]}


def codes(verdicts):
    return set(verdicts) - {"routing_missing", "routing_could_not_check"}


def test_each_server_of_a_delegated_zone_is_asked(lab):
    def story(api, scene):
        txt = api.add("shop.pair.test")["records"][0]
        for zone, has in ((scene.first, {"txt_on_some_servers"}), (scene.second, {"txt_ok"})):
            scene.publish(zone, txt["name"], "TXT", f'"{txt["value"]}"')
            domain, verdicts = verify(api, "shop.pair.test", add=False)
            assert codes(verdicts) == has, str(domain["last_check"]["servers"])
        servers = {server["name"]: (server["address"], server["txt"]) for server in domain["last_check"]["servers"]}
        assert servers == {"ns.pair.test": (FIRST, [txt["value"]]), "ns2.pair.test": (SECOND, [txt["value"]])}
        signed = api.add("shop.good.test")["records"][0]
        scene.publish(scene.good, signed["name"], "TXT", f'"{signed["value"]}"')
        assert codes(verify(api, "shop.good.test", add=False)[1]) == {"txt_ok"}
    with_scene(lab, story)


def test_zones_that_are_broken_are_told_apart(lab):
    def story(api, scene):
        for name, code, state in (("shop.broken.test", "dnssec_bogus", "act"), ("shop.lame.test", "lame_delegation", "act"),
                                  ("shop.dead.test", "servers_silent", "unknown"), ("shop.nowhere.test", "zone_missing", "act")):
            domain, verdicts = verify(api, name)
            assert verdicts.get(code, {}).get("state") == state, (name, verdicts)
            assert codes(verdicts) <= {code, "txt_could_not_check"}, (name, verdicts)
            assert domain["status"] == "pending"
        servers = api.show("shop.lame.test")["last_check"]["servers"]
        assert [(server["name"], server["address"]) for server in servers] == [("ns.lame.test", GOOD)], servers
    with_scene(lab, story)


def test_wrong_trust_anchor_is_the_operators_matter(lab):
    wrong = os.path.join(lab.directory, "other-root.key")
    with open(wrong, "w") as file:
        file.write(WRONG_DS.format(zone=".") + "\n")

    def story(api, scene):
        _, verdicts = verify(api, "shop.good.test")
        assert verdicts["dnssec_not_checkable"]["who"] == "operator", verdicts
        assert not [one for one in verdicts.values() if one["state"] == "act"]
    with_scene(lab, story, dns_trust_anchor=wrong)


def test_name_servers_at_private_addresses_and_our_own_are_left_alone(lab):
    def story(api, scene):
        run([tool("ip"), "addr", "add", f"{PRIVATE}/32", "dev", "lo"])
        counters = [Counter(PRIVATE), Counter("127.0.0.1")]
        domain, verdicts = verify(api, "shop.inward.test")
        assert verdicts["lame_delegation"]["state"] == "act", verdicts
        assert "private" in verdicts["lame_delegation"]["summary"]
        assert {server["address"] for server in domain["last_check"]["servers"]} == {PRIVATE, "127.0.0.1"}
        assert all("not asked" in server["error"] for server in domain["last_check"]["servers"])
        assert [counter.packets for counter in counters] == [0, 0]
        for counter in counters:
            counter.close()
    with_scene(lab, story)


def test_our_own_public_address_is_not_asked(lab):
    def story(api, scene):
        domain, _ = verify(api, "shop.self.test")
        assert [("not asked" in server["error"], server["address"]) for server in domain["last_check"]["servers"]] == [(True, HERE)]
    with_scene(lab, story)


def test_hundred_name_servers_cost_as_much_as_eight(lab):
    def story(api, scene):
        txt = api.add("shop.hundred.test")["records"][0]
        scene.publish(scene.many, txt["name"], "TXT", f'"{txt["value"]}"')
        domain, verdicts = verify(api, "shop.hundred.test", add=False)
        assert codes(verdicts) == {"txt_ok"}
        assert len(domain["last_check"]["servers"]) == 8
    with_scene(lab, story)


def test_a_tenants_slow_zones_leave_room_for_others_looks(lab):
    def story(api, scene):
        def servers_seen(name, tenant):
            api.add(name, tenant)
            return {server["name"] for server in api.verify(name, tenant)["last_check"]["servers"]}

        slow = [f"n{index}.dead.test" for index in range(40)]
        clicks = [threading.Thread(target=servers_seen, args=(name, "slow")) for name in slow]
        for click in clicks:
            click.start()
        more = (f"n{index}.pair.test" for index in itertools.count())
        wait_until(lambda: not servers_seen(next(more), "slow"), BOUND, "the slow tenant to have all that it gets")
        assert servers_seen("shop.pair.test", "other") == {"ns.pair.test", "ns2.pair.test"}
        for click in clicks:
            click.join()
    with_scene(lab, story)


def test_odd_servers_are_read_to_some_end(lab):
    def story(api, scene):
        for name in ("huge", "half", "alien", "noise", "harm"):
            domain, verdicts = verify(api, f"shop.{name}.odd.test" if name != "harm" else "harm.odd.test")
            assert domain["status"] == "pending", name
            text = str(domain)
            assert len(text) < 100000, name
            assert text.isprintable() and text.isascii(), name
            if name in ("half", "alien", "noise"):
                assert not [one for one in verdicts.values() if one["state"] == "act" and one["step"] == "ownership"], (name, verdicts)
        found = verdicts["txt_wrong_value"]["record"]["found"]
        assert found == ["<img src=x onerror=alert(1)>\\027[2J\\000\\255"], found
        assert "?" in domain["last_check"]["servers"][0]["cname"], "bytes that no name has"
        assert api.call("GET", "/v1/domains")[0] == 200
    with_scene(lab, story)
