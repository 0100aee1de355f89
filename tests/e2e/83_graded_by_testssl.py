"""testssl.sh, an independent examiner, has no finding of medium weight or more against an edge with default settings."""

import json
import os
import shutil
import subprocess

import pytest

from lab.origin import Origin
from lab.uploads import Uploads

pytestmark = pytest.mark.long

NAME = "shop.brand.test"
# What it examines, shared out so that it takes a fraction of the time: protocols, certificate and headers; kinds of
# cipher; preferences; known holes, all that `-U` has. Of an RSA certificate, what may be another there.
PARTS = {
    "ec": (("-p", "-S", "-h"), ("-s",), ("-P",), ("-H", "-I", "-T", "-R", "-C", "-Z", "-O"),
           ("--robot", "-B", "-W", "-F", "-D", "-J", "-A", "-L", "-4")),
    "rsa": (("-p", "-S"), ("-P",), ("--robot", "-F", "-D", "-J")),
}
GRAVE = ("MEDIUM", "HIGH", "CRITICAL")
# What a page owes its reader is the app's to send; this app does.
HEADERS = [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
           ("Content-Security-Policy", "default-src 'self'")]


@pytest.mark.skipif(not shutil.which("testssl"), reason="testssl.sh is not installed")
@pytest.mark.parametrize("key", PARTS)
def test_no_finding_of_medium_weight(lab, key):
    platform = lab.prepare(edges=1, issuers=0)
    origin = lab.use(Origin(platform.ground.address(4), lambda request: request.answer(fields=HEADERS)))
    platform.edge.settings["upstream"] = origin.url
    platform.start()
    uploads = Uploads(platform, lab.folder("operator"))
    uploads.add(NAME, rsa=key == "rsa", extra=("crlDistributionPoints=URI:http://crl.saas.test/list",))
    platform.activate(NAME)
    platform.db.query("UPDATE domains SET options = '{\"hsts\": 31536000}'")
    platform.visit(NAME, context=uploads.trust)

    def examine(index, part):
        report = os.path.join(lab.directory, f"testssl{index}.json")
        return report, subprocess.Popen(
            ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", platform.edge.address,
             "--add-ca", uploads.authority.ca, "--jsonfile", report, *part, f"https://{NAME}:{platform.https}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=lab.directory)

    findings = []
    running = [examine(index, part) for index, part in enumerate(PARTS[key])]
    try:
        for report, process in running:
            process.communicate(timeout=400)
            with open(report) as file:
                findings += json.load(file)
    finally:
        for _, process in running:
            process.kill()
    grave = [f"{one['severity']} {one['id']}: {one['finding']}" for one in findings if one["severity"] in GRAVE]
    assert not grave, grave
    told = {one["id"]: one["finding"] for one in findings}
    assert told["TLS1"] == told["TLS1_1"] == told["SSLv3"] == "not offered"
    assert told["cipher_order"].startswith("server")
    assert "AES_128_GCM" in told["cipher_negotiated"]
    print(f"testssl.sh, {key}: {len(findings)} findings, none of medium weight or more")
