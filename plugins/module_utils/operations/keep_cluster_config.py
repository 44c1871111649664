# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep keys of the dynamic configuration that the members of a cluster under Patroni share."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task


class KeepClusterConfig(Task):
    """Reads the dynamic configuration, and changes what differs in one request."""

    def __init__(self, patroni: Patroni, config: t.Mapping[str, t.Any]) -> None:
        self.patroni = patroni
        self.config = config

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> KeepClusterConfig:
        """The task that the options of the module ``cluster_config`` describe.

        :raises InvalidInput: an option that can never work.
        """
        patroni = Patroni.from_options(params)
        if patroni is None:
            raise InvalidInput("patroni_host", params["patroni_host"], "is not the address of a member")
        return cls(patroni, params["config"])

    def plan(self) -> Plan:
        present = self.patroni.settings()
        changes = differing(self.config, present)
        before = {name: present.get(name) for name in changes}
        return Plan(before, merged(before, changes), (changes,) if changes else (), {"changes": changes})

    def apply(self, plan: Plan) -> None:
        for changes in plan.actions:
            self.patroni.change_settings(changes)

    def close(self) -> None:
        self.patroni.close()


def differing(wanted: t.Mapping[str, t.Any], present: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what has to be sent so that ``wanted`` is in the configuration; None removes a key, as Patroni has it."""
    found: dict[str, t.Any] = {}
    for name, value in wanted.items():
        there = present.get(name)
        if isinstance(value, t.Mapping) and value:
            inner = differing(value, there if isinstance(there, t.Mapping) else {})
            if inner or not isinstance(there, t.Mapping):
                found[name] = inner or dict(value)
        elif value is None:
            if name in present:
                found[name] = None
        # True is not 1 here, though Python says so.
        elif (type(value), value) != (type(there), there):
            found[name] = value
    return found


def merged(present: t.Mapping[str, t.Any], changes: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what Patroni makes of a configuration and a change of it."""
    found = dict(present)
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, t.Mapping):
            there = found.get(name)
            found[name] = merged(there if isinstance(there, t.Mapping) else {}, value)
        else:
            found[name] = value
    return found
