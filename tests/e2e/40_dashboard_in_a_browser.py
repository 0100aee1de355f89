"""A customer's whole way in the dashboard, in a real browser: log in, add, publish the records, verify, active."""

import json
import os
import subprocess

from lab import npm
from lab.place import tool

NAME = "shop.brand.test"
SECONDS = 150


def play(platform, screenshots):
    """Runs the browser and publishes what it asks for."""
    environment = dict(os.environ, DASHBOARD=platform.verifier.url, TOKEN=platform.token, DOMAIN=NAME,
                       SCREENSHOTS=screenshots, CHROMIUM=tool("chromium"), CERTIFICATE="1")
    with subprocess.Popen(["timeout", str(SECONDS), tool("node"), "dashboard.mjs"], cwd=npm.BROWSER, env=environment,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as browser:
        for line in browser.stdout:
            message = json.loads(line)
            if "publish" in message:
                for record in message["publish"]:
                    value = record["value"]
                    if record["type"] == "TXT":
                        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
                    platform.dns.publish(record["name"], record["type"], value)
                browser.stdin.write("published\n")
                browser.stdin.flush()
            else:
                print(message["said"])
        complaints = browser.stderr.read()
    assert browser.returncode == 0, complaints


def test_from_log_in_to_a_live_domain(lab):
    npm.install("playwright-core")
    platform = lab.platform(edges=1, verifier={"pre_issue": "on"})
    screenshots = os.environ.get("SCREENSHOTS") or lab.folder("screenshots")
    os.makedirs(screenshots, exist_ok=True)
    play(platform, screenshots)
    pictures = sorted(os.listdir(screenshots))
    assert "06-active.png" in pictures
    print(f"{len(pictures)} screenshots in {screenshots}")
