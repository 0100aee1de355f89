"""What stops a renewal and what does not: a definite no of the ask endpoint does, its outage does not; an uploaded
certificate is its owner's; an expired one is replaced while the visitor waits; the CA's own suggestion moves it."""

import json
import threading
import time
from types import SimpleNamespace

from lab.ask_server import AskServer
from lab.issuance import Issuance
from lab.place import free_port
from lab.process import wait_until

NAME = "shop.brand.test"


def start(lab, **settings):
    issuance = Issuance(lab)
    ask = lab.use(AskServer(issuance.ground.address(3), allowed=[NAME]))
    issuance.issuer(ask_url=ask.url(), **settings).start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    assert not ask.asked, "who enqueues a new name has asked"
    return issuance, ask


def renew(issuance):
    issuance.db.query("UPDATE certificates SET renew_at = now() - interval '1 h'")
    issuance.ask_for(NAME, reason="renewal")


def test_a_definite_no_stops_a_renewal_with_its_reason_and_a_yes_lets_it_go_on(lab):
    issuance, ask = start(lab)
    before = issuance.stored(NAME)
    ask.allowed.clear()
    renew(issuance)
    assert issuance.wait_failed(NAME) == "denied"
    assert issuance.stored(NAME) == before and issuance.ca.orders_for(NAME) == 1
    assert "ask endpoint forbids" in issuance.db.value("SELECT last_error FROM issuance_jobs")
    assert float(issuance.db.value("SELECT extract(epoch FROM next_try_at - now()) FROM issuance_jobs")) > 20 * 3600
    ask.allowed.add(NAME)
    issuance.ask_for(NAME)  # as an edge does, when a visitor comes and ask says yes
    wait_until(lambda: issuance.stored(NAME) != before, 10, "the renewal")
    assert issuance.db.value("SELECT count(*) FROM failures") == "0"


def test_an_outage_of_ask_stops_nothing(lab):
    issuance, ask = start(lab)
    told_no = lab.use(AskServer(issuance.ground.address(4)))  # where a redirect would lead: to a definite no
    never = threading.Event()
    lab.use(SimpleNamespace(close=never.set))
    outages = {
        "503": lambda name: 503,
        "401": lambda name: 401,
        "a redirect": lambda name: (302, {"Location": told_no.url()}),
        "a redirect without a place": lambda name: 308,
        "silence": lambda name: never.wait(60) and 404,
    }
    for words, outage in outages.items():
        ask.answer = outage
        renewed_in_spite_of(issuance, words)
    assert not told_no.queries
    issuance.issuers[0].restart(ask_url=ask.url().replace("http:", "https:"))
    renewed_in_spite_of(issuance, "no TLS at all")
    certificate, key = issuance.ground.authority.issue("ask", f"IP:{issuance.ground.address(5)}")
    stranger = lab.use(AskServer(issuance.ground.address(5), certificate=certificate, key=key))
    issuance.issuers[0].restart(ask_url=stranger.url())  # its no would count, if we knew its CA
    renewed_in_spite_of(issuance, "a certificate of nobody's that we know")
    assert not stranger.queries
    issuance.issuers[0].restart(ask_url=f"http://{issuance.ground.address(5)}:{free_port(issuance.ground.address(5))}/")
    renewed_in_spite_of(issuance, "nobody there")


def renewed_in_spite_of(issuance, words):
    before = issuance.stored(NAME)
    renew(issuance)
    wait_until(lambda: issuance.stored(NAME) != before, 15, f"the renewal in spite of {words}")
    issuance.db.wait("SELECT state = 'idle' FROM issuance_jobs")


def test_an_uploaded_certificate_is_left_alone(lab):
    issuance, _ = start(lab)
    before = issuance.stored(NAME)
    issuance.db.query("UPDATE certificates SET source = 'upload', renew_at = now() - interval '1 h'")
    issuance.issuers[0].restart()
    issuance.ask_for(NAME, reason="renewal")
    issuance.db.wait("SELECT state = 'idle' FROM issuance_jobs")
    assert issuance.stored(NAME) == before and issuance.ca.orders_for(NAME) == 1


def test_an_expired_certificate_is_replaced_while_the_visitor_waits(lab):
    platform = lab.platform(edges=1)
    platform.activate(NAME)
    old = platform.visit(NAME).serial
    platform.edge.stop()
    platform.db.query("UPDATE certificates SET not_before = now() - interval '91 d', not_after = now() - interval '1 d', "
                      "renew_at = now() - interval '30 d', chain_pem = left(chain_pem, 100)")
    platform.edge.start()
    platform.balancer.wait_nodes(platform.edge.name)
    visit = platform.visit(NAME)
    assert visit.status == 200 and visit.serial != old
    assert platform.db.value("SELECT lane || ' ' || reason FROM issuance_jobs") == "urgent repair"


def document(start, end):
    def stamp(at):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    return json.dumps({"suggestedWindow": {"start": stamp(start), "end": stamp(end)},
                       "explanationURL": "https://ca.test/why"}).encode()


def test_the_ca_says_when_and_one_node_asks(lab):
    issuance = Issuance(lab)
    url = issuance.ca.directory_url.replace("/dir", "/draft-ietf-acme-ari")

    def with_ari(status, headers, body):
        return status, headers, json.dumps({**json.loads(body), "renewalInfo": url}).encode()
    issuance.ca.change("directory", with_ari, times=None)
    asked = []
    windows = [(time.time() + 86400, time.time() + 2 * 86400)]

    def renewal_info(handler, forward):
        asked.append(handler.path)
        handler.reply(200, {"Content-Type": "application/json", "Retry-After": "21600"}, document(*windows[-1]))
    issuance.ca.act("renewal-info", renewal_info, times=None)
    for _ in range(3):
        issuance.issuer().start()
    issuance.ask_for(NAME)
    issuance.wait_issued(NAME)
    before = issuance.stored(NAME)
    issuance.db.query("UPDATE certificates SET ari_next_poll_at = now()")
    issuance.db.wait("SELECT renew_at BETWEEN now() + interval '23 h' AND now() + interval '49 h' AND "
                     "ari_next_poll_at > now() + interval '5 h' FROM certificates")
    assert len(asked) == 1, "one node asks"
    chosen = issuance.db.value("SELECT renew_at FROM certificates")
    issuance.db.query("UPDATE certificates SET ari_next_poll_at = now()")
    wait_until(lambda: len(asked) == 2, 10, "the next question")
    issuance.db.wait("SELECT ari_next_poll_at > now() + interval '5 h' FROM certificates")
    assert issuance.db.value("SELECT renew_at FROM certificates") == chosen, "the window is the same, so is the time"

    windows.append((time.time() - 7200, time.time() - 3600))  # revoked, the CA wants it replaced now
    issuance.db.query("UPDATE certificates SET ari_next_poll_at = now()")
    # Not within hours of its issuance: a CA that says so of each would have every name renewed without end.
    issuance.db.wait("SELECT renew_at BETWEEN now() + interval '5 h' AND now() + interval '6 h' FROM certificates")
    windows.append((time.time() - 7200, time.time() - 3601))
    issuance.db.query("UPDATE certificates SET ari_next_poll_at = now(), stored_at = now() - interval '1 d'")
    issuance.db.wait("SELECT renew_at < now() FROM certificates")
    issuance.issuers[0].restart()  # its upkeep begins with a look; else it comes every 30 s
    wait_until(lambda: issuance.stored(NAME) != before, 15, "the renewal")
    assert issuance.ca.order_payloads[-1].get("replaces")
    assert issuance.db.value("SELECT ari_window_start IS NULL FROM certificates") == "t"
