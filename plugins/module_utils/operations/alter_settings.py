# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alter the settings of a PostgreSQL server, of its databases and of its roles."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    InvalidInput,
    Refused,
    ScaleoutError,
    Stranger,
)
from ansible_collections.scaleout.platform.plugins.module_utils.operations import same_database
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import (
    dynamic,
    overrides,
    profile,
    secrets,
    server,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import plan as planner

SLACK = 10.0
"""Seconds beside two of Patroni's loops within which a member has written what its dynamic configuration says."""

_LOOP = 10
"""Seconds between Patroni's loops where the dynamic configuration does not say."""


class AlterSettings(Task):
    """Reads the settings that it is about, plans, and writes those that differ.

    :param patroni: where they are written to Patroni's dynamic configuration.
    """

    def __init__(
        self,
        endpoint: connection.Endpoint,
        settings: dict[str, t.Any],
        scoped: dict[overrides.Scope, dict[str, t.Any]],
        choice: profile.Choice,
        reload: bool,
        patroni: Patroni | None = None,
    ) -> None:
        planner.check_names(settings)
        for scope, desired in scoped.items():
            planner.check_names(desired, f"overrides[{scope}]")
        self.settings = settings
        self.scoped = scoped
        self.choice = choice
        self.reload = reload
        if patroni and not reload:
            raise InvalidInput("reload", reload, "does not go with patroni_host: Patroni reloads by itself")
        self.patroni = patroni
        self._parameters: dict[str, t.Any] = {}
        self._loop: float = _LOOP
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
            Patroni.from_options(params),
        )

    def plan(self) -> Plan:
        state = self._read()
        found = self._profile(state)
        if self.patroni is None:
            return planner.plan(self.settings, state, self.reload, self.scoped, found)
        desired = {**self.settings, **planner.filled_by(found, self.settings, state, shared=True)}
        state = self._settled(self.patroni, desired, state)
        return planner.plan(self.settings, state, self.reload, self.scoped, found, self._parameters)

    def apply(self, plan: Plan) -> None:
        server.apply(self.session, plan.actions, {dynamic.Patch: self._patch, dynamic.Await: self._await})

    def close(self) -> None:
        self.session.close()
        if self.patroni:
            self.patroni.close()

    def _read(self) -> planner.State:
        names = {name for desired in (self.settings, *self.scoped.values()) for name in desired}
        return server.read(self.session, names | self.choice.names, list(self.scoped))

    def _settled(self, patroni: Patroni, desired: t.Mapping[str, t.Any], state: planner.State) -> planner.State:
        """Read what all members share, and return the server's state once Patroni has written what it was told before.

        :raises Refused: a value of this member's own would stay.
        """
        if not same_database.is_run_by(patroni, self.session):
            raise Stranger("Patroni", *patroni.place, f"its database is not the one at {self.session.endpoint.place}")
        started = time.monotonic()
        while True:
            patroni.cluster()  # A member answers from memory; this makes it look.
            self._remember(patroni.settings())
            overruled = dynamic.overruled(desired, state.definitions, state.entries, self._parameters)
            if not overruled:
                return state
            if time.monotonic() > started + self._patience:
                raise _overruled(overruled)
            time.sleep(0.5)
            state = self._read()

    def _remember(self, shared: t.Mapping[str, t.Any]) -> None:
        self._parameters = dict((shared.get("postgresql") or {}).get("parameters") or {})
        self._loop = float(shared.get("loop_wait") or _LOOP)

    @property
    def _patience(self) -> float:
        return 2 * self._loop + SLACK

    def _patch(self, patch: dynamic.Patch) -> None:
        patroni = t.cast(Patroni, self.patroni)
        self._remember(patroni.change_settings({"postgresql": {"parameters": dict(patch.changes)}}))

    def _await(self, awaiting: dynamic.Await) -> None:
        """Wait until Patroni has done so.

        :raises Refused: Patroni is at work, and has written something else.
        """
        started, seen = time.monotonic(), self._last_seen()
        while True:
            state = self._read()
            waiting = dynamic.waiting(awaiting, state.definitions, state.entries, self._parameters)
            if not waiting:
                return
            if time.monotonic() > started + self._patience:
                break
            time.sleep(0.2)
        overruled = {name: text for name, text in waiting.items() if text}
        if overruled and not awaiting.in_force and self._last_seen() != seen:
            raise _overruled(overruled)
        raise ScaleoutError(
            f"Patroni did not put {', '.join(sorted(waiting))} in force within {self._patience:g} s; does it run?",
            code="timeout",
        )

    def _last_seen(self) -> t.Any:
        """When Patroni last read what all members share."""
        return t.cast(Patroni, self.patroni).itself().get("dcs_last_seen")

    def _profile(self, state: planner.State) -> profile.Profile | None:
        given = {name.lower(): value for name, value in self.settings.items()}
        compression = state.definitions.get("wal_compression")
        try:
            return profile.choose(
                self.choice, state.host, given, lz4=compression is not None and "lz4" in compression.enumvals
            )
        except profile.BadProfile as reason:
            raise Refused(f"profile: {self.choice.name!r} {reason}.", code="profile_unfit") from None


def _overruled(written: t.Mapping[str, str]) -> Refused:
    said = ", ".join(f"{name} = {text}" for name, text in sorted(written.items()))
    return Refused(
        f"{said}: so says the configuration file of this server's member of Patroni, which wins over what all members "
        "share. Remove it there from postgresql.parameters first.",
        code="overruled",
        settings=sorted(written),
    )


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
