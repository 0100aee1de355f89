"""A small internet of its own: servers at public addresses, in a network namespace beside ours, joined to it by a cable. For
what treats public addresses, private ones and this machine's own differently."""

import ctypes
import os
import queue
import threading

from .dns_tree import CLONE_NEWNET
from .place import tool
from .process import run

_libc = ctypes.CDLL(None, use_errno=True)


class Internet:
    """To be made in a thread of a network namespace of its own (run_in_own_network), which is then this side of the cable, at
    `here`; `there` are the addresses of the other side. The other side lives until close()."""

    def __init__(self, here, there, prefix=16):
        self._calls, self._thread_id = queue.Queue(), queue.Queue()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        other = f"/proc/self/task/{self._thread_id.get()}/ns/net"
        ip = tool("ip")
        run([ip, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", other.replace("self", str(os.getpid()))])
        run([ip, "addr", "add", f"{here}/{prefix}", "dev", "cable"])
        run([ip, "link", "set", "cable", "up"])

        def set_up():
            run([ip, "link", "set", "lo", "up"])
            for address in there:
                run([ip, "addr", "add", f"{address}/{prefix}", "dev", "cable"])
            run([ip, "link", "set", "cable", "up"])
        self.run(set_up)

    def _live(self):
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot make a second network namespace")
        self._thread_id.put(threading.get_native_id())
        while (call := self._calls.get()) is not None:
            function, done = call
            try:
                done.put((function(), None))
            except BaseException as error:  # handed on to the caller
                done.put((None, error))

    def run(self, function):
        """Runs it over there; what it starts and binds is there too. Returns its value, raises what it raised."""
        done = queue.Queue()
        self._calls.put((function, done))
        value, error = done.get()
        if error:
            raise error
        return value

    def close(self):
        self._calls.put(None)
        self._thread.join()
