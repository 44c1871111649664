# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``maintain.yml`` keeps in which database, as the entries of applications say it; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.operations import alter_matviews, keep_partitions
from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Platform,
    Problem,
    Upkeep,
    leader_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.spec import parse_views
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import parse_sets
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import Summary
from ansible_collections.scaleout.platform.plugins.module_utils.topology.applications import REFERENCE_API
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import number

#: Options of each module that an entry may have: those that say what is to be there.
_OF_SETS = keep_partitions.OPTIONS
_OF_VIEWS = alter_matviews.OPTIONS
_OF_SUMMARIES = ("name", "schema", "tables", "every", "owner", "readers")
_OF_TABLES = ("table", "schema", "group_by", "columns")
_OF_COLUMNS = ("name", "function", "column", "filter")
_OF_EVERY = ("table", "schema", "columns")

#: What the reference API's statistics of a user are made of.
_USER_STATS: dict[str, t.Any] = {
    "name": "user_stats",
    "every": {"table": "users", "columns": ["id"]},
    "tables": [
        {
            "table": "tasks",
            "group_by": ["user_id"],
            "columns": [
                {"name": "total_tasks", "function": "count"},
                {"name": "completed_tasks", "function": "count", "filter": "status = 'completed'"},
            ],
        },
        {
            "table": "habits",
            "group_by": ["user_id"],
            "columns": [
                {"name": "total_habits", "function": "count"},
                {"name": "best_streak", "function": "max", "column": "best_streak"},
            ],
        },
    ],
}


@dataclasses.dataclass(frozen=True)
class _Kept:
    """What is kept in one database.

    :param place: where the inventory says so.
    """

    place: str
    host: str
    database: str
    owner: str
    upkeep: Upkeep


def of(platform: Platform) -> dict[str, list[dict[str, t.Any]]]:
    """Return what is to be kept, by the host whose server takes writes: a mapping for each of its databases.

    What is made belongs to the owner of the database, where an entry says nothing else.
    """
    found: dict[str, dict[str, dict[str, t.Any]]] = {}
    for kept in _kept(platform):
        entry = found.setdefault(kept.host, {}).setdefault(
            kept.database,
            {"database": kept.database, "partition_sets": [], "summaries": [], "materialized_views": []},
        )
        entry["partition_sets"] += kept.upkeep.partition_sets or []
        for key in ("summaries", "materialized_views"):
            entry[key] += [{"owner": kept.owner, **one} for one in getattr(kept.upkeep, key) or []]
    return {host: list(databases.values()) for host, databases in found.items()}


def problems(platform: Platform) -> list[Problem]:
    """Return what no module could ever make."""
    found: dict[tuple[str, str], Problem] = {}
    for kept in _kept(platform):
        for text in _faults(kept):
            found.setdefault((kept.place, text), Problem("invalid_upkeep", "", f"{kept.place}: {text.rstrip('.')}"))
    return [*found.values(), *_without_shards(platform)]


def _without_shards(platform: Platform) -> t.Iterator[Problem]:
    if any(cluster.shards for cluster in platform.clusters.values()):
        return
    for one in platform.applications.values():
        if one.shards != Upkeep():
            yield Problem("invalid_upkeep", "", f"applications: {one.name}: shards: the platform has no shards")


def _kept(platform: Platform) -> t.Iterator[_Kept]:
    for one in platform.applications.values():
        place = f"applications: {one.name}"
        if one.database and one.upkeep != Upkeep() and one.database.cluster in platform.clusters:
            cluster = platform.clusters[one.database.cluster]
            yield _in_database(platform, cluster, f"{place}: database", one.database.name, one.upkeep)
        shards = _of_shards(platform, one)
        if shards == Upkeep():
            continue
        for cluster in platform.clusters.values():
            for shard_id in cluster.shards:
                yield _in_database(platform, cluster, f"{place}: shards", f"shard_{shard_id}", shards)


def _in_database(platform: Platform, cluster: Cluster, place: str, database: str, upkeep: Upkeep) -> _Kept:
    host = leader_of(cluster).name
    owner = cluster.owners.get(database) or str(platform.value(host, "postgres_database_owner", "postgres"))
    return _Kept(place, host, database, owner, upkeep)


def _of_shards(platform: Platform, application: Application) -> Upkeep:
    """What an application keeps in each shard; of the reference API also what its entry does not say."""
    said = application.shards
    if application.role != REFERENCE_API:
        return said
    members = platform.members(application.group)
    own = {name: platform.value(members[0], f"reference_api_tasks_{name}") for name in _KNOBS} if members else {}
    sets = {"table": "tasks", "column": "id", "interval": "month", "convert": True}
    sets["premake"] = 3 if number(own.get("premake")) is None else number(own.get("premake"))
    if own.get("retention"):
        sets["retention"] = str(own["retention"])
    return Upkeep(
        [sets] if said.partition_sets is None else said.partition_sets,
        [_USER_STATS] if said.summaries is None else said.summaries,
        said.materialized_views,
    )


_KNOBS = ("premake", "retention")


def _faults(kept: _Kept) -> t.Iterator[str]:
    """Say what is wrong with the upkeep of a database, a clause each, as the modules would say it."""
    kinds: tuple[tuple[str, tuple[str, ...], t.Callable[[t.Any], t.Any]], ...] = (
        ("partition_sets", _OF_SETS, parse_sets),
        ("summaries", _OF_SUMMARIES, _parse_summaries),
        ("materialized_views", _OF_VIEWS, parse_views),
    )
    for key, options, parse in kinds:
        given = getattr(kept.upkeep, key)
        if given is None:
            continue
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            yield f"{key} is not a list of mappings"
            continue
        unknown = [
            f"{key} has {name!r}, which is not known here" for one in given for name in one if name not in options
        ]
        if unknown:
            yield from unknown
            continue
        try:
            parse(given)
        except InvalidInput as error:
            yield f"{key}: {error.message}"
        except (TypeError, ValueError, AttributeError, KeyError):
            yield f"{key} has a value of another type than its module takes"


def _parse_summaries(given: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    for one in given:
        tables = [
            {**_filled(_OF_TABLES, table), "columns": [_filled(_OF_COLUMNS, column) for column in table["columns"]]}
            for table in one.get("tables") or ()
        ]
        every = _filled(_OF_EVERY, one["every"]) if one.get("every") else None
        schema = one.get("schema") or "public"
        Summary.of({**_filled(_OF_SUMMARIES, one), "schema": schema, "tables": tables, "every": every})


def _filled(options: t.Sequence[str], given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Options as a module has them: None where nothing is said.

    :raises InvalidInput: one of them is not known.
    """
    for name in given:
        if name not in options:
            raise InvalidInput(name, given[name], f"is not known here; known are {', '.join(options)}")
    return {**dict.fromkeys(options), **given}
