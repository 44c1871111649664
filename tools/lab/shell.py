"""Running commands on this machine, as root where that is needed, with one sentence when something is missing."""

from __future__ import annotations

import collections
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence

#: apt serves one caller at a time, and two steps of the lab may need it at once.
APT = threading.Lock()


class NeedsHelp(Exception):
    """Something that only the person at the keyboard can put right; the message says what."""


def run(*command: str, quiet: bool = True, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run a command.

    :param quiet: keep its output and show it only when it fails.
    :raises NeedsHelp: when it fails and ``check`` is set.
    """
    output = subprocess.PIPE if quiet else None
    errors = subprocess.STDOUT if quiet else None
    done = subprocess.run(command, stdout=output, stderr=errors, text=True, check=False, **options)
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout or "").strip().splitlines()[-15:])
        raise NeedsHelp(f"'{' '.join(command)}' failed with status {done.returncode}.\n{tail}".rstrip())
    return done


def follow(tell: Callable[[str], None], *command: str) -> None:
    """Run a command that takes long, and hand on each line that it prints.

    :raises NeedsHelp: when it fails, with the last lines.
    """
    last: collections.deque[str] = collections.deque(maxlen=15)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout or ():
            last.append(line.rstrip())
            tell(line.strip())
    if running.returncode != 0:
        tail = "\n".join(last)
        raise NeedsHelp(f"'{' '.join(command)}' failed with status {running.returncode}.\n{tail}".rstrip())


def succeeds(*command: str) -> bool:
    """Whether a command exists and ends with status 0."""
    return shutil.which(command[0]) is not None and run(*command, check=False).returncode == 0


def as_root() -> Sequence[str]:
    """The words to put before a command that needs root.

    :raises NeedsHelp: when this account can neither be root nor become it without a password.
    """
    if os.geteuid() == 0:
        return ()
    if succeeds("sudo", "-n", "true"):
        return ("sudo", "-n")
    raise NeedsHelp("root is needed to install packages and start the Docker engine: run as root, or allow sudo.")


def install(*packages: str) -> None:
    """Install Debian packages."""
    root = as_root()
    if shutil.which("apt-get") is None:
        raise NeedsHelp(f"install {', '.join(packages)} first: this machine has no apt-get to do it with.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with APT:
        run(*root, "apt-get", "update", "-qq", env=environment)
        run(*root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, env=environment)
