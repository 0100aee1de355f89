"""Certificates of the operator's own: made by a CA of theirs, stored by `postern certificate import`."""

import subprocess

from . import tls
from .authority import Authority
from .place import program
from .process import run


class Uploads:
    def __init__(self, platform, folder):
        self.platform, self.authority, self._count = platform, Authority(folder), 0
        self.trust = tls.trust(self.authority.ca)

    def postern(self, *words):
        return [program("postern"), "certificate", *words, f"--database={self.platform.db.conninfo()}"]

    def make(self, *names, **options):
        """Chain and key files of a new certificate."""
        self._count += 1
        return self.authority.issue(f"upload{self._count}", *[f"DNS:{name}" for name in names], **options)

    def store(self, name, chain, key):
        run(self.postern("import", name, f"--chain={chain}", f"--key={key}",
                         f"--seal-public-file={self.platform.ground.seal_key}.pub"))

    def add(self, name, *more, **options):
        """Makes a certificate for the names and stores it for the first. Returns its serial as a visit shows it."""
        chain, key = self.make(name, *more, **options)
        self.store(name, chain, key)
        return run(["openssl", "x509", "-in", chain, "-noout", "-serial"]).strip().split("=")[1].lower()

    def remove(self, name):
        run(self.postern("remove", name))

    def fails(self, *words):
        """What a command that must fail says."""
        done = subprocess.run(self.postern(*words), capture_output=True, text=True, timeout=60)
        assert done.returncode != 0, done.stdout
        return done.stderr
