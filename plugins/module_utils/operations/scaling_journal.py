# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the journal of a pool in Consul: what was decided and became of it, what pauses it, and which alerts are out."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, all_of
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import fault_of_group
from ansible_collections.scaleout.platform.plugins.module_utils.operations.fenced import FencedDocument, fault_of_prefix
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import history, journal
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.journal import EVERYONE, Journal

#: What only the run does that has the lease.
_FENCED = ("broken_off", "begun", "finished")
#: What can be said of all pools.
_OF_ALL = ("shown", "paused", "resumed", "repaired")

Change = t.Callable[[Journal, float], Journal]
"""From what is remembered, and the time, to what is to be."""


class KeepJournal(FencedDocument):
    """Reads the journal of a pool and that of all pools, and writes the next one unless another client has written."""

    def __init__(self, consul: Consul, prefix: str, group: str, change: Change, run: str | None) -> None:
        super().__init__(consul, prefix, group, run)
        self._change = change

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any], acts: bool) -> KeepJournal:
        """The task that the options of the module ``scaling_journal`` describe.

        :param acts: whether this is no dry run.
        :raises ScaleoutError: options that can never work, all of them.
        """
        change = _change(params)
        run = params["run"] if acts and params["state"] != "shown" else None
        return cls(Consul.from_options(params), params["prefix"], params["group"], change, run)

    def plan(self) -> Plan:
        self._fence()
        now = time.time()
        before, everyone = self._read(self._group), None
        if self._group != EVERYONE:
            everyone = self._read(EVERYONE)
        after = self._change(before, now)
        pause = after.paused_at(now, everyone)
        of_all = [f"Of all pools: {text}" for text in everyone.faults] if everyone else []
        ended = after.actions[-1].document() if before.running and after.running is None else None
        return Plan(
            before=before.text(),
            after=after.text(),
            actions=() if after == before else (after,),
            result={
                "paused": dataclasses.asdict(pause) if pause else None,
                "running": after.running.document() if after.running else None,
                "ended": ended,
                "history": [*(history.fault(text) for text in of_all), *after.past()],
                "known_alerts": after.sent,
                "faults": [*of_all, *after.faults],
                "journal": after.document(),
                "now": now,
            },
        )

    def _read(self, group: str) -> Journal:
        key = f"{self._prefix}/{group}"
        found = documents.read(self._consul, key)
        if group == self._group:
            self._seen = found
        if found is None:
            return Journal(group)
        try:
            return journal.decode(found.text, group)
        except journal.InvalidJournal as error:
            raise Refused(
                f"The key {key} in Consul at {self._consul.place} holds something that is not a journal of a pool, "
                f"and nothing is written: {error.message}",
                code=error.code,
                key=key,
            ) from error


def _change(params: t.Mapping[str, t.Any]) -> Change:
    """Read the options.

    :raises InvalidInput: one of them cannot be; :raises ScaleoutError: several.
    """
    state, run = params["state"], (params["run"] or "").strip()
    faults: list[InvalidInput] = []
    group = params["group"]
    if fault_of_group(group):
        faults.append(InvalidInput("group", group, fault_of_group(group) or ""))
    elif group == EVERYONE and state not in _OF_ALL:
        faults.append(InvalidInput("group", group, f"is all pools, and {state} is of one"))
    prefix = params["prefix"]
    fault = fault_of_prefix(prefix)
    if fault:
        faults.append(InvalidInput("prefix", prefix, fault))
    if state in _FENCED and not run:
        faults.append(InvalidInput("run", run, f"is not a run, and {state} is only for the one with the lease"))
    change = _CHANGES[state](params, run, faults)
    if faults:
        raise all_of(faults)
    return change


def _begun(params: t.Mapping[str, t.Any], run: str, faults: list[InvalidInput]) -> Change:
    given = params["action"] or {}
    unknown = sorted(set(given) - {"direction", "from", "to", "by", "why", "replaced"})
    try:
        if unknown:
            raise history.InvalidAction(f"It has {', '.join(unknown)}, which is not known here.")
        # When it begins is the time of the write.
        action = history.read({**given, "started": 1})
    except history.InvalidAction as error:
        reason = f"cannot be: {error.message[:1].lower()}{error.message[1:].rstrip('.')}"
        faults.append(InvalidInput("action", given, reason))
        return _shown(params, run, faults)
    return lambda found, now: found.begun(action, run, now)


def _finished(params: t.Mapping[str, t.Any], run: str, faults: list[InvalidInput]) -> Change:
    outcome, why = params["outcome"], params["why"] or ""
    if outcome is None:
        faults.append(InvalidInput("outcome", outcome, "is not succeeded, failed or called_off"))
    return lambda found, now: found.finished(outcome, now, why, run)


def _paused(params: t.Mapping[str, t.Any], _run: str, faults: list[InvalidInput]) -> Change:
    seconds, why, by = 0.0, (params["why"] or "").strip(), (params["by"] or "").strip()
    try:
        seconds = journal.parse_duration(params["duration"])
    except InvalidInput as error:
        faults.append(error)
    if not why:
        faults.append(InvalidInput("why", params["why"], "is no reason, and a pause needs one"))
    keep = params["keep_longer"]
    return lambda found, now: found.paused(now + seconds, why, by, now, keep)


def _alerted(params: t.Mapping[str, t.Any], _run: str, faults: list[InvalidInput]) -> Change:
    keys, unsent = params["alerts"], params["unsent"]
    if keys is None:
        faults.append(InvalidInput("alerts", keys, "is not a list of alerts, which is empty where none is out"))
    return lambda found, now: found.alerted(keys, now, unsent)


def _shown(_params: t.Mapping[str, t.Any], _run: str, _faults: list[InvalidInput]) -> Change:
    return lambda found, _now: found


_CHANGES: dict[str, t.Callable[[t.Mapping[str, t.Any], str, list[InvalidInput]], Change]] = {
    "shown": _shown,
    "broken_off": lambda _params, run, _faults: lambda found, now: found.broken_off(run, now),
    "begun": _begun,
    "finished": _finished,
    "alerted": _alerted,
    "paused": _paused,
    "resumed": lambda _params, _run, _faults: lambda found, _now: found.resumed(),
    "repaired": lambda _params, _run, _faults: lambda found, now: found.repaired(now),
}
STATES = tuple(_CHANGES)
