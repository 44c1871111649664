# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The upkeep of databases as a row of modules, and what each came to, in lines for a person; pure."""

from __future__ import annotations

import dataclasses
import typing as t

_OURS = "scaleout.platform"
#: So many names are listed in a line.
_MOST_NAMES = 6


@dataclasses.dataclass(frozen=True)
class Step:
    """One module in one database.

    :param label: what it is about, for a person.
    """

    database: str
    label: str
    module: str
    options: t.Mapping[str, t.Any]

    @property
    def place(self) -> str:
        """What a line about it begins with."""
        return f"{self.database}: {self.label}"


def steps(databases: t.Sequence[t.Mapping[str, t.Any]], verify: bool = False) -> list[Step]:
    """Return what is to be done, in its order: partitions first, since rows wait for them.

    :param databases: as ``upkeep.of`` has them, of one host.
    :param verify: whether summaries are compared with their tables.
    """
    return [step for database in databases for step in _of_database(database, verify)]


def _of_database(given: t.Mapping[str, t.Any], verify: bool) -> t.Iterator[Step]:
    name = str(given["database"])

    def step(label: str, module: str, **options: t.Any) -> Step:
        return Step(name, label, f"{_OURS}.{module}", {**options, "login_db": name})

    if given["partition_sets"]:
        yield step("partition sets", "partition_set", sets=given["partition_sets"])
    for one in given["summaries"]:
        yield step(f"summary {one.get('name')}", "summary_table", state="present", **one)
    # What an entry names as owner is trusted; without a name, a summary of another's is passed over.
    for owner in dict.fromkeys(one.get("owner") for one in given["summaries"]):
        of_owner = {"owner": owner} if owner else {}
        yield step("summaries", "summary_table", state="folded", **of_owner)
        if verify:
            yield step("summaries verified", "summary_table", state="verified", **of_owner)
    if given["materialized_views"]:
        yield step("materialized views", "materialized_view", views=given["materialized_views"])
    yield step("tables", "table_upkeep")


def told(step: Step, result: t.Mapping[str, t.Any], check_mode: bool = False) -> list[str]:
    """Return what a step came to; nothing where nothing was to be done."""
    would = "would be " if check_mode else ""
    lines = [f"{step.place}: {text}" for text in _TOLD[step.module](result, would)]
    if result.get("failed"):
        reason = str(result.get("msg") or "see above").rstrip(".")
        lines.append(f"{step.place}: failed [{result.get('code', 'failed')}]: {reason}.")
    return lines


def _of_sets(result: t.Mapping[str, t.Any], would: str) -> t.Iterator[str]:
    for one in result.get("sets") or ():
        made = [new["name"] for new in one.get("created") or ()]
        if made:
            yield f"{one['table']}: {_names(made)} {would}created"
        for action in dict.fromkeys(old["action"] for old in one.get("retired") or ()):
            if action != "kept":
                gone = [old["name"] for old in one["retired"] if old["action"] == action]
                yield f"{one['table']}: {_names(gone)} {would}{action}"
        if one.get("moved"):
            yield f"{one['table']}: {one['moved']} rows of the default partition {would}moved"


def _of_summaries(result: t.Mapping[str, t.Any], would: str) -> t.Iterator[str]:
    outcome = result.get("outcome")
    if outcome == "folded":
        yield f"{result.get('folded')} rows {would}folded"
    elif outcome == "drifted":
        named = [f"{one['summary']} in {one['drifted']} groups" for one in result["verified"] if one["drifted"]]
        if named:
            yield f"not what the tables have: {_names(named)}; reseed: true counts again"
        for one in result["verified"]:
            if one.get("altered"):
                yield f"{one['summary']} cannot be compared: {'; '.join(one['altered'])}"
    elif outcome == "exact":
        yield "exact"
    elif outcome and outcome != "none":
        yield f"{would}{outcome}"


def _of_views(result: t.Mapping[str, t.Any], would: str) -> t.Iterator[str]:
    for one in result.get("views") or ():
        if one["action"] != "none":
            reason = f", because {one['reason']}" if one.get("reason") else ""
            yield f"{one['name']} {would}{one['action']}{reason}"


def _of_tables(result: t.Mapping[str, t.Any], would: str) -> t.Iterator[str]:
    if result.get("analyzed"):
        yield f"{_names(result['analyzed'])} {would}analyzed"
    if result.get("frozen"):
        waiting = f", {result['waiting']} more wait for the next runs" if result.get("waiting") else ""
        yield f"{_names([one['table'] for one in result['frozen']])} {would}frozen{waiting}"
    if result.get("locked"):
        yield f"left to the next run, as others had a lock: {_names(result['locked'])}"


_TOLD: dict[str, t.Callable[[t.Mapping[str, t.Any], str], t.Iterator[str]]] = {
    f"{_OURS}.partition_set": _of_sets,
    f"{_OURS}.summary_table": _of_summaries,
    f"{_OURS}.materialized_view": _of_views,
    f"{_OURS}.table_upkeep": _of_tables,
}


def _names(names: t.Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
