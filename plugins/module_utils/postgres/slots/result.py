# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a task says of the slots that it was about; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import guard
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.decide import Decision
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Slot

RESULT_FIELDS = (
    "name",
    "slot_type",
    "plugin",
    "database",
    "active",
    "restart_lsn",
    "wal_status",
    "safe_wal_size",
)

DETAILS = (
    "slot_type",
    "plugin",
    "database",
    "two_phase",
    "failover",
    "active",
    "active_pid",
    "inactive_since",
    "restart_lsn",
    "confirmed_flush_lsn",
    "wal_status",
    "safe_wal_size",
    "retained_bytes",
    "invalidation_reason",
)


def result(decision: Decision, now: t.Mapping[str, Slot] | None = None) -> dict[str, t.Any]:
    """What the module returns.

    :param now: the slots once the plan was carried out; ``None`` to predict them.
    """
    returned: dict[str, t.Any] = {"slots": _rows(decision, now)}
    if decision.limits:
        returned["guard"] = {
            "action": "drop" if decision.limits.drop else "report",
            "free_bytes": decision.disk.free if decision.disk else None,
            "total_bytes": decision.disk.total if decision.disk else None,
            "slots": [_spared(finding, now) for finding in decision.findings],
        }
    return returned


def _spared(finding: guard.Finding, now: t.Mapping[str, Slot] | None) -> dict[str, t.Any]:
    row = {
        "name": finding.name,
        "choice": finding.choice,
        "reason": finding.reason,
        "retained_bytes": finding.retained_bytes,
    }
    if finding.choice == "dropped" and now and finding.name in now and now[finding.name].active:
        row.update(choice="kept", reason="a client began to use it meanwhile")
    return row


def _rows(decision: Decision, now: t.Mapping[str, Slot] | None) -> list[t.Any]:
    rows = []
    for choice in decision.choices:
        after = choice.after if now is None else now.get(choice.name)
        row = {field: getattr(after or choice.before, field, None) for field in RESULT_FIELDS}
        # The guard leaves a slot that a client began to use between the plan and its turn.
        spared = now is not None and choice.guarded and after and after.active
        action = "none" if spared else choice.action
        row.update(name=choice.name, active=bool(after and after.active), action=action)
        if decision.entries is not None:
            row["patroni"] = choice.kinds[0 if spared else 1]
        rows.append(dict(row, before=fields_of(choice.before), after=fields_of(after)))
    return rows


def fields_of(slot: Slot | None) -> dict[str, t.Any] | None:
    """A slot as it is returned, with what moves by itself."""
    return None if slot is None else {field: getattr(slot, field) for field in DETAILS}
