# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads which packages of a host have newer versions in apt's index, and since when runs what is made of them.

A program that has started before its package was unpacked runs from files that are gone. Its version says nothing: a
new revision of a package may have the same one.
"""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files, unit

#: Seconds in which apt reads its index, on a host that is busy.
_PATIENCE = 60

#: What dpkg calls a package that is there.
_THERE = ("installed", "triggers-awaited", "triggers-pending")

_PACKAGE = re.compile(r"^(\S+):$")
_VERSION = re.compile(r"^ (?:\*\*\*|   ) (\S+) -?\d+$")
_SECURITY = re.compile(r"^ {8}\s*-?\d+ \S+ \S*-security/")


class Installed(t.NamedTuple):
    """A package as dpkg has it.

    :param held: whether the host's administrator keeps it as it is.
    """

    version: str
    held: bool


class Offered(t.NamedTuple):
    """What apt would install.

    :param security: whether it is one of the distribution's security updates.
    """

    version: str
    security: bool


def read(patterns: t.Sequence[str], units: t.Sequence[str], root: str = "/") -> dict[str, t.Any]:
    """Return what the module ``package_updates_info`` returns.

    :param patterns: regular expressions for the beginnings of packages' names.
    :param root: where the host's files are.
    :raises InvalidInput: a pattern is none; :raises ScaleoutError: apt does not answer.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidInput("packages", pattern, f"is no regular expression: {error}") from None
    status = files.text(os.path.join(root, "var/lib/dpkg/status"))
    there = installed(status)
    half = [name for name in unfinished(status) if any(re.match(one, name) for one in patterns)]
    if half:
        text = f"dpkg has not finished with {', '.join(half)}; type dpkg --configure -a there"
        raise ScaleoutError(f"{text}.", code="no_package_index")
    found = {name: there[name] for name in sorted(there) if any(re.match(one, name) for one in patterns)}
    done = run(["apt-cache", "policy", *found], _PATIENCE) if found else None
    if done and done.status:
        raise ScaleoutError(f"apt-cache does not say which packages there are: {done.said}.", code="no_package_index")
    offers = offered(done.output) if done else {}
    return {
        "packages": [
            {
                "name": name,
                "installed": package.version,
                "candidate": _newer(package.version, offers.get(name)) or package.version,
                "security": name in offers and offers[name].security,
                "held": package.held,
                "since": _since(root, name),
            }
            for name, package in found.items()
        ],
        "units": {state.name: state.since for state in unit.states(units)},
        "servers": servers(root),
    }


def installed(status: str) -> dict[str, Installed]:
    """Return the packages that are installed, by their names, from dpkg's own list."""
    found = {}
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
        words = fields.get("Status", "").split()
        if words and words[-1] in _THERE:
            found[fields["Package"]] = Installed(fields.get("Version", ""), words[0] == "hold")
    return found


def unfinished(status: str) -> list[str]:
    """Return the packages with which dpkg did not come to its end, as on a host that was lost meanwhile."""
    rows = re.findall(r"(?m)^Package: (\S+)\nStatus: \S+ \S+ (\S+)$", status)
    return sorted({name for name, state in rows if state not in (*_THERE, "config-files", "not-installed")})


def offered(policy: str) -> dict[str, Offered]:
    """Return each package's candidate, from what ``apt-cache policy`` prints."""
    found: dict[str, Offered] = {}
    name = version = ""
    for line in policy.splitlines():
        head, row = _PACKAGE.match(line), _VERSION.match(line)
        if head:
            name = head.group(1)
        elif line.startswith("  Candidate: ") and not line.endswith("(none)"):
            found[name] = Offered(line.split()[1], False)
        elif row:
            version = row.group(1)
        elif name in found and version == found[name].version and _SECURITY.match(line):
            found[name] = Offered(version, True)
    return found


def servers(root: str = "/") -> dict[str, float]:
    """Return when each PostgreSQL that runs was started, seconds since the epoch, by its major version."""
    found = {}
    for path in glob.glob(os.path.join(glob.escape(root), "var/lib/postgresql/*/*/postmaster.pid")):
        lines = files.text(path).splitlines()
        if len(lines) > 2 and os.path.exists(f"/proc/{lines[0].strip()}"):
            found[path.split(os.sep)[-3]] = float(lines[2])
    return found


def _newer(version: str, offer: Offered | None) -> str:
    """Return the version that is offered, if it is above the one that is there."""
    if offer is None or offer.version == version:
        return ""
    return "" if run(["dpkg", "--compare-versions", offer.version, "gt", version]).status else offer.version


def _since(root: str, name: str) -> float:
    """Return when a package was unpacked, seconds since the epoch; 0 where dpkg has no trace of it."""
    folder = os.path.join(glob.escape(root), "var/lib/dpkg/info")
    paths = [*glob.glob(os.path.join(folder, f"{name}.list")), *glob.glob(os.path.join(folder, f"{name}:*.list"))]
    return max((os.stat(path).st_mtime for path in paths), default=0.0)
