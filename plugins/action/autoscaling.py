# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/autoscaling.py``: looks at the pools from the controller, and decides there."""

from __future__ import annotations

import getpass
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.members import asked as requests
from ansible_collections.scaleout.platform.plugins.module_utils.operations import (
    autoscale,
    autoscale_verbs,
    scale_pool,
)
from ansible_collections.scaleout.platform.plugins.plugin_utils import alert_sink, groups, metric_source
from ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps import PoolAction, Result

#: The variables under which a run's own samples are registered.
_SAMPLES = ("autoscale_sample", "autoscale_again")
#: A group of the run, where there is one if a pool is changed.
ACTING = "scale_acting"

Policies = dict[str, dict[str, t.Any]]


class Unread(t.NamedTuple):
    """A pool of which Consul does not say enough."""

    code: str
    text: str


class Measured(t.NamedTuple):
    """What was measured of all pools of a step.

    :param readings: by application.
    :param connections: of each host, by its newest sample.
    :param problems: why there may be fewer readings than there should be, a sentence each.
    """

    readings: dict[str, list[metric_source.Reading]]
    connections: dict[str, float]
    problems: tuple[str, ...] = ()


class ActionModule(PoolAction):
    """One step of autoscale.yml."""

    STATES = ("asked", "looked", "decided", "watched")

    def _prepare(self, options: Result) -> None:
        super()._prepare(options)
        self._now = time.time()
        self._verb = autoscale_verbs.read(self._platform, self._given)

    def _asked(self) -> Result:
        """Say what is sampled where; a brake needs no samples."""
        self._sink()
        pools = self._pools() if self._verb.name == autoscale_verbs.CYCLE else {}
        found = autoscale.sampled(self._platform, pools)
        return {"sampled": [{"host": host, "services": services} for host, services in found.items()]}

    def _looked(self) -> Result:
        """Look at all pools, and say what comes of it where nothing does."""
        if self._verb.name != autoscale_verbs.CYCLE:
            return self._brake()
        pools = self._pools()
        if not pools:
            where = f"of {self._verb.application} " if self._verb.application else ""
            self._say(f"no pool {where}is scaled by itself, since no application of it has scaling")
            return {"writes": False, "lines": []}
        judged, unread = self._judge(pools, self._measure(pools))
        lines = [one.line for one in judged.values()]
        if any(one.writes for one in judged.values()):
            # It is shown once the lease has been asked for.
            return {"writes": True, "lines": lines}
        return self._told(lines, unread, len(pools))

    def _decided(self) -> Result:
        """Decide once more with the lease: who else has it may have changed what was seen."""
        lease = self._vars.get("autoscale_lease") or {}
        if lease.get("code") == "held":
            return self._not_acting(f"nothing is done. {lease.get('msg')}")
        if self._task.check_mode:
            # Who has the lease, the task before has said.
            return self._not_acting("nothing is done, since this is a dry run.")
        pools = self._pools()
        measured = self._measure(pools)
        judged, unread = self._judge(pools, measured)
        # Who holds the lease knows that no other run works, so what one of them began has broken off.
        broken = {group: pools[group] for group, one in judged.items() if one.running}
        for group in broken:
            self._journal(group, "broken_off")
        if broken:
            again, lost = self._judge(broken, measured)
            judged, unread = {**judged, **again}, {**unread, **lost}
        warnings = [text for group, one in judged.items() for text in self._alert(group, one)]
        asked = [one.request.document() for one in judged.values() if one.request]
        told = self._told([one.line for one in judged.values()], unread, len(pools))
        acting = groups.join(self, ACTING, self._vars) if asked else {}
        return {**told, "requests": asked, "warnings": [*warnings, *told.get("warnings", ())], **acting}

    def _not_acting(self, why: str) -> Result:
        lines = [*(self._vars["autoscale_look"].get("lines") or ()), why]
        return {**self._told(lines, {}, 1), "requests": []}

    def _watched(self) -> Result:
        """Look once more at those that stay while others have drained, and let these stay where the load is back."""
        kept: dict[str, list[str]] = {}
        hosts: list[Result] = []
        drained, scaled = self._drained(), self._pools()
        pools = {group: scaled[group] for group in drained if group in scaled}
        measured = self._measure(pools)
        for group, policies in pools.items():
            names = drained[group]
            seen = self._see(group, measured)
            if isinstance(seen, Unread):
                reasons = [seen.text]
            else:
                reasons = autoscale.comes_back(self._platform, policies, seen, self._now)
            if not reasons:
                continue
            answer = self._members({"group": group, "state": "settled", "kept": names})
            if answer.get("failed"):
                return answer
            self._say(f"{group}: {', '.join(names)} stay after all: {'; '.join(reasons)}")
            kept[group] = names
            hosts += [{"name": name, "groups": [scale_pool.STAYING]} for name in names]
        return {"kept": kept, "hosts": hosts}

    def _drained(self) -> dict[str, list[str]]:
        """Return those that have drained and have not left yet, by pool."""
        draining, found = self._group(scale_pool.DRAINING), {}
        for pool in self._vars["scale_plan"]["pools"]:
            if not pool.get("failed"):
                request = requests.of(pool["request"])
                found[request.group] = [name for name in request.leave if name in draining]
        return {group: names for group, names in found.items() if names}

    # The brake

    def _brake(self) -> Result:
        verb = self._verb
        if verb.name == autoscale_verbs.RESUME:
            answer = self._module("scaling_journal", {"group": verb.group, "state": "resumed"})
        else:
            pause = {"duration": verb.duration, "why": verb.why, "by": getpass.getuser()}
            answer = self._module("scaling_journal", {"group": verb.group, "state": "paused", **pause})
        if answer.get("failed"):
            return answer
        line = autoscale_verbs.told(verb, answer, answer["now"])
        self._say(line)
        return {"writes": False, "lines": [line], "changed": bool(answer.get("changed"))}

    # What a look is made of

    def _pools(self) -> Policies:
        return autoscale.pools(self._platform, self._verb.application or None)

    def _judge(self, pools: Policies, measured: Measured) -> tuple[dict[str, autoscale.Judged], dict[str, Unread]]:
        judged, unread = {}, {}
        for group, policies in pools.items():
            seen = self._see(group, measured)
            if isinstance(seen, Unread):
                unread[group] = seen
            else:
                judged[group] = autoscale.judge(self._platform, group, policies, seen, self._now)
        return judged, unread

    def _see(self, group: str, measured: Measured) -> autoscale.Seen | Unread:
        """Ask Consul about a pool: its record, who serves, and what was done to it."""
        options = self._options(requests.Asked(group, self._platform.pools[group], None))
        looked = self._members({**options, "minimum": 1, "maximum": None}, check=True)
        journal = looked if looked.get("failed") else self._module("scaling_journal", {"group": group})
        if journal.get("failed"):
            return Unread(str(journal.get("code") or "failed"), str(journal.get("msg") or "Consul does not say."))
        return autoscale.Seen(looked, journal, *measured)

    def _measure(self, pools: Policies) -> Measured:
        """Read the store, and add this run's own samples."""
        own = self._own()
        wants = [
            metric_source.Want.by(name, policy, self._now)
            for policies in pools.values()
            for name, policy in policies.items()
        ]
        problems: list[str] = []
        variables = self._platform.hosts[str(self._vars["inventory_hostname"])]
        given = {name: variables[name] for name in variables if name.startswith("push_metrics_store_")}
        try:
            store = metric_source.configured(given)
        except InvalidInput as error:
            store = None
            problems.append(error.message)
        found = metric_source.read(store, wants, self._now, own)
        problems += [error.message for error in found.problems]
        return Measured(found.readings, autoscale.connections(own), tuple(problems))

    def _own(self) -> list[t.Any]:
        """Return the samples that this run has taken."""
        found = []
        for host in self._vars["groups"]["all"]:
            variables = self._vars["hostvars"].raw_get(host)
            for name in _SAMPLES:
                results = (variables.get(name) or {}).get("results") or ()
                found += [one["sample"] for one in results if isinstance(one, dict) and one.get("sample")]
        return found

    # What is told

    def _sink(self) -> alert_sink.Settings | None:
        host = self._platform.members("consul_server")[0]
        given = self._platform.value(host, alert_sink.VARIABLE)
        return alert_sink.read(given, self._platform.value(host, alert_sink.SECRET))

    def _alert(self, group: str, judged: autoscale.Judged) -> t.Iterator[str]:
        """Tell what is new and what has cleared, once; yield a warning where no one takes it."""
        if not judged.news and not judged.cleared:
            return
        keys = [*(alert["key"] for alert in judged.alerts), *judged.remain]
        unsent: list[str] = []
        news = [alert for alert in judged.alerts if alert["key"] in judged.news]
        sink = self._sink()
        for alert in news:
            self._say(f"{group}: alert: {alert['text']}")
        try:
            if sink:
                alert_sink.send(sink, news, judged.cleared, self._now)
        except ScaleoutError as error:
            # Tried again by the next cycle: what was not sent is news then, and what has cleared is still known.
            unsent = list(judged.news)
            keys += judged.cleared
            yield error.coded
        answer = self._journal(group, "alerted", alerts=keys, unsent=unsent)
        if answer.get("failed"):
            yield f"[{answer.get('code')}] {answer.get('msg')}"

    def _told(self, lines: t.Sequence[str], unread: t.Mapping[str, Unread], pools: int) -> Result:
        """Show what comes of it; it fails where nothing is known of any pool."""
        all_of_them = [*lines, *(f"{group}: held: {one.text}" for group, one in unread.items())]
        for line in all_of_them:
            self._say(line)
        result: Result = {"writes": False, "lines": all_of_them}
        if unread and len(unread) == pools:
            first = next(iter(unread.values()))
            return {**result, "failed": True, "code": first.code, "msg": "\n".join(all_of_them)}
        if unread:
            result["warnings"] = [f"[{one.code}] {group}: {one.text}" for group, one in unread.items()]
        return result

    def _say(self, line: str) -> None:
        self._display.display(f"{time.strftime('%H:%M:%S')} {line}")
