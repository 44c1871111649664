# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads which system a host has, and which of its packages are there, from the files that apt and dpkg keep."""

from __future__ import annotations

import glob
import os
import shlex
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files


def read(root: str = "/") -> dict[str, t.Any]:
    """Return what the module ``packages_info`` returns.

    :param root: where the host's files are.
    """
    system = fields(files.text(os.path.join(root, "etc/os-release")))
    return {
        "system": system.get("ID", ""),
        "release": system.get("VERSION_ID", ""),
        "system_name": system.get("PRETTY_NAME", ""),
        "packages": installed(files.text(os.path.join(root, "var/lib/dpkg/status"))),
        "index_age": _index_age(os.path.join(root, "var/lib/apt/lists")),
    }


def fields(text: str) -> dict[str, str]:
    """Read os-release(5): names and values, quoted as a shell would."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            try:
                found[name] = "".join(shlex.split(value))
            except ValueError:
                continue
    return found


def installed(status: str) -> list[str]:
    """Return the packages that are installed, from dpkg's own list, sorted."""
    found = set()
    name = ""
    for line in status.splitlines():
        if line.startswith("Package: "):
            name = line[len("Package: ") :].strip()
        elif line.startswith("Status: ") and line.split()[-1] == "installed":
            found.add(name)
    return sorted(found)


def _index_age(lists: str) -> int | None:
    """Return the seconds since apt last fetched its index; None where there is none."""
    try:
        age = time.time() - os.stat(lists).st_mtime
    except OSError:
        return None
    return int(age) if glob.glob(os.path.join(glob.escape(lists), "*_Packages*")) else None
