"""Logs: one event a line, whatever strangers send; no key, token or cookie at any level."""

import json

from lab.process import wait_until

NAME = "shop.brand.test"
EVIL = b'evil"}\n{"level":"error","message":"forged\x1b[2J\0.brand.test'


def play(platform):
    platform.activate(NAME)
    platform.visit(NAME)
    platform.visit(NAME, "/?secret=in-a-query", headers={"Cookie": "session=cookie-secret",
                                                         "Authorization": "Bearer visitor-secret"})
    platform.visit(NAME, '/"forged%0a%1b[2J')
    for sni in (EVIL, b"\xff" * 40, None, b"unknown.brand.test"):
        platform.refusal(sni)
    platform.api.call("POST", "/v1/domains", {"name": EVIL.decode("latin-1")})
    platform.api.call("GET", "/v1/domains/%0aforged%22")
    platform.api.call("GET", "/v1/domains", token="wrong-token-secret")


def test_every_line_is_one_json_object(lab):
    formats = {"log_format": "json"}
    platform = lab.platform(edge={"access_log": "on", **formats}, acme=formats, verifier=formats)
    play(platform)
    for daemon in platform.daemons:
        lines = daemon.process.log().splitlines()
        assert lines
        for line in lines:
            event = json.loads(line)
            assert event["message"] != "forged" and "forged" not in event.get("level", ""), line
            assert "\x1b" not in line and "\0" not in line


def test_text_lines_cannot_be_forged(lab):
    platform = lab.platform(edge={"access_log": "on"})
    play(platform)
    for daemon in platform.daemons:
        for line in daemon.process.log().splitlines():
            assert line[:2] == "20" and daemon.program in line, line
            assert "\x1b" not in line


def test_no_secret_at_the_most_talkative_level(lab):
    platform = lab.platform(edge={"access_log": "on"})
    play(platform)
    wait_until(lambda: platform.stored(NAME), 5, "the certificate")
    with open(platform.ground.seal_key) as file:
        seal_key = file.read().split()[-1]
    secrets = [platform.token, seal_key, "PRIVATE KEY", "cookie-secret", "visitor-secret", "wrong-token-secret"]
    secrets += [row[0] for row in platform.db.query("SELECT key_authorization FROM challenges")]
    for daemon in platform.daemons:
        log = daemon.process.log()
        assert not [secret for secret in secrets if secret in log], daemon.name
