"""A visitor of port 80 whose https would fail reads why, and who has to act; nobody starts anything by asking."""

import concurrent.futures
import http.client
import re
import socket
import time

import pytest

from lab.process import wait_until

NAME = "shop.brand.test"


@pytest.fixture(scope="module")
def site(shared_lab):
    return shared_lab.platform(edges=1, faulty_ca=True)


def plain(platform, host, path="/a?b=c", method="GET"):
    connection = http.client.HTTPConnection(platform.edge.address, platform.http, timeout=5)
    try:
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def expect_page(platform, host, *words):
    status, headers, body = plain(platform, host)
    assert status == 503, (status, body)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Retry-After"]) > 0
    for word in words:
        assert word in body, (word, body)
    for secret in (host, "tenant", "acme", "postern", "issuance", "job", "default"):
        assert secret not in body.lower(), secret
    return headers, body


def expect_redirect(platform, host):
    status, headers, _ = plain(platform, host)
    assert (status, headers["Location"]) == (308, f"https://{host}/a?b=c")


def fail_with(platform, name, cause, minutes=10):
    platform.db.query(f"INSERT INTO issuance_jobs (name, state, reason, last_cause, last_error, next_try_at) VALUES "
                      f"('{name}', 'failed', 'first_hit', '{cause}', 'secret acme detail', "
                      f"now() + interval '{minutes} minutes') ON CONFLICT (name) DO UPDATE SET state = 'failed', "
                      f"last_cause = '{cause}', next_try_at = now() + interval '{minutes} minutes'")


def test_a_domain_from_claim_to_certificate(site):
    expect_redirect(site, NAME)
    domain = site.api.add(NAME)
    expect_page(site, NAME, "DNS records", "has to publish the records")
    site.dns.publish_records(domain["records"])
    site.api.verify(NAME)
    expect_redirect(site, NAME)  # the first visitor of https brings the certificate
    gate = site.ca.hold("finalize")
    site.db.query(f"SELECT enqueue_issuance('{NAME}', 'first_hit')")
    assert gate.arrived.wait(10)
    headers, body = expect_page(site, NAME, "being issued", "Nobody has to act")
    assert headers["Retry-After"] == "5" and 'http-equiv="refresh"' in body
    gate.open()
    wait_until(lambda: site.stored(NAME), 10, "the certificate")
    expect_redirect(site, NAME)
    site.db.query(f"UPDATE domains SET status = 'suspended' WHERE name = '{NAME}'")
    wait_until(lambda: plain(site, NAME)[0] == 503, 10, "the suspension to be seen")
    expect_page(site, NAME, "switched off", "provider")


def test_each_kind_of_failure_says_who_has_to_act(site):
    site.activate("b.brand.test")
    for cause, words in (("dns", ["DNS records", "Whoever manages the domain"]),
                         ("connection", ["did not find its way here"]),
                         ("unauthorized", ["CNAME, A and AAAA"]),
                         ("caa", ["CAA record", "DNS has to allow"]),
                         ("rate_limited", ["takes no more requests", "Nobody has to act"]),
                         ("rejected", ["refuses to issue", "provider has to act"]),
                         ("ca", ["Nobody has to act"]),
                         ("database", ["Nobody has to act"])):
        fail_with(site, "b.brand.test", cause)
        headers, body = expect_page(site, "b.brand.test", *words)
        assert 500 < int(headers["Retry-After"]) <= 600
        assert re.search(r"Next try: \d{4}-\d\d-\d\d \d\d:\d\d UTC", body)
    fail_with(site, "b.brand.test", "dns", minutes=-1)
    expect_redirect(site, "b.brand.test")


def test_spellings_of_the_name_and_methods(site):
    site.activate("c.brand.test")
    fail_with(site, "c.brand.test", "caa")
    for host in ("C.Brand.Test", "c.brand.test.", f"c.brand.test:{site.http}"):
        assert plain(site, host)[0] == 503, host
    status, headers, body = plain(site, "c.brand.test", method="HEAD")
    assert status == 503 and int(headers["Content-Length"]) > 300 and body == ""
    assert plain(site, "c.brand.test", method="POST")[0] == 503


def test_requests_in_a_row_get_their_answers_in_order(site):
    site.activate("d.brand.test")
    fail_with(site, "d.brand.test", "caa")
    with socket.create_connection((site.edge.address, site.http), 5) as sock:
        hosts = ["d.brand.test", "nobody.test", "d.brand.test", "other.test"] * 5
        sock.sendall(b"".join(f"GET /{number} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
                              for number, host in enumerate(hosts)))
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    statuses = re.findall(rb"HTTP/1.1 (\d+) ", answer)
    assert statuses == [b"503" if host[0] == "d" else b"308" for host in hosts]
    assert re.findall(rb"Location: (\S+)", answer) == [
        f"https://{host}/{number}".encode() for number, host in enumerate(hosts) if host[0] != "d"]


def test_asking_starts_nothing(site):
    site.activate("e.brand.test")
    orders = site.pebble.orders()
    asked = site.edge.metrics()
    for host in ("e.brand.test", "unknown.test", "e.brand.test"):
        expect_redirect(site, host)
    assert site.job("e.brand.test") is None and site.job("unknown.test") is None
    assert site.pebble.orders() == orders
    now = site.edge.metrics()
    assert [now[name] - asked[name] for name in now if "ask" in name and name in asked] == \
        [0] * len([name for name in now if "ask" in name and name in asked])


def test_a_flood_of_junk_names_costs_the_database_little(site):
    site.activate("f.brand.test")
    assert site.visit("f.brand.test", edge=site.edge).status == 200
    start = time.monotonic()

    def burst(worker):
        with socket.create_connection((site.edge.address, site.http), 10) as sock:
            sock.sendall(b"".join(f"GET / HTTP/1.1\r\nHost: j{worker}x{number}.test\r\n\r\n".encode()
                                  for number in range(100)))
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
            return answer.count(b"HTTP/1.1 308 ")

    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        flood = [pool.submit(burst, worker) for worker in range(60)]
        latencies = []
        while not all(one.done() for one in flood):
            began = time.monotonic()
            expect_redirect(site, "f.brand.test")
            latencies.append(time.monotonic() - began)
        assert sum(one.result() for one in flood) == 6000
    took = time.monotonic() - start
    print(f"6000 junk names on port 80 in {took:.1f} s; a known name meanwhile at most {max(latencies) * 1000:.0f} ms")
    assert sorted(latencies)[len(latencies) // 2] < 1.0 and max(latencies) < 5, latencies


def test_without_a_database_it_is_a_redirect(lab):
    platform = lab.platform(edges=1, own_postgres=True)
    platform.api.add(NAME)
    expect_page(platform, NAME, "DNS records")
    lab.clusters[0].kill()
    start = time.monotonic()
    expect_redirect(platform, NAME)
    assert time.monotonic() - start < 5.0
