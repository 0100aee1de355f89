"""h2spec, an independent examiner of HTTP/2, finds nothing against an edge with default settings."""

import os
import subprocess
import xml.etree.ElementTree

import pytest

from lab.go import go_program
from lab.origin import Origin

NAME = "shop.brand.test"
# RFC 7540's tree of priorities, where a stream must not depend on itself: RFC 9113 has done away with it, and with the rule.
OUTDATED = {"Sends PRIORITY frame that depend on itself"}


def test_no_finding(lab):
    examiner = go_program("github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible")
    if not examiner:
        pytest.skip("Go cannot install h2spec here")
    platform = lab.prepare(edges=1)
    # It names no host in its hello: the default certificate is for such, and what they ask for goes to sorry-upstream.
    origin = lab.use(Origin(platform.ground.address(4)))
    platform.edge.settings.update(upstream=origin.url, sorry_upstream=origin.url, default_certificate=f"*={NAME}")
    platform.start()
    platform.activate(NAME)
    platform.visit(NAME)
    report = os.path.join(lab.directory, "h2spec.xml")
    done = subprocess.run([examiner, "--strict", "--tls", "--insecure", "--timeout", "10", "--host", platform.edge.address,
                           "--port", str(platform.edge.https), "--junit-report", report],
                          capture_output=True, timeout=400, check=False)
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    failed = [case.get("classname") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    assert set(failed) <= OUTDATED, done.stdout.decode()[-6000:]
    assert len(cases) > 140
    assert len(origin.requests) > 20, "they came as far as the app"
    print(f"h2spec: {len(cases)} cases, {len(failed)} against HTTP/2 as it was before RFC 9113")
