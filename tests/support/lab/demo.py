"""The story of `make run`: everything starts under ./var, real requests play it step by step, Ctrl-C ends it."""

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

from .authority import Authority
from .knot import Knot
from .place import ROOT, free_port, program
from .platform import Ground, Platform
from .postgres import Cluster
from .process import LabError, as_user, run, wait_until

VAR = os.path.join(ROOT, "var")
FIRST, SECOND = "shop.brand.test", "www.boutique.test"
WANTED = {"https": (8443,), "http": (8080,), "api": (8088,), "ask": (8081,), "app": (8000,), "dns": (5300, 5353),
          "postgres": (5433, 5434), "pebble": (14000,), "pebble_management": (15000,), "admin_edge": (2019,), "admin_acme": (2020,),
          "admin_verifier": (2021,)}
ADDRESSES = {1: "127.0.0.1", 2: "127.0.0.1", 11: "127.0.1.1", 12: "127.0.1.2"}


class DemoGround(Ground):
    def address(self, number):
        return ADDRESSES[number]


class Teller:
    """Writes the story; coloured only on a terminal."""

    def __init__(self):
        self.colour = sys.stdout.isatty()
        self.number = 0

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def step(self, text):
        self.number += 1
        print(f"\n{self._paint('1;36', f'{self.number:2}.')} {self._paint('1', text)}", flush=True)

    def say(self, text=""):
        print("    " + text if text else "", flush=True)

    def figure(self, label, value):
        print(f"    {label:<46} {self._paint('1;32', value)}", flush=True)

    def head(self, text):
        print("\n" + self._paint("1;35", text), flush=True)


class Pids:
    """What runs, by pid and start time, so that the next run ends what a killed one left, and nothing else."""

    def __init__(self, path):
        self.path = path

    @staticmethod
    def started(pid):
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[19]
        except (FileNotFoundError, ProcessLookupError):
            return None

    def write(self, processes):
        rows = [[process.name, process.pid, self.started(process.pid)] for process in processes]
        with open(self.path, "w") as file:
            json.dump(rows, file)

    def end_leftovers(self, say):
        try:
            with open(self.path) as file:
                rows = json.load(file)
        except (FileNotFoundError, ValueError):
            return
        alive = [(name, pid) for name, pid, start in rows if start and self.started(pid) == start]
        for name, pid in alive:
            say(f"ending {name} ({pid}), left over from a run that was killed")
            os.kill(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        for name, pid in alive:
            try:
                wait_until(lambda: self.started(pid) is None, 10, f"{name} to end")
            except AssertionError:
                os.kill(pid, signal.SIGKILL)
        os.unlink(self.path)


def make_var(say):
    """./var; where PostgreSQL's user cannot get there (a home folder of root's), a link to a folder where it can."""
    if not os.path.lexists(VAR):
        os.makedirs(VAR)
        if os.geteuid() == 0 and not reachable_by("postgres", VAR):
            os.rmdir(VAR)
            place = f"/var/tmp/postern-run-{os.stat(ROOT).st_ino}"
            os.makedirs(place, exist_ok=True)
            os.chmod(place, 0o755)
            os.symlink(place, VAR)
            say(f"PostgreSQL's user may not enter {ROOT}: ./var is a link to {place}")
    os.makedirs(os.path.realpath(VAR), exist_ok=True)
    return os.path.realpath(VAR)


def reachable_by(user, path):
    probe = subprocess.run(as_user(user, ["test", "-x", path]), check=False, stderr=subprocess.DEVNULL, cwd="/")
    return probe.returncode == 0


def prepare(var, say):
    """Fresh state but for the database cluster: the test CA forgets everything when it ends, so an older run's
    certificates and account would be worth nothing."""
    for name in ("knot", "pebble", "nginx", "haproxy", "daemons", "keys"):
        shutil.rmtree(os.path.join(var, name), ignore_errors=True)
    keys = os.path.join(var, "keys")
    os.makedirs(keys)
    seal_key = os.path.join(keys, "seal.key")
    run([program("postern"), "seal-key", "new", seal_key])
    say("PostgreSQL")
    log = os.path.join(var, "postgres", "postgres.log")
    if os.path.exists(log):
        os.unlink(log)
    cluster = Cluster(os.path.join(var, "postgres"), port=free_port("127.0.0.1", wanted=WANTED["postgres"]),
                      durable=True)
    try:
        cluster.start(60)
        cluster.query("DROP DATABASE IF EXISTS postern")
        database = cluster.create("postern", "template0")
        run([program("postern"), "migrate", f"--database={database.conninfo()}"])
    except BaseException:
        cluster.stop()
        raise
    user = "nobody" if os.geteuid() == 0 and reachable_by("nobody", var) else None
    return cluster, DemoGround(var, database, seal_key, Authority(keys), None, WANTED, user,
                               secrets.token_urlsafe(24))


def records_table(tell, records):
    for record in records:
        tell.say(f"{record['type']:<6} {record['name']:<34} {record['value']}")


def play(platform, tell):
    api, dns = platform.api, platform.dns

    tell.step(f"A customer adds {FIRST}: POST /v1/domains")
    domain = api.add(FIRST)
    tell.say("answer: these records prove that the name is theirs and lead visitors here")
    records_table(tell, domain["records"])
    tell.say(f"a visitor now: {platform.refusal(FIRST).alert}, the CA has heard of nothing")

    tell.step("The customer publishes the records (dynamic update of a real authoritative DNS server)")
    dns.publish_records(domain["records"])
    visible = time.monotonic()

    tell.step("Verified: POST /v1/domains/NAME/verify looks at live DNS")
    status = api.verify(FIRST)["status"]
    tell.figure(f"status {status}, after", f"{(time.monotonic() - visible) * 1000:.0f} ms")

    tell.step("The first visitor: no certificate yet, so the handshake waits while one is made (pre-issue=off)")
    first = platform.visit(FIRST, edge=platform.edges[0])
    tell.figure("first hit, certificate made on the spot", f"{first.milliseconds:.0f} ms")
    tell.figure("from the TXT record being visible to served", f"{time.monotonic() - visible:.2f} s")
    show(tell, first)

    tell.step("The second visitor")
    second = platform.visit(FIRST, edge=platform.edges[0])
    tell.figure("second hit", f"{second.milliseconds:.1f} ms")

    tell.step("The other node: it finds the certificate in PostgreSQL")
    other = platform.visit(FIRST, edge=platform.edges[1])
    tell.figure("first hit at the other node", f"{other.milliseconds:.1f} ms")
    tell.figure("same certificate", "yes" if other.serial == first.serial else "NO")
    tell.figure("orders at the CA so far", str(platform.pebble.orders()))
    ok = other.serial == first.serial and platform.pebble.orders() == 1

    tell.step(f"A second customer, {SECOND}, with pre-issue=on: nobody clicks, nobody waits")
    platform.verifier.restart(pre_issue="on")
    domain = api.add(SECOND)
    records_table(tell, domain["records"])
    dns.publish_records(domain["records"])
    visible = time.monotonic()
    wait_until(lambda: api.show(SECOND)["status"] == "active", 60, f"{SECOND} to become active", 0.1)
    tell.figure("active, found by the background poller, after", f"{time.monotonic() - visible:.1f} s")
    wait_until(lambda: api.show(SECOND)["certificate"]["state"] == "issued", 30, "its certificate", 0.05)
    tell.figure("certificate there before any visitor, after", f"{time.monotonic() - visible:.1f} s")
    visit = platform.visit(SECOND)
    tell.figure("its first hit", f"{visit.milliseconds:.1f} ms")
    tell.figure("orders at the CA so far", str(platform.pebble.orders()))
    ok = ok and platform.pebble.orders() == 2

    tell.step("A name that nobody added")
    answer = platform.refusal("nobody.brand.test")
    tell.figure(f"TLS alert {answer.alert}, after", f"{answer.seconds * 1000:.1f} ms")
    tell.figure("orders at the CA, still", str(platform.pebble.orders()))
    if not ok or platform.pebble.orders() != 2:
        raise LabError("the story did not end as it should: see the logs in var/")


def show(tell, visit):
    app = visit.json()
    tell.say(f"certificate for {', '.join(visit.names)}, serial {visit.serial}, {visit.version}")
    tell.say(f"the app saw Host: {app['host']}, X-Forwarded-Proto: {app['x_forwarded_proto']}, "
             f"X-Forwarded-For: {app['x_forwarded_for']}")


def hints(platform, tell):
    root, resolve = "var/pebble/issuing-root.pem", f"--resolve NAME:{platform.https}:{platform.address}"
    tell.head("Try it by hand")
    tell.say(f"curl {resolve.replace('NAME', FIRST)} --cacert {root} https://{FIRST}:{platform.https}/hello")
    tell.say(f"curl -i {resolve.replace('NAME', FIRST).replace(str(platform.https), str(platform.http))} "
             f"http://{FIRST}:{platform.http}/hello")
    tell.say()
    tell.say(f"dashboard: {platform.verifier.url}/    admin token: var/admin-token")
    tell.say("a domain of your own (any name under .test):")
    tell.say(f"  curl -s -H \"Authorization: Bearer $(cat var/admin-token)\" -H 'Content-Type: application/json' \\")
    tell.say(f"       -d '{{\"name\":\"my.brand.test\"}}' {platform.verifier.url}/v1/domains")
    tell.say("  tests/support/demo publish acme_verify.my.brand.test TXT VALUE-FROM-THE-ANSWER")
    tell.say("  tests/support/demo publish my.brand.test CNAME nlb.saas.test")
    tell.say(f"  curl {resolve.replace('NAME', 'my.brand.test')} --cacert {root} https://my.brand.test:{platform.https}/")
    tell.say()
    tell.say(f"metrics: {' '.join(f'http://{one.address}:{one.admin}/metrics' for one in platform.daemons)}")
    tell.say(f"database: psql '{platform.db.conninfo()}'    logs: var/daemons/*.log var/*/*.log")


def watch(processes):
    """Until Ctrl-C; a part that ends by itself ends the demo."""
    while True:
        for process in processes:
            if not process.alive:
                raise LabError(f"{process.name} ended with {process.exit_code}: see {process.log_path}")
        time.sleep(0.5)


def interrupt(*_):
    raise KeyboardInterrupt


def tell_story(once):
    tell = Teller()
    cluster, platform, pids, code = None, None, None, 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        var = make_var(tell.say)
        pids = Pids(os.path.join(var, "pids.json"))
        pids.end_leftovers(tell.say)
        tell.head("Starting, on loopback, with state under ./var")
        cluster, ground = prepare(var, tell.say)
        pids.write([cluster.process])
        platform = Platform(ground, edge={"log_level": "info"}, acme={"log_level": "info"},
                            verifier={"log_level": "info"})
        for edge in platform.edges:
            edge.settings["https_port"] = platform.https
        tell.say("knot (DNS), Pebble (CA), nginx (app), HAProxy (TCP load balancer)")
        tell.say("postern-verifier, postern-acme, two postern-edge nodes")
        try:
            platform.start()
        finally:
            pids.write([cluster.process] + platform.processes())
        remember(var, platform)
        play(platform, tell)
        pids.write([cluster.process] + platform.processes())
        hints(platform, tell)
        if not once:
            tell.say()
            tell.say("Running. Ctrl-C ends everything that was started here.")
            watch([cluster.process] + platform.processes())
    except KeyboardInterrupt:
        tell.head("Stopping")
    except (LabError, AssertionError, OSError) as error:
        print(f"\nmake run: {error}", file=sys.stderr)
        code = 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if platform:
            platform.stop()
        if cluster:
            cluster.stop()
        if pids and os.path.exists(pids.path):
            os.unlink(pids.path)
    return code


def remember(var, platform):
    """For `demo publish`, which another process runs."""
    with open(os.path.join(var, "dns.json"), "w") as file:
        json.dump({"address": platform.dns.address, "port": platform.dns.port}, file)


def publish(name, kind, values):
    try:
        with open(os.path.join(VAR, "dns.json")) as file:
            place = json.load(file)
    except FileNotFoundError:
        print("nothing runs here: `make run` first", file=sys.stderr)
        return 1
    server = Knot.at(place["address"], place["port"])
    server.publish(name, kind, *values) if values else server.remove(name, kind)
    return 0


def main():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--once", action="store_true", default=os.environ.get("DEMO_ONCE") == "1",
                        help="end after the story, with exit code 0 if it went well (also DEMO_ONCE=1)")
    commands = parser.add_subparsers(dest="command")
    sub = commands.add_parser("publish", help="set (without values: remove) records in the running demo's DNS")
    sub.add_argument("name")
    sub.add_argument("kind", metavar="type")
    sub.add_argument("value", nargs="*")
    arguments = parser.parse_args()
    if arguments.command == "publish":
        return publish(arguments.name, arguments.kind.upper(), arguments.value)
    return tell_story(arguments.once)
