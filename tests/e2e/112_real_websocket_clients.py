"""WebSocket as people have it: npm's ws on both sides of the edge, and a page in Chromium that asks for a hundred things at
once and talks meanwhile, all of it on one connection where the edge speaks HTTP/2."""

import json
import os
import subprocess

import pytest

from lab import npm
from lab.place import free_port, tool
from lab.process import connects

NAME = "shop.brand.test"
CLIENTS = 40


@pytest.fixture(scope="module")
def place(shared_lab):
    npm.install("ws")
    platform = shared_lab.prepare(edges=1, edge={"access_log": "on"})
    address = platform.ground.address(4)
    port = free_port(address)
    platform.edge.settings["upstream"] = f"http://{address}:{port}"
    app = shared_lab.process("app", [tool("node"), os.path.join(npm.BROWSER, "chat_app.mjs"), address, str(port)])
    app.wait_ready(lambda: connects(address, port))
    platform.start(without=[platform.app])
    platform.activate(NAME)
    assert platform.visit(NAME, edge=platform.edge).status == 200
    return platform


def play(program, *arguments):
    done = subprocess.run(["timeout", "90", tool("node"), program, *arguments], cwd=npm.BROWSER, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ws_on_both_sides(place):
    found = play("chat_client.mjs", NAME, place.edge.address, str(place.https), place.pebble.root, str(CLIENTS))
    assert found == {"talked": CLIENTS, "sentAway": True, "toreOff": True}


def test_a_page_with_many_requests_and_a_websocket(place):
    npm.install("playwright-core")
    found = play("chat_page.mjs", f"https://{NAME}:{place.https}/", NAME, place.edge.address, tool("chromium"))
    assert found.get("good") == 100, found
    assert found["chat"] == {"heard": [f"message {number}" for number in range(20)], "code": 4000, "clean": True}
    assert found["protocols"] == ["h2"], found["protocols"]
    place.edge.process.wait_log("path=/chat http=2 ")
