# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of a set, or would; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Waited
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds, coverage
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision, New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.retention import Old
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Leftover


@dataclasses.dataclass
class Outcome:
    """What was done for a set so far.

    :param described: its table was created, and has its comment.
    :param converted: what the plain table has become, by its name and bounds; without bounds where its rows have moved.
    :param validated: foreign keys to the table, of others, that were moved to it and validated.
    :param paused: how long a move of rows or a conversion waited for others, and why.
    :param announced: what a retention puts away, in the run that is the first to have it.
    :param finished: what an earlier run had detached and this one has dropped or moved.
    :param error: why the rest was not done.
    """

    created: list[New] = dataclasses.field(default_factory=list)
    retired: list[Old] = dataclasses.field(default_factory=list)
    announced: tuple[Old, ...] = ()
    finished: list[Leftover] = dataclasses.field(default_factory=list)
    converted: dict[str, str | None] | None = None
    validated: list[str] = dataclasses.field(default_factory=list)
    paused: dict[str, t.Any] | None = None
    moved: int = 0
    described: bool = False
    dropped_default: bool = False
    dropped_table: bool = False
    waited: Waited = dataclasses.field(default_factory=Waited)
    errors: list[ScaleoutError] = dataclasses.field(default_factory=list)

    @property
    def changed(self) -> bool:
        done = self.converted or self.validated or self.created or self.retired or self.finished or self.moved
        return bool(done or self.described or self.dropped_default or self.dropped_table)


def announced(decision: Decision) -> tuple[Old, ...]:
    """What is said to be put away. What merely grew old since the last run goes without a word, each time."""
    return decision.going if decision.retention_is_new else ()


def predicted(decision: Decision) -> Outcome:
    """What will have been done when all goes well."""
    return Outcome(
        created=list(decision.create),
        retired=list(decision.going),
        announced=announced(decision),
        finished=list(decision.leftovers),
        described=decision.create_root or decision.comment is not None,
        dropped_default=decision.drop_default,
        dropped_table=decision.drop_table,
        moved=sum(decision.strays.values()),
        errors=[decision.retention_error] if decision.retention_error else [],
    )


def result(decision: Decision, outcome: Outcome) -> dict[str, t.Any]:
    """What the module returns of a set."""
    axis = decision.axis
    gone = {old.partition.oid for old in outcome.retired}
    if outcome.dropped_default and decision.default:
        gone.add(decision.default.oid)
    kept = [bound for one, bound in decision.present if one.oid not in gone]
    # Of those that a conversion was to make, a run that went on with an interrupted one may have made some now.
    created = list({new.name: new for new in outcome.created}.values())
    created = created if axis is None else sorted(created, key=lambda new: new.order)
    # What was created before the set was looked at again is there by now.
    there = {one.name for one, _bound in decision.present}
    after = [] if outcome.dropped_table else [*kept, *(new.bound for new in created if new.name not in there)]
    ranges = sorted(bound for bound in after if isinstance(bound, Range))
    error = outcome.errors[0] if outcome.errors else None
    shown = axis.shown if axis else str
    retired = [*outcome.retired, *(old for old in decision.retire if old.action == "kept")]
    finished = [left for left in outcome.finished if left.action != "moving"]
    return {
        "table": decision.wanted.table,
        "schema": decision.wanted.schema,
        "outcome": "failed" if error else "changed" if outcome.changed else "unchanged",
        "code": error.code if error else None,
        "msg": " ".join(one.message for one in outcome.errors) or None,
        "converted": outcome.converted,
        "validated": outcome.validated,
        "paused": outcome.paused,
        "created": [{"name": new.name, "bounds": bounds.shown(new.bound, axis)} for new in created],
        "retired": [{"name": old.partition.name, "action": old.action, "bounds": old.bounds} for old in retired]
        + [{"name": left.name, "action": left.action, "bounds": None} for left in finished],
        "moved": outcome.moved,
        "gaps": [gap.shown(axis) for gap in coverage.gaps(ranges)] if axis else [],
        "partitions": len(after),
        "last_bound": shown(ranges[-1].upper) if ranges else None,
        "time_zone": decision.time_zone,
        **outcome.waited.result(),
    }


def before_and_after(decision: Decision, outcome: Outcome) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The partitions that come and go, as the diff shows them; what stays is left out."""
    axis = decision.axis
    before: dict[str, t.Any] = {old.partition.name: old.bounds for old in outcome.retired}
    after: dict[str, t.Any] = {new.name: bounds.shown(new.bound, axis) for new in outcome.created}
    if outcome.converted:
        before["table"], after["table"] = "plain", f"partitioned by {decision.wanted.by}"
        after[str(outcome.converted["name"])] = outcome.converted["bounds"] or "the table of before, no longer in use"
        if outcome.converted["bounds"] is None:
            after.update({one.name: bounds.shown(bound, axis) for one, bound in decision.present})
    if outcome.dropped_table:
        before = {one.name: bounds.shown(bound, axis) for one, bound in decision.present} or {"table": "empty"}
    if outcome.dropped_default and decision.default:
        before[decision.default.name] = "DEFAULT"
    interrupted = {"dropped": "to be dropped", "moved": "to be moved", "moving": "left of an interrupted move of rows"}
    before.update({left.name: interrupted[left.action] for left in outcome.finished})
    if outcome.described and decision.comment is not None:
        before["comment"] = decision.root.comment if decision.root else None
        after["comment"] = decision.comment
    return before, after


def failed(wanted_table: str, schema: str, error: ScaleoutError) -> dict[str, t.Any]:
    """What the module returns of a set that could not even be decided."""
    return {
        "table": wanted_table,
        "schema": schema,
        "outcome": "failed",
        "code": error.code,
        "msg": error.message,
        "converted": None,
        "validated": [],
        "paused": None,
        "created": [],
        "retired": [],
        "moved": 0,
        "gaps": [],
        "partitions": None,
        "last_bound": None,
        "time_zone": None,
        **Waited().result(),
    }
