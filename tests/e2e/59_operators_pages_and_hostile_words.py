"""The operator's pages in a real browser: what fails and why, search, tenants, a portal link; with hostile words in everything
that others write, and an attacker's page beside it."""

import contextlib
import html
import http.server
import threading
import urllib.parse

from lab import browser
from lab.process import wait_until

EVIL = '<img src=x onerror="alert(1)">'


class Attacker(http.server.BaseHTTPRequestHandler):
    """A page of another origin that posts forms and sends requests to the dashboard, with the visitor's cookies."""

    target = ""

    def do_GET(self):
        page = f"""<!doctype html><title>evil</title><iframe name="f"></iframe>
<form id="form" method="post" action="{self.target}/v1/domains" enctype="text/plain" target="f">
<input name='{{"name":"csrf.evil.test","x":"' value='"}}'></form>
<script>
document.getElementById("form").submit();
Promise.allSettled([
  fetch("{self.target}/v1/domains", {{method: "POST", mode: "no-cors", credentials: "include", body: '{{"name":"csrf.evil.test"}}'}}),
  fetch("{self.target}/v1/domains", {{method: "POST", credentials: "include", headers: {{"Content-Type": "application/json", "X-Postern-Request": "1"}}, body: '{{"name":"csrf.evil.test"}}'}}),
  fetch("{self.target}/session", {{method: "DELETE", credentials: "include"}}),
]).then(() => document.body.append("attacked"));
</script>"""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


class App(http.server.BaseHTTPRequestHandler):
    """A page that shows the address after its ? in a frame."""

    def do_GET(self):
        target = urllib.parse.unquote(self.path.partition("?")[2])
        page = f'<!doctype html><title>app</title><p>framing</p><iframe width="800" height="700" src="{html.escape(target)}"></iframe>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    log_message = Attacker.log_message


@contextlib.contextmanager
def serving(address, handler):
    """The origin of a small server."""
    server = http.server.ThreadingHTTPServer((address, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "http://{}:{}".format(*server.server_address[:2])
    finally:
        server.shutdown()
        server.server_close()


def fill(platform):
    call, query = platform.api.call, platform.db.query
    call("POST", "/v1/tenants", {"id": "brand", "title": EVIL})
    for number in range(12):
        platform.api.add(f"shop{number}.hay-stack.test", "brand")
    platform.api.add("shop.needle-brand.test", "brand")
    platform.api.add("shop.failed.test", "brand")
    query("UPDATE domains SET status = 'active', owner_since = now(), verified_at = now(), next_check_at = NULL WHERE name = 'shop.failed.test'")
    query("INSERT INTO issuance_jobs (name, state, reason, attempts, last_cause, last_error, last_actor, last_try_at, next_try_at) VALUES "
          f"('shop.failed.test', 'failed', 'pre_issue', 3, 'unauthorized', 'The CA said: {EVIL}', 'ca', now(), now() + interval '1 hour')")
    query("INSERT INTO failures (name, cause, count, retry_at, detail, actor) VALUES "
          f"('shop.failed.test', 'unauthorized', 3, now() + interval '1 hour', '{EVIL}', 'customer')")
    query("INSERT INTO ca_budget (directory, ceiling, key, tokens, counted_at, full_at) VALUES "
          "('https://acme.example/dir', 'orders', '', 290, now(), now() + interval '6 hours')")
    query("INSERT INTO ca_accounts (directory) VALUES ('https://acme.example/dir')")
    query("INSERT INTO ca_ceilings VALUES ('https://acme.example/dir', 'orders', 300, 36)")
    query("INSERT INTO nodes VALUES ('edge-7:2019', 'edge', 'edge-7', '1', now() - interval '1 day', now() - interval '5 minutes')")
    for number in range(3):
        query("INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, directory, not_before, not_after, renew_at) "
              f"VALUES ('shop{number}.hay-stack.test', 1, '', '', '', 'i', 's', 'https://acme.example/dir', now(), now() + interval '40 days', "
              "now() + interval '2 days')")


def test_operators_pages(lab):
    platform = lab.platform(edges=0, verifier={"brand_name": "<b>Acme & Söhne</b>", "brand_color": "#ffd400"})
    fill(platform)
    Attacker.target = platform.verifier.url

    def unharmed(_):
        assert platform.db.value("SELECT count(*) FROM domains WHERE name = 'csrf.evil.test'") == "0"

    with serving(platform.ground.address(9), Attacker) as app:
        pictures = browser.play(lab, "operator.mjs", platform, {"attack": lambda _: {"url": f"{app}/"}, "unharmed": unharmed}, APP=app)
    assert "21-overview-320.png" in pictures and "28-explained-dark.png" in pictures


def test_the_portal_is_framed_by_whom_the_operator_names(lab):
    """Over https, through our own edge, with a certificate that it got by itself."""
    platform = lab.prepare(edges=1)
    url = f"https://panel.saas.test:{platform.https}"
    with serving(platform.ground.address(8), App) as app, serving(platform.ground.address(9), App) as stranger:
        platform.verifier.settings.update(public_url=url, portal_frame_ancestors=app)
        platform.start()
        call = platform.api.call
        call("POST", "/v1/tenants", {"id": "brand"})
        platform.dns.publish("panel.saas.test", "CNAME", "nlb.saas.test")
        status, added = call("POST", "/v1/domains", {"name": "panel.saas.test", "options": {"upstream": platform.verifier.url}})
        assert status == 201, added
        wait_until(lambda: platform.stored("panel.saas.test"), 40, "the dashboard's certificate")
        pictures = browser.play(lab, "frame.mjs", platform, {"link": lambda _: call("POST", "/v1/portal-links", {"tenant": "brand"})[1]}, url=url,
                                APP=app, STRANGER=stranger, CHROMIUM_ARGS=f"--host-resolver-rules=MAP panel.saas.test {platform.address}")
    assert "30-framed.png" in pictures
