# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a task says of summaries, in its diff and in its result; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.decide import (
    CHANGED,
    NONE,
    RESEEDED,
    Decision,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import Kept


def described(kept: Kept | None) -> dict[str, t.Any] | None:
    """A summary as diffs and results show it."""
    if kept is None:
        return None
    summary = kept.summary
    tables = []
    for source in summary.sources:
        columns = [
            {
                "name": column.name,
                "function": column.function,
                "column": column.column or None,
                "filter": column.filter or None,
            }
            for column in source.columns
        ]
        entry = {"schema": source.schema, "table": source.table, "group_by": list(source.group_by), "columns": columns}
        tables.append(entry)
    every = summary.every
    return {
        "schema": summary.schema,
        "name": summary.name,
        "owner": kept.owner,
        "readers": sorted(kept.readers),
        "tables": tables,
        "every": every and {"schema": every.schema, "table": every.table, "columns": list(every.group_by)},
    }


def _types(kept: Kept | None) -> dict[str, str]:
    """What the columns that count are, as far as it makes a difference."""
    parts = kept.parts if kept else ()
    return {
        f"{part.source.label}.{name}": kind + (", may be null" if name in part.nullable else "")
        for part in parts
        for name, kind in part.types.items()
    }


def plan(decision: Decision) -> Plan:
    """What is carried out, as a value."""
    changes = decision.outcome != NONE
    before, after = described(decision.before), described(decision.after)
    bare = [relation.label for relations in decision.bare.values() for relation in relations]
    if bare and before and after:
        before["without_triggers"], after["without_triggers"] = sorted(set(bare)), []
    stray = sorted({one.label for one in decision.stray})
    if stray and before and after:
        before["stray_triggers"], after["stray_triggers"] = stray, []
    if decision.before and decision.before.altered and before and after:
        before["altered"], after["altered"] = list(decision.before.altered), []
    if before and before == after and decision.outcome == CHANGED:
        before["types"], after["types"] = map(_types, (decision.before, decision.after))
    if decision.outcome == RESEEDED and before and after:
        before["counted_again"], after["counted_again"] = False, True
    if decision.leftovers and decision.outcome == "cleaned":
        before = {**(before or {}), "leftovers": list(decision.leftovers)}
        after = {**(after or {}), "leftovers": []} if after else None
    return Plan(
        before=before,
        after=after,
        actions=(decision,) if changes else (),
        result={
            "outcome": decision.outcome,
            "summary": described(decision.after),
            "without_triggers": sorted(set(bare)),
            "stray_triggers": stray,
        },
    )
