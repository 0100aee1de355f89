"""A clock that steps, for one program: libfaketime."""

import glob

import pytest

from .place import is_sanitized


class Clock:
    """A process started with `environment` takes the time to be what `set("+91d")` says, at once. Its monotonic clock stays."""

    def __init__(self, directory, library):
        self.path = f"{directory}/clock"
        self.environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.set("+0")

    def set(self, shift):
        with open(self.path, "w") as file:
            file.write(shift)


def clock_or_skip(lab, name="clock"):
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found or is_sanitized("postern-acme"):
        pytest.skip("no libfaketime, or a sanitizer that does not go with it")
    return Clock(lab.folder(name), found[0])
