# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements that change a set, composed by the driver, which quotes each name; pure.

``sql`` is the driver's composer, as :attr:`~..connection.Session.sql` has it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Root

_STRATEGY = {"range": "RANGE", "hash": "HASH", "list": "LIST"}
_IDENTITIES = {"f": "FULL", "n": "NOTHING"}

# Only after it is attached is it known which index of the partition is the one of its table.
_IDENTITY_BY_INDEX = """DO {};"""
_IDENTITY_BODY = """
BEGIN
    EXECUTE (
        SELECT pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', x.indrelid::pg_catalog.regclass,
                                 c.relname)
        FROM pg_catalog.pg_inherits h
        JOIN pg_catalog.pg_index x ON x.indexrelid = h.inhrelid
        JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
        WHERE h.inhparent = {parent}::pg_catalog.regclass AND x.indrelid = {partition}::pg_catalog.regclass
    );
END
"""


def name(sql: t.Any, schema: str, table: str) -> t.Any:
    """A table's name, with its schema."""
    return sql.Identifier(schema, table)


def create_root(sql: t.Any, wanted: PartitionSet) -> t.Any:
    """CREATE TABLE of a set whose table does not exist."""
    return sql.SQL("CREATE TABLE {} ({}) PARTITION BY {} ({}); ").format(
        name(sql, wanted.schema, wanted.table),
        sql.SQL(", ").join(sql.SQL(part) for part in wanted.definition),
        sql.SQL(_STRATEGY[wanted.by]),
        sql.Identifier(wanted.column),
    )


def comment(sql: t.Any, schema: str, table: str, text: str, is_foreign: bool = False) -> t.Any:
    statement = sql.SQL("COMMENT ON FOREIGN TABLE {} IS {}; " if is_foreign else "COMMENT ON TABLE {} IS {}; ")
    return statement.format(name(sql, schema, table), sql.Literal(text))


def lock(sql: t.Any, root: Root, mode: str) -> t.Any:
    """Lock the table itself, before anything else of a transaction."""
    return sql.SQL(f"LOCK TABLE ONLY {{}} IN {mode} MODE; ").format(name(sql, root.schema, root.name))


def create(sql: t.Any, root: Root, new: New, user: str) -> t.Any:
    """CREATE TABLE of a partition, apart from its table, with all that it does not get when it is attached.

    :param user: who we are; the table's owner is to own the partition.
    """
    table = name(sql, root.schema, new.name)
    # LIKE would give an identity column a sequence of its own, which the server refuses to attach from 17 on.
    statement = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)").format(
        table, name(sql, root.schema, root.name)
    )
    if new.divided:
        statement += sql.SQL(" PARTITION BY HASH ({})").format(sql.Identifier(new.divided))
    if root.access_method:
        statement += sql.SQL(" USING {}").format(sql.Identifier(root.access_method))
    if root.tablespace:
        statement += sql.SQL(" TABLESPACE {}").format(sql.Identifier(root.tablespace))
    statement += sql.SQL("; ")
    for part in new.parts:
        # No one else sees the partition yet, so the lock on it is no one's concern.
        statement += sql.SQL("CREATE TABLE {} PARTITION OF {} {}; ").format(
            name(sql, root.schema, part.name), table, sql.SQL(bounds.sql_of(part.bound, None))
        )
    for one in (new, *new.parts):
        statement += _settings(sql, root, name(sql, root.schema, one.name), user)
    return statement


def _settings(sql: t.Any, root: Root, table: t.Any, user: str) -> t.Any:
    clauses = []
    if root.replica_identity in _IDENTITIES:
        clauses.append(sql.SQL(f"REPLICA IDENTITY {_IDENTITIES[root.replica_identity]}"))
    if root.row_security:
        clauses.append(sql.SQL("ENABLE ROW LEVEL SECURITY"))
    if root.force_row_security:
        clauses.append(sql.SQL("FORCE ROW LEVEL SECURITY"))
    if root.owner and root.owner != user:
        clauses.append(sql.SQL("OWNER TO {}").format(sql.Identifier(root.owner)))
    if not clauses:
        return sql.SQL("")
    return sql.SQL("ALTER TABLE {} {}; ").format(table, sql.SQL(", ").join(clauses))


def attach(sql: t.Any, root: Root, new: New, axis: Axis | None) -> t.Any:
    """ATTACH PARTITION, and what can be said of the partition only then."""
    table = name(sql, root.schema, new.name)
    statement = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}; ").format(
        name(sql, root.schema, root.name), table, sql.SQL(bounds.sql_of(new.bound, axis))
    )
    if root.replica_identity == "i" and root.replica_index:
        # The names go into the block as one literal each, and the block as one into DO.
        body = _IDENTITY_BODY.format(
            parent=bounds.quoted(_quoted(root.schema, root.replica_index)),
            partition=bounds.quoted(_quoted(root.schema, new.name)),
        )
        statement += sql.SQL(_IDENTITY_BY_INDEX).format(sql.Literal(body)) + sql.SQL(" ")
    return statement


def detach(sql: t.Any, root: Root, schema: str, partition: str, how: str = "") -> t.Any:
    """DETACH PARTITION.

    :param how: ``""``, ``CONCURRENTLY`` or ``FINALIZE``.
    """
    return sql.SQL(f"ALTER TABLE {{}} DETACH PARTITION {{}} {how}").format(
        name(sql, root.schema, root.name), name(sql, schema, partition)
    ) + sql.SQL("" if how else "; ")


def drop(sql: t.Any, schema: str, table: str, is_foreign: bool = False) -> t.Any:
    return sql.SQL("DROP FOREIGN TABLE {}; " if is_foreign else "DROP TABLE {}; ").format(name(sql, schema, table))


def move(sql: t.Any, schema: str, table: str, move_to: str) -> t.Any:
    return sql.SQL("ALTER TABLE {} SET SCHEMA {}; ").format(name(sql, schema, table), sql.Identifier(move_to))


def _quoted(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
