"""Programs in JavaScript with packages of npm, in tests/browser: what a browser needs, and clients that many apps use."""

import fcntl
import os
import subprocess

import pytest

from .place import ROOT, tool

BROWSER = os.path.join(ROOT, "tests", "browser")


def install(package):
    """The packages as the lock file has them, once per clone, by one scenario at a time. Where npm's registry is out of
    reach the scenario is skipped, visibly."""
    with open(os.path.join(BROWSER, "package-lock.json")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(BROWSER, "node_modules", package, "package.json")):
            _install(package)


def _install(package):
    npm = subprocess.run([tool("npm"), "ci", "--fetch-retries=1", "--fetch-timeout=20000"], cwd=BROWSER, timeout=180,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if npm.returncode != 0:
        pytest.skip(f"npm cannot install {package}: " + " ".join(npm.stdout.split())[-300:])
