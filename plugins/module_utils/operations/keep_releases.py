# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the releases of one application on its host: stage, activate, confirm, revert and remove."""

from __future__ import annotations

import abc
import dataclasses
import os
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.releases import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.releases import server
from ansible_collections.scaleout.platform.plugins.module_utils.releases.environment import environment_file
from ansible_collections.scaleout.platform.plugins.module_utils.releases.limits import settings
from ansible_collections.scaleout.platform.plugins.module_utils.releases.server import Host, Places

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")


def _unit(text: str, option: str, limits: dict) -> str:
    """Return a unit's text with its limits."""
    lines = settings(option, limits, server.memory())
    return "\n".join([text.rstrip("\n"), *(["", "[Service]", *lines] if lines else []), ""])


class Release(Task):
    """What the states have in common: where the application is, and what is there."""

    def __init__(self, params: dict) -> None:
        self._params = params
        self._version: str = params["version"] or ""
        name = params["name"]
        self._places = Places(
            root=params["path"] or f"/srv/{name}",
            config=params["config_path"] or f"/etc/{name}",
            unit=params["unit_path"] or f"/etc/systemd/system/{name}.service",
            state=params["state_path"] or f"/var/lib/{name}",
            account=name if params["account"] else "",
        )
        self._host = Host(self._places, params["exclude"], [worker["name"] for worker in params["workers"]])
        self._present = planner.Present()

    def plan(self) -> Plan:
        self._present = self._host.present(self._version if self._params["state"] == "staged" else None)
        plan = self._decide(self._present)
        return dataclasses.replace(plan, result={**self._links(self._present), **plan.result})

    @abc.abstractmethod
    def _decide(self, present: planner.Present) -> Plan:
        """Plan for what is there."""

    def apply(self, plan: Plan) -> dict:
        for action in plan.actions:
            self._carry_out(action)
        return self._links(self._host.present())

    @abc.abstractmethod
    def _carry_out(self, action: t.Any) -> None:
        """Carry out one action of the plan."""

    @staticmethod
    def _links(present: planner.Present) -> dict:
        return {"current": present.current, "previous": present.previous}


class Staged(Release):
    """Puts a release and its configuration beside those in force."""

    def __init__(self, params: dict) -> None:
        super().__init__(params)
        environment, secrets = params["environment"], params["secrets"]
        twice = sorted(set(environment) & set(secrets))
        if twice:
            raise Refused(
                f"{twice[0]} is in both environment and secrets; it can have one value only.", code="invalid_input"
            )
        texts = {
            planner.ENVIRONMENT: environment_file("environment", environment),
            planner.SECRETS: environment_file("secrets", secrets),
            planner.UNIT: _unit(params["unit"], "limits", params["limits"]),
        }
        for worker in params["workers"]:
            option = f"the worker {worker['name']}"
            own_environment, own_unit = planner.worker_files(worker["name"])
            texts[own_environment] = environment_file(option, worker["environment"] or {})
            texts[own_unit] = _unit(worker["unit"], option, worker["limits"] or {})
        self._wanted = planner.Wanted(self._version, params["digest"], texts)

    def _decide(self, present: planner.Present) -> Plan:
        plan = planner.stage(present, self._wanted)
        place = self._places.waiting if plan.result["pending"] else self._places.in_force
        mark = self._places.prepared(self._version)
        facts = {
            "path": self._places.release(self._version),
            "environment_files": [place(planner.ENVIRONMENT), place(planner.SECRETS)],
            "account_missing": self._host.account_missing(),
            "prepared": os.path.exists(mark),
            "prepared_mark": mark,
        }
        return dataclasses.replace(plan, result={**plan.result, **facts})

    def _carry_out(self, action: str) -> None:
        if action == planner.MAKE:
            self._host.make()
        elif action == planner.UNPACK:
            self._host.unpack(self._archive, self._version, self._wanted.digest)
        elif action == planner.MEND:
            self._host.mend(self._archive, self._version, self._wanted.digest)
        elif action == planner.STAGE:
            self._host.stage(self._wanted.files, self._version)
        elif action == planner.UNSTAGE:
            self._host.unstage()

    @property
    def _archive(self) -> str:
        archive = self._params["archive"]
        if not archive:
            raise Refused(f"Release {self._version} is not on this host, and no archive was given.", code="no_archive")
        return archive


class Active(Release):
    """Puts the staged release in force."""

    def _decide(self, present: planner.Present) -> Plan:
        return planner.activate(present, self._version)

    def _carry_out(self, action: str) -> None:
        if action == planner.JOURNAL:
            self._host.write_journal(self._present)
        elif action == planner.EXCHANGE:
            self._host.exchange(self._version)
        elif action == planner.LINK:
            self._host.link(self._version)


class Reverted(Release):
    """Puts back what was in force before."""

    def _decide(self, present: planner.Present) -> Plan:
        return planner.revert(present)

    def _carry_out(self, action: str) -> None:
        if action == planner.RESTORE:
            self._host.restore(t.cast(planner.Journal, self._present.journal))
        elif action == planner.UNSTAGE:
            self._host.unstage()


class Confirmed(Release):
    """Forgets what was in force before, and the oldest releases."""

    def _decide(self, present: planner.Present) -> Plan:
        return planner.confirm(present, self._params["keep"])

    def _carry_out(self, action: t.Any) -> None:
        if action == planner.CONFIRM:
            self._host.confirm(self._present)
        else:
            self._host.prune(action[1])


class Absent(Release):
    """Removes the application."""

    def _decide(self, present: planner.Present) -> Plan:
        return planner.remove(present)

    def _carry_out(self, action: str) -> None:
        if action == planner.REMOVE:
            self._host.remove()


STATES = {"staged": Staged, "active": Active, "confirmed": Confirmed, "reverted": Reverted, "absent": Absent}


def task_of(params: dict) -> Release:
    """Return the task that the options of the module ``release`` describe.

    :raises InvalidInput: an option that can never work.
    """
    if not _NAME.match(params["name"]):
        raise InvalidInput("name", params["name"], "must be 1 to 31 of a-z, 0-9, _ and -, beginning with a letter")
    if params["version"] and not _VERSION.match(params["version"]):
        raise InvalidInput("version", params["version"], "must be 1 to 64 letters, digits and ._+-, no dot first")
    names = [worker["name"] for worker in params["workers"]]
    for name in names:
        if not _NAME.match(name) or name == "prepare":
            reason = "must be 1 to 31 of a-z, 0-9, _ and -, beginning with a letter, and not prepare"
            raise InvalidInput("workers", name, reason)
        if names.count(name) > 1:
            raise InvalidInput("workers", name, "is the name of two workers")
    for option in ("version", "digest", "unit") if params["state"] == "staged" else ():
        if not params[option]:
            raise InvalidInput(option, params[option], "is not enough for a release to be staged")
    if params["keep"] < 1:
        raise InvalidInput("keep", params["keep"], "must be at least 1")
    return STATES[params["state"]](params)
