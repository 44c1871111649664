# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep, fold, verify and drop the summaries of a database."""

from __future__ import annotations

import dataclasses
import random
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.names import fault_of_length
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection, locks
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import decide, result, server
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.decide import Decision
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import Summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import Kept, State

#: How often a summary is looked at again because another task was faster, and the longest pause before, in seconds.
RACES, _PAUSE = 5, 0.5

_DECLARED = ("tables", "every", "readers", "reseed")


def task(params: t.Mapping[str, t.Any]) -> Task:
    """The task that the options of the module ``summary_table`` describe, with its connection.

    :raises InvalidInput: an option that can never work.
    """
    if not locks.SHORTEST <= params["lock_timeout"] <= locks.LONGEST:
        raise InvalidInput(
            "lock_timeout",
            params["lock_timeout"],
            f"is not a number of milliseconds from {locks.SHORTEST} to {locks.LONGEST}",
        )
    if params["lock_patience"] < 0:
        raise InvalidInput("lock_patience", params["lock_patience"], "is not a number of seconds from 0 on")
    for option in ("schema", "name", "owner"):
        fault = params[option] and fault_of_length(params[option])
        if fault:
            raise InvalidInput(option, params[option], fault)
    state = params["state"]
    if state != "present":
        for option in _DECLARED:
            if params[option]:
                raise InvalidInput(option, params[option], f"does nothing with state {state}")
    wanted = Summary.of(params) if state == "present" else Summary(params["schema"], params["name"] or "")
    waiting = locks.Patience(params["lock_timeout"], params["lock_patience"])
    endpoint = connection.Endpoint.of(params)
    if state == "verified":
        return VerifySummaries(endpoint, wanted, params["owner"] or "")
    if state == "folded":
        return FoldSummaries(endpoint, wanted, params["owner"] or "", waiting)
    return KeepSummary(endpoint, wanted, state, params, waiting)


class KeepSummary(Task):
    """Reads a summary and its tables, decides what becomes of it, and makes it so."""

    def __init__(
        self,
        endpoint: connection.Endpoint,
        wanted: Summary,
        state: str,
        params: t.Mapping[str, t.Any],
        waiting: locks.Patience,
    ) -> None:
        self.wanted = wanted
        self.state = state
        self.owner: str = params["owner"] or ""
        self.readers = tuple(dict.fromkeys(params["readers"] or ()))
        self.again = bool(params["reseed"])
        self.waiting = waiting
        self.session = connection.Session(endpoint.for_writes())
        self.oids: dict[str, int] = {}
        self.seen: t.Mapping[str, str] = {}

    def plan(self) -> Plan:
        found = server.read(self.session, self.wanted, self.owner, self.readers)
        self.seen = found.seen
        # For an owner who does not exist nothing is known of a tree.
        self.oids = {f"{schema}.{name}": one.root.oid for (schema, name), one in found.tables.items() if one.tree}
        if found.kept and (self.state == "absent" or found.kept.owner == found.owner):
            _trust(self.session, found.kept, self.owner)
        if self.state == "absent":
            if found.kept:
                # Its tables are known by now.
                of_it = server.read(self.session, found.kept.summary, self.owner, ())
                self.oids = {f"{schema}.{name}": table.root.oid for (schema, name), table in of_it.tables.items()}
            return self._planned(decide.absent(self.wanted, found), found)
        decide.check_server(found)
        # Filters are read once the tables are known to be there.
        decide.present(self.wanted, found, {}, self.readers, self.again)
        filters = decide.unknown_filters(self.wanted, found.kept)
        canonical = dict(found.kept.canonical) if found.kept and not filters else {}
        canonical.update(server.canonical(self.session, filters, self.owner))
        return self._planned(decide.present(self.wanted, found, canonical, self.readers, self.again), found)

    def _planned(self, decision: Decision, found: State) -> Plan:
        decide.check_dependents(decision, found)
        return result.plan(decision)

    def apply(self, plan: Plan) -> Plan:
        waited = locks.Waited()
        work = server.Work(self.session, self.owner, self.waiting, waited)
        for left in reversed(range(RACES)):
            try:
                for decision in plan.actions:
                    work.carry_out(decision, self.oids, self.seen)
                break
            except Conflict:
                if not left:
                    raise
            # Another task is at the same summary. What it has made of it decides, once it is through.
            time.sleep(_PAUSE * random.uniform(0.5, 1.0))
            plan = self.plan()
        return dataclasses.replace(plan, result={**plan.result, **waited.result()})

    def close(self) -> None:
        self.session.close()


def _trust(session: connection.Session, kept: Kept, owner: str) -> None:
    """Refuse a summary whose owner could run code of their own with the rights of this session.

    :raises Refused: the task does not name that owner.
    """
    (strange,) = server.distrust(session, [kept], [owner])
    if strange:
        raise Refused(_untrusted(f"{kept.summary.label} is left alone", strange), code="untrusted", strange=strange)


def _untrusted(what: str, strange: t.Sequence[str]) -> str:
    return (
        f"{what}, as {strange[0]} could run code with the rights of this session. Name the role as owner if you trust "
        "it."
    )


def _kept(session: connection.Session, wanted: Summary, owner: str) -> tuple[list[Kept], list[str]]:
    """The summaries that a task without a declaration is about, and warnings of those that are passed over."""
    kept, odd = server.marked(session, wanted.schema, wanted.name or None)
    if wanted.name:
        if not kept:
            raise Refused(f"There is no summary {wanted.label}.", code="missing")
        _trust(session, kept[0], owner)
        return server.known_now(session, kept), []
    asked = [one for one in kept if not owner or one.owner == owner]
    trusted = []
    warnings = [f"{label} was passed over: its comment is no summary's, or one of another view." for label in odd]
    for one, strange in zip(asked, server.distrust(session, asked, [owner] * len(asked))):
        if strange:
            warnings.append(_untrusted(f"The summary {one.summary.label} was passed over", strange))
        else:
            trusted.append(one)
    return server.known_now(session, trusted), warnings


def _altered(kept: Kept) -> str:
    return (
        f"The summary {kept.summary.label} was left alone: {'; '.join(kept.altered)}. Run `state: present` with the "
        "names of now; until then, writes to its tables may fail."
    )


class FoldSummaries(Task):
    """Folds what is pending of a summary, or of all in the database."""

    def __init__(self, endpoint: connection.Endpoint, wanted: Summary, owner: str, waiting: locks.Patience) -> None:
        self.wanted = wanted
        self.owner = owner
        self.waiting = waiting
        self.session = connection.Session(endpoint.for_writes())

    def plan(self) -> Plan:
        found, warnings = _kept(self.session, self.wanted, self.owner)
        altered = [kept for kept in found if kept.altered]
        if altered and self.wanted.name:
            raise Refused(_altered(altered[0]), code="altered", altered=list(altered[0].altered))
        warnings += map(_altered, altered)
        found = [kept for kept in found if not kept.altered]
        pending = [(kept, server.pending(self.session, kept)) for kept in found]
        count = sum(one for _name, one in pending)
        return Plan(
            before={kept.summary.label: {"pending": one} for kept, one in pending},
            after={kept.summary.label: {"pending": 0} for kept, _value in pending},
            actions=tuple(kept for kept, one in pending if one),
            result={"folded": count, "outcome": "folded" if count else "none"},
            warnings=tuple(warnings),
        )

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        waited = locks.Waited()
        work = server.Work(self.session, self.owner, self.waiting, waited)
        return {"folded": sum(work.fold(one) for one in plan.actions), **waited.result()}

    def close(self) -> None:
        self.session.close()


class VerifySummaries(Task):
    """Compares a summary, or all of the database, with the base tables; changes nothing."""

    def __init__(self, endpoint: connection.Endpoint, wanted: Summary, owner: str) -> None:
        self.wanted = wanted
        self.owner = owner
        self.session = connection.Session(endpoint)

    def plan(self) -> Plan:
        found = []
        summaries, warnings = _kept(self.session, self.wanted, self.owner)
        for kept in summaries:
            label, altered = kept.summary.label, list(kept.altered)
            if altered:
                warnings.append(_altered(kept))
                found.append({"summary": label, "exact": False, "drifted": 0, "drift": [], "altered": altered})
                continue
            count, drift = server.drift(self.session, kept)
            if count:
                # A partition that was attached between the plan of the comparison and its snapshot is no drift.
                count, drift = server.drift(self.session, kept)
            found.append({"summary": label, "exact": not count, "drifted": count, "drift": drift, "altered": []})
            if count:
                warnings.append(
                    f"The summary {label} differs from its tables in {count} groups. Something was done behind its "
                    "triggers; `reseed: true` counts it again."
                )
        exact = all(one["exact"] for one in found)
        return Plan(
            before=None,
            after=None,
            result={"outcome": "exact" if exact else "drifted", "exact": exact, "verified": found},
            warnings=tuple(warnings),
        )

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        raise AssertionError(plan)  # there is nothing to carry out

    def close(self) -> None:
        self.session.close()
