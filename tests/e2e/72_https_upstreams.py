"""TLS to the upstream: verified against a fixed name and the operator's CA, sessions resumed, and what does not verify
is never asked for anything."""

import json
import os
import shutil

from lab.app_origin import AppOrigin
from lab.authority import Authority
from lab.process import run, wait_until

NAME = "shop.brand.test"
INTERNAL = "app.internal"
ADDRESS = "127.9.75.20"


def certificate(lab, name, *subjects, expired=False, authority=None):
    authority = authority or lab.session.authority
    pem, key = authority.issue(name, *subjects)
    if expired:
        request = run(["openssl", "x509", "-x509toreq", "-in", pem, "-signkey", key])
        path = pem + ".csr"
        with open(path, "w") as file:
            file.write(request)
        folder = lab.folder("expired")
        for file in ("index", "serial"):
            with open(os.path.join(folder, file), "w") as out:
                out.write("" if file == "index" else "1234\n")
        config = os.path.join(folder, "ca.conf")
        with open(config, "w") as file:
            file.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/index\nserial={folder}/serial\nnew_certs_dir={folder}\n"
                       "default_md=sha256\npolicy=any\nx509_extensions=e\nunique_subject=no\n[any]\ncommonName=optional\n"
                       f"[e]\nsubjectAltName={','.join(subjects)}\n")
        run(["openssl", "ca", "-config", config, "-batch", "-notext", "-in", path, "-out", pem, "-cert", authority.ca,
             "-keyfile", authority.key, "-startdate", "20200101000000Z", "-enddate", "20210101000000Z"])
    return pem, key


def origin(lab, name, pem, key, more=""):
    folder = lab.folder("origins")
    os.chmod(folder, 0o711)
    return lab.use(AppOrigin(folder, name, ADDRESS, certificate=pem, key=key, more=more)).start()


def platform_with(lab, url, **edge):
    platform = lab.prepare(edges=1, edge={"upstream": url, "upstream_sni": INTERNAL,
                                          "upstream_ca": lab.session.authority.ca, "workers": 1, **edge})
    platform.start(without=[platform.app])
    platform.activate(NAME)
    return platform


def test_a_verified_upstream_is_asked_under_the_internal_name_and_sessions_are_resumed(lab):
    app = origin(lab, "good", *certificate(lab, "good", f"DNS:{INTERNAL}"), more="keepalive_requests 1;")
    platform = platform_with(lab, app.url)
    for _ in range(4):
        assert platform.visit(NAME, edge=platform.edge).body == b"good"
    asked = app.wait_asked(4, "/")
    assert {line[3] for line in asked} == {INTERNAL}
    assert [line[2] for line in asked] == [".", "r", "r", "r"], "one handshake in full, then resumed ones"
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_handshakes_total", kind="resumed") == 3, 10, "it to be counted")


def test_connections_over_tls_are_kept_though_tickets_come_late(lab):
    app = origin(lab, "kept", *certificate(lab, "kept", f"DNS:{INTERNAL}"), more="client_max_body_size 0;")
    platform = platform_with(lab, app.url)
    for _ in range(10):
        assert platform.visit(NAME, edge=platform.edge).body == b"kept"
    assert len({line[5] for line in app.wait_asked(10, "/")}) == 1, "one connection"
    assert platform.visit(NAME, edge=platform.edge, method="POST", body=b"x" * 3000000).body == b"kept"


def test_what_does_not_verify_is_502_and_never_asked(lab):
    stranger = Authority(lab.folder("stranger"))
    cases = {
        "other name": (certificate(lab, "other", "DNS:other.internal"), "ostname mismatch"),
        "expired": (certificate(lab, "expired", f"DNS:{INTERNAL}", expired=True), "expired"),
        "strange CA": (certificate(lab, "strange", f"DNS:{INTERNAL}", authority=stranger), "issuer certificate"),
    }
    first = origin(lab, "first", *cases["other name"][0])
    platform = platform_with(lab, first.url)
    # The certificate is there before the edge is started anew, behind a balancer that needs a moment to notice.
    assert platform.visit(NAME, edge=platform.edge).status == 502
    first.stop()
    for case, (files, reason) in cases.items():
        app = lab.use(AppOrigin(lab.folder("origins"), case.replace(" ", "-"), ADDRESS, first.port, *files)).start()
        platform.edge.restart()
        assert platform.visit(NAME, edge=platform.edge).status == 502, case
        assert platform.edge.process.wait_log(f"no TLS with an upstream.*{reason}"), case
        wait_until(lambda: platform.edge.metric("postern_edge_upstream_failures_total", cause="tls") > 0, 10, "it to be counted")
        assert app.asked() == [], case
        app.stop()


def test_without_a_name_of_its_own_the_urls_host_is_verified(lab):
    app = origin(lab, "by-address", *certificate(lab, "by-address", f"IP:{ADDRESS}"))
    platform = platform_with(lab, app.url, upstream_sni=None, upstream_health="/healthz",
                             upstream_health_interval="1s")
    assert platform.visit(NAME, edge=platform.edge).body == b"by-address"
    app.wait_asked(2, "/healthz")
    wait_until(lambda: platform.edge.metric("postern_edge_upstream_checks_total", result="ok") > 1, 15, "two checks")
    assert platform.edge.metric("postern_edge_upstream_up") == 1


def test_what_vouches_for_one_name_carries_nothing_that_asked_for_another(lab):
    """The same address twice: by the setting, under the internal name, and as a domain's own, under its address."""
    other = "other.brand.test"
    app = origin(lab, "twice", *certificate(lab, "twice", f"DNS:{INTERNAL}"))
    platform = platform_with(lab, app.url)
    platform.activate(other)
    assert [platform.visit(name, edge=platform.edge).body for name in (NAME, other)] == [b"twice", b"twice"]
    options = json.dumps({"upstream": app.url})
    platform.db.query(f"UPDATE domains SET options = '{options}' WHERE name = '{other}'")
    wait_until(lambda: platform.visit(other, path="/own", edge=platform.edge).status == 502, 10, "its own name to count")
    for _ in range(3):  # a kept connection and a session under the other name are there each time
        assert platform.visit(NAME, path="/warm", edge=platform.edge).body == b"twice"
        assert platform.visit(other, path="/never", edge=platform.edge).status == 502
    assert len(app.wait_asked(3, "/warm")) == 3
    assert app.asked("/never") == []
