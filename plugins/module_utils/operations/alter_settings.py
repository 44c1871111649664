# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alter the settings of a PostgreSQL server, of its databases and of its roles."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import (
    overrides,
    profile,
    secrets,
    server,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import plan as planner


class AlterSettings(Task):
    """Reads the settings that it is about, plans, and writes those that differ."""

    def __init__(
        self,
        endpoint: connection.Endpoint,
        settings: dict[str, t.Any],
        scoped: dict[overrides.Scope, dict[str, t.Any]],
        choice: profile.Choice,
        reload: bool,
    ) -> None:
        planner.check_names(settings)
        for scope, desired in scoped.items():
            planner.check_names(desired, f"overrides[{scope}]")
        self.settings = settings
        self.scoped = scoped
        self.choice = choice
        self.reload = reload
        self.session = connection.Session(endpoint)

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> AlterSettings:
        """The task that the options of the module ``server_settings`` describe, with its connection.

        :raises InvalidInput: an option that can never work.
        """
        try:
            memory = profile.read_memory(params["memory"])
        except profile.BadProfile as reason:
            raise InvalidInput("memory", params["memory"], str(reason)) from None
        if params["cores"] is not None and params["cores"] < 1:
            raise InvalidInput("cores", params["cores"], "is less than 1")
        return cls(
            connection.Endpoint.of(params),
            params["settings"] or {},
            overrides.read(params["overrides"] or ()),
            profile.Choice(params["profile"], params["workload"], params["storage"], memory, params["cores"]),
            params["reload"],
        )

    def plan(self) -> Plan:
        names = {name for desired in (self.settings, *self.scoped.values()) for name in desired}
        state = server.read(self.session, names | self.choice.names, list(self.scoped))
        return planner.plan(self.settings, state, self.reload, self.scoped, self._profile(state))

    def apply(self, plan: Plan) -> None:
        server.apply(self.session, plan.actions)

    def close(self) -> None:
        self.session.close()

    def _profile(self, state: planner.State) -> profile.Profile | None:
        given = {name.lower(): value for name, value in self.settings.items()}
        compression = state.definitions.get("wal_compression")
        try:
            return profile.choose(
                self.choice, state.host, given, lz4=compression is not None and "lz4" in compression.enumvals
            )
        except profile.BadProfile as reason:
            raise Refused(f"profile: {self.choice.name!r} {reason}.", code="profile_unfit") from None


def secrets_in(params: t.Mapping[str, t.Any]) -> set[str]:
    """The passwords inside values, such as that of ``primary_conninfo``, and those of the connection."""
    groups = [params["settings"], *(item["settings"] for item in params["overrides"] or ())]
    settings = [
        (str(name), str(text))
        for group in groups
        for name, value in (group or {}).items()
        for text in (value if isinstance(value, (list, tuple)) else [value])
    ]
    found = {secret for name, text in settings for secret in secrets.found_in(name, text)}
    return found | connection.secrets_in(params)
