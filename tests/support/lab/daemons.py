"""Postern's own daemons, each with settings as keyword arguments (`issue_wait="5s"` is `--issue-wait=5s`; a list
repeats the setting; None leaves it out)."""

import os
import re
import signal

from .place import free_port, program
from .process import LabError, Process
from .servers import http_status


def command_line(settings):
    argv = []
    for name, value in settings.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        argv += [f"--{name.replace('_', '-')}={one}" for one in values if one is not None]
    return argv


class Daemon:
    program = None

    def __init__(self, directory, name, address, settings, wanted_admin=()):
        self.directory, self.name, self.address = directory, name, address
        self.admin = free_port(address, wanted=wanted_admin)
        self.settings = {"admin_listen": f"{address}:{self.admin}", "log_level": "debug", **settings}
        self.environment = {}
        self.prefix = []  # of its command line
        self.process = None

    def start(self, wait=True, **settings):
        """Starts it, again if need be; `settings` replace former ones."""
        if self.process and self.process.alive:
            raise LabError(f"{self.name} is running")
        self.settings.update(settings)
        argv = self.prefix + [program(self.program)] + command_line(self.settings)
        self.process = Process(self.name, argv, os.path.join(self.directory, f"{self.name}.log"),
                               env=self.environment)
        if wait:
            self.wait_ready()
        return self

    def restart(self, **settings):
        self.stop()
        return self.start(**settings)

    def wait_ready(self, seconds=30):
        self.process.wait_ready(self.is_ready, seconds)

    def is_ready(self):
        return http_status(self.address, self.admin, "/readyz")[0] == 200

    def metrics(self):
        """Sample → value, as `postern_x_total{label="v"}`."""
        status, text = http_status(self.address, self.admin, "/metrics")
        if status != 200:
            raise LabError(f"{self.name}: /metrics answers {status} {text}")
        return {sample: float(value) for sample, value in re.findall(r"^([^#\s].*) (\S+)$", text, re.M)}

    def metric(self, name, **labels):
        """Sum of the samples of that name that carry these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(value for sample, value in self.metrics().items()
                   if re.match(rf"{name}(\{{|$)", sample) and all(text in sample for text in wanted))

    def stop(self, seconds=20):
        return self.process.stop(seconds) if self.process else None

    def kill(self):
        self.process.kill()

    def freeze(self):
        self.process.send(signal.SIGSTOP)

    def thaw(self):
        self.process.send(signal.SIGCONT)


class Edge(Daemon):
    program = "postern-edge"

    def __init__(self, directory, name, address, https, http, settings, wanted_admin=()):
        self.https, self.http = https, http
        super().__init__(directory, name, address, {
            "listen_https": f"{address}:{https}", "listen_http": f"{address}:{http}", "workers": 2,
            "drain_delay": "0s", "drain_timeout": "10s", **settings}, wanted_admin)


class Acme(Daemon):
    program = "postern-acme"


class Verifier(Daemon):
    program = "postern-verifier"

    def __init__(self, directory, name, address, settings, wanted_ports=((), ()), wanted_admin=()):
        self.port = free_port(address, wanted=wanted_ports[0])
        self.ask_port = free_port(address, wanted=wanted_ports[1])
        super().__init__(directory, name, address, {
            "listen": f"{address}:{self.port}", "ask_listen": f"{address}:{self.ask_port}", **settings}, wanted_admin)

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    @property
    def ask_url(self):
        return f"http://{self.address}:{self.ask_port}/domains/verify"

    def ask(self, name):
        """The ask endpoint's status for a name."""
        return http_status(self.address, self.ask_port, f"/domains/verify?domain={name}", timeout=10)[0]
