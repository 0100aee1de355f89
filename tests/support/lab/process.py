"""One process that the laboratory started: its log, its end, and nobody else's."""

import ctypes
import os
import pwd
import re
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something of the laboratory's own did not work; the message says what to look at."""


def wait_until(predicate, seconds=10.0, what="condition", interval=0.01):
    """Polls until `predicate()` is true and returns its value; the test fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for: {what}; last value {value!r}")
        time.sleep(interval)


def run(argv, **options):
    """Runs a command to its end; its output is in the error when it fails."""
    options.setdefault("timeout", 60)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def as_user(user, argv):
    """The command line that runs `argv` as that user, where we are root; unchanged where we are not."""
    if os.geteuid() != 0 or user is None:
        return argv
    gid = str(pwd.getpwnam(user).pw_gid)
    # A change of user clears the parent-death signal that Process sets.
    return ["setpriv", "--pdeathsig=INT", f"--reuid={user}", f"--regid={gid}", "--clear-groups"] + argv


def connects(address, port, timeout=1):
    try:
        socket.create_connection((address, port), timeout).close()
        return True
    except OSError:
        return False


class Process:
    """Started at once. `log` is where its output goes. Ends with the laboratory, or with the test program's death."""

    def __init__(self, name, argv, log, env=None, cwd=None, user=None):
        self.name, self.argv, self.log_path = name, argv, log
        parent = os.getpid()

        def die_with_parent():
            # Not SIGKILL: nginx's master would leave its workers behind.
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with open(log, "ab") as out:
            self.log_start = out.tell()
            self._popen = subprocess.Popen(
                as_user(user, argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                env=dict(os.environ, **(env or {})), start_new_session=True, preexec_fn=die_with_parent)
        self.pid = self._popen.pid

    @property
    def exit_code(self):
        """None while it runs."""
        return self._popen.poll()

    @property
    def alive(self):
        return self.exit_code is None

    def log(self):
        """What it has written since this start."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def logged(self, pattern):
        return re.search(pattern, self.log())

    def wait_log(self, pattern, seconds=20):
        return wait_until(lambda: self.logged(pattern), seconds, f"{self.name} to log /{pattern}/")

    def wait_ready(self, is_ready, seconds=30):
        """Polls `is_ready()`; an early exit is reported with the end of the log."""
        def look():
            if not self.alive:
                raise LabError(f"{self.name} ended with {self.exit_code} at its start\n{self.log()[-3000:]}")
            return is_ready()
        try:
            wait_until(look, seconds, f"{self.name} to be ready")
        except AssertionError as error:
            raise LabError(f"{error}\n{self.log()[-3000:]}") from None

    def send(self, number):
        if self.alive:
            os.kill(self.pid, number)

    def freeze(self):
        """SIGSTOP to it and its children: its sockets stay open and silent."""
        for pid in [self.pid] + descendants(self.pid):
            _kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in descendants(self.pid) + [self.pid]:
            _kill(pid, signal.SIGCONT)

    def ask_to_end(self, number=signal.SIGTERM):
        self.thaw()
        self.send(number)

    def stop(self, seconds=20, number=signal.SIGTERM):
        """Asks it to end, waits, insists. Returns its exit code."""
        if self.alive:
            self.ask_to_end(number)
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.exit_code

    def wait(self, seconds):
        return self._popen.wait(seconds)

    def kill(self):
        """SIGKILL, to its children too."""
        if not self.alive:
            return
        pids = descendants(self.pid)
        self.send(signal.SIGKILL)
        self._popen.wait(10)
        for pid in pids:
            _kill(pid, signal.SIGKILL)

    def rss(self):
        """Resident bytes."""
        return int(re.search(r"VmRSS:\s+(\d+)", _read(f"/proc/{self.pid}/status"))[1]) * 1024

    def cpu(self):
        """Seconds of processor time that it has used."""
        fields = _read(f"/proc/{self.pid}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def descendants(pid):
    """Children's pids, and theirs; empty when it is gone."""
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return found
    for task in tasks:
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            found += [int(child)] + descendants(int(child))
    return found


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
