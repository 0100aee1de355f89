"""A CA of a customer's: root, intermediate, and leaves of every kind, good and bad. Made with openssl; as PEM texts."""

import os
import secrets

from .process import run

P256, P384, P521 = (("ec", "-pkeyopt", f"ec_paramgen_curve:P-{bits}") for bits in (256, 384, 521))
EXTENSIONS = "basicConstraints=critical,CA:{ca}\n{more}\n"
# What `openssl ca` wants to hear, since nothing else sets the first day.
CONFIG = """[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index\nserial={base}/serial\nnew_certs_dir={base}\npolicy=p\nunique_subject=no
default_md=sha256\n[p]\ncommonName=supplied\n"""


class Issued:
    """A leaf and what belongs to it, as PEM; `chain` is what a customer uploads."""

    def __init__(self, leaf, key, links, serial):
        self.leaf, self.key, self.serial = leaf, key, serial
        self.chain = leaf + "".join(links)


class PrivateCA:
    def __init__(self, directory):
        self.base, self._count, self._keys = directory, 0, {}
        with open(os.path.join(directory, "ca.conf"), "w") as file:
            file.write(CONFIG.format(base=directory))
        open(os.path.join(directory, "index"), "w").close()
        self._openssl("req", "-x509", "-newkey", *P256, "-nodes", "-days", "3650", "-subj", "/CN=Customer's root",
                      "-keyout", "root.key", "-out", "root.pem")
        self._request("middle", "Customer's intermediate", P256)
        self._write("middle.ext", EXTENSIONS.format(ca="TRUE", more="keyUsage=keyCertSign"))
        self._openssl("x509", "-req", "-in", "middle.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
                      "-days", "3000", "-extfile", "middle.ext", "-out", "middle.pem")
        self.root, self.middle = self._read("root.pem"), self._read("middle.pem")

    @property
    def root_file(self):
        return os.path.join(self.base, "root.pem")

    def _openssl(self, *words, text=None):
        return run(["openssl", *words], cwd=self.base, input=text)

    def _read(self, name):
        with open(os.path.join(self.base, name)) as file:
            return file.read()

    def _write(self, name, text):
        with open(os.path.join(self.base, name), "w") as file:
            file.write(text)

    def _request(self, base, subject, kind):
        self._openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={subject}", "-keyout", f"{base}.key",
                      "-out", f"{base}.csr")

    def issue(self, *names, kind=P256, start=None, end=None, digest="sha256", more="", of=None):
        """A certificate for DNS names. `start`, `end` as openssl writes times; `of`: an earlier one, whose key it
        gets."""
        self._count += 1
        base = of or f"leaf{self._count}"
        if not of:
            self._request(base, "leaf", kind)
        out = f"issued{self._count}"
        alternatives = "subjectAltName=" + ",".join(f"DNS:{name}" for name in names) if names else ""
        self._write(f"{out}.ext", EXTENSIONS.format(ca="FALSE", more=f"{alternatives}\n{more}"))
        serial = f"{secrets.randbits(62) | 1 << 62:x}"
        authority = ["-extfile", f"{out}.ext", "-out", f"{out}.pem", "-in", f"{base}.csr"]
        if start or end:
            self._write("serial", serial.upper())
            self._openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "middle.pem", "-keyfile", "middle.key",
                          "-md", digest, "-startdate", start or "20200101000000Z", "-enddate", end or "20491231000000Z",
                          *authority)
        else:
            self._openssl("x509", "-req", "-CA", "middle.pem", "-CAkey", "middle.key", "-set_serial", f"0x{serial}",
                          "-days", "2000", f"-{digest}", *authority)
        leaf = self._read(f"{out}.pem")
        issued = Issued(leaf, self._read(f"{base}.key"), [self.middle, self.root], serial)
        issued.base = base
        return issued

    def renew(self, issued, *names, **options):
        """Another one for the same key."""
        return self.issue(*names, of=issued.base, **options)

    def encrypt(self, key, passphrase, *options):
        """The key as PKCS #8, encrypted."""
        self._write("open.key", key)
        return self._openssl("pkcs8", "-topk8", "-in", "open.key", "-passout", f"pass:{passphrase}", *options)

    def convert(self, text, *command):
        """What openssl makes of a PEM text that it reads from `in.pem`."""
        self._write("in.pem", text)
        return self._openssl(*command)
