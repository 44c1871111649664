# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/cluster_restore.py``: decides on the controller, and has hosts carry it out."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import (
    aside_copy,
    restore_cluster,
    restore_member,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps import Options, Result, StepAction
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, kept

_HEAD = "The restore of {} did not go as it was asked:"


class ActionModule(StepAction):
    """One step of ``restore.yml``. The run's ledger has what later ones need; what fails stops all that follow."""

    STATES = ("asked", "planned", *restore_member.STATES, "shown")
    OPTIONS: t.ClassVar[Options] = {"leader": {"type": "bool", "default": False}}

    def _prepare(self, options: Result) -> None:
        self._ledger = Ledger(run.FOLDER)
        self._leader = options["leader"]
        self._host = str(self._vars["inventory_hostname"])
        self._request = restore_cluster.read(self._platform, self._given)

    def _refused(self, error: ScaleoutError) -> Result:
        return self._noted("refused", error.result())

    def _asked(self) -> Result:
        return {"members": [server.name for server in self._request.cluster.members]}

    def _looked(self) -> Result:
        """Look at a member, or at the backups; a host that is both is looked at twice."""
        answers = []
        if self._host in self._group(archiving.GROUP):
            clusters = [archiving.stanza(self._request.cluster)]
            answers.append(self._module("backup_info", {"clusters": clusters}))
        if not self._request.aside and any(one.name == self._host for one in self._request.cluster.members):
            answers.append(self._module("restore_member", self._options("looked")))
        for answer in answers:
            if answer.get("failed"):
                return self._failed(answer)
            if "stanzas" in answer:
                self._noted("backups", {"stanzas": answer["stanzas"]})
            else:
                self._noted("looked", answer)
        return {"skipped": not answers}

    def _planned(self) -> Result:
        if self._steps("refused"):
            return {"skipped": True, "told": [one["msg"] for one in self._steps("refused").values()]}
        stanza = next(iter(self._steps("backups").values()), {}).get("stanzas")
        cluster = archiving.stanza(self._request.cluster)
        there = None if stanza is None else stanza.get(cluster) or {}
        if self._request.aside:
            decided, lines = aside_copy.decide(self._platform, self._request, there)
            self._noted("planned", decided)
            return {"changed": bool(self._task.check_mode), "told": lines}
        decision = restore_cluster.decide(self._platform, self._request, self._steps("looked"), there, time.time())
        self._noted("planned", decision.document())
        return {"changed": bool(self._task.check_mode), "told": list(decision.lines)}

    def _stopped(self) -> Result:
        return self._step(restore_member.STOPPED)

    def _forgotten(self) -> Result:
        return self._step(restore_member.FORGOTTEN)

    def _restored(self) -> Result:
        return self._step(restore_member.RESTORED)

    def _led(self) -> Result:
        return self._step(restore_member.LED)

    def _followed(self) -> Result:
        return self._step(restore_member.FOLLOWED)

    def _finished(self) -> Result:
        return self._step(restore_member.FINISHED)

    def _step(self, state: str) -> Result:
        """Have the host of the task take a step, if it is its turn and nothing has failed before."""
        decision = next(iter(self._steps("planned").values()), None)
        if self._task.check_mode or decision is None or self._steps("refused"):
            return {"skipped": True}
        if self._request.aside:
            if state != restore_member.RESTORED or self._host not in self._group(archiving.GROUP):
                return {"skipped": True}
            options = aside_copy.options(self._platform, self._request, decision, run.ID, restore_cluster.LOOK)
            return self._taken(state, "restore_aside", options)
        if not restore_cluster.takes_part(decision, state, self._host, self._leader):
            return {"skipped": True}
        done = {name: self._steps(name) for name in restore_member.STATES}
        if restore_cluster.awaited(decision, state, self._leader, done):
            return {"skipped": True}
        told = {**decision["told"], "run": run.ID}
        options = {**self._options(state), "restore": told, "wait": restore_cluster.LOOK}
        return self._taken(state, "restore_member", options)

    def _taken(self, state: str, module: str, options: Result) -> Result:
        """Call a module again and again until its step is done."""
        until = time.monotonic() + restore_cluster.patience(self._platform, self._host)
        answer = self._module(module, options)
        while not answer.get("failed") and not answer.get("done", True) and time.monotonic() < until:
            self._display.display(restore_cluster.progress(self._host, answer))
            answer = self._module(module, options)
        if not answer.get("failed") and not answer.get("done", True):
            reason = f"{restore_cluster.progress(self._host, answer)}; that takes longer than postgres_clone_timeout"
            answer = {"failed": True, "code": "incomplete", "msg": reason}
        if answer.get("failed"):
            return self._failed(answer)
        return self._noted(state, {**answer, "done": True})

    def _shown(self) -> Result:
        head = _HEAD.format(self._request.cluster.name)
        refused, planned = self._steps("refused"), next(iter(self._steps("planned").values()), None)
        if refused:
            troubles = [str(one["msg"]) for one in refused.values()]
            if planned is not None and not self._task.check_mode and not self._request.aside:
                troubles.append("Run again with the same words to go on; docs/backups.md says how it is taken back.")
            return self._ended([], troubles, head, code=next(iter(refused.values())).get("code", "failed"))
        if self._task.check_mode and planned:
            return {"lines": []}
        if self._request.aside:
            copied = next(iter(self._steps(restore_member.RESTORED).values()), None)
            if copied is None:
                return self._ended([], ["The host of the backups was lost on the way; run again."], head)
            return self._ended(aside_copy.summary(self._platform, self._request, copied), [], head)
        led = next(iter(self._steps(restore_member.LED).values()), None)
        finished = next(iter(self._steps(restore_member.FINISHED).values()), None)
        if planned is None or led is None or finished is None:
            text = "A host was lost on the way; run again with the same words." if planned else "Nothing was changed."
            return self._ended([], [text], head)
        return self._ended(restore_cluster.summary(self._platform, self._request, planned, led, finished), [], head)

    def _options(self, state: str) -> Result:
        return {**restore_cluster.look(self._platform, self._request, self._host), "state": state}

    def _module(self, name: str, options: Result) -> Result:
        answer: Result = self._execute_module(
            module_name=f"scaleout.platform.{name}", module_args=options, task_vars=self._vars
        )
        return answer

    def _failed(self, answer: Result) -> Result:
        """Note a failure of a host's module: no later step does anything."""
        reason = answer.get("msg") or answer.get("module_stderr") or "its module failed without a word"
        return {**self._noted("refused", {**answer, "msg": f"{self._host}: {reason}"}), "failed": True}

    def _noted(self, step: str, document: Result) -> Result:
        self._ledger.note("cluster_restore", self._host, step=step, document=kept(document))
        return document

    def _steps(self, name: str) -> dict[str, t.Any]:
        """Return what an earlier step noted, the last of each host by its name."""
        entries = [one for one in self._ledger.entries() if one["kind"] == "cluster_restore" and one["step"] == name]
        return {str(one["host"]): one["document"] for one in entries}
