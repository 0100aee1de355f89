"""A customer's whole way in the dashboard, in a real browser: log in, add, publish the records, verify, active."""

import json
import os
import subprocess

import pytest

from lab.place import ROOT, tool

BROWSER = os.path.join(ROOT, "tests", "browser")
NAME = "shop.brand.test"
SECONDS = 150


def install_driver():
    """playwright-core as the lock file has it, once per clone. Where npm's registry is out of reach the scenario is
    skipped, visibly."""
    if os.path.exists(os.path.join(BROWSER, "node_modules", "playwright-core")):
        return
    npm = subprocess.run([tool("npm"), "ci", "--fetch-retries=1", "--fetch-timeout=20000"], cwd=BROWSER, timeout=180,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if npm.returncode != 0:
        pytest.skip("npm cannot install playwright-core: " + " ".join(npm.stdout.split())[-300:])


def play(platform, screenshots):
    """Runs the browser and publishes what it asks for."""
    environment = dict(os.environ, DASHBOARD=platform.verifier.url, TOKEN=platform.token, DOMAIN=NAME,
                       SCREENSHOTS=screenshots, CHROMIUM=tool("chromium"), CERTIFICATE="1")
    with subprocess.Popen(["timeout", str(SECONDS), tool("node"), "dashboard.mjs"], cwd=BROWSER, env=environment,
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
    install_driver()
    platform = lab.platform(edges=1, verifier={"pre_issue": "on"})
    screenshots = os.environ.get("SCREENSHOTS") or lab.folder("screenshots")
    os.makedirs(screenshots, exist_ok=True)
    play(platform, screenshots)
    pictures = sorted(os.listdir(screenshots))
    assert "06-active.png" in pictures
    print(f"{len(pictures)} screenshots in {screenshots}")
