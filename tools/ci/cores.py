#!/usr/bin/env python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the unit tests and ansible-test's sanity tests on a supported ansible-core that is not the pinned one.

``cores.toml`` says which. Each core gets a virtual environment below ``.cache/cores``, with the packages of the unit
tests as ``requirements.txt`` pins them; it is built again when either file changes.
"""

from __future__ import annotations

import glob
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
# This collection, and those that the pinned package ``ansible`` brings: playbooks need both.
COLLECTIONS = f"{ROOT / '.ansible/collections'}{os.pathsep}{sysconfig.get_path('purelib')}"
CORES = pathlib.Path(__file__).with_name("cores.toml")
# What the tests run or reach through ansible-core, the lab's VMs among it; what they import is found in their files.
NEEDED = ("ansible-runner", "docker", "import-linter", "jmespath", "pytest")
IMPORTING = ("plugins", "roles", "tests/unit")


def cores() -> dict[str, dict[str, str]]:
    """Return the supported cores by their name, ``oldest`` and ``newest``."""
    return tomllib.loads(CORES.read_text(encoding="utf-8"))


def pinned(requirements: str, names: tuple[str, ...]) -> list[str]:
    """Return the lines of ``requirements.txt`` that pin these packages.

    :raises ValueError: when one of them is not pinned there.
    """
    pins = dict(re.findall(r"(?m)^(([A-Za-z0-9_.-]+)==\S+)$", requirements))
    by_name = {name: pin for pin, name in pins.items()}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError(f"requirements.txt does not pin {', '.join(missing)}.")
    return [by_name[name] for name in names]


def imported(root: pathlib.Path) -> set[str]:
    """Return the distributions, by normalized name, that are imported by unit tests and by what they try."""
    files = (path for folder in IMPORTING for path in (root / folder).rglob("*.py"))
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    modules = set(re.findall(r"(?m)^\s*(?:from|import) (\w+)", code))
    found = importlib.metadata.packages_distributions()
    return {re.sub(r"[-_.]+", "-", name).lower() for module in modules for name in found.get(module, ())}


def needed(requirements: str, root: pathlib.Path) -> tuple[str, ...]:
    """Return the pinned packages that unit tests need beside a core, which brings packages of its own."""
    pins = set(re.findall(r"(?m)^([A-Za-z0-9_.-]+)==", requirements)) - {"ansible", "ansible-core"}
    return tuple(sorted({*NEEDED, *(pins & imported(root))}))


def interpreter(least: str) -> str | None:
    """Return a Python of at least this minor version that starts, the oldest first; None when there is none."""
    minor = int(least.partition(".")[2])
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    for version in (f"3.{number}" for number in range(minor, minor + 3)):
        for path in [shutil.which(f"python{version}"), *sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python"))]:
            # A shim of pyenv is found and yet does not start.
            if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
                return path
    return None


def environment(version: str, python: str) -> pathlib.Path:
    """Return the virtual environment of a core, built if need be."""
    venv = ROOT / ".cache/cores" / version
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    packages = [f"ansible-core=={version}", *pinned(requirements, needed(requirements, ROOT))]
    stamp = venv / "stamp"
    wanted = "\n".join([python, *packages])
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(venv)], check=True)
        subprocess.run(
            [str(venv / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *packages], check=True
        )
        stamp.write_text(wanted, encoding="utf-8")
    return venv


def main(names: list[str]) -> int:
    """Run both kinds of tests on the cores named; return the exit status."""
    failed = []
    for name in names or ["newest"]:
        core = cores()[name]
        python = interpreter(core["python"])
        if python is None:
            print(f"ansible-core {core['version']} needs Python {core['python']} or later, and none is installed here.")
            return 2
        path = f"{environment(core['version'], python) / 'bin'}{os.pathsep}{os.environ['PATH']}"
        variables = {**os.environ, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS}
        for command in (["pytest", "-q", "-p", "no:cacheprovider", "tests/unit"], ["tools/ci/sanity"]):
            started = time.monotonic()
            status = subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
            told = f"{command[0]} on ansible-core {core['version']}"
            print(f"cores: {told} {'failed' if status else 'passed'} in {time.monotonic() - started:.0f} s", flush=True)
            if status:
                failed.append(told)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
