"""The virtual environment with every pinned package, and the checkout's place among the collections."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys

from . import phases
from .paths import COLLECTION_LINK, ROOT, VENV
from .shell import NeedsHelp, follow, install, run, succeeds


def ensure() -> str:
    """Make the environment, and again when ``requirements.txt`` changed.

    :returns: what was done, in a few words.
    """
    link_collection()
    requirements = ROOT / "requirements.txt"
    wanted = hashlib.sha256(f"{sys.version}{ROOT}{requirements.read_text()}".encode()).hexdigest()
    stamp = VENV / "stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return "is there"
    if sys.version_info < (3, 11):
        raise NeedsHelp(f"Python 3.11 or later is needed, not {sys.version.split()[0]}: make PYTHON=python3.11 …")
    if not succeeds(sys.executable, "-c", "import ensurepip"):
        install(f"python3.{sys.version_info.minor}-venv")
    shutil.rmtree(VENV, ignore_errors=True)
    # The interpreter itself, should this run in the environment that was just removed.
    run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", str(VENV))
    options = ("--disable-pip-version-check", "--progress-bar=off")
    follow(_tell, str(VENV / "bin/pip"), "install", *options, "-r", str(requirements))
    stamp.write_text(wanted)
    return "built"


def _tell(line: str) -> None:
    """Say which package pip is at. Its warnings about the machine's own settings are shown only when it fails."""
    if line.startswith(("Collecting ", "Downloading ", "Building ", "Installing ")):
        phases.tell("environment", line)


def link_collection() -> None:
    """Put the checkout where Ansible looks for ``scaleout.platform``."""
    COLLECTION_LINK.parent.mkdir(parents=True, exist_ok=True)
    if not COLLECTION_LINK.is_symlink():
        COLLECTION_LINK.symlink_to("../../../..")


def ansible(*arguments: str, **environment: str) -> int:
    """Run a program of the environment in the checkout and return its status."""
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(arguments, cwd=ROOT, env={**os.environ, "PATH": path, **environment}, check=False).returncode
