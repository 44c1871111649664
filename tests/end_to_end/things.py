# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a task changed, as a thing that an operator knows: a package, a file, a service, an account, a release.

A check foretells things. By which task one then comes about is the roles' affair: a run may well start, reload and
restart a service that a check said would run.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

#: For each action the kind of thing, and the option that names it. Other actions change what only a live host knows.
KINDS = {
    "ansible.builtin.apt": ("package", "name"),
    "ansible.builtin.copy": ("file", "dest"),
    "ansible.builtin.deb822_repository": ("repository", "name"),
    "ansible.builtin.file": ("file", "path"),
    "ansible.builtin.group": ("group", "name"),
    "ansible.builtin.lineinfile": ("file", "path"),
    "ansible.builtin.systemd_service": ("service", "name"),
    "ansible.builtin.template": ("file", "dest"),
    "ansible.builtin.user": ("user", "name"),
    "ansible.posix.sysctl": ("file", "sysctl_file"),
    "community.general.ini_file": ("file", "path"),
    "scaleout.platform.release": ("release", "name"),
}

#: What writes files and puts them in force in one task.
CONFIGURATION = "scaleout.platform.service_config"

#: Where releases live: their files come with them.
RELEASES = "/srv"


def things(task: str, result: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Name what a result changed, each with whether it is gone now.

    :param task: names the thing where the result is kept secret.
    """
    if result["action"] == CONFIGURATION:
        return [thing for item in result.get("results", [result]) if item.get("changed") for thing in _configured(item)]
    if result["action"] not in KINDS:
        return []
    kind, option = KINDS[result["action"]]
    found = []
    for item in result.get("results", [result]):
        if not item.get("changed"):
            continue
        options = item.get("invocation", {}).get("module_args")
        if options is None:
            found.append((f"{kind} of '{task}'", False))
            continue
        names = options[option] if isinstance(options[option], list) else [options[option]]
        if kind == "service":
            names = [name.removesuffix(".service") for name in names]
        found += [(f"{kind} {name}", options.get("state") == "absent") for name in names]
    return found


def _configured(result: Mapping[str, Any]) -> list[tuple[str, bool]]:
    differences = result.get("diff") or []
    found = [(f"service {result['invocation']['module_args']['name']}", False)]
    for difference in differences if isinstance(differences, list) else [differences]:
        before, after = (difference.get(side) or {} for side in ("before", "after"))
        found += [(f"file {path}", path not in after) for path in sorted({*before, *after})]
    return found


def lasting(changed: Iterable[tuple[str, bool]]) -> set[str]:
    """Name the things that a run left changed: without those that it made and took away again."""
    first: dict[str, bool] = {}
    last: dict[str, bool] = {}
    for name, is_gone in changed:
        first.setdefault(name, is_gone)
        last[name] = is_gone
    return {name for name in last if not last[name] or first[name]}


def surprises(done: set[str], foretold: set[str]) -> set[str]:
    """Return what was done and not foretold."""
    homes = {posixpath.join(RELEASES, name.split(" ", 1)[1]) for name in foretold if name.startswith("release ")}
    return {
        name
        for name in done - foretold
        if not (name.startswith("file ") and any(name[5:].startswith(f"{home}/") for home in homes))
    }
