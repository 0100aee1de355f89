"""What is served of the dashboard: files that let no stranger's script, frame or logo in, under the operator's name, logo and
colour; and cookies that stay with the page that they were made for."""

import http.client
import re
import subprocess

import pytest

from lab.api import Page
from lab.place import program

NAME = "Café & <b>Söhne</b>"
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#c00"/></svg>'
APP = "https://app.acme-saas.io"


def fetch(verifier, path, method="GET", **headers):
    connection = http.client.HTTPConnection(verifier.address, verifier.port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    return answer


def policy(answer):
    """The Content-Security-Policy as directive → sources."""
    return {words[0]: words[1:] for words in (part.split() for part in answer.getheader("Content-Security-Policy").split(";"))}


@pytest.fixture(scope="module")
def branded(shared_lab):
    logo = f"{shared_lab.folder('brand')}/logo.svg"
    with open(logo, "w", encoding="utf-8") as file:
        file.write(LOGO)
    return shared_lab.platform(edges=0, verifier={
        "brand_name": NAME, "brand_logo_file": logo, "brand_color": "#ffd400", "public_url": "https://panel.saas.test",
        "portal_frame_ancestors": APP})


@pytest.fixture(scope="module")
def plain(shared_lab):
    return shared_lab.platform(edges=0)


def files_of(verifier):
    """Every address that page, style and scripts name."""
    found, new = set(), {"/", "/portal"}
    while new:
        found |= new
        texts = [fetch(verifier, path).text for path in sorted(new)]
        names = set(re.findall(r'(?:src|href)="(/[^"#]*)"', "".join(texts)))
        names |= {f"/js/{name}" for text in texts for name in re.findall(r'from "\./([\w.-]+)"', text)}
        new = names - found
    return sorted(found)


def test_every_file_is_ours_and_keeps_strangers_out(plain):
    paths = files_of(plain.verifier)
    assert len(paths) > 5, paths
    for path in paths:
        answer = fetch(plain.verifier, path)
        assert answer.status == 200, path
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("X-Frame-Options") == "DENY"
        assert answer.getheader("Referrer-Policy") == "no-referrer"
        sources = policy(answer)
        assert sources["default-src"] == ["'none'"] and sources["frame-ancestors"] == ["'none'"], path
        if not answer.getheader("Content-Type").startswith("image/"):
            assert sources["script-src"] == sources["style-src"] == sources["connect-src"] == sources["img-src"] == ["'self'"]
            assert "unsafe" not in answer.getheader("Content-Security-Policy")
        assert fetch(plain.verifier, path, If_None_Match=answer.getheader("ETag")).status == 304
        assert fetch(plain.verifier, path, "POST").status == 405
    page = fetch(plain.verifier, "/").text
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|https?://|//[a-z]", page), "nothing inline, nothing from elsewhere"


def test_files_on_disk_are_no_addresses(plain):
    for path in ("/index.html", "/web.c", "/..%2fetc/passwd", "/js/", "/js/../css/base.css", "/portal/", "/%2e%2e/"):
        assert fetch(plain.verifier, path).status == 404, path


def test_the_operators_name_is_text_everywhere(branded):
    page = fetch(branded.verifier, "/").text
    assert "Café &amp; &lt;b&gt;Söhne&lt;/b&gt;" in page
    assert NAME not in page and "{brand}" not in page and "<b>" not in page
    assert "Postern" not in page


def test_logo_is_a_picture_and_nothing_else(branded, plain):
    answer = fetch(branded.verifier, "/logo")
    assert (answer.status, answer.getheader("Content-Type"), answer.text) == (200, "image/svg+xml", LOGO)
    assert policy(answer)["sandbox"] == [] and "script-src" not in policy(answer)
    assert fetch(plain.verifier, "/logo").text == fetch(plain.verifier, "/icon.svg").text


def channel(value):
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def luminance(color):
    red, green, blue = (channel(int(color[at:at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_colour_is_read_in_light_and_dark(branded, plain):
    for verifier in (branded.verifier, plain.verifier):
        light, dark = fetch(verifier, "/brand.css").text.split("@media (prefers-color-scheme: dark)")
        for css, ground in ((light, "#ffffff"), (dark, "#19212a")):
            colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))
            assert contrast(colors["accent"], ground) >= 4.5, css
            assert contrast(colors["brand"], ground) >= 3, css
            assert contrast(colors["brand"], colors["on-brand"]) >= 4.5, css


@pytest.mark.parametrize("setting, word", [
    ("brand-logo-file=/etc/passwd", "neither SVG nor PNG"), ("brand-color=teal", "#0f766e"), ("brand-name=a\nb", "brand-name"),
    ("portal-frame-ancestors=*", "https://app.acme-saas.io"), ("portal-frame-ancestors=https://a.test; script-src *", "origin")])
def test_wrong_branding_ends_the_start_and_says_why(plain, setting, word):
    settings = plain.verifier.settings
    done = subprocess.run([program("postern-verifier"), f"--database={settings['database']}", "--saas-root=saas.test",
                           f"--admin-token-file={settings['admin_token_file']}", f"--{setting}"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and word in done.stderr, done.stderr


def test_only_the_portal_may_be_framed_and_by_whom_is_set(branded):
    answer = fetch(branded.verifier, "/portal")
    assert policy(answer)["frame-ancestors"] == [APP] and answer.getheader("X-Frame-Options") is None
    for path in ("/", "/css/base.css", "/logo"):
        answer = fetch(branded.verifier, path)
        assert policy(answer)["frame-ancestors"] == ["'none'"] and answer.getheader("X-Frame-Options") == "DENY"


def link(platform):
    status, made = platform.api.call("POST", "/v1/portal-links", {"tenant": "default"})
    assert status == 201, made
    return made["url"]


def test_cookies_of_a_secure_dashboard_are_its_hosts_alone(branded):
    """Customers' sites may be its siblings under the same domain: no cookie of theirs can pass for a session."""
    page = Page(branded.verifier, "https://panel.saas.test")
    url = link(branded)
    assert url.startswith("https://panel.saas.test/portal#ptl_")
    assert page.log_in(link=url.split("#")[1])[0] == 204
    assert page.set_cookie.startswith("__Host-postern_session=")
    assert "Secure" in page.set_cookie and "SameSite=Strict" in page.set_cookie and "Domain" not in page.set_cookie
    assert page.call("GET", "/session")[0] == 200
    planted = Page(branded.verifier, "https://panel.saas.test")
    planted.cookie = page.cookie.replace("__Host-", "")
    assert planted.call("GET", "/session")[0] == 401


def test_framed_session_belongs_to_the_site_around_it(branded, plain):
    page = Page(branded.verifier, "https://panel.saas.test")
    assert page.log_in(link=link(branded).split("#")[1], framed=True)[0] == 204
    for word in ("SameSite=None", "Partitioned", "Secure", "HttpOnly"):
        assert word in page.set_cookie, page.set_cookie
    page = Page(branded.verifier, "https://panel.saas.test")
    assert page.log_in(token=branded.token, framed=True)[0] == 204
    assert "SameSite=Strict" in page.set_cookie, "an operator's never leaves its own page"
    page = Page(plain.verifier)
    assert page.log_in(link=link(plain).split("#")[1], framed=True)[0] == 204
    assert "SameSite=Strict" in page.set_cookie, "nobody may frame it here"
