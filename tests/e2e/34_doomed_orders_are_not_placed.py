"""An order that cannot succeed is not placed: the customer is told why, and the next look after the mend orders."""

import json
import socket
import threading
import time

import pytest

from lab.issuance import Issuance
from lab.lab import Lab
from lab.place import free_port
from lab.process import wait_until

JSON = {"Content-Type": "application/json"}


class Passer:
    """Passes connections on to another address, as a CDN would; with `to` None it answers a page of its own."""

    def __init__(self, address, port, to):
        self.to, self._socket = to, socket.create_server((address, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                threading.Thread(target=self._serve, args=(self._socket.accept()[0],), daemon=True).start()
        except OSError:
            pass

    def _serve(self, client):
        if self.to is None:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            client.close()
            return
        server = socket.create_connection(self.to)
        threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
        self._pump(client, server)

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self._socket.close()


@pytest.fixture(scope="module")
def scene(session):
    """One platform with a CA that says how CAA records name it."""
    lab = Lab(session)
    platform = lab.prepare(edges=1, faulty_ca=True, verifier={"pre_issue": "on"})

    def name_itself(status, headers, body):
        directory = json.loads(body)
        directory["meta"]["caaIdentities"] = ["pebble.test"]
        return status, {**JSON}, json.dumps(directory).encode()
    platform.ca.change("directory", name_itself, times=None)
    platform.cdn = platform.ground.address(4)
    platform.stranger = platform.ground.address(5)
    platform.start()
    for port in (platform.http, platform.https):
        lab.use(Passer(platform.cdn, port, (platform.address, port)))
    lab.use(Passer(platform.stranger, platform.http, None))
    yield platform
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def prove(platform, name):
    """The TXT record alone: active, whatever the name leads to."""
    domain = platform.api.add(name)
    platform.dns.publish_records([record for record in domain["records"] if record["type"] == "TXT"])
    domain = platform.api.verify(name)
    assert domain["status"] == "active", domain
    return domain


def visit_once(platform, name):
    platform.db.query(f"SELECT enqueue_issuance('{name}', 'first_hit')")


def failure(platform, name):
    """(cause, who can mend it, in words, was it foreseen) once the job has failed."""
    platform.db.wait(f"SELECT state = 'failed' FROM issuance_jobs WHERE name = '{name}'", 15)
    row = platform.db.query("SELECT last_cause, last_actor, last_error, foreseen, attempts FROM issuance_jobs "
                            f"WHERE name = '{name}'")[0]
    assert row[3] == "t" and row[4] == "0", row
    platform.db.wait(f"SELECT actor = '{row[1]}' FROM failures WHERE name = '{name}'")
    return row[0], row[1], row[2]


def wait_issued(platform, name):
    platform.db.wait(f"SELECT count(*) = 1 FROM certificates WHERE name = '{name}'", 15)


def test_a_name_that_leads_elsewhere_waits_for_its_record(scene):
    name = "elsewhere.brand.test"
    scene.dns.publish(name, "A", scene.stranger)
    domain = prove(scene, name)
    visit_once(scene, name)
    cause, actor, words = failure(scene, name)
    assert (cause, actor) == ("dns", "customer")
    assert scene.stranger in words and "did not reach us" in words
    assert scene.ca.orders_for(name) == 0
    # The mend: the customer clicks, which is a proof that no ladder of delays stands before.
    scene.dns.remove(name, "A")
    scene.dns.publish_records(domain["records"])
    scene.api.verify(name)
    wait_issued(scene, name)
    assert scene.ca.orders_for(name) == 1


def test_a_left_over_aaaa_is_told_about(scene):
    name = "leftover.brand.test"
    prove(scene, name)
    scene.dns.publish(name, "A", scene.address)
    scene.dns.publish(name, "AAAA", "2001:db8::7")
    visit_once(scene, name)
    cause, _, words = failure(scene, name)
    assert cause == "dns" and "left-over AAAA" in words and "2001:db8::7" in words
    assert scene.ca.orders_for(name) == 0


def test_a_name_without_an_address_is_told_so(scene):
    name = "nowhere.brand.test"
    prove(scene, name)
    visit_once(scene, name)
    assert "no address" in failure(scene, name)[2]
    assert scene.ca.orders_for(name) == 0


def test_behind_a_cdn_that_passes_requests_on_it_is_a_go(scene):
    name = "cdn.brand.test"
    prove(scene, name)
    scene.dns.publish(name, "A", scene.cdn)
    visit_once(scene, name)
    wait_issued(scene, name)


def test_caa_is_climbed_and_compared(scene):
    name = "www.strict.test"
    scene.dns.publish("strict.test", "CAA", '0 issue "other-ca.test"')
    visit = scene.api.add(name)
    scene.dns.publish_records(visit["records"])
    scene.api.verify(name)
    cause, actor, words = failure(scene, name)
    assert (cause, actor) == ("caa", "customer")
    assert "strict.test" in words and 'issue "pebble.test"' in words
    assert scene.ca.orders_for(name) == 0
    scene.dns.publish("strict.test", "CAA", '0 issue "other-ca.test"', '0 issue "pebble.test"')
    scene.api.verify(name)
    wait_issued(scene, name)


def test_another_account_is_another_issuer(scene):
    name = "www.account.test"
    domain = scene.api.add(name)
    scene.dns.publish("account.test", "CAA", '0 issue "pebble.test; accounturi=https://ca.test/acct/7"')
    scene.dns.publish_records(domain["records"])
    scene.api.verify(name)
    assert failure(scene, name)[0] == "caa"
    account = scene.db.value("SELECT account_url FROM ca_accounts")
    scene.dns.publish("account.test", "CAA", f'0 issue "pebble.test; accounturi={account}"')
    scene.api.verify(name)
    wait_issued(scene, name)


def test_a_look_costs_a_first_hit_next_to_nothing(scene):
    before = (scene.acme.metric("postern_acme_preflight_seconds_sum"),
              scene.acme.metric("postern_acme_preflight_seconds_count"))
    for number in range(5):
        name = f"quick{number}.brand.test"
        scene.activate(name)
        wait_issued(scene, name)
    count = scene.acme.metric("postern_acme_preflight_seconds_count") - before[1]
    mean = (scene.acme.metric("postern_acme_preflight_seconds_sum") - before[0]) / count
    print(f"a look before an order: {mean * 1000:.1f} ms")
    assert mean < 1, "no look-up that waits for its deadline"


def test_without_dns_orders_go_on_and_time_is_lost_once(lab):
    issuance = Issuance(lab)
    address = issuance.ground.address(2)
    issuer = issuance.issuer(preflight="on", dns_stub=f"test={address}@{free_port(address)}",
                             dns_servers=f"{address}:{free_port(address)}").start()
    start = time.monotonic()
    issuance.ask_for("first.brand.test")
    issuance.wait_issued("first.brand.test")
    first = time.monotonic() - start
    assert first < 15
    names = [f"name{number}.brand.test" for number in range(5)]
    issuance.ask_for(*names)
    issuance.wait_issued(*names)
    wait_until(lambda: issuer.metric("postern_acme_preflights_total", result="unknown") == 6, 10, "it to be counted")
    total = issuer.metric("postern_acme_preflight_seconds_sum")
    print(f"without DNS: {first:.1f} s for the first certificate, {total:.2f} s of looking in sum")
    assert total < 8, "six looks of two seconds would be twelve"
    wait_until(lambda: issuer.metric("postern_acme_dns_unreachable") == 1, 10, "the gauge to say so")
