# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Analyze the partitioned tables of a database, and freeze the partitions that no row comes to any more."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    PartlyApplied,
    Refused,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds, fit
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import KINDS, Axis, BadBound
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import read_record
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.upkeep import decide, server
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.upkeep.state import Leaf, Root, State


class KeepTables(Task):
    """Reads all partitioned tables at once, decides what is due, and does that table by table."""

    def __init__(self, endpoint: connection.Endpoint, rules: decide.Rules, tables: t.Sequence[str]) -> None:
        self.rules = rules
        self.tables = tuple(tables)
        self.session = connection.Session(endpoint.for_writes())

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> KeepTables:
        """The task that the options of the module ``table_upkeep`` describe, with its connection.

        :raises InvalidInput: an option that can never work.
        """
        rules = decide.Rules.of(params)
        return cls(connection.Endpoint.of(params), rules, params["tables"] or ())

    def plan(self) -> Plan:
        state = server.read(self.session, self.tables)
        if state.in_recovery:
            raise Refused("This server is a standby, where nothing is vacuumed; do it on the leader.", code="standby")
        fit.require_partitioned(self.tables, (root.label for root in state.roots), "this user's in this database")
        decision = decide.decide(with_times(state), self.rules)
        frozen = {one.leaf.label: "due" for one in decision.freeze}
        analyzed = {one.root.label: "due" for one in decision.analyze}
        return Plan(
            before={**analyzed, **frozen},
            after={**dict.fromkeys(analyzed, "analyzed"), **dict.fromkeys(frozen, "frozen")},
            actions=(*decision.analyze, *decision.freeze),
            result={
                "analyzed": list(analyzed),
                "frozen": [{"table": one.leaf.label, "reason": one.reason} for one in decision.freeze],
                "waiting": len(decision.waiting),
                "locked": [],
            },
        )

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        """Do what is due; a table where that fails stops no other.

        :raises ScaleoutError: naming what was done and what was not.
        """
        errors: list[ScaleoutError] = []
        done: list[str] = []
        not_done: list[str] = []
        locked: list[str] = []
        for action in plan.actions:
            if errors and isinstance(errors[-1], Unreachable):
                not_done.append(_described(action))
                continue
            try:
                if not server.carry_out(self.session, action):
                    locked.append(_described(action))
            except ScaleoutError as error:
                errors.append(error)
                not_done.append(_described(action))
            else:
                done.append(_described(action))
        if errors:
            raise PartlyApplied.stopped_by(errors[0], done, not_done)
        return {"locked": locked}

    def close(self) -> None:
        self.session.close()


def with_times(state: State) -> State:
    """The same, with the time at which each partition by time closed."""
    return dataclasses.replace(state, roots=tuple(_with_times(root) for root in state.roots))


def _with_times(root: Root) -> Root:
    axis = _axis_of(root)
    if axis is None:
        return root
    leaves = tuple(dataclasses.replace(leaf, closed=_closed(leaf, axis)) for leaf in root.leaves)
    return dataclasses.replace(root, leaves=leaves)


def _axis_of(root: Root) -> Axis | None:
    """What the values of a table's key column are, if they are times: as its partition set has it, or by the type."""
    kind = read_record(root.comment).kind
    axis = Axis(kind) if kind in KINDS else Axis.of_type(root.column_type)
    return axis if axis and root.strategy == "range" and not axis.is_number else None


def _closed(leaf: Leaf, axis: Axis) -> int | None:
    try:
        bound = bounds.parse(leaf.bound, axis)
    except BadBound:
        return None
    if not isinstance(bound, bounds.Range) or isinstance(bound.upper, float):
        return None
    return axis.micros(bound.upper)


def _described(action: t.Any) -> str:
    if isinstance(action, decide.Analyze):
        return f"analyze {action.root.label}"
    return f"freeze {action.leaf.label}"
