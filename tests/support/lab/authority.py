"""A small CA made with openssl, for the listeners of servers that stand in for the internet's (the test CA's API,
an ask endpoint by https). It has nothing to do with the certificates that visitors see."""

import os

from .process import run


class Authority:
    def __init__(self, directory):
        self.directory = directory
        self.ca, self.key = os.path.join(directory, "lab-ca.pem"), os.path.join(directory, "lab-ca.key")
        if not os.path.exists(self.ca):
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                 "3650", "-subj", "/CN=Postern laboratory", "-keyout", self.key, "-out", self.ca])

    def issue(self, name, *subjects, rsa=False, extra=()):
        """Certificate and key files for subjects like `IP:127.0.0.1`, `DNS:localhost`."""
        base = os.path.join(self.directory, name)
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "365",
             "-subj", f"/CN={name}", "-CA", self.ca, "-CAkey", self.key, "-addext",
             "subjectAltName=" + ",".join(subjects), "-addext", "basicConstraints=critical,CA:FALSE",
             *[word for one in extra for word in ("-addext", one)], "-keyout", base + ".key", "-out", base + ".pem"])
        return base + ".pem", base + ".key"
