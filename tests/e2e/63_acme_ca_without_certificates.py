"""A file of trusted certificates that holds none ends the issuer's start, and is not taken for a network in trouble."""

import subprocess

from lab.place import program


def test_acme_ca_that_is_no_pem_ends_the_start_with_its_place(lab):
    ground = lab.ground()
    path = f"{ground.directory}/not-a-ca"
    with open(path, "w") as file:
        file.write("something else\n")
    done = subprocess.run([program("postern-acme"), f"--database={ground.database.conninfo('postern_acme')}",
                           f"--seal-key-file={ground.seal_key}", f"--acme-ca={path}", "--admin-listen=127.0.0.1:0",
                           "--acme-directory=https://127.0.0.1:1/dir"], text=True, timeout=10, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 2, done.stdout
    assert "acme-ca" in done.stdout and path in done.stdout
