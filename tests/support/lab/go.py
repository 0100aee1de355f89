"""Programs that Debian lacks, built by Go where Go can."""

import functools
import os
import subprocess

from .place import BUILD, one_at_a_time, tool


@functools.cache
def go_program(package):
    """Path of `package@version`, built once; None where Go, or its proxy, is not at hand."""
    folder = os.path.join(BUILD, "go")
    name = os.path.basename(package).split("@")[0]
    path = os.path.join(folder, name)
    with one_at_a_time(name):
        if not os.path.exists(path):
            try:
                environment = {**os.environ, "GOBIN": folder, "GOFLAGS": "-p=1"}
                subprocess.run([tool("go"), "install", package], env=environment, timeout=240, check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            except (OSError, subprocess.SubprocessError):
                return None
    return path
