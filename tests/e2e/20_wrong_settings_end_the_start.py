"""A wrong setting ends the start with exit code 2, and says what is wrong, where, and what to write instead."""

import os
import socket
import subprocess

import pytest

from lab.place import program

PROGRAMS = ("postern-edge", "postern-acme", "postern-verifier")


def start(name, *arguments, environment=None):
    """Exit code and what it said. No program may run longer than a moment here."""
    done = subprocess.run([program(name), *arguments], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=10, env={"PATH": os.environ["PATH"], **(environment or {})})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(params=PROGRAMS)
def daemon(request):
    return request.param


def test_help_lists_every_setting_and_exits_0(daemon):
    code, text = start(daemon, "--help")
    assert code == 0
    for name in ("config", "database", "log-level", "log-format", "admin-listen", "user"):
        assert f"--{name}" in text


def test_unknown_setting_on_the_command_line(daemon):
    code, text = start(daemon, "--no-such-thing=1")
    assert code == 2
    assert "no-such-thing" in text
    assert "help" in text, "the mend"


def test_bad_values(daemon):
    for argument in ("--log-level=loud", "--log-format=xml", "--admin-listen=127.0.0.1", "--admin-listen=x:99999"):
        code, text = start(daemon, "--database=host=x", argument)
        assert code == 2, (argument, text)
        assert argument[2:].split("=")[0] in text, text


def test_file_is_named_with_its_line(daemon, tmp_path):
    config = tmp_path / "postern.conf"
    config.write_text("# settings\nlog-level info\nno-such-thing 1\n")
    code, text = start(daemon, f"--config={config}")
    assert code == 2
    assert f"{config}" in text and "3" in text and "no-such-thing" in text


def test_unreadable_file(daemon, tmp_path):
    code, text = start(daemon, f"--config={tmp_path}/missing")
    assert code == 2
    assert f"{tmp_path}/missing" in text


def test_bad_value_in_the_environment_is_named(daemon):
    code, text = start(daemon, environment={"POSTERN_LOG_LEVEL": "loud"})
    assert code == 2
    assert "POSTERN_LOG_LEVEL" in text


def test_missing_setting_is_named(daemon):
    code, text = start(daemon)
    assert code == 2
    assert "database" in text or "saas-root" in text or "seal-key-file" in text


def test_bad_conninfo_shows_no_password(daemon):
    code, text = start(daemon, "--database=host=x password=hunter2 nonsense=1")
    assert code == 2
    assert "hunter2" not in text


@pytest.mark.parametrize("argument", [
    "--listen-https=nowhere", "--upstream=ftp://x", "--upstream=http://x/path", "--ask-url=verifier", "--issue-wait=soon", "--issue-wait=-1s",
    "--workers=many", "--cert-cache=lots", "--cache-max-age=0"])
def test_edge_settings(lab, argument):
    """With all else in order, so that nothing but this value can be complained of."""
    others = ["--database=host=127.0.0.1 port=1", f"--seal-key-file={lab.session.seal_key}", "--ask-url=http://127.0.0.1:1/",
              "--upstream=http://127.0.0.1:1", "--listen-https=127.0.0.1:0", "--listen-http=127.0.0.1:0"]
    setting, value = argument[2:].split("=")
    code, text = start("postern-edge", *(one for one in others if not one.startswith(f"--{setting}=")), argument)
    assert code == 2, text
    assert setting in text and value in text, text
    assert setting != "upstream" or "write http://host:port" in text, "the mend"


@pytest.mark.parametrize("argument", ["--saas-root=10.0.0.1", "--dns-stub=test", "--pre-issue=maybe",
                                      "--apex-addresses=here"])
def test_verifier_settings(tmp_path, argument):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123\n")
    code, text = start("postern-verifier", "--database=host=127.0.0.1 port=1", "--saas-root=saas.test",
                       f"--admin-token-file={token}", "--listen=127.0.0.1:0", "--ask-listen=127.0.0.1:0", argument)
    assert code == 2, text
    assert argument[2:].split("=")[0] in text


@pytest.mark.parametrize("argument", ["--acme-directory=ca.test", "--jobs=0", "--challenge-types=dns-02",
                                      "--acme-ca=/nonexistent", "--acme-eab-kid=alone", "--acme-profile=a b",
                                      "--acme-profile-required=on", "--certificate-key=p521",
                                      "--acme-fallback-directory=http://ca.test/dir",
                                      "--acme-fallback-directory=https://acme-v02.api.letsencrypt.org/directory"])
def test_acme_settings(lab, argument):
    code, text = start("postern-acme", "--database=host=127.0.0.1 port=1",
                       f"--seal-key-file={lab.session.seal_key}", argument)
    assert code == 2
    assert argument[2:].split("=")[0] in text


@pytest.mark.parametrize("content", ["", "not base64url!", "Zm9v YmFy", "A" * 5000, "Zm9v+/=="])
def test_an_external_accounts_key_that_is_none(lab, tmp_path, content):
    key = tmp_path / "eab"
    key.write_text(content)
    code, text = start("postern-acme", "--database=host=127.0.0.1 port=1", f"--seal-key-file={lab.session.seal_key}",
                       "--acme-eab-kid=k", f"--acme-eab-key-file={key}")
    assert code == 2 and str(key) in text, text
    assert "foo" not in text


def test_seal_key_that_others_may_read_is_refused(tmp_path):
    key = tmp_path / "seal.key"
    assert start("postern", "seal-key", "new", str(key))[0] == 0
    assert key.stat().st_mode & 0o777 == 0o600
    assert start("postern", "seal-key", "new", str(key))[0] != 0, "never overwritten"
    key.chmod(0o644)
    code, text = start("postern-edge", "--database=host=127.0.0.1 port=1", f"--seal-key-file={key}",
                       "--ask-url=http://127.0.0.1:1/", "--upstream=http://127.0.0.1:1", "--listen-https=127.0.0.1:0",
                       "--listen-http=127.0.0.1:0", "--admin-listen=127.0.0.1:0")
    assert code == 2, text
    assert str(key) in text


def test_port_that_is_taken_is_named(lab):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ground = lab.ground()
        code, text = start("postern-edge", f"--database={ground.database.conninfo('postern_edge')}",
                           f"--seal-key-file={ground.seal_key}", "--ask-url=http://127.0.0.1:1/",
                           "--upstream=http://127.0.0.1:1", f"--listen-https=127.0.0.1:{port}",
                           "--listen-http=127.0.0.1:0", "--admin-listen=127.0.0.1:0")
    assert code in (1, 2), text
    assert str(port) in text


def test_no_admin_listener_is_a_choice(lab):
    platform = lab.prepare(edges=1)
    for one in platform.daemons:
        one.settings["admin_listen"] = ""
    for server in platform.servers:
        server.start()
    for one, ready in ((platform.verifier, "database connected"), (platform.acme, "account registered"),
                       (platform.edge, "database connected")):
        one.start(wait=False)
        one.process.wait_log(ready)
        assert one.process.alive
        assert "admin listening" not in one.process.log()
