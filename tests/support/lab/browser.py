"""Plays in Debian's Chromium (tests/browser/*.mjs), which ask their scenario for what a browser cannot do."""

import json
import os
import subprocess

from . import npm
from .place import tool

SECONDS = 280


def publish(platform, message):
    """`remove`d first, then the records; TXT values as they are, whatever they hold."""
    for record in message.get("remove", []):
        platform.dns.remove(record["name"], record["type"])
    for record in message.get("records", []):
        value = record["value"]
        if record["type"] == "TXT":
            value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        platform.dns.publish(record["name"], record["type"], value)


def play(lab, script, platform, answers, url=None, **environment):
    """Runs it; `answers` maps what it asks for to functions of its message. Pictures stay where SCREENSHOTS says."""
    npm.install("axe-core")
    screenshots = os.environ.get("SCREENSHOTS") or lab.folder("screenshots")
    os.makedirs(screenshots, exist_ok=True)
    known = {"publish": lambda message: publish(platform, message), **answers}
    variables = {**os.environ, "DASHBOARD": url or platform.verifier.url, "TOKEN": platform.token, "SCREENSHOTS": screenshots,
                 "CHROMIUM": tool("chromium"), **environment}
    with subprocess.Popen(["timeout", str(SECONDS), tool("node"), script], cwd=npm.BROWSER, env=variables,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as browser:
        for line in browser.stdout:
            message = json.loads(line)
            if "said" in message:
                print(message["said"])
                continue
            browser.stdin.write(json.dumps(known[message["ask"]](message)) + "\n")
            browser.stdin.flush()
        complaints = browser.stderr.read()
    assert browser.returncode == 0, complaints
    return sorted(os.listdir(screenshots))
