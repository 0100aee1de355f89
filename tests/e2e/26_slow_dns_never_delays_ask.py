"""Fifty verifications that hang in DNS leave the ask endpoint as fast as it was."""

import socket
import statistics
import threading
import time

from lab.place import free_port
from lab.process import wait_until

HANGING = 50


class SilentServer:
    """A DNS server that takes every question and answers none."""

    def __init__(self, address):
        self.address, self.port, self.questions = address, free_port(address), 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, self.port))
        threading.Thread(target=self._swallow, daemon=True).start()

    def _swallow(self):
        try:
            while self._socket.recvfrom(4096):
                self.questions += 1
        except OSError:
            pass

    def close(self):
        self._socket.close()


def ask_times(platform, count):
    times = []
    for _ in range(count):
        start = time.monotonic()
        assert platform.verifier.ask("shop.brand.test") == 200
        times.append((time.monotonic() - start) * 1000)
    return times


def test_ask_answers_while_fifty_look_ups_hang(lab):
    platform = lab.prepare(edges=0)
    silent = lab.use(SilentServer(platform.ground.address(3)))
    platform.verifier.settings["dns_stub"] = [platform.dns.stub, f"silent.test={silent.address}@{silent.port}"]
    platform.start()
    platform.activate("shop.brand.test")
    before = ask_times(platform, 50)

    names = [f"shop{number}.silent.test" for number in range(HANGING)]
    for name in names:
        platform.api.add(name)
    threads = [threading.Thread(target=platform.api.call, args=("POST", f"/v1/domains/{name}/verify"), daemon=True)
               for name in names]
    for thread in threads:
        thread.start()
    wait_until(lambda: silent.questions >= HANGING, 10, "the look-ups to hang")
    during = ask_times(platform, 50)
    hanging = sum(thread.is_alive() for thread in threads)
    print(f"ask p50/worst: {statistics.median(before):.1f}/{max(before):.1f} ms idle, "
          f"{statistics.median(during):.1f}/{max(during):.1f} ms while {hanging} look-ups hang")
    assert hanging > 0, "the look-ups must outlast the measurement"
    assert max(during) < 2000, "less than a look-up hangs"
    assert statistics.median(during) < statistics.median(before) * 3 + 50

    start = time.monotonic()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    print(f"the last look-up ended {time.monotonic() - start:.1f} s later")
