"""One thread of a process frozen, while its others run: SIGSTOP stops them all, PTRACE_INTERRUPT only the one."""

import ctypes
import os

import pytest

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def thread_named(pid, name):
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as file:
            if file.read().strip() == name:
                return int(task)
    raise AssertionError(f"{pid} has no thread {name}")


class FrozenThread:
    """`with FrozenThread(process, "worker-0"):` from one thread of ours."""

    def __init__(self, process, name):
        self.thread = thread_named(process.pid, name)

    def __enter__(self):
        if _libc.ptrace(SEIZE, self.thread, None, None) != 0:
            pytest.skip(f"ptrace: {os.strerror(ctypes.get_errno())}")
        assert _libc.ptrace(INTERRUPT, self.thread, None, None) == 0
        os.waitpid(self.thread, WALL)
        return self

    def __exit__(self, *_):
        assert _libc.ptrace(DETACH, self.thread, None, None) == 0
