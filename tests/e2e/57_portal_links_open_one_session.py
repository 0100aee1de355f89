"""A link made by the operator's app lets one customer into the dashboard, once: as that tenant and no more, until link or
token is revoked; whoever fetches or steals it afterwards gets nothing."""

import http.client
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.api import Page
from lab.daemons import Verifier

RETURN = "https://app.acme-saas.io/settings?tab=domains"


@pytest.fixture(scope="module")
def platform(shared_lab):
    platform = shared_lab.platform(edges=0)
    for tenant in ("brand", "other"):
        platform.api.call("POST", "/v1/tenants", {"id": tenant, "title": f"The {tenant} company"})
    return platform


def make(platform, tenant="brand", token=None, **more):
    status, made = platform.api.call("POST", "/v1/portal-links", {"tenant": tenant, **more}, token=token)
    assert status == 201, made
    return made


def secret(made):
    return made["url"].split("#")[1]


def opened(platform, tenant="brand", **more):
    page = Page(platform.verifier)
    assert page.log_in(link=secret(make(platform, tenant, **more)))[0] == 204
    return page


def fetch(platform, path, method="GET"):
    connection = http.client.HTTPConnection(platform.verifier.address, platform.verifier.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    answer.read()
    return answer


def test_link_becomes_a_session_of_its_tenant(platform):
    made = make(platform, return_url=RETURN)
    assert made["url"].startswith(f"{platform.verifier.url}/portal#ptl_"), made
    page = Page(platform.verifier)
    assert page.log_in(link=secret(made)) == (204, "")
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert word in page.set_cookie, page.set_cookie
    status, session = page.call("GET", "/session")
    assert status == 200
    assert {**session, "expires_at": None} == {"scope": "tenant", "portal": True, "tenant": "brand", "title": "The brand company",
                                               "return_url": RETURN, "expires_at": None}
    assert page.call("POST", "/v1/domains", {"name": "shop.linked.test"})[1]["tenant"] == "brand"
    added = platform.api.call("GET", "/v1/events?name=shop.linked.test")[1]["events"][0]
    assert added["actor"] == f"portal:{made['id']}"
    assert [event["event"] for event in platform.api.call("GET", "/v1/events?tenant=brand&event=portal_opened")[1]["events"]]
    shown = platform.api.call("GET", f"/v1/portal-links/{made['id']}")[1]
    assert shown["session"] and shown["opened_at"] and "url" not in shown
    assert page.call("DELETE", "/session")[0] == 204
    assert page.call("GET", "/v1/domains")[0] == 401
    assert not platform.api.call("GET", f"/v1/portal-links/{made['id']}")[1]["session"]


def test_a_link_is_opened_once(platform):
    made = make(platform)
    link = secret(made)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: Page(platform.verifier).log_in(link=link)[0], range(16)))
    assert sorted(statuses) == [204] + [410] * 15, statuses
    status, problem = Page(platform.verifier).log_in(link=link)
    assert (status, problem["code"]) == (410, "link_ended") and "open a new one" in problem["detail"]


def test_scanners_and_prefetchers_do_not_use_it_up(platform):
    """They fetch the address; what is behind its # they do not send, and the page asks a person where nobody clicked."""
    link = secret(make(platform))
    for _ in range(3):
        assert fetch(platform, "/portal").status == 200
        assert fetch(platform, "/portal", "HEAD").status == 200
        assert fetch(platform, f"/portal?link={link}").status == 200
    page = Page(platform.verifier)
    assert page.call("GET", f"/session?link={link}")[0] in (400, 401)
    assert page.call("POST", "/session", {"link": link}, X_Postern_Request=None)[0] == 403, "another site's form"
    assert page.call("POST", "/session", {"link": link}, Origin="https://evil.test")[0] == 403
    assert page.call("POST", "/session", {"link": link}, Sec_Fetch_Site="cross-site")[0] == 403
    assert page.log_in(link=link)[0] == 204


@pytest.mark.parametrize("link", ["", "ptl_", "ptl_" + "0" * 64, "ptn_" + "0" * 64, "x" * 5000, "ptl_' OR '1'='1", "ptl_" + "0" * 65])
def test_what_is_no_link_opens_nothing(platform, link):
    assert Page(platform.verifier).log_in(link=link)[0] == 410


def test_expired_link_opens_nothing(platform):
    made = make(platform)
    platform.db.query(f"UPDATE portal_links SET expires_at = now() - interval '1 second' WHERE id = {made['id']}")
    assert Page(platform.verifier).log_in(link=secret(made))[0] == 410


def test_revoked_links_end_with_their_sessions(platform):
    made = make(platform, "other")
    page = Page(platform.verifier)
    page.log_in(link=secret(made))
    unopened, second = secret(make(platform, "other")), opened(platform, "other")
    assert platform.api.call("DELETE", f"/v1/portal-links/{made['id']}")[0] == 204
    assert page.call("GET", "/session")[0] == 401 and page.call("GET", "/v1/domains")[0] == 401
    assert second.call("GET", "/v1/domains")[0] == 200
    assert platform.api.call("DELETE", "/v1/portal-links?tenant=other")[0] == 204
    assert second.call("GET", "/v1/domains")[0] == 401
    assert Page(platform.verifier).log_in(link=unopened)[0] == 410
    assert platform.api.call("DELETE", "/v1/portal-links")[0] == 400, "nobody ends everybody's by leaving a word out"
    assert platform.api.call("DELETE", f"/v1/portal-links/{made['id']}")[0] == 404


def test_links_and_sessions_end_with_the_token_that_made_them(platform):
    token = platform.api.call("POST", "/v1/tokens", {"scope": "operator"})[1]
    page, unopened = opened(platform, token=token["token"]), secret(make(platform, token=token["token"]))
    assert page.call("GET", "/v1/domains")[0] == 200
    platform.api.call("DELETE", f"/v1/tokens/{token['id']}")
    assert page.call("GET", "/v1/domains")[0] == 401
    assert Page(platform.verifier).log_in(link=unopened)[0] == 410


def test_portal_session_does_what_its_tenant_may_and_no_more(platform):
    platform.api.add("shop.others.test", "other")
    token = platform.api.call("POST", "/v1/tokens", {"scope": "tenant", "tenant": "brand"})[1]
    link = make(platform, "other")
    page = opened(platform)
    name = "/v1/domains/shop.others.test"
    assert page.call("GET", name)[0] == 404
    for method, path in (("GET", name), ("DELETE", name), ("POST", f"{name}/verify"), ("GET", "/v1/domains"), ("GET", "/v1/events"),
                         ("GET", "/v1/certificates")):
        assert page.call(method, f"{path}?tenant=other")[0] == 403, path
    assert page.call("POST", "/v1/domains", {"name": "x.others.test", "tenant": "other"})[0] == 403
    assert page.call("GET", "/v1/tenants/other")[0] == 403
    for method, path, body in (("POST", "/v1/portal-links", {"tenant": "brand"}), ("GET", "/v1/portal-links", None),
                               ("GET", f"/v1/portal-links/{link['id']}", None), ("DELETE", f"/v1/portal-links/{link['id']}", None),
                               ("DELETE", "/v1/portal-links?tenant=brand", None), ("POST", "/v1/tokens", {"scope": "operator"}),
                               ("GET", "/v1/tokens", None), ("GET", f"/v1/tokens/{token['id']}", None),
                               ("DELETE", f"/v1/tokens/{token['id']}", None), ("POST", "/v1/tenants", {"id": "mine"}),
                               ("PATCH", "/v1/tenants/brand", {"max_domains": 9}), ("POST", f"{name}/suspend", None)):
        assert page.call(method, path, body)[0] == 403, path
    assert page.call("POST", "/v1/domains/import", {"name": "x.linked.test"}, Content_Type="application/x-ndjson")[0] == 403
    assert [one["id"] for one in page.call("GET", "/v1/tenants")[1]["tenants"]] == ["brand"]


def test_changes_must_come_from_our_own_page(platform):
    page = opened(platform)
    body = {"name": "csrf.linked.test"}
    assert page.call("POST", "/v1/domains", body, X_Postern_Request=None)[0] == 403
    assert page.call("POST", "/v1/domains", body, Origin="https://app.acme-saas.io")[0] == 403
    assert page.call("POST", "/v1/domains", body, Sec_Fetch_Site="same-site")[0] == 403
    assert page.call("POST", "/v1/domains", body, Content_Type="text/plain")[0] == 415
    assert platform.api.call("GET", "/v1/domains/csrf.linked.test")[0] == 404


def test_cookie_that_somebody_planted_is_no_session(platform):
    """Session fixation: the session gets a name of its own, and the planted one's ends."""
    page, planted = Page(platform.verifier), opened(platform)
    page.cookie = planted.cookie
    assert page.log_in(link=secret(make(platform)))[0] == 204
    assert page.cookie != planted.cookie
    assert planted.call("GET", "/session")[0] == 401 and page.call("GET", "/session")[0] == 200
    page.cookie = "postern_session=" + "a" * 64
    assert page.log_in(link=secret(make(platform)))[0] == 204
    assert page.cookie != "postern_session=" + "a" * 64


def test_nobody_is_logged_over_to_another_tenant_unasked(platform):
    """A link that somebody sends to a victim who works in his own portal."""
    page, link = opened(platform), secret(make(platform, "other"))
    status, problem = page.log_in(link=link)
    assert (status, problem["code"]) == (409, "other_session")
    assert page.call("GET", "/session")[1]["tenant"] == "brand"
    assert page.log_in(link=link, replace=True)[0] == 204, "and the link was not used up"
    assert page.call("GET", "/session")[1]["tenant"] == "other"
    operator = Page(platform.verifier)
    operator.log_in(token=platform.token)
    assert operator.log_in(link=secret(make(platform)))[0] == 409


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.test", "/path", "data:text/html,x", "https://", "https://a b", "https://a\nb",
                                 "https://@evil.test", "https://a'><script>", "http://ü.test", "x" * 2001, 7])
def test_return_urls_are_addresses_of_pages(platform, url):
    status, problem = platform.api.call("POST", "/v1/portal-links", {"tenant": "brand", "return_url": url})
    assert (status, problem["field"]) == (400, "return_url"), problem


def test_wrong_tenants_are_named(platform):
    assert platform.api.call("POST", "/v1/portal-links", {"tenant": "nobody"})[0] == 409
    for body in ({}, {"tenant": None}, {"tenant": "A B"}, {"tenant": 7}):
        status, problem = platform.api.call("POST", "/v1/portal-links", body)
        assert (status, problem["field"]) == (400, "tenant"), problem


def test_secrets_are_in_no_log_and_no_table(platform):
    made = platform.api.call("POST", "/v1/portal-links", {"tenant": "brand"}, headers={"Idempotency-Key": "once"})[1]
    again = platform.api.call("POST", "/v1/portal-links", {"tenant": "brand"}, headers={"Idempotency-Key": "once"})[1]
    assert again["id"] == made["id"] and again["url"] is None
    page = Page(platform.verifier)
    page.log_in(link=secret(made))
    dump, log = platform.db.dump(), platform.verifier.process.log()
    for text in (secret(made)[4:], page.cookie.split("=")[1]):
        assert text not in dump and text not in log


def test_session_is_known_to_every_verifier(platform):
    """It is in PostgreSQL, so that a balancer may send a browser anywhere."""
    first = platform.verifier
    settings = {name: value for name, value in first.settings.items() if not name.endswith("listen")}
    second = Verifier(first.directory, "verifier2", first.address, settings).start()
    try:
        page = opened(platform)
        page.daemon = second
        assert page.call("GET", "/session")[1]["tenant"] == "brand"
        assert page.call("DELETE", "/session")[0] == 204
        page.daemon = first
        assert page.call("GET", "/session")[0] == 401
    finally:
        second.stop()
