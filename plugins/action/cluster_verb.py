# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/cluster_verb.py``: decides on the controller, and has a member carry it out."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.failover import update
from ansible_collections.scaleout.platform.plugins.module_utils.operations import cluster_verbs
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps import Options, Result, StepAction
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, kept

#: Seconds in which a pooler has to listen again, and in which another program may have apt's lock.
_LISTENS, _LOCK = 30, 300
#: Debian's scripts ask by it whether they may start, stop or restart a service. They may not.
_NO_RESTARTS = 101
#: What the packages of another turn would take long for, or fail with, comes before the first.
_FETCH = ("apt-get", "--yes", "--quiet", "--download-only", "--only-upgrade", "--no-install-recommends", "--no-remove")


class ActionModule(StepAction):
    """One step of a playbook that does something to a database cluster. The run's ledger has what later ones need."""

    STATES = ("asked", "looked", "chosen", "planned", "carried_out", "fetched", "handed_over", "updated", "shown")
    OPTIONS: t.ClassVar[Options] = {"verb": {"type": "str", "choices": [*cluster_verbs.MODULES], "required": True}}

    def _prepare(self, options: Result) -> None:
        self._ledger = Ledger(run.FOLDER)
        self._request = cluster_verbs.read(self._platform, options["verb"], self._given)
        self._host = str(self._vars.get("inventory_hostname", ""))
        self._members = [server.name for server in self._request.cluster.members]

    def _refused(self, error: ScaleoutError) -> Result:
        refused = error.result()
        return {**self._noted("refused", refused), "told": [refused["msg"]]}

    def _asked(self) -> Result:
        return {"members": self._members}

    def _looked(self) -> Result:
        """Fetch a member's package index, and read what it has. The index is not managed: a dry run needs it too."""
        if self._host not in self._members:
            return {"skipped": True}
        fetched = self._elsewhere("ansible.builtin.apt", {"update_cache": True}, check=False)
        return self._seen(str(fetched["msg"]) if fetched.get("failed") else "")

    def _chosen(self) -> Result:
        return {"host": cluster_verbs.host_for(self._platform, self._request)}

    def _planned(self) -> Result:
        hosts = self._hosts()
        if self._request.verb == cluster_verbs.UPDATE:
            version = str(self._platform.value(self._host, "postgres_version", "") or "")
            update.check(hosts, self._members, version)
        answer = self._module(cluster_verbs.options(self._platform, self._request, self._host), check=True)
        if answer.get("failed"):
            return {**self._noted("refused", answer), "failed": True, "told": [answer["msg"]]}
        if self._request.verb == cluster_verbs.UPDATE:
            turns = update.order(answer["restarted"], answer["leader"], hosts)
            told = cluster_verbs.told_update(self._request, answer, turns, hosts)
            answer = {"turns": turns, "changed": bool(turns), "warnings": update.warnings(hosts)}
        else:
            told = cluster_verbs.told(self._request, answer)
        self._noted("planned", answer)
        # Only a dry run says that something would change; a real one says so where it does.
        changed = bool(answer.get("changed")) and self._task.check_mode
        return {**answer, "changed": changed, "told": told}

    def _carried_out(self) -> Result:
        if self._task.check_mode or not self._step("planned"):
            return {"skipped": True}
        options = cluster_verbs.options(self._platform, self._request, self._host)
        answer = self._module(options)
        if self._request.verb == cluster_verbs.REINIT:
            answer = self._watched(options, answer)
        if answer.get("failed"):
            return {**self._noted("refused", answer), "failed": True}
        return self._noted("done", answer)

    def _watched(self, options: Result, answer: Result) -> Result:
        """Say again and again how far a copy is, until it is done or cannot be waited for any longer."""
        until = time.monotonic() + cluster_verbs.patience(self._platform, self._host)
        while not answer.get("failed") and not answer["done"] and time.monotonic() < until:
            self._display.display(cluster_verbs.progress(self._request, answer))
            answer = self._module({**options, "state": "looked", "before": answer["before"]})
        return answer

    # A member's part in an update

    def _fetched(self) -> Result:
        """Download a member's packages, so that nothing is begun that a mirror would keep from its end."""
        if not self._goes_on() or self._host not in self._step("planned")["turns"] or not self._due().packages:
            return {"skipped": True}
        argv = [*_FETCH, "-o", f"DPkg::Lock::Timeout={_LOCK}", "install", *self._due().names]
        answer = self._elsewhere("ansible.builtin.command", {"argv": argv})
        if answer.get("failed"):
            answer["msg"] = str(answer.get("stderr") or answer["msg"]).strip()
        return {"changed": bool(self._must(answer))}

    def _handed_over(self) -> Result:
        """Begin a member's turn: if its restart would take the leader away, another one leads first."""
        if not self._has_turn():
            return {"skipped": True}
        self._noted("begun", {}, self._host)
        restart = {**cluster_verbs.turn(self._platform, self._request, self._host), "unit": ""}
        seen = self._must(self._module(restart, check=True))
        if seen["leader"] != self._host or len(self._members) == 1 or not self._due().restarts:
            return {}
        switch = self._request._replace(verb=cluster_verbs.SWITCHOVER)
        options = cluster_verbs.options(self._platform, switch, self._host)
        answer = self._must(self._elsewhere(f"scaleout.platform.{cluster_verbs.MODULES[switch.verb]}", options))
        return self._noted("handed_over", answer)

    def _updated(self) -> Result:
        """Give the member its packages, and restart what is made of them."""
        if not self._has_turn() or self._host not in self._noted_hosts("begun"):
            return {"skipped": True}
        due = self._due()
        try:
            if due.packages:
                careful = {"only_upgrade": True, "install_recommends": False, "fail_on_autoremove": True}
                apt = {"name": due.names, **careful, "policy_rc_d": _NO_RESTARTS, "lock_timeout": _LOCK}
                self._must(self._elsewhere("ansible.builtin.apt", apt))
            if due.restarts:
                self._must(self._module(cluster_verbs.turn(self._platform, self._request, self._host)))
            place = cluster_verbs.pooler(self._platform, self._request, self._host)
            if due.pooler and place:
                unit = {"name": update.POOLER, "state": "restarted", "daemon_reload": True}
                self._must(self._elsewhere("ansible.builtin.systemd_service", unit))
                listens = {"host": place[0], "port": place[1], "timeout": _LISTENS}
                self._must(self._elsewhere("ansible.builtin.wait_for", listens))
        finally:
            seen = self._seen("")
        self._noted("updated", {}, self._host)
        return {**seen, "changed": True}

    def _has_turn(self) -> bool:
        """Whether all went well so far; a member that was lost in its turn never says how that ended."""
        lost = [name for name in self._noted_hosts("begun") if name not in self._noted_hosts("updated")]
        return self._goes_on() and not [name for name in lost if name != self._host]

    def _goes_on(self) -> bool:
        return not self._task.check_mode and bool(self._step("planned")) and not self._step("refused")

    def _due(self) -> update.Due:
        return update.due(next(host for host in self._hosts() if host.name == self._host))

    def _seen(self, trouble: str) -> Result:
        """Note what a member has now.

        :param trouble: why that cannot be known.
        """
        options = cluster_verbs.looked_for(self._platform, self._host)
        said = {} if trouble else self._elsewhere("scaleout.platform.package_updates_info", options)
        if said.get("failed"):
            said, trouble = {}, str(said["msg"])
        rows = [update.row(package) for package in said.get("packages", ())]
        seen = {"packages": rows, "units": said.get("units", {}), "servers": said.get("servers", {})}
        self._noted("looked", {**seen, "trouble": trouble}, self._host)
        return {"packages": said.get("packages", [])}

    def _hosts(self) -> list[update.Host]:
        """Return the members as they were seen last, in the inventory's order."""
        found = {entry["host"]: entry["document"] for entry in self._entries("looked")}
        return [update.Host.of(name, found[name]) for name in self._members if name in found]

    # The end

    def _shown(self) -> Result:
        head = f"The {self._request.verb} of {self._request.cluster.name} did not go as it was asked:"
        refused, done = self._step("refused"), self._step("done")
        lines: list[str] = []
        troubles: list[str] = []
        if self._request.verb == cluster_verbs.UPDATE:
            done = self._step("planned")
            lines, troubles = self._ended_update(done or {})
        if refused:
            return self._ended(lines, [refused["msg"]], head, code=refused.get("code", "failed"))
        if self._task.check_mode and self._step("planned"):
            return {"lines": []}
        if not done:
            text = "The member that carried it out was lost. Ask Patroni who leads: patronictl list."
            return self._ended(lines, [text if self._step("planned") else "Nothing was changed; see above."], head)
        if self._request.verb != cluster_verbs.UPDATE:
            lines, troubles = cluster_verbs.summary(self._request, done)
        return self._ended(lines, troubles, head)

    def _ended_update(self, planned: Result) -> tuple[list[str], list[str]]:
        """Return what each member has now, and who was lost in its turn."""
        updated, turns = self._noted_hosts("updated"), planned.get("turns", [])
        lines, troubles = update.summary(self._request.cluster.name, turns, updated, self._hosts())
        handed_over = self._step("handed_over")
        if handed_over:
            lines += cluster_verbs.held(handed_over)
        for name in turns:
            if name not in updated:
                begun = "was lost in its turn" if name in self._noted_hosts("begun") else "had no turn"
                troubles.append(f"{name} {begun}.")
        return lines, troubles

    def _must(self, answer: Result) -> Result:
        """Return what a module said.

        :raises ScaleoutError: it failed; with what it said.
        """
        if not answer.get("failed"):
            return answer
        facts = {key: value for key, value in answer.items() if key in ("member", "missing", "changed")}
        raise ScaleoutError(f"{self._host}: {answer['msg']}", code=str(answer.get("code", "failed")), **facts)

    def _module(self, options: Result, check: bool | None = None) -> Result:
        return self._elsewhere(f"scaleout.platform.{cluster_verbs.MODULES[self._request.verb]}", options, check)

    def _elsewhere(self, name: str, options: Result, check: bool | None = None) -> Result:
        """Run a module on the host of this task.

        :param check: whether it changes nothing; None for what the task says.
        """
        before = self._task.check_mode
        self._task.check_mode = before if check is None else check
        try:
            answer: Result = self._execute_module(module_name=name, module_args=options, task_vars=self._vars)
        finally:
            self._task.check_mode = before
        return answer

    def _noted(self, step: str, document: Result, host: str = "") -> Result:
        self._ledger.note("cluster_verb", host, step=step, document=kept(document))
        return document

    def _entries(self, step: str) -> list[Result]:
        return [one for one in self._ledger.entries() if one["kind"] == "cluster_verb" and one["step"] == step]

    def _noted_hosts(self, step: str) -> list[str]:
        return [str(one["host"]) for one in self._entries(step)]

    def _step(self, name: str) -> t.Any:
        """Return what an earlier step noted; None where it did not get there."""
        return next((one["document"] for one in reversed(self._entries(name))), None)
