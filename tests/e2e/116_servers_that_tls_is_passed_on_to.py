"""Which of several servers gets a connection that is passed on: in turn, its client's, its session's; those that die and
come back; and domains that say for themselves where their TLS goes."""

import json
import os
import re
import socket
import subprocess

import pytest

from lab import client_hello, tls
from lab.lab import Lab
from lab.place import free_port
from lab.process import wait_until
from lab.tls_backend import Backend, echo, server_context


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.platform = lab.prepare(edges=1, edge={"cache_max_age": "2s"})
        self.edge, net = self.platform.edge, self.platform.ground.net
        self.authority = self.platform.ground.authority
        chain, key = self.authority.issue("servers", "DNS:*.brand.test")
        context = server_context(chain, key)
        self.trust = tls.trust(self.authority.ca, alpn=("imap",))
        self.servers = [lab.use(Backend(f"{net}{40 + index}", echo(context, f"{index}".encode()))).start()
                        for index in range(3)]
        # Two servers that keep sessions to themselves, as openssl does: no tickets, ids of its own.
        keepers = [f"{net}{50 + index}:{free_port(f'{net}{50 + index}')}" for index in range(2)]
        for place in keepers:
            lab.process(f"s_server-{place}", ["openssl", "s_server", "-accept", place, "-cert", chain, "-key", key,
                                              "-tls1_2", "-no_ticket", "-quiet", "-rev"])
        places = [server.place for server in self.servers]
        self.pass_port = free_port(self.edge.address)
        self.platform.start(without=[self.platform.pebble, self.platform.acme])
        self.edge.restart(
            listen_passthrough=f"{self.edge.address}:{self.pass_port}", access_log="on", log_format="json", passthrough=[
                f"turn.brand.test {' '.join(places)}",
                f"client.brand.test {' '.join(places)} affinity=client",
                f"checked.brand.test {' '.join(places[:2])} check=tls interval=500ms",
                f"tcp.brand.test {places[2]} check=tcp interval=500ms",
                f"session.brand.test {' '.join(keepers)} affinity=session-id"])

    def ask(self, name, source=None, port=None):
        raw = socket.create_connection((self.edge.address, port or self.pass_port), 20,
                                       source_address=(source, 0) if source else None)
        with self.trust.wrap_socket(raw, server_hostname=name) as sock:
            return sock.recv(100).decode()


    def answer(self, name, port=None):
        """The same; None where a busy machine has it refused for the moment."""
        try:
            return self.ask(name, port=port)
        except OSError:
            return None


@pytest.fixture(scope="module")
def scene(session):
    lab = Lab(session)
    yield Scene(lab)
    complaints = lab.close()
    lab.remove()
    assert not complaints, complaints


def test_servers_take_turns(scene):
    assert sorted(scene.ask("turn.brand.test") for _ in range(9)) == ["0"] * 3 + ["1"] * 3 + ["2"] * 3


def test_a_client_stays_with_its_server(scene):
    chosen = {}
    for number in range(60):  # so many that chance leaves no server without any: (2/3) ** 60
        source = f"127.77.0.{number + 1}"
        answers = {scene.ask("client.brand.test", source) for _ in range(2)}
        assert len(answers) == 1, answers
        chosen[source] = answers.pop()
    assert set(chosen.values()) == {"0", "1", "2"}, chosen
    gone = scene.servers[0]
    gone.stop()
    for source, server in chosen.items():
        now = scene.ask("client.brand.test", source)
        assert now == server if server != "0" else now in "12", "only those of the dead one move"
    gone.start()
    wait_until(lambda: all(scene.ask("client.brand.test", source) == server for source, server in chosen.items()),
               60, "its clients to come back to it")
    wait_until(lambda: {scene.ask("checked.brand.test") for _ in range(2)} == {"0", "1"}, 20, "the checks to see it")


def test_a_dead_server_is_noticed_and_its_return_too(scene):
    gone = scene.servers[1]
    gone.stop()
    wait_until(lambda: scene.edge.process.logged(rf"an upstream address is down.*{re.escape(gone.place)}.*no TLS answer"), 20, "the check")
    retries = len(gone.came)
    assert {scene.ask("checked.brand.test") for _ in range(4)} == {"0"}
    assert len(gone.came) == retries
    gone.start()
    wait_until(lambda: scene.edge.process.logged(rf"an upstream address is up again.*{re.escape(gone.place)}"), 20, "the check")
    assert {scene.ask("checked.brand.test") for _ in range(4)} == {"0", "1"}


def test_without_checks_the_next_server_is_tried(scene):
    scene.servers[2].stop()
    assert set(scene.ask("turn.brand.test") for _ in range(6)) == {"0", "1"}
    wait_until(lambda: scene.edge.process.logged(r'an upstream address is down.*"no connection"'), 20, "the check by connection")
    refusal = client_hello.refusal(scene.edge.address, scene.pass_port, b"tcp.brand.test")
    wait_until(lambda: client_hello.refusal(scene.edge.address, scene.pass_port, b"tcp.brand.test").alert
               == "internal_error", 10, "a clean alert where nobody is left")
    assert refusal.alert == "internal_error"
    scene.servers[2].start()


def session_id(text):
    return re.search(r"Session-ID: (\w+)", text)[1]


def test_a_session_goes_back_to_the_server_that_made_it(scene):
    folder = scene.lab.folder("sessions")

    def client(*words):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{scene.edge.address}:{scene.pass_port}", "-servername", "session.brand.test",
             "-tls1_2", *words], input=b"Q\n", capture_output=True, timeout=20)
        return done.stdout.decode()

    first = [client("-sess_out", os.path.join(folder, f"{index}")) for index in range(4)]
    assert all("New, TLSv1.2" in text for text in first), first[0]
    wait_until(lambda: scene.edge.metric("postern_edge_passthrough_sessions") >= 4, 5, "the ids to be learnt")
    for turn in range(3):
        for index in range(4):
            again = client("-sess_in", os.path.join(folder, f"{index}"))
            assert "Reused, TLSv1.2" in again and session_id(again) == session_id(first[index])
    wait_until(lambda: scene.edge.process.log().count('"session":"known"') == 12, 5, "a line for each that came back")


def passed(scene):
    return scene.edge.metric("postern_edge_passthrough_connections_total", route="domains")


def set_options(platform, name, options):
    platform.db.query(f"UPDATE domains SET options = '{json.dumps(options)}' WHERE name = '{name}'")


def test_a_domain_says_where_its_tls_goes_and_needs_no_certificate(scene):
    platform, name = scene.platform, "own.brand.test"
    platform.activate(name)
    set_options(platform, name, {"passthrough": f"{scene.servers[1].place} proxy=off"})
    for port in (scene.pass_port, scene.edge.https):
        wait_until(lambda: scene.answer(name, port) == "1", 10, "its server")
    assert platform.stored(name) is None and platform.job(name) is None
    set_options(platform, name, {"passthrough": scene.servers[2].place})
    wait_until(lambda: scene.answer(name) == "2", 20, "the other server")
    before = passed(scene)
    refused = client_hello.refusal(scene.edge.address, scene.edge.https, name.encode(), alpn=(b"acme-tls/1",))
    assert passed(scene) == before + 1 and refused.alert != "unrecognized_name", "the CA's probe is its own"
    set_options(platform, name, {"passthrough": scene.servers[2].place, "deny": ["127.0.0.0/8"]})
    wait_until(lambda: client_hello.refusal(scene.edge.address, scene.pass_port, name.encode()).alert == "access_denied",
               10, "its list of visitors to count")
    platform.db.query(f"UPDATE domains SET status = 'suspended' WHERE name = '{name}'")
    wait_until(lambda: client_hello.refusal(scene.edge.address, scene.pass_port, name.encode()).alert
               == "unrecognized_name", 10, "the suspended one to be refused")


def test_a_cold_edge_finds_the_domain_also_for_a_probe(scene):
    platform, name = scene.platform, "cold.brand.test"
    platform.activate(name)
    set_options(platform, name, {"passthrough": scene.servers[1].place})
    before = passed(scene)
    client_hello.refusal(scene.edge.address, scene.edge.https, name.encode(), alpn=(b"acme-tls/1",))
    assert passed(scene) == before + 1
    set_options(platform, name, {})
    wait_until(lambda: client_hello.refusal(scene.edge.address, scene.edge.https, name.encode(), alpn=(b"acme-tls/1",)).alert
               == "unrecognized_name", 10, "the option to be gone")
    platform.activate("old.brand.test")
    set_options(platform, "old.brand.test", {"passthrough": scene.servers[1].place})
    before = passed(scene)
    for asked, alert in ((b"old.brand.test", "handshake_failure"), (b"nobody.brand.test", "protocol_version"),
                         (name.encode(), "protocol_version")):
        old = client_hello.records(client_hello.handshake(asked).replace(b"\x2b\0\5\4\3\4\3\3", b"\x2b\0\5\4\3\2\3\1"))
        assert client_hello.refusal(scene.edge.address, scene.edge.https, hello=old).alert == alert, asked
    assert passed(scene) == before + 1, "the first alert was the server's own: old clients need nobody to go before them"
    asks = platform.verifier.metric("postern_verifier_ask_answers_total")
    refused = client_hello.refusal(scene.edge.address, scene.pass_port, b"nobody.brand.test")
    assert refused.alert == "unrecognized_name"
    assert platform.verifier.metric("postern_verifier_ask_answers_total") == asks, "nobody is asked on such a port"
