# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/cluster_verb.py``: decides on the controller, and has a member carry it out."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import cluster_verbs
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps import Options, Result, StepAction
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger

#: What no later step needs of an answer; an error's own is no value for a file.
_NOT_KEPT = ("invocation", "diff", "warnings", "exception", "deprecations")


class ActionModule(StepAction):
    """One step of a playbook that does something to a database cluster. The run's ledger has what later ones need."""

    STATES = ("asked", "chosen", "planned", "carried_out", "shown")
    OPTIONS: t.ClassVar[Options] = {"verb": {"type": "str", "choices": [*cluster_verbs.MODULES], "required": True}}

    def _prepare(self, options: Result) -> None:
        self._ledger = Ledger(run.FOLDER)
        self._request = cluster_verbs.read(self._platform, options["verb"], self._given)

    def _refused(self, error: ScaleoutError) -> Result:
        return self._noted("refused", error.result())

    def _asked(self) -> Result:
        return {"members": [server.name for server in self._request.cluster.members]}

    def _chosen(self) -> Result:
        return {"host": cluster_verbs.host_for(self._platform, self._request)}

    def _planned(self) -> Result:
        before, self._task.check_mode = self._task.check_mode, True
        try:
            answer = self._module()
        finally:
            self._task.check_mode = before
        if answer.get("failed"):
            return {**self._noted("refused", answer), "failed": True, "told": [answer["msg"]]}
        self._noted("planned", answer)
        # Only a dry run says that something would change; a real one says so where it does.
        changed = bool(answer.get("changed")) and self._task.check_mode
        return {**answer, "changed": changed, "told": cluster_verbs.told(self._request, answer)}

    def _carried_out(self) -> Result:
        if self._task.check_mode or not self._step("planned"):
            return {"skipped": True}
        answer = self._module()
        if self._request.verb == cluster_verbs.REINIT:
            answer = self._watched(answer)
        if answer.get("failed"):
            return {**self._noted("refused", answer), "failed": True}
        return self._noted("done", answer)

    def _watched(self, answer: Result) -> Result:
        """Say again and again how far a copy is, until it is done or cannot be waited for any longer."""
        until = time.monotonic() + cluster_verbs.patience(self._platform, str(self._vars["inventory_hostname"]))
        while not answer.get("failed") and not answer["done"] and time.monotonic() < until:
            self._display.display(cluster_verbs.progress(self._request, answer))
            answer = self._module(state="looked", before=answer["before"])
        return answer

    def _shown(self) -> Result:
        head = f"The {self._request.verb} of {self._request.cluster.name} did not go as it was asked:"
        refused, done = self._step("refused"), self._step("done")
        if refused:
            return self._ended([], [refused["msg"]], head, code=refused.get("code", "failed"))
        if self._task.check_mode and self._step("planned"):
            return {"lines": []}
        if not done:
            text = "The member that carried it out was lost. Ask Patroni who leads: patronictl list."
            return self._ended([], [text if self._step("planned") else "Nothing was changed; see above."], head)
        lines, troubles = cluster_verbs.summary(self._request, done)
        return self._ended(lines, troubles, head)

    def _module(self, **more: t.Any) -> Result:
        host = str(self._vars["inventory_hostname"])
        answer: Result = self._execute_module(
            module_name=f"scaleout.platform.{cluster_verbs.MODULES[self._request.verb]}",
            module_args={**cluster_verbs.options(self._platform, self._request, host), **more},
            task_vars=self._vars,
        )
        return answer

    def _noted(self, step: str, document: Result) -> Result:
        kept = {key: value for key, value in document.items() if key not in _NOT_KEPT}
        self._ledger.note("cluster_verb", "", step=step, document=kept)
        return document

    def _step(self, name: str) -> t.Any:
        """Return what an earlier step noted; None where it did not get there."""
        found = [one["document"] for one in self._ledger.entries() if one["kind"] == "cluster_verb"]
        steps = [one["step"] for one in self._ledger.entries() if one["kind"] == "cluster_verb"]
        return next((document for step, document in zip(reversed(steps), reversed(found)) if step == name), None)
