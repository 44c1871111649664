# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The applications of an inventory: which role deploys what on the hosts of which group."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import LOADBALANCER, Reader

#: What an application may say in ``applications``.
KEYS = ("group", "role", "secrets")
#: The one group that site.yml and scale.yml deploy to.
GROUP = "api"
#: The name becomes an account, a unit and a path.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_ROLE = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")


def read(platform: Platform) -> tuple[dict[str, Application], list[Problem]]:
    """Return what can be made of ``applications``, and every problem."""
    reader = _Applications(platform)
    return reader.applications(), reader.problems


class _Applications(Reader):
    def applications(self) -> dict[str, Application]:
        declared = self.shared("different_values", "applications", ())
        if declared is None:
            return {}
        if not isinstance(declared, dict):
            text = f"applications is {declared!r}, not a mapping such as {{shop: {{group: api, role: shop}}}}"
            self.problem("invalid_applications", "", text)
            return {}
        found = {}
        for name, entry in declared.items():
            application = self._application(str(name), entry)
            if application:
                found[application.name] = application
        if len(found) > 1:
            # One role is deployed by one play; site.yml knows how to do that for one application.
            text = f"applications has {', '.join(found)}, and this release deploys one application"
            self.problem("too_many_applications", "", text)
        return found

    def _application(self, name: str, entry: t.Any) -> Application | None:
        where = f"applications: {name}"
        if not _NAME.fullmatch(name):
            text = f"applications has {name!r}; its name must be 1 to 31 of a-z, 0-9, _ and -, and begin with a letter"
            self.problem("invalid_name", "", text)
        if not isinstance(entry, dict):
            self.problem("invalid_applications", "", f"{where} is {entry!r}, not a mapping with {', '.join(KEYS)}")
            return None
        for key in entry:
            if key not in KEYS:
                text = f"{where} has {key!r}, which is not known here; it may have {', '.join(KEYS)}"
                self.problem("unknown_key", "", text)
        before = len(self.problems)
        group, role, secrets = entry.get("group"), entry.get("role"), entry.get("secrets", [])
        self._check_group(where, group)
        if not isinstance(role, str) or not _ROLE.fullmatch(role):
            self.problem("invalid_role", "", f"{where}: role is {role!r}, which is not the name of a role")
        if not isinstance(secrets, (list, tuple)) or not all(isinstance(secret, str) for secret in secrets):
            text = f"{where}: secrets is {secrets!r}, not a list of names of variables"
            self.problem("invalid_applications", "", text)
        if len(self.problems) > before:
            return None
        return Application(name, str(group), str(role), tuple(secrets))

    def _check_group(self, where: str, group: t.Any) -> None:
        if not isinstance(group, str) or group not in self.platform.groups:
            self.problem("unknown_group", "", f"{where}: group is {group!r}, which is not a group of the inventory")
        elif group != GROUP:
            text = f"{where}: group is {group}, and this release deploys to the group {GROUP}"
            self.problem("unknown_group", "", text)
        elif self.platform.members(group) and not self.platform.members(LOADBALANCER):
            text = f"the group {LOADBALANCER} has no host, but the group {group} has some to put behind it"
            self.problem("empty_group", "", text)
