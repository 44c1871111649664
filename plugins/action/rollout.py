# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/rollout.py``: decides from what the hosts said, and touches none of them."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import roll_out
from ansible_collections.scaleout.platform.plugins.module_utils.releases import rollout
from ansible_collections.scaleout.platform.plugins.module_utils.services import applications
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps import Options, Result, StepAction
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, Turn


class ActionModule(StepAction):
    """One step of a rolling update or of a rollback. What the later steps need of it stands in the run's ledger."""

    STATES = ("asked", "chosen", "planned", "staged", "judged", "shown")
    OPTIONS: t.ClassVar[Options] = {"kind": {"type": "str", "choices": ["update", "rollback"], "default": "update"}}

    _requires_connection = False

    def _prepare(self, options: Result) -> None:
        self._back = options["kind"] == "rollback"
        self._ledger = Ledger(run.FOLDER)
        self._request = rollout.read(list(self._platform.applications), self._given, self._back)

    def _refused(self, error: ScaleoutError) -> Result:
        self._note("refused", error.result())
        return error.result()

    def _asked(self) -> Result:
        return roll_out.asked(self._platform, self._request)

    def _chosen(self) -> Result:
        hosts = self._playing
        there = self._read("__app_there", "releases")
        roll_out.refuse_unread(hosts, there, self._failures)
        if self._back:
            chosen = roll_out.for_rollback(self._request, self._settings, there)
        else:
            packed = self._said(hosts[0], "__app_packed")
            chosen = roll_out.for_update(self._request, packed, self._settings, there)
        self._note("chosen", dataclasses.asdict(chosen))
        return {"release": {**chosen.document(), "turns": self._group_of_turns}}

    def _planned(self) -> Result:
        if self._step("chosen") is None:
            return {"hosts": [], "batches": [], "told": [self._step("refused")["msg"]]}
        hosts = self._playing
        there = {host: self._said(host, "__app_there") for host in hosts}
        predicted = self._read("__app_release", "turn")
        roll_out.refuse_unread(hosts, predicted, self._failures)
        pool = roll_out.servers(self._platform, hosts, there, predicted)
        plan = roll_out.plan(self._platform, self._request, self._chosen_release, pool)
        self._note("planned", {"pool": [dataclasses.asdict(server) for server in pool], "batches": plan["batches"]})
        due = [] if self._task.check_mode else [host for batch in plan["batches"] for host in batch["hosts"]]
        return {**plan, "hosts": due}

    def _staged(self) -> Result:
        """Nothing is put in force anywhere unless the release lies ready, and is prepared, everywhere."""
        playing, failed = self._playing, self._group("platform_failed")
        ready = [
            host
            for host in self._due
            if host in playing and host not in failed and not self._said(host, "__app_prepared").get("held")
        ]
        lacking = [host for host in self._due if host not in ready]
        if lacking:
            error = Refused(
                f"Release {self._chosen_release.version} was put in force nowhere, for it does not lie ready on "
                f"{', '.join(lacking)}.",
                code="incomplete",
            )
            self._note("refused", error.result())
            return {"batches": []}
        return {"batches": self._step("planned")["batches"]}

    def _judged(self) -> Result:
        outcome = self._outcome
        kept = [host for host in outcome.updated if host not in (*outcome.back, *outcome.failed)]
        return {"back": list(outcome.back), "kept": kept}

    def _shown(self) -> Result:
        refused = self._step("refused")
        if self._step("planned") is None:
            return {"failed": True, **(refused or {"code": "incomplete", "msg": "Nothing was changed; see above."})}
        if self._task.check_mode:
            return {"lines": []}
        name = self._request.application
        now = {host: said["current"] for host in self._due for said in [self._said(host, "__app_confirmed")] if said}
        with Turn(run.FOLDER, f"{self._group_of_turns} back") as turn:
            back = turn.outcome()
        lines, troubles = roll_out.summary(
            name,
            self._chosen_release,
            self._outcome,
            self._pool,
            now,
            back,
            self._failures,
            (refused or {}).get("msg", ""),
        )
        if self._back and not troubles:
            lines.append(
                f"The entry of {name} says what it said before. Set it to {self._chosen_release.version}, or the next "
                "site.yml deploys the other release again."
            )
        gone_back = self._outcome.broken and not self._chosen_release.one_way
        head = f"{name} does not serve {self._chosen_release.version} everywhere:"
        return self._ended(lines, troubles, head, code="rolled_back" if gone_back else "incomplete")

    # What the steps have in common

    @property
    def _playing(self) -> list[str]:
        return [str(host) for host in self._vars["ansible_play_hosts"]]

    @property
    def _failures(self) -> list[Result]:
        return self._ledger.entries()

    def _said(self, host: str, name: str) -> Result:
        """Return what a task of the role app said on a host; empty where it did not run there, or failed."""
        said = self._vars["hostvars"][host].get(name) or {}
        return {} if said.get("failed") or said.get("skipped") else dict(said)

    def _read(self, name: str, key: str) -> dict[str, Result]:
        """Return what a task said on each host that has not failed, where it said that much."""
        hosts = [host for host in self._playing if host not in self._group("platform_failed")]
        return {host: said for host in hosts for said in [self._said(host, name)] if key in said}

    def _note(self, step: str, document: t.Mapping[str, t.Any]) -> None:
        self._ledger.note("rollout", "", step=step, document=document)

    def _step(self, name: str) -> t.Any:
        """Return what an earlier step noted; None where it did not get there."""
        found = [one["document"] for one in self._failures if one["kind"] == "rollout" and one["step"] == name]
        return found[-1] if found else None

    @property
    def _settings(self) -> Result:
        """The variables of the role app; none for an application with a role of its own."""
        application = self._platform.applications[self._request.application]
        if application.role != applications.ROLE:
            return {}
        return applications.settings(self._platform, self._playing[0], application, os.getcwd())

    @property
    def _chosen_release(self) -> roll_out.Chosen:
        return roll_out.Chosen(**self._step("chosen"))

    @property
    def _pool(self) -> dict[str, rollout.Server]:
        return {server["host"]: rollout.Server(**server) for server in self._step("planned")["pool"]}

    @property
    def _due(self) -> list[str]:
        return [host for batch in self._step("planned")["batches"] for host in batch["hosts"]]

    @property
    def _group_of_turns(self) -> str:
        return f"{self._request.application} {self._chosen_release.version}"

    @property
    def _outcome(self) -> rollout.Outcome:
        with Turn(run.FOLDER, self._group_of_turns) as turn:
            notes = turn.outcome()
        pool, one_way = self._pool, bool(self._chosen_release.one_way)
        outcome = rollout.judge(notes, self._due, one_way)
        return dataclasses.replace(outcome, back=tuple(host for host in outcome.back if pool[host].before))
