# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the tables and partitions of a server."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import (
    coverage,
    ddl,
    fit,
    queries,
    report,
    staying,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.report import Facts
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    RETIRED,
    STRATEGIES,
    Key,
    Leftover,
    Partition,
    Root,
    State,
    read_leftover,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays import statements

#: Partitions that one query asks for rows.
_LOOKED_AT = 50
_DATA_EXCEPTION = "22"


def read(session: Session, sets: t.Sequence[PartitionSet]) -> State:
    """Everything that the deciding files want to know, in four queries for all sets.

    Sets whose column is a number cost one more, as do tables to drop.
    """
    server = session.rows(queries.SERVER)[0]
    asked = {one.schema for one in sets} | {one.retention.schema for one in sets if one.retention}
    schemas = session.rows(queries.SCHEMAS, {"schemas": [name for name in asked if name]})
    droppers = {(one.schema, one.table) for one in sets if one.retention and one.retention.action == "drop"}
    roots = _roots(session, [(one.schema, one.table) for one in sets], droppers)
    return State(
        version=session.version,
        roots=roots,
        schemas={row["name"]: row["may_create"] for row in schemas},
        **_look_into(session, sets, roots),
        **server,
    )


def _roots(
    session: Session, names: t.Sequence[tuple[str, str]], sized_names: t.Container[tuple[str, str]]
) -> dict[tuple[str, str], Root]:
    """The tables of these names that there are, with their partitions.

    :param sized_names: those of whose partitions the sizes are wanted.
    """
    parameters = {"schemas": [schema for schema, _name in names], "tables": [name for _schema, name in names]}
    rows = session.rows(queries.ROOTS, parameters)
    sized = [row["oid"] for row in rows if (row["schema"], row["name"]) in sized_names]
    children: dict[int, list[Partition]] = {row["oid"]: [] for row in rows}
    for row in session.rows(queries.PARTITIONS, {"roots": list(children), "sized": sized}) if children else ():
        children[row.pop("root")].append(Partition(**row))
    leftovers = _leftovers(session, {(row["schema"], row["name"]): row["owner"] for row in rows})
    roots = {}
    for row in rows:
        key = (row["schema"], row["name"])
        roots[key] = _root(row, tuple(children[row["oid"]]), tuple(leftovers.get(key, ())))
    return roots


def _leftovers(session: Session, owners: t.Mapping[tuple[str, str], str]) -> dict[tuple[str, str], list[Leftover]]:
    """What interrupted runs have left of tables, as far as it belongs to the roles that such runs have.

    Another role's comment is not believed: it could have us drop what that role may not.

    :param owners: of the tables.
    """
    candidates = []
    for row in session.rows(queries.LEFTOVERS, {"mark": RETIRED}):
        owner, user, is_foreign = row.pop("owner"), row.pop("user"), row.pop("is_foreign")
        read_of = read_leftover(**row)
        if read_of is None or read_of[0] not in owners:
            continue
        of, left = read_of
        if owner in (owners[of], user):
            candidates.append((of, dataclasses.replace(left, is_foreign=is_foreign), (owner, owners[of])))
    named = [
        (place, left.schema, name, is_function)
        for place, (_of, left, _owners) in enumerate(candidates)
        if left.action == "moving"
        for name, is_function in (*((table, False) for table in left.tables), (left.name, True))
    ]
    asked = {key: [one[field] for one in named] for field, key in enumerate(("of", "schemas", "names", "functions"))}
    # What we have made for a move is ours, and what is to be a partition is the table's owner's.
    strange = {
        row["of"]
        for row in (session.rows(queries.OWNERS, asked) if named else ())
        if row["owner"] not in candidates[row["of"]][2]
    }
    found: dict[tuple[str, str], list[Leftover]] = {}
    for place, (of, left, _owners) in enumerate(candidates):
        if place not in strange:
            found.setdefault(of, []).append(left)
    return found


def _root(row: dict[str, t.Any], partitions: tuple[Partition, ...], leftovers: tuple[Leftover, ...]) -> Root:
    fields = dict(row)
    strategy = fields.pop("strategy")
    keys = json.loads(fields.pop("keys") or "[]")
    return Root(
        **{
            **fields,
            "by": STRATEGIES.get(strategy),
            "partitioned_by": tuple(json.loads(fields["partitioned_by"] or "[]")),
            "columns": json.loads(fields["columns"] or "{}"),
            "keys": tuple(Key(name, tuple(columns or ())) for name, columns in keys),
            "hidden": tuple(fields["hidden"]),
            "referenced": tuple(fields["referenced"]),
            "referencing": tuple(fields["referencing"]),
            "partitions": partitions,
            "leftovers": leftovers,
        }
    )


def _look_into(
    session: Session, sets: t.Sequence[PartitionSet], roots: t.Mapping[tuple[str, str], Root]
) -> dict[str, t.Any]:
    """What the rows of tables say, of those that are not refused anyway: fields of a state."""
    largest: dict[tuple[str, str], int] = {}
    with_rows: set[tuple[str, str]] = set()
    unread: dict[tuple[str, str], ScaleoutError] = {}
    for one in sets:
        key = (one.schema, one.table)
        root = roots.get(key)
        if root is None or root.hidden or not root.may_own:
            continue
        try:
            if one.state == "absent" and root.kind == "p" and not one.confirmed:
                query = session.sql.SQL("SELECT EXISTS (SELECT FROM {}) AS some").format(ddl.name(session.sql, *key))
                with_rows |= {key} if session.rows(query)[0]["some"] else set()
            elif one.state == "present" and one.by == "range" and one.column in root.columns:
                axis = one.axis or Axis.of_type(root.columns[one.column])
                if axis and axis.is_number and axis.fits(root.columns[one.column]):
                    largest[key] = _largest_of(session, root, one.column)
        except Refused as error:
            unread[key] = error
    return {"largest": largest, "with_rows": frozenset(with_rows), "unread": unread}


def _largest_of(session: Session, root: Root, column: str) -> int:
    """The largest number of a set: of the highest partition that has a row, so that no other one is read.

    A default partition counts where no other one has a row; what is far outside would be there.
    """
    sql = session.sql
    ordered = coverage.highest_first(root.partitions)
    for first in range(0, len(ordered), _LOOKED_AT):
        chunk = [ddl.name(sql, one.schema, one.name) for one in ordered[first : first + _LOOKED_AT]]
        each = sql.SQL(", ").join(sql.SQL("EXISTS (SELECT FROM {})").format(one) for one in chunk)
        found = session.rows(sql.SQL("SELECT ARRAY[{}] AS found").format(each))[0]["found"]
        for table, has_rows in zip(chunk, found):
            if has_rows:
                # No number beyond those of bigint can be the bound of a period.
                query = sql.SQL("SELECT greatest(least(floor(max({})), {}), {})::bigint AS largest FROM {}").format(
                    sql.Identifier(column), sql.Literal(2**62), sql.Literal(-(2**62)), table
                )
                return session.rows(query)[0]["largest"] or 0
    return 0


def find(
    session: Session, schema: str | None = None, tables: t.Sequence[str] | None = None
) -> list[tuple[Root, Facts]]:
    """The partitioned tables of a database, with the sizes of their partitions.

    :param schema: look only there.
    :param tables: look only for tables of these names.
    """
    asked = {"schema": schema, "tables": None if tables is None else list(tables)}
    names = [(row["schema"], row["name"]) for row in session.rows(queries.SETS, asked)]
    clock = session.rows(queries.SERVER)[0]["clock"]
    roots = _roots(session, names, names)
    return [(root, _facts(session, root, clock)) for _name, root in sorted(roots.items())]


def _facts(session: Session, root: Root, clock: int) -> Facts:
    axis = report.axis_of(root)
    largest = default_rows = None
    try:
        if axis and axis.is_number and root.partitioned_by[0]:
            largest = _largest_of(session, root, root.partitioned_by[0])
        default = next((one for one in root.partitions if one.oid == root.default), None)
        if default:
            query = session.sql.SQL("SELECT count(*) AS rows FROM (SELECT FROM {} LIMIT {}) AS counted").format(
                ddl.name(session.sql, default.schema, default.name), session.sql.Literal(queries.MOST_COUNTED)
            )
            default_rows = session.rows(query)[0]["rows"]
    except Refused as error:
        # Of such a table the catalog alone speaks; of one that we may not read, that is what is asked for.
        denied = error.code == "denied"
        return Facts(clock, largest, default_rows, denied, None if denied else error)
    return Facts(clock, largest, default_rows)


def spelled(session: Session, wanted: PartitionSet, state: State) -> PartitionSet:
    """A set whose values of a list are written as the server writes those of the column.

    :raises InvalidInput: one is no value of the column, or two are the same there.
    """
    root = state.roots.get((wanted.schema, wanted.table))
    if wanted.by != "list" or root is None or wanted.column not in root.columns:
        return wanted
    present = [bound for _one, bound in (fit.bounds_of(root, None) if root.by == "list" else ())]
    there = [text for one in present if isinstance(one, Values) for text in one.values if text is not None]
    sql = session.sql
    column_type = session.rows(queries.TYPE, {"oid": root.oid, "column": wanted.column})[0]["type"]
    texts = [text for _word, listed in wanted.values for text in listed if text is not None]
    query = sql.SQL(queries.SPELLED).format(
        there=sql.Literal(there), wanted=sql.Literal(texts), type=sql.SQL(column_type)
    )
    try:
        rows = session.rows(query)
    except Refused as error:
        if not str(error.facts.get("sqlstate")).startswith(_DATA_EXCEPTION):
            raise
        reason = f"has what is no value of {wanted.column}, which is {column_type}: {error.message.rstrip('.')}"
        raise InvalidInput("values", texts, reason) from None
    return wanted.spelled({row["text"]: row["spelled"] for row in rows})


def without_needed(session: Session, decision: Decision) -> Decision:
    """A decision that drops nothing that other objects depend on.

    :raises Refused: it would drop the table itself.
    """
    root = decision.root
    dropped = [old.partition.oid for old in decision.going if old.action == "dropped"]
    dropped += [left.oid for left in decision.leftovers if left.action == "dropped"]
    dropped += [root.oid] if root and decision.drop_table else []
    # Those that a conversion is to make have no oid yet.
    dropped = [oid for oid in dropped if oid > 0]
    rows = session.rows(queries.DEPENDENTS, {"oids": dropped}) if dropped else []
    return staying.without_needed(decision, {row["oid"]: row["names"] for row in rows})


def without_referenced(session: Session, decision: Decision) -> Decision:
    """A decision that leaves those partitions where they are to whose rows foreign keys lead, as the server will.

    It is for check mode. A table that cannot be read, or takes long, is named in a warning.
    """
    root, sql = decision.root, session.sql
    leaving = {old.partition.oid for old in decision.going if not old.partition.pending}
    going = [(one, bound) for one, bound in decision.present if one.oid in leaving and one.oid > 0]
    if root is None or not going or not root.referencing:
        return decision
    found: set[int] = set()
    warnings = []
    foreign_keys = session.rows(queries.REFERENCING, {"root": root.oid})
    for key in foreign_keys:
        pairs = list(zip(key["columns"], key["keys"]))
        column = next(mine for mine, theirs in pairs if theirs == decision.wanted.column)
        same = sql.SQL(" AND ").join(sql.SQL("f.{} = p.{}").format(*map(sql.Identifier, pair)) for pair in pairs)
        each = [
            sql.SQL(queries.REFERRED).format(
                table=sql.SQL(key["name"]),
                condition=statements.condition(sql, column, bound, decision.axis),
                partition=ddl.name(sql, one.schema, one.name),
                same=same,
            )
            for one, bound in going
        ]
        try:
            referred = session.rows(sql.SQL(queries.ALL_REFERRED).format(sql.SQL(", ").join(each)))[0]["found"]
        except Refused as error:
            what = f"check mode does not know whether rows of {key['name']} refer to old partitions"
            warnings.append(f"{decision.wanted.label}: {what}. {error.message}")
            continue
        found |= {one.oid for (one, _bound), some in zip(going, referred) if some}
    if found:
        names = [one.name for one, _bound in going if one.oid in found]
        refused = staying.referenced(decision.wanted, names, [key["name"] for key in foreign_keys])
        decision = staying.without(decision, found, refused)
    return dataclasses.replace(decision, warnings=(*decision.warnings, *warnings))


def taken(session: Session, decisions: t.Sequence[Decision]) -> dict[tuple[str, str], dict[str, str]]:
    """What has a name already, with its schema, that a partition is to have; with its columns as in ``Root``."""
    wanted = []
    for decision in decisions:
        schema = decision.wanted.schema
        wanted += [(schema, one.name) for new in decision.create for one in (new, *new.parts)]
        retention = decision.wanted.retention
        if retention and retention.action == "move":
            wanted += [(retention.schema, old.partition.name) for old in decision.going]
    if not wanted:
        return {}
    parameters = {"schemas": [schema for schema, _name in wanted], "names": [name for _schema, name in wanted]}
    rows = session.rows(queries.TAKEN, parameters)
    return {(row["schema"], row["name"]): json.loads(row["columns"] or "{}") for row in rows}
