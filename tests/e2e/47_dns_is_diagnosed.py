"""What a customer did wrong in DNS is told with the exact mend: each case against real name servers, some of which
disagree, do not know the zone, or are out of order."""

import time

import pytest

from lab.knot import Knot
from lab.odd_dns import OddDns, answer_to
from lab.process import wait_until

TARGET = "nlb.saas.test"
CA = "ca.example"
ACCOUNT = "https://ca.example/acct/7"


def zone_text(zone, servers=(), primary="ns1.provider.example", serial=1):
    servers = servers or ("ns1.provider.example", "ns2.provider.example")
    return (f"$ORIGIN {zone}.\n$TTL 3600\n@ SOA {primary}. hostmaster.{zone}. {serial} 3600 600 86400 3600\n"
            + "".join(f"@ NS {server}.\n" for server in servers))


class Scene:
    """one.test: a zone of one server, with Cloudflare by its names. two.test: of two servers. split.test: of two that
    are not each other's copies. lame.test: one of two does not have it; lost.test: neither of them. fail.test:
    SERVFAIL. dead.test: nobody listens. mute.test: somebody who says nothing."""

    def __init__(self, lab):
        self.lab, self.platform = lab, lab.prepare(edges=0)
        net = self.platform.ground.address("")
        cloudflare = zone_text("one.test", ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com"))
        self.first = Knot(lab.folder("first"), f"{net}21", zones=(
            "one.test", "two.test", "split.test", "lame.test", "fail.test"), texts={
                "one.test": cloudflare, "two.test": zone_text("two.test"), "split.test": zone_text("split.test"),
                "lame.test": zone_text("lame.test"), "fail.test": None}).start()
        self.second = Knot(lab.folder("second"), f"{net}22", zones=("two.test", "split.test"), texts={
            "two.test": zone_text("two.test"),
            "split.test": zone_text("split.test", primary="ns.old-provider.example")}).start()
        self.mute = OddDns(f"{net}23", lambda *_: None)
        for server in (self.first, self.second, self.mute):
            lab.use(server)
        one, two = (f"{server.address}@{server.port}" for server in (self.first, self.second))
        stubs = [f"one.test={one}", f"two.test={one}", f"two.test={two}", f"split.test={one}", f"split.test={two}",
                 f"lame.test={one}", f"lame.test={two}", f"lost.test={one}", f"lost.test={two}", f"fail.test={one}",
                 f"dead.test={net}24@53", f"mute.test={net}23@{self.mute.port}"]
        self.platform.verifier.settings["dns_stub"] = [self.platform.dns.stub, *stubs]
        self.platform.db.query("INSERT INTO ca_accounts (directory, account_url, issuer_names) VALUES "
                               f"('https://ca.example/dir', '{ACCOUNT}', '{{{CA}}}')")
        self.platform.start()
        self.api = self.platform.api

    def add(self, name, tenant=None):
        return {record["type"]: record for record in self.api.add(name, tenant)["records"] if not record.get("optional")}

    def verify(self, name):
        domain = self.api.verify(name)
        return domain, {verdict["code"]: verdict for verdict in domain["last_check"]["verdicts"]}


@pytest.fixture(scope="module")
def scene(shared_lab):
    return Scene(shared_lab)


def record_of(verdict):
    return {key: verdict["record"][key] for key in ("action", "type", "name", "value")}


# ---- ownership


def test_not_there_yet_then_there(scene):
    records = scene.add("plain.one.test")
    txt = records["TXT"]
    domain, verdicts = scene.verify("plain.one.test")
    assert set(verdicts) == {"txt_missing", "routing_missing", "caa_ok"}
    assert record_of(verdicts["txt_missing"]) == {"action": "add", "type": "TXT", "name": txt["name"], "value": txt["value"]}
    assert domain["state"]["code"] == "action_needed" and domain["state"]["who"] == "customer"
    scene.first.publish(txt["name"], "TXT", txt["value"])
    scene.first.publish("plain.one.test", "CNAME", TARGET)
    domain, verdicts = scene.verify("plain.one.test")
    assert set(verdicts) == {"txt_ok", "routing_ok", "caa_ok"}, verdicts
    assert domain["status"] == "active" and domain["state"]["code"] == "waiting"
    server = domain["last_check"]["servers"][0]
    assert (server["error"], server["txt"], server["cname"]) == (None, [txt["value"]], TARGET)


@pytest.mark.parametrize("code, change", [
    ("txt_wrong_value", lambda value: "something-else"),
    ("txt_quoted_twice", lambda value: f'"\\"{value}\\""'),
    ("txt_zone_appended", lambda value: f"{value}.one.test"),
    ("txt_altered", lambda value: f"{value}."),
    ("txt_altered", lambda value: value.split(".")[0]),
])
def test_value_that_was_copied_wrongly(scene, code, change):
    name = f"v{abs(hash((code, change('x'))))}.one.test"
    txt = scene.add(name)["TXT"]
    scene.first.publish(txt["name"], "TXT", change(txt["value"]))
    domain, verdicts = scene.verify(name)
    assert verdicts[code]["record"]["found"] == domain["last_check"]["found"]["txt"]
    assert record_of(verdicts[code])["value"] == txt["value"]
    assert verdicts[code]["mend"] and domain["status"] == "pending"


def test_old_value_of_a_domain_that_was_added_again(scene):
    old = scene.add("again.one.test")["TXT"]
    scene.first.publish(old["name"], "TXT", old["value"])
    assert scene.verify("again.one.test")[0]["status"] == "active"
    scene.api.delete("again.one.test")
    new = scene.add("again.one.test")["TXT"]
    assert new["value"] != old["value"]
    _, verdicts = scene.verify("again.one.test")
    assert verdicts["txt_old_value"]["record"]["found"] == [old["value"]]
    assert record_of(verdicts["txt_old_value"]) == {"action": "change", "type": "TXT", "name": new["name"], "value": new["value"]}


@pytest.mark.parametrize("code, place", [
    ("txt_name_doubled", "acme_verify.{name}.one.test"), ("txt_on_bare_name", "{name}"),
    ("txt_without_subdomain", "acme_verify.one.test")])
def test_right_value_at_the_wrong_place(scene, code, place):
    name = f"{code.replace('_', '-')}.one.test"
    txt = scene.add(name)["TXT"]
    wrong = place.format(name=name)
    scene.first.publish(wrong, "TXT", txt["value"])
    domain, verdicts = scene.verify(name)
    scene.first.remove(wrong)
    assert set(verdicts) == {code, "routing_missing", "caa_ok"}, verdicts
    assert verdicts[code]["record"]["found"] == [wrong]
    assert record_of(verdicts[code]) == {"action": "change", "type": "TXT", "name": txt["name"], "value": txt["value"]}
    assert domain["status"] == "pending"


def test_alias_in_the_place_of_the_txt_record(scene):
    txt = scene.add("aliased.one.test")["TXT"]
    scene.first.publish(txt["name"], "CNAME", "parked.one.test")
    _, verdicts = scene.verify("aliased.one.test")
    assert "parked.one.test" in verdicts["txt_behind_alias"]["summary"]


def test_record_on_one_of_two_servers_is_spreading(scene):
    txt = scene.add("shop.two.test")["TXT"]
    scene.first.publish(txt["name"], "TXT", txt["value"])
    domain, verdicts = scene.verify("shop.two.test")
    assert verdicts["txt_on_some_servers"]["state"] == "wait", verdicts
    assert "1 of 2" in verdicts["txt_on_some_servers"]["summary"]
    assert domain["state"]["code"] == ("waiting" if domain["status"] == "pending" else "action_needed")
    answers = {server["address"]: server["txt"] for server in domain["last_check"]["servers"]}
    assert answers == {f"{scene.first.address}:{scene.first.port}": [txt["value"]],
                       f"{scene.second.address}:{scene.second.port}": []}
    scene.second.publish(txt["name"], "TXT", txt["value"])
    assert "txt_ok" in scene.verify("shop.two.test")[1]


def test_zone_at_two_providers_is_no_matter_of_waiting(scene):
    txt = scene.add("shop.split.test")["TXT"]
    scene.first.publish(txt["name"], "TXT", txt["value"])
    _, verdicts = scene.verify("shop.split.test")
    assert verdicts["zone_split"]["state"] == "act" and verdicts["zone_split"]["mend"], verdicts


# ---- the zone


def test_one_lame_server_of_two_is_advice(scene):
    txt = scene.add("shop.lame.test")["TXT"]
    scene.first.publish(txt["name"], "TXT", txt["value"])
    domain, verdicts = scene.verify("shop.lame.test")
    assert (verdicts["lame_server"]["state"], verdicts["lame_server"]["who"]) == ("ok", "dns_provider"), verdicts
    assert "txt_ok" in verdicts and domain["status"] == "active"


@pytest.mark.parametrize("zone, code, state", [
    ("lost.test", "lame_delegation", "act"), ("fail.test", "servfail", "unknown"), ("dead.test", "servers_silent", "unknown"),
    ("mute.test", "servers_silent", "unknown")])
def test_zones_out_of_order_are_told_apart_and_never_called_wrong(scene, zone, code, state):
    scene.add(f"shop.{zone}")
    start = time.monotonic()
    domain, verdicts = scene.verify(f"shop.{zone}")
    took = time.monotonic() - start
    assert verdicts.get(code, {}).get("state") == state, domain["last_check"]
    assert {"txt_could_not_check", "routing_could_not_check"} <= set(verdicts)
    assert domain["state"]["code"] == ("action_needed" if state == "act" else "could_not_check")
    assert not [one for one in verdicts.values() if one["state"] == "act" and one["code"] != code]
    assert all(server["error"] for server in domain["last_check"]["servers"])
    assert took < 12, "5 s for the look-ups, and what a busy machine adds"


# ---- routing


def test_elsewhere_left_over_and_second_address(scene):
    ours, name = scene.platform.address, "routes.one.test"
    records = scene.add(name)
    scene.first.publish(name, "A", "192.0.2.77")
    _, verdicts = scene.verify(name)
    assert verdicts["routing_elsewhere"]["record"]["found"] == ["192.0.2.77"]
    assert record_of(verdicts["routing_elsewhere"])["value"] == records["CNAME"]["value"]
    scene.first.publish(name, "A", ours, "192.0.2.77")
    scene.first.publish(name, "AAAA", "2001:db8::77")
    _, verdicts = scene.verify(name)
    assert record_of(verdicts["leftover_aaaa"]) == {"action": "remove", "type": "AAAA", "name": name, "value": "2001:db8::77"}
    assert record_of(verdicts["second_a"]) == {"action": "remove", "type": "A", "name": name, "value": "192.0.2.77"}


def test_behind_a_cdn_is_not_wrong(scene):
    scene.add("cdn.one.test")
    scene.first.publish("cdn.one.test", "A", "104.16.1.1", "172.67.1.1")
    _, verdicts = scene.verify("cdn.one.test")
    assert verdicts["behind_cdn"]["state"] == "unknown" and "Cloudflare" in verdicts["behind_cdn"]["summary"]


@pytest.mark.parametrize("code, name, value", [
    ("cname_zone_appended", "{name}", f"{TARGET}.one.test"), ("cname_leads_nowhere", "{name}", "nlb.sass.one.test"),
    ("cname_name_doubled", "{name}.one.test", TARGET)])
def test_cname_that_was_entered_wrongly(scene, code, name, value):
    domain = f"{code.replace('_', '-')}.one.test"
    scene.add(domain)
    scene.first.publish(name.format(name=domain), "CNAME", value)
    _, verdicts = scene.verify(domain)
    assert record_of(verdicts[code]) == {"action": "change", "type": "CNAME", "name": domain, "value": TARGET}, verdicts


def test_circle_of_aliases(scene):
    scene.add("loop.one.test")
    scene.first.publish("loop.one.test", "CNAME", "b.one.test")
    scene.first.publish("b.one.test", "CNAME", "loop.one.test")
    _, verdicts = scene.verify("loop.one.test")
    assert record_of(verdicts["cname_loop"])["value"] == TARGET, verdicts


def test_circle_of_aliases_through_two_zones(scene):
    scene.add("far.one.test")
    scene.first.publish("far.one.test", "CNAME", "far.lame.test")
    scene.first.publish("far.lame.test", "CNAME", "far.one.test")
    _, verdicts = scene.verify("far.one.test")
    assert "far.one.test → far.lame.test → far.one.test" in verdicts["cname_loop"]["summary"], verdicts


def test_routing_on_one_of_two_servers_is_spreading(scene):
    scene.add("way.two.test")
    scene.first.publish("way.two.test", "CNAME", TARGET)
    scene.second.publish("way.two.test", "A", "192.0.2.77")
    _, verdicts = scene.verify("way.two.test")
    assert verdicts["routing_on_some_servers"]["state"] == "wait", verdicts


# ---- the certificate, and the provider


def test_caa_that_forbids_our_ca(scene):
    scene.add("shut.one.test")
    for value, code, record in [
            ('0 issue "other.example"', "caa_forbids", f'0 issue "{CA}"'),
            (f'0 issue "{CA}; accounturi=https://ca.example/acct/8"', "caa_other_account", f'0 issue "{CA}; accounturi={ACCOUNT}"'),
            (f'0 issue "{CA}; validationmethods=email-01"', "caa_other_method",
             f'0 issue "{CA}; validationmethods=tls-alpn-01,http-01"'),
            ('128 tbs "unknown"', "caa_critical", "tbs")]:
        scene.first.publish("shut.one.test", "CAA", value)
        domain, verdicts = scene.verify("shut.one.test")
        assert record_of(verdicts[code])["value"] == record, verdicts
        assert verdicts[code]["record"]["found"] == [value]
        assert domain["last_check"]["servers"][0]["caa"] == [value]
    scene.first.publish("shut.one.test", "CAA", record.replace("tbs", f'0 issue "{CA}"'))
    assert "caa_ok" in scene.verify("shut.one.test")[1]


def test_provider_and_what_to_type_into_its_fields(scene):
    txt = scene.add("typed.deep.one.test")["TXT"]
    domain, _ = scene.verify("typed.deep.one.test")
    provider = domain["last_check"]["provider"]
    assert (provider["id"], provider["zone"]) == ("cloudflare", "one.test")
    assert provider["fields"] == {"name": "Name", "value": "Content"} and provider["hint"]
    assert provider["names"][txt["name"]] == "acme_verify.typed.deep"
    assert provider["names"]["typed.deep.one.test"] == "typed.deep"
    scene.add("shop.two.test")
    assert scene.verify("shop.two.test")[0]["last_check"]["provider"] is None


def test_apex_gets_addresses_and_the_sign_for_it(scene):
    scene.add("one.test")
    domain, verdicts = scene.verify("one.test")
    assert f"A {scene.platform.address}" in verdicts["routing_missing"]["mend"]
    assert domain["last_check"]["provider"]["names"]["one.test"] == "@"


def test_cname_at_the_apex(scene):
    """No server of repute serves one."""
    def answer(query, name, kind, tcp):
        if name == "odd.test" and kind in ("A", "AAAA", "CNAME"):
            return answer_to(query, (name, "CNAME", f"{TARGET}."))
        if kind == "SOA" and name == "odd.test":
            return answer_to(query, (name, "SOA", "ns1.odd.test. hostmaster.odd.test. 7 3600 600 86400 60"))
        if kind == "NS" and name == "odd.test":
            return answer_to(query, (name, "NS", "ns1.odd.test."))
        return answer_to(query, code=0 if name == "odd.test" else 3)
    server = scene.lab.use(OddDns(scene.platform.ground.address(31), answer))
    scene.platform.verifier.restart(
        dns_stub=[*scene.platform.verifier.settings["dns_stub"], f"odd.test={server.address}@{server.port}"])
    scene.add("odd.test")
    _, verdicts = scene.verify("odd.test")
    assert record_of(verdicts["cname_at_apex"]) == {"action": "remove", "type": "CNAME", "name": "odd.test", "value": TARGET}
    assert f"A {scene.platform.address}" in verdicts["cname_at_apex"]["mend"]


# ---- when


def test_ordinary_checks_stay_cheap_and_trouble_is_looked_at_thoroughly(scene):
    """The poller looks thoroughly once where something is wrong, and not again as long as nothing changes."""
    name = "polled.one.test"
    txt = scene.add(name)["TXT"]
    checks = lambda: int(scene.platform.db.value("SELECT count(*) FROM domain_checks c JOIN domains d ON d.id = c.domain_id "
                                                 f"WHERE d.name = '{name}' AND checked_by = 'poller'"))
    again = lambda: scene.platform.db.query(f"UPDATE domains SET next_check_at = now() WHERE name = '{name}'")
    wait_until(lambda: checks() >= 1, 20, "the first automatic check")
    verdicts = [one["code"] for one in scene.api.show(name)["last_check"]["verdicts"]]
    assert verdicts == ["txt_missing", "routing_missing", "caa_ok"], verdicts
    made_at = lambda: scene.platform.db.value("SELECT made_at FROM domain_diagnoses g JOIN domains d ON d.id = g.domain_id "
                                              f"WHERE d.name = '{name}'")
    first = made_at()
    for count in (2, 3):
        again()
        wait_until(lambda: checks() >= count, 20, "the next automatic check")
    assert made_at() == first, "nothing had changed"
    scene.platform.db.query("UPDATE domain_diagnoses SET made_at = now() - interval '11 minutes' WHERE domain_id = "
                            f"(SELECT id FROM domains WHERE name = '{name}')")
    again()
    wait_until(lambda: made_at() > first, 20, "a look after ten minutes")
    scene.first.publish(txt["name"], "TXT", f"{txt['value']}.")
    again()
    told = wait_until(lambda: tells(scene, name, "txt_altered"), 20, "the change to be told")
    assert told["servers"], "and what the servers say of it"
    scene.first.publish(txt["name"], "TXT", txt["value"])
    scene.first.publish(name, "CNAME", TARGET)
    again()
    wait_until(lambda: scene.api.show(name)["status"] == "active", 20, "the proof")
    assert [one["code"] for one in scene.api.show(name)["last_check"]["verdicts"]] == ["txt_ok", "routing_ok", "caa_ok"]


def tells(scene, name, code):
    """The last check, if it has that verdict."""
    check = scene.api.show(name)["last_check"]
    return check if check and code in [one["code"] for one in check["verdicts"]] else None


def test_changes_of_many_at_once_are_each_told_with_what_the_servers_say(scene):
    """Four looks a second are begun; the others wait for their turn, instead of being left out."""
    names = [f"many{index}.one.test" for index in range(8)]
    values = {name: scene.add(name)["TXT"] for name in names}
    for name in names:
        scene.verify(name)
    for txt in values.values():
        scene.first.publish(txt["name"], "TXT", f"{txt['value']}.")
    among = ", ".join(f"'{name}'" for name in names)
    scene.platform.db.query(f"UPDATE domains SET next_check_at = now() WHERE name IN ({among})")
    for name in names:
        assert wait_until(lambda: tells(scene, name, "txt_altered"), 20, "the change to be told")["servers"], name


def test_lists_leave_out_what_each_server_said(scene):
    domains = scene.api.list()["domains"]
    assert domains and all("servers" not in (domain["last_check"] or {}) for domain in domains)
    assert all(domain["state"]["title"] for domain in domains)
