"""A customer's whole way in the dashboard, in a real browser: from the link in the operator's app to a live domain, with wrong
records on the way, each answered by its own advice."""

from lab import browser
from lab.private_ca import PrivateCA

NAME = "shop.brand.test"


def test_from_the_portal_link_to_a_live_domain(lab):
    platform = lab.platform(edges=1, verifier={"pre_issue": "on", "brand_name": "Acme SaaS"})
    call = platform.api.call
    call("POST", "/v1/tenants", {"id": "brand", "title": "Brand <b>& Söhne</b>"})
    platform.api.add("secret.others.test", "other")

    def link(message):
        status, made = call("POST", "/v1/portal-links", {"tenant": message["tenant"], "return_url": message["return_url"]})
        assert status == 201, made
        return made

    def offer_lasting(_):
        platform.db.query("INSERT INTO ca_accounts (directory, account_url, issuer_names) VALUES "
                          "('https://ca.example/dir', 'https://ca.example/acct/7', '{ca.example}')")

    authority = PrivateCA(lab.folder("customer"))

    def certificate(message):
        issued = authority.issue(message["name"])
        return {"chain": issued.chain + authority.root, "key": issued.key, "wrong": authority.issue(message["name"]).key}

    pictures = browser.play(lab, "customer.mjs", platform, {
        "link": link, "certificate": certificate, "offer_lasting": offer_lasting,
        "revoke": lambda message: call("DELETE", f"/v1/portal-links?tenant={message['tenant']}")}, DOMAIN=NAME, CERTIFICATE="1")
    assert "10-live-dark.png" in pictures and "05-records-320.png" in pictures
    print(f"{len(pictures)} screenshots")
