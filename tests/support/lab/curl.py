"""curl as a client that streams: over HTTP/1.1 or HTTP/2, its body and the answer's as pipes."""

import os
import re
import select
import subprocess
import tempfile
import time

from .place import tool


class Curl:
    """One transfer. `options` are curl's own; an upload, whose length curl does not know, is written with `send` and
    ended with `end`."""

    def __init__(self, platform, name, path, version="1.1", options=(), upload=False, edge=None):
        address, port = (edge or platform.edge).address, platform.https
        self._heads = tempfile.NamedTemporaryFile(prefix="curl-heads-", mode="r")
        argv = [tool("curl"), "-sS", "-N", "--max-time", "60", "--cacert", platform.pebble.root, "-D", self._heads.name,
                "--resolve", f"{name}:{port}:{address}", "--http2" if version == "2" else "--http1.1", *options]
        if upload:
            argv += ["-T", ".", "-H", "Expect:"]
        self.process = subprocess.Popen(argv + [f"https://{name}:{port}{path}"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.PIPE if upload else subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()

    def read(self, size, seconds=10):
        """Exactly so many bytes of the body, as they come; fewer at its end or when time is up."""
        data, until = b"", time.monotonic() + seconds
        while len(data) < size and select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))[0]:
            chunk = os.read(self.process.stdout.fileno(), min(size - len(data), 1024 * 1024))
            if not chunk:
                break
            data += chunk
        return data

    def rest(self):
        """The rest of the body; what curl complains of is an error."""
        body = self.process.stdout.read()
        assert self.process.wait(60) == 0, self.process.stderr.read().decode()
        return body

    @property
    def head(self):
        """(version, status, fields in lower case) of the final answer."""
        with open(self._heads.name) as file:
            lines = file.read().strip().split("\n\n")[-1].splitlines()
        version, status = re.match(r"HTTP/([\d.]+) (\d+)", lines[0]).groups()
        return version, int(status), {name.strip().lower(): value.strip() for name, _, value in
                                      (line.partition(":") for line in lines[1:])}

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe and not pipe.closed:
                try:
                    pipe.close()
                except OSError:
                    pass
        self.process.wait()
        self._heads.close()
