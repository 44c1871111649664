# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes, renews or gives back the lease of this run; only the controller sees whether another one lives."""

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.plugin_utils import run, watchdog

_MODULE = "scaleout.platform.run_lease"
#: What the codes of a Consul that cannot be asked mean for a run that may go on without it.
_MODES = {"unreachable": "bare", "no_leader": "no_quorum"}


class ActionModule(ActionBase):
    """Says who this run is, and tells the module when the other one is dead."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        holder = run.holder()
        result["run"] = holder["run"]
        options = {**self._task.args, "holder": holder}
        asked = watchdog.boot_time()
        answer = self._execute_module(module_name=_MODULE, module_args=options, task_vars=task_vars)
        if "holder" in answer and run.is_dead(answer["holder"]):
            options["gone"] = answer["holder"]["run"]
            answer = self._execute_module(module_name=_MODULE, module_args=options, task_vars=task_vars)
        if self._task.check_mode:
            return self._dry(result, answer)
        mode = _MODES.get(str(answer.get("code")))
        if answer.get("failed") and mode and self._task.args.get("optional"):
            return {**result, "changed": False, "mode": mode}
        if answer.get("mode") == "released":
            watchdog.leave(run.FOLDER)
        if answer.get("mode") == "held":
            for line in watchdog.told(run.FOLDER):
                self._display.display(f"An earlier run, {line}")
            result.update(self._watch(holder, asked, answer))
        return {**result, **answer}

    def _watch(self, holder: dict[str, t.Any], asked: float, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        """Have this run ended if it does not renew the lease in time (A5)."""
        if not boolean(self._task.args.get("watched", False), strict=False):
            watchdog.leave(run.FOLDER)
            return {}
        label = "{playbook} of {user} on {host} (process {pid}),".format(**holder)
        try:
            watchdog.watch(run.FOLDER, holder["pid"], label, asked + watchdog.before(answer["expires"]))
        except OSError as error:
            return {"warnings": [f"No watchdog ends this run if it is paused for longer than its lease: {error}."]}
        return {}

    @staticmethod
    def _dry(result: dict[str, t.Any], answer: dict[str, t.Any]) -> dict[str, t.Any]:
        """A dry run starts nothing, so it goes on, and says who works (A6)."""
        said = answer.get("said")
        if said:
            result["warnings"] = [*result.get("warnings", ()), f"{said} This dry run changes nothing."]
        told = {name: answer[name] for name in ("holder", "said", "ansible_facts") if name in answer}
        return {**result, **told, "changed": False, "mode": "check"}
