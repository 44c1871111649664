# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares what a server answered to settings.sql (standard input) with what our code says of the same texts."""

from __future__ import annotations

import json
import sys

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue, overrides, values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import BadValue, Definition

FIELDS = ("name", "vartype", "context", "boot_val", "source", "unit", "min_val", "max_val")
# Numbers within the bounds that the server refuses all the same, for reasons of the host or of its own.
NOT_BY_BOUNDS = {
    "effective_io_concurrency",
    "maintenance_io_concurrency",
    "max_stack_depth",
    "vacuum_buffer_usage_limit",  # 0, or 128 kB and more
}


def main() -> int:
    answers = json.load(sys.stdin)
    known = {
        row["name"]: Definition(
            setting=row["reset_val"],
            enumvals=tuple(row["enumvals"] or ()),
            **{field: row[field] for field in FIELDS},
        )
        for row in answers["settings"]
    }
    faults = list(shown_is_stored(known, answers["settings"]))
    faults += attempts(known, answers["attempts"])
    faults += lists(answers)
    refused = set(answers["not_for_a_database"])
    expected = {name for name, definition in known.items() if definition.context in overrides.OUT_OF_REACH}
    faults += [f"{name}: only one of us keeps it from databases" for name in refused ^ expected]
    for fault in faults[:50]:
        sys.stdout.write(fault + "\n")
    sys.stdout.write(f"{len(known)} settings, {len(answers['attempts'])} texts, {len(faults)} faults\n")
    return 1 if faults else 0


def shown_is_stored(known, rows):
    for row in rows:
        definition = known[row["name"]]
        stored, shown = (values.parse(definition, row[column]) for column in ("setting", "shown"))
        if stored.meaning != shown.meaning and definition.vartype != "real":
            yield f"{definition.name}: {row['shown']!r} is not read as {row['setting']!r}"
        if stored.shown != row["shown"] and definition.vartype != "string":
            yield f"{definition.name}: {row['setting']!r} is shown as {row['shown']!r}, not {stored.shown!r}"


def attempts(known, rows):
    for name, wanted, stored, shown, error in rows:
        definition = known[name]
        try:
            value = values.parse(definition, wanted)
        except BadValue as reason:
            if error is None:
                yield f"{name}: {wanted!r} is refused here ({reason}), and the server stores {stored!r}"
            elif "outside the valid range" in error and (
                f"{definition.min_val} to {definition.max_val}" not in str(reason)
                and "does not fit in 32 bits" not in str(reason)
            ):
                yield f"{name}: {wanted!r}: {reason} does not name the bounds of: {error}"
            continue
        if error is not None:
            if name not in NOT_BY_BOUNDS:
                yield f"{name}: {wanted!r} is taken here, and the server says: {error}"
        elif value.shown != shown:
            yield f"{name}: {wanted!r} is {value.shown!r} here, and {shown!r} to the server"
        elif definition.vartype != "real" and value.meaning != values.parse(definition, stored).meaning:
            yield f"{name}: {wanted!r} is {value.meaning!r} here, and {stored!r} to the server"


def lists(answers):
    ours = catalogue.QUOTED_LISTS | catalogue.PLAIN_LISTS
    for name, one in answers["one_argument"].items():
        if one == (name.lower() in ours):
            yield f"{name}: {'no list' if one else 'a list'} to the server"
    for name, quoted in answers["quoted"].items():
        if quoted != (name.lower() in catalogue.QUOTED_LISTS) and name.lower() in ours:
            yield f"{name}: the server {'quotes' if quoted else 'does not quote'} its elements"


if __name__ == "__main__":
    sys.exit(main())
