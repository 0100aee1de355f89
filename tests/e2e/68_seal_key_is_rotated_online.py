"""A new seal key goes in while visitors are served and certificates are issued: several keys in use at once, every
sealed row sealed anew, and the old key not needed any more."""

import os
import threading

from lab.place import program
from lab.process import run, wait_until


class Visitors:
    """Visit every name at every edge without a pause."""

    def __init__(self, platform, names):
        self.count, self.failures, self._stop = 0, [], threading.Event()
        self._thread = threading.Thread(target=self._run, args=(platform, names), daemon=True)
        self._thread.start()

    def _run(self, platform, names):
        while not self._stop.is_set():
            for name in names:
                for edge in platform.edges:
                    try:
                        assert platform.visit(name, edge=edge).status == 200
                        self.count += 1
                    except (OSError, AssertionError) as error:
                        self.failures.append((name, edge.name, error))

    def stop(self):
        self._stop.set()
        self._thread.join(20)


def key_file(folder, name, *sources):
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        for source in sources:
            with open(source) as part:
                file.write(part.read())
    return path


def restart_nodes(platform, path):
    """One after the other, as a rollout does. The visitors go to the edges by themselves."""
    for part in platform.issuers:
        part.restart(seal_key_file=path)


def rotate(platform, path):
    return run([program("postern"), "seal-key", "rotate", f"--database={platform.db.conninfo()}",
                f"--seal-key-file={path}"])


def test_rotation_while_two_nodes_serve(lab):
    platform = lab.prepare(issuers=2)
    folder = lab.folder("keys")
    old = key_file(folder, "old", platform.ground.seal_key)
    fresh = os.path.join(folder, "fresh")
    run([program("postern"), "seal-key", "new", fresh])
    # First every node learns the new key, as its second: it opens what others seal with it.
    second = key_file(folder, "second", old, fresh)
    for part in platform.edges + platform.issuers:
        part.settings["seal_key_file"] = second
    platform.start()
    names = [f"n{index}.brand.test" for index in range(6)]
    for name in names:
        platform.activate(name)
        platform.visit(name)
    visitors = Visitors(platform, names[:3])

    # Then it comes first, on the issuers one by one, and all that is stored is sealed anew; new names go on.
    first = key_file(folder, "first", fresh, old)
    told = rotate(platform, first)
    assert "certificates.key_sealed: 6 rows, 6 sealed anew" in told, told
    assert "ca_accounts.key_sealed: 1 rows, 1 sealed anew" in told, told
    platform.activate("between.brand.test")
    platform.visit("between.brand.test")
    restart_nodes(platform, first)
    platform.activate("after.brand.test")
    platform.visit("after.brand.test")
    told = rotate(platform, first)
    assert "8 rows, 1 sealed anew" in told, told
    assert "0 sealed anew" in rotate(platform, first)
    visitors.stop()
    assert not visitors.failures, visitors.failures[:3]
    assert visitors.count > 20

    # The old key is taken away: nothing misses it.
    for part in platform.issuers + platform.edges:
        part.restart(seal_key_file=fresh)
    for name in names + ["between.brand.test", "after.brand.test"]:
        for edge in platform.edges:
            wait_until(lambda: platform.visit(name, edge=edge).status == 200, 5, name)
    platform.activate("last.brand.test")
    platform.visit("last.brand.test")
    assert platform.pebble.orders() == 9

    # And the old key opens nothing in the database.
    with open(old) as file:
        old_id = file.read().split()[1]
    dump = platform.db.dump()
    assert f"01{old_id}" not in dump
    assert "PRIVATE KEY" not in dump
