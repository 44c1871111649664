# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the releases of one application on its host: stage, prepare, activate, confirm, revert and remove.


Between the states a role drains the host, waits for its health and tells Consul: what takes other hosts.
"""

from __future__ import annotations

import abc
import dataclasses
import os
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import journal
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.health import server as health
from ansible_collections.scaleout.platform.plugins.module_utils.limits import settings
from ansible_collections.scaleout.platform.plugins.module_utils.names import is_release
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.releases import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.releases import prepare, schema, server
from ansible_collections.scaleout.platform.plugins.module_utils.releases.environment import environment_file
from ansible_collections.scaleout.platform.plugins.module_utils.releases.places import Places
from ansible_collections.scaleout.platform.plugins.module_utils.releases.server import Host
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import states

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}\Z")

#: Seconds; a process may take as long to end as its unit lets it, and systemd holds it to that.
_UNIT_TIMEOUT = 3600
#: Seconds that Consul's agent may take to be told.
_RELOAD_TIMEOUT = 30
#: What systemctl ends with for a unit that it does not know.
_UNKNOWN_UNIT = 5

# Actions on units, besides those of releases/plan.py; each with the units.
STOP = "stop"
RETIRE = "retire"  # stop, and do not start with the host
RUN = "run"  # start what does not run
RERUN = "rerun"  # restart


def places_of(params: t.Mapping[str, t.Any]) -> Places:
    """Return where an application lives: where the options say, or where its name says."""
    name = params["name"]
    return Places(
        root=params["path"] or f"/srv/{name}",
        config=params["config_path"] or f"/etc/{name}",
        unit=params["unit_path"] or f"/etc/systemd/system/{name}.service",
        state=params["state_path"] or f"/var/lib/{name}",
        account=name if params["account"] else "",
        transactions=journal.ROOT,
    )


class Release(Task):
    """What the states have in common: where the application is, and what is there."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._params = params
        self._version: str = params["version"] or ""
        self._places = places_of(params)
        self._host = Host(self._places, params["exclude"], [worker["name"] for worker in params["workers"]])
        self._present = planner.Present()

    def plan(self) -> Plan:
        self._present = self._host.present(self._version if self._params["state"] == "staged" else None)
        plan = self._decide(self._present)
        return dataclasses.replace(plan, result={**self._links(self._present), **plan.result})

    @abc.abstractmethod
    def _decide(self, present: planner.Present) -> Plan:
        """Plan for what is there."""

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        for action in plan.actions:
            self._carry_out(action)
        return self._links(self._host.present())

    @abc.abstractmethod
    def _carry_out(self, action: t.Any) -> None:
        """Carry out one action of the plan."""

    @staticmethod
    def _links(present: planner.Present) -> dict[str, t.Any]:
        return {"current": present.current, "previous": present.previous}

    def _look(self, workers: t.Iterable[str]) -> dict[str, t.Any]:
        """Look once how the application and these workers are."""
        asked = self._params["health"]
        service = health.Service(self._unit, asked["port"], asked["path"], asked["host"], asked["check_timeout"])
        units = map(self._worker_unit, workers)
        return health.examine(service, [health.Worker(unit, asked["steady_time"]) for unit in units], 0).facts

    # Units

    def _units(self, workers: t.Iterable[str]) -> list[str]:
        """Name the application's unit and those of workers."""
        return [self._unit, *map(self._worker_unit, workers)]

    @property
    def _unit(self) -> str:
        return os.path.basename(self._places.unit)

    def _worker_unit(self, worker: str) -> str:
        return os.path.basename(self._places.worker_unit(worker))

    def _drive(self, verb: str, units: t.Sequence[str]) -> None:
        """Have systemd stop or run units. What a process that ends at once has to say, a health gate finds out.

        :raises Refused: a unit does not stop.
        """
        if verb in (STOP, RETIRE):
            for unit in units:
                done = run(["systemctl", *(("disable", "--now") if verb == RETIRE else ("stop",)), unit], _UNIT_TIMEOUT)
                if done.status not in (0, _UNKNOWN_UNIT) and any(state.active for state in states([unit])):
                    raise Refused(f"{unit} does not stop: {done.said}.", code="not_stopped", unit=unit)
            return
        run(["systemctl", "daemon-reload"], _UNIT_TIMEOUT)
        # A worker is not enabled: the application's unit wants it, and so starts it with the host.
        run(["systemctl", "enable", self._unit], _UNIT_TIMEOUT)
        # systemd refuses to start what failed too often in the last seconds.
        run(["systemctl", "reset-failed", *units])
        run(["systemctl", "restart" if verb == RERUN else "start", *units], _UNIT_TIMEOUT)


class Shown(Release):
    """Reads which releases are there, and what is known of them."""

    def _decide(self, present: planner.Present) -> Plan:
        found = {each.version: {"digest": each.digest, "noted": each.noted, **each.note} for each in present.releases}
        facts: dict[str, t.Any] = {
            "releases": found,
            "fallback": present.fallback,
            "unconfirmed": present.journal is not None,
        }
        if self._params["health"]:
            facts["health"] = self._look(present.workers)
        return Plan("", "", (), facts)

    def _carry_out(self, action: t.Any) -> None:
        """Nothing is ever planned."""


class Staged(Release):
    """Brings the release and its files onto the host, beside what is in force."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        environment, secrets = params["environment"], params["secrets"]
        twice = sorted(set(environment) & set(secrets))
        if twice:
            raise Refused(
                f"{twice[0]} is in both environment and secrets; it can have one value only.", code="invalid_input"
            )
        usual = {name: value for name, value in params["default_environment"].items() if name not in secrets}
        texts = {
            planner.ENVIRONMENT: environment_file("environment", {**usual, **environment}),
            planner.SECRETS: environment_file("secrets", secrets),
            planner.UNIT: _unit_text(params["unit"], "limits", params["limits"]),
        }
        for worker in params["workers"]:
            option = f"the worker {worker['name']}"
            own_environment, own_unit = planner.worker_files(worker["name"])
            texts[own_environment] = environment_file(option, worker["environment"] or {})
            texts[own_unit] = _unit_text(worker["unit"], option, worker["limits"] or {})
        serves = params["schema_serves"]
        note = {**params["facts"], **({"schema_serves": serves} if serves else {})}
        self._wanted = planner.Wanted(self._version, params["digest"], texts, note)

    def _decide(self, present: planner.Present) -> Plan:
        plan = planner.stage(present, self._wanted)
        facts = {
            "path": self._places.release(self._version),
            "account_missing": self._host.account_missing(),
            "prepared": os.path.exists(self._places.prepared(self._version)),
            **(self._part(plan) if self._params["health"] else {}),
        }
        warning = schema.warning(self._version, present.fallback, present.releases, self._wanted.note)
        return dataclasses.replace(
            plan, result={**plan.result, **facts}, warnings=(warning,) if warning and plan.result["pending"] else ()
        )

    def _part(self, plan: Plan) -> dict[str, t.Any]:
        """Look how the application is, and which part the host takes in the rollout."""
        seen = self._look(worker["name"] for worker in self._params["workers"])
        staged = any(action != planner.NOTE for action in plan.actions)
        turn = planner.turn(staged, plan.result["pending"], seen["active"], seen["enabled"], seen["idle_workers"])
        return {"health": seen, "turn": turn}

    def _carry_out(self, action: str) -> None:
        if action == planner.MAKE:
            self._host.make()
        elif action == planner.UNPACK:
            self._host.unpack(self._archive, self._version, self._wanted.digest)
        elif action == planner.REPAIR:
            self._host.repair(self._archive, self._version, self._wanted.digest)
        elif action == planner.NOTE:
            self._host.note(self._version, self._wanted.note)
        elif action == planner.STAGE:
            self._host.stage(self._wanted.files, self._version)
        elif action == planner.UNSTAGE:
            self._host.unstage()

    @property
    def _archive(self) -> str:
        archive: str | None = self._params["archive"]
        if not archive:
            raise Refused(f"Release {self._version} is not on this host, and no archive was given.", code="no_archive")
        return archive


class Prepared(Release):
    """Runs the command that has to succeed before the release is put in force, and notes that it has."""

    def _decide(self, present: planner.Present) -> Plan:
        if present.release(self._version) is None:
            raise Refused(f"Release {self._version} is not on this host.", code="not_staged", version=self._version)
        done = os.path.exists(self._places.prepared(self._version))
        return Plan("", "", () if done else ("prepare",), {"prepared": True})

    def _carry_out(self, _action: str) -> None:
        if self._params["command"]:
            self._run(self._params["command"])
        self._host.note_prepared(self._version)

    def _run(self, command: t.Sequence[str]) -> None:
        """Run the command.

        :raises Refused: it failed.
        """
        wanted = prepare.Preparation(
            self._params["name"],
            self._params["user"] or self._params["name"],
            command,
            self._params["timeout"],
            self._params["root"],
            self._params["working_directory"] or "",
        )
        place = self._places.waiting if self._present.staged else self._places.in_force
        files = [place(planner.ENVIRONMENT), place(planner.SECRETS)]
        done = run(
            prepare.argv(wanted, self._places.release(self._version), files), timeout=self._params["timeout"] + 60
        )
        if done.status:
            said = f"{done.output.strip()}\n{done.error.strip()}".strip()
            raise Refused(
                f"The command that prepares release {self._version} of {self._params['name']} ended with status "
                f"{done.status}, so it was put in force nowhere. It said: {said}",
                code="prepare_failed",
                status=done.status,
            )


class Active(Release):
    """Puts what was staged in force and, where that is asked for, runs it."""

    def _decide(self, present: planner.Present) -> Plan:
        plan = planner.activate(present, self._version)
        return dataclasses.replace(plan, actions=(*plan.actions, *self._running(present, plan.changed)))

    def _running(self, present: planner.Present, exchanged: bool) -> t.Iterator[tuple[t.Any, ...]]:
        if not self._params["run"]:
            return
        workers = self._host.workers_to_come(present)
        surplus = [self._worker_unit(worker) for worker in present.workers if worker not in workers]
        if surplus:
            yield STOP, surplus
        units = self._units(workers)
        found = states(units)
        if exchanged or not found[0].enabled or not all(state.active for state in found):
            yield RERUN if exchanged else RUN, units

    def _carry_out(self, action: t.Any) -> None:
        if action == planner.JOURNAL:
            registration = self._params["registration"]
            self._host.write_journal(self._present, [registration] if registration else [])
        elif action == planner.EXCHANGE:
            self._host.exchange(self._version)
        elif action == planner.LINK:
            self._host.link(self._version)
        else:
            self._drive(*action)


class Reverted(Release):
    """Puts back what was in force before and, where that is asked for, runs it again."""

    def _decide(self, present: planner.Present) -> Plan:
        plan = planner.revert(present)
        fallback = present.fallback
        before = present.fallback_workers if fallback else []
        facts = {"fallback": fallback, "fallback_units": [self._worker_unit(worker) for worker in before]}
        result = {**plan.result, **facts}
        if not self._params["run"] or present.journal is None:
            return dataclasses.replace(plan, result=result)
        new = planner.workers_of(present.files)
        if fallback is None:
            actions: tuple[t.Any, ...] = ((RETIRE, self._units(new)), *plan.actions)
        else:
            surplus = [self._worker_unit(worker) for worker in new if worker not in before]
            actions = ((STOP, surplus), *plan.actions, (RERUN, self._units(before)))
        return dataclasses.replace(plan, actions=actions, result=result)

    def _carry_out(self, action: t.Any) -> None:
        if action == planner.RESTORE:
            self._host.restore(t.cast(planner.Journal, self._present.journal))
            if self._params["registration"]:
                # Consul's agent reads its files again; a signal needs no token.
                run(["systemctl", "reload", "consul.service"], _RELOAD_TIMEOUT)
        elif action == planner.UNSTAGE:
            self._host.unstage()
        else:
            self._drive(*action)


class Confirmed(Release):
    """Ends the transaction."""

    def _decide(self, present: planner.Present) -> Plan:
        return planner.confirm(present, self._params["keep"])

    def _carry_out(self, action: t.Any) -> None:
        if action == planner.CONFIRM:
            self._host.confirm(self._present)
        else:
            self._host.prune(action[1])


class Absent(Release):
    """Stops the application where that is asked for, and removes it."""

    def _decide(self, present: planner.Present) -> Plan:
        plan = planner.remove(present)
        if not self._params["run"]:
            return plan
        found = [state.name for state in states(self._units(present.workers)) if state.active or state.enabled]
        return dataclasses.replace(plan, actions=(*(((RETIRE, found),) if found else ()), *plan.actions))

    def _carry_out(self, action: t.Any) -> None:
        if action == planner.REMOVE:
            self._host.remove()
            if self._params["run"]:
                run(["systemctl", "daemon-reload"], _UNIT_TIMEOUT)
        else:
            self._drive(*action)


STATES: dict[str, type[Release]] = {
    "shown": Shown,
    "staged": Staged,
    "prepared": Prepared,
    "active": Active,
    "confirmed": Confirmed,
    "reverted": Reverted,
    "absent": Absent,
}


def _unit_text(text: str, option: str, limits: t.Mapping[str, t.Any]) -> str:
    """Return a unit's text with its limits."""
    lines = settings(option, limits, server.memory())
    return "\n".join([text.rstrip("\n"), *(["", "[Service]", *lines] if lines else []), ""])


def task_of(params: t.Mapping[str, t.Any]) -> Release:
    """Return the task that the options of the module ``release`` describe.

    :raises InvalidInput: an option that can never work.
    """
    if not _NAME.match(params["name"]):
        raise InvalidInput("name", params["name"], "must be 1 to 31 of a-z, 0-9, _ and -, beginning with a letter")
    if params["version"] and not is_release(params["version"]):
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
