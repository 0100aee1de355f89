"""What a domain's row asks for reaches every node while it runs: HSTS and the lowest version of TLS."""

import json
import ssl

import pytest

from lab import tls
from lab.lab import Lab
from lab.origin import Origin
from lab.process import wait_until

NAME, OTHER = "shop.brand.test", "other.brand.test"


@pytest.fixture(scope="module")
def scene(session):
    """One platform, whose app sends an HSTS header of its own for /own."""
    lab = Lab(session)
    platform = lab.prepare()
    platform.edges[1].settings["cache_max_age"] = "2s"  # the first hears of changes in time by notifications alone

    def script(request):
        fields = [("Strict-Transport-Security", "max-age=7")] if request.target == "/own" else []
        request.answer(fields=fields)

    origin = lab.use(Origin(platform.ground.address(4), script))
    for edge in platform.edges:
        edge.settings["upstream"] = origin.url
    platform.start()
    for name in (NAME, OTHER):
        platform.activate(name)
        for edge in platform.edges:
            platform.visit(name, edge=edge)
    yield platform
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def set_options(platform, options, name=NAME):
    platform.db.query(f"UPDATE domains SET options = '{json.dumps(options)}' WHERE name = '{name}'")


def hsts(platform, edge=None, path="/", name=NAME):
    return platform.visit(name, path, edge=edge).headers["Strict-Transport-Security"]


def wait_for_hsts(platform, value, edges=None):
    for edge in edges or platform.edges:
        wait_until(lambda: hsts(platform, edge) == value, 10, f"{edge.name} to send {value}")


def test_hsts_comes_and_goes_with_the_option(scene):
    assert hsts(scene) is None
    set_options(scene, {"hsts": {"max_age": 31536000, "include_subdomains": True}})
    wait_for_hsts(scene, "max-age=31536000; includeSubDomains")
    assert hsts(scene, path="/own") == "max-age=7"
    assert hsts(scene, name=OTHER) is None
    set_options(scene, {})
    wait_for_hsts(scene, None)


def test_change_is_seen_without_a_notification(scene):
    scene.db.query("ALTER TABLE domains DISABLE TRIGGER USER")
    set_options(scene, {"hsts": 99})
    wait_for_hsts(scene, "max-age=99", scene.edges[1:])
    scene.db.query("ALTER TABLE domains ENABLE TRIGGER USER")
    set_options(scene, {})
    wait_for_hsts(scene, None)


def test_open_connection_takes_the_change_over(scene):
    sock = scene.connect(NAME)
    connection = tls.HttpOver(sock, NAME)

    def seen():
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.headers["Strict-Transport-Security"]

    assert seen() is None
    set_options(scene, {"hsts": 5})
    wait_until(lambda: seen() == "max-age=5", 10, "the open connection to hear of it")
    sock.close()
    set_options(scene, {})
    wait_for_hsts(scene, None)


def test_minimum_tls_refuses_what_is_older_for_this_name_alone(scene):
    old = tls.trust(scene.pebble.root, version=ssl.TLSVersion.TLSv1_2)
    new = tls.trust(scene.pebble.root, version=ssl.TLSVersion.TLSv1_3)
    assert scene.visit(NAME, context=old).version == "TLSv1.2"
    set_options(scene, {"minimum_tls": "1.3"})

    def refused(edge):
        try:
            scene.visit(NAME, edge=edge, context=old)
        except ssl.SSLError as error:
            return error.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
        return False

    for edge in scene.edges:
        wait_until(lambda: refused(edge), 10, f"{edge.name} to refuse TLS 1.2")
    assert scene.visit(NAME, context=new).version == "TLSv1.3"
    assert scene.visit(OTHER, context=old).version == "TLSv1.2"
    set_options(scene, {})
    for edge in scene.edges:
        wait_until(lambda: not refused(edge), 10, f"{edge.name} to take TLS 1.2 again")


def test_unknown_and_wrong_options_leave_the_site_served(scene):
    set_options(scene, {"hsts": "soon", "minimum_tls": 13, "flavour": ["vanilla"], "upstream": 7})
    edge = scene.edge
    edge.process.wait_log("an option of a domain is ignored")
    assert scene.visit(NAME, edge=edge).status == 200
    set_options(scene, {})


def test_edge_may_speak_tls_13_alone(scene):
    scene.edges[1].restart(tls_minimum="1.3")
    old = tls.trust(scene.pebble.root, version=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError):
        scene.visit(OTHER, edge=scene.edges[1], context=old)
    assert scene.visit(OTHER, edge=scene.edges[1]).version == "TLSv1.3"
