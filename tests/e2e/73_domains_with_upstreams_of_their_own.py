"""A domain's own upstream takes the place of the setting's, follows its row, and costs no health check more than its
address does."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

from lab import tls
from lab.app_origin import AppOrigin
from lab.place import program
from lab.process import run, wait_until


def set_upstream(platform, name, url):
    options = json.dumps({"upstream": url} if url else {})
    platform.db.query(f"UPDATE domains SET options = '{options}' WHERE name = '{name}'")


def origins(lab, net, *names):
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    return [lab.use(AppOrigin(folder, name, f"{net}{20 + index}")).start() for index, name in enumerate(names)]


def test_a_domain_goes_where_its_row_says_and_back(lab):
    ours, own = origins(lab, "127.9.76.", "ours", "own")
    platform = lab.prepare(edges=1, edge={"upstream": ours.url})
    platform.start(without=[platform.app])
    names = ["one.brand.test", "two.brand.test"]
    for name in names:
        platform.activate(name)
        assert platform.visit(name).body == b"ours"
    sock = platform.connect(names[0])  # kept: its next request goes by the new row
    set_upstream(platform, names[0], own.url)
    wait_until(lambda: platform.visit(names[0]).body == b"own", 10, "the domain's own upstream to be used")
    assert platform.visit(names[1]).body == b"ours"
    kept = tls.HttpOver(sock, names[0])
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"own"
    sock.close()
    set_upstream(platform, names[0], None)
    wait_until(lambda: platform.visit(names[0]).body == b"ours", 10, "the setting's upstream again")
    own.kill()
    set_upstream(platform, names[1], own.url)
    wait_until(lambda: platform.visit(names[1]).status == 503, 10, "an upstream of its own that is dead")
    assert platform.visit(names[0]).body == b"ours", "the others do not notice"


def test_a_name_is_found_while_the_first_request_waits(lab):
    ours, own = origins(lab, "127.9.77.", "ours", "own")
    own_by_name = lab.use(AppOrigin(lab.folder("origins"), "by-name", "127.0.0.1")).start()
    platform = lab.prepare(edges=1, edge={"upstream": ours.url, "upstream_connect_timeout": "3s"})
    platform.start(without=[platform.app])
    platform.activate("one.brand.test")
    set_upstream(platform, "one.brand.test", f"http://localhost:{own_by_name.port}")
    visit = platform.visit("one.brand.test")
    assert visit.body == b"by-name", "the very first request, with the name not looked up before"
    set_upstream(platform, "one.brand.test", "http://nobody.invalid:80")
    wait_until(lambda: platform.visit("one.brand.test").status == 503, 10, "a name that does not exist")
    assert own.asked("/") == []


def test_one_check_for_each_address_whatever_the_number_of_domains_and_workers(lab):
    app = origins(lab, "127.9.78.", "app")[0]
    platform = lab.prepare(edges=1, edge={"upstream": app.url, "workers": 2, "upstream_health": "/healthz",
                                          "upstream_health_interval": "1s"})
    platform.start(without=[platform.app, platform.pebble, platform.acme])
    authority = platform.ground.authority
    chain, key = authority.issue("stores", "DNS:*.sandbox.saas.test")
    run([program("postern"), "certificate", "import", "*.sandbox.saas.test", f"--chain={chain}", f"--key={key}",
         f"--database={platform.db.conninfo()}", f"--seal-key-file={platform.ground.seal_key}"])
    names = [f"shop{index}.sandbox.saas.test" for index in range(50)]
    urls = [app.url, app.url + "/"]
    platform.db.query("INSERT INTO domains (tenant, name, status, token, options) VALUES " + ", ".join(
        f"('default', '{name}', 'active', '{'t' * 32}', '{json.dumps({'upstream': urls[index % 2]})}')"
        for index, name in enumerate(names)))
    context = tls.trust(authority.ca)
    with ThreadPoolExecutor(10) as visitors:
        bodies = list(visitors.map(lambda name: platform.visit(name, context=context).body, names))
    assert set(bodies) == {b"app"}
    assert platform.edge.metric("postern_edge_upstream_groups") == 3, "the setting's, and two spellings"
    before, started = len(app.asked("/healthz")), time.monotonic()
    wait_until(lambda: len(app.asked("/healthz")) >= before + 6, 20, "six further checks")
    counted, took = len(app.asked("/healthz")) - before, time.monotonic() - started
    print(f"50 domains, 2 workers: {counted} checks of their address in {took:.1f} s, at an interval of a second")
    assert counted <= took + 3
