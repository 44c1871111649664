# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements that move rows out of a default partition while it is read and written; pure.

A table that is attached may not hold rows of a partition that is to be attached beside it, and rows of a table that is
not attached are not seen. So the rows are *copied* first, in batches, into partitions that are prepared apart; what is
written to the default partition meanwhile is noted by its key, and copied again. At the end both change places in one
short transaction: each row is seen once at every moment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import LONGEST_IDENTIFIER
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds, ddl
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import (
    Bound,
    Default,
    Range,
    Values,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    Leftover,
    Partition,
    Root,
)

#: The trigger that notes what is written.
TRIGGER = "scaleout_moving"
#: The constraint that says what a prepared partition holds, so that it is not read when it is attached.
CONSTRAINT = "scaleout_moving"
#: How the constraints begin by which a default partition says what it has not.
ASIDE = "scaleout_aside_"
_STRATEGY = {"range": "RANGE", "list": "LIST"}

#: Notes the keys of rows that are written, or that all were removed.
_NOTE = """
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO {log} DEFAULT VALUES;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {log} ({keys}) VALUES ({old});
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {log} ({keys}) VALUES ({new});
    END IF;
    RETURN NULL;
END
"""

#: Copies noted rows again. Each statement has a snapshot of its own, later than the one that has read the note.
_CATCH_UP = """
DECLARE
    noted record;
    done int := 0;
BEGIN
    FOR noted IN DELETE FROM {log} WHERE scaleout_n IN (SELECT scaleout_n FROM {log} ORDER BY 1 LIMIT most) RETURNING *
    LOOP
        IF noted.{first} IS NULL THEN
            RAISE EXCEPTION 'the default partition was truncated' USING ERRCODE = '40001';
        END IF;
        DELETE FROM {copy} WHERE {same};
        INSERT INTO {copy} ({columns}) SELECT {columns} FROM {source} WHERE {same};
        done := done + 1;
    END LOOP;
    IF final AND EXISTS (SELECT FROM {log}) THEN
        RAISE EXCEPTION 'too much was written meanwhile' USING ERRCODE = '55P03';
    END IF;
    RETURN done;
END
"""


@dataclasses.dataclass(frozen=True)
class Move:
    """What moves where.

    :param root: the table.
    :param default: its default partition.
    :param new: the partitions that rows go to.
    :param axis: what the column's values are, of a range.
    :param column: that the table is partitioned by.
    :param key: the columns that tell rows of the default partition apart.
    :param columns: those that are written, so none that is generated.
    """

    root: Root
    default: Partition
    new: tuple[New, ...]
    axis: Axis | None
    column: str
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def log(self) -> str:
        """The table of notes; two functions have the same name."""
        return _longest(self.default.name, "_moving")

    @property
    def copy(self) -> str:
        """The table that spreads copied rows over the prepared partitions."""
        return _longest(self.default.name, "_copy")

    @property
    def rest(self) -> New:
        """The partition that takes the place of the default one."""
        return New(_longest(self.default.name, "_rest"), Default())

    @property
    def leftover(self) -> Leftover:
        """What is left when the move is interrupted, to be removed by the next run."""
        tables = (self.copy, *(one.name for one in (*self.new, self.rest)), self.log)
        return Leftover(0, self.root.schema, self.log, "moving", tables=tables)


def condition(sql: t.Any, column: str, bound: Bound, axis: Axis | None) -> t.Any:
    """That a row belongs to a partition, as a condition."""
    name = sql.Identifier(column)
    if isinstance(bound, Range) and axis is not None:
        parts = [sql.SQL("{} IS NOT NULL").format(name)]
        for sign, key in ((">=", bound.lower), ("<", bound.upper)):
            if not isinstance(key, float):
                parts.append(sql.SQL("{} {} {}").format(name, sql.SQL(sign), sql.Literal(axis.literal(key))))
        return sql.SQL(" AND ").join(parts)
    values = bound.values if isinstance(bound, Values) else frozenset()
    literals = [sql.Literal(value) for value in sorted(value for value in values if value is not None)]
    parts = [sql.SQL("{} IN ({})").format(name, sql.SQL(", ").join(literals))] if literals else []
    parts += [sql.SQL("{} IS NULL").format(name)] if None in values else []
    return sql.SQL("({})").format(sql.SQL(" OR ").join(parts))


def prepare(sql: t.Any, move: Move, user: str, foreign_keys: t.Sequence[str]) -> t.Any:
    """Create all that the move needs; the default partition is noted from the end of this transaction on.

    :param user: who we are.
    :param foreign_keys: those of the table, as ``pg_get_constraintdef`` prints them.
    """
    schema = move.root.schema
    copy, log, default = (ddl.name(sql, schema, one) for one in (move.copy, move.log, move.default.name))
    statement = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING GENERATED) PARTITION BY {} ({}); ").format(
        copy,
        ddl.name(sql, schema, move.root.name),
        sql.SQL(_STRATEGY[t.cast("str", move.root.by)]),
        sql.Identifier(move.column),
    )
    for new in (*move.new, move.rest):
        table = ddl.name(sql, schema, new.name)
        statement += ddl.create(sql, move.root, new, user)
        for one in foreign_keys:
            statement += sql.SQL("ALTER TABLE {} ADD {}; ").format(table, sql.SQL(one))
        if not isinstance(new.bound, Default):
            statement += sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}); ").format(
                table, sql.Identifier(CONSTRAINT), condition(sql, move.column, new.bound, move.axis)
            )
        statement += sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}; ").format(
            copy, table, sql.SQL(bounds.sql_of(new.bound, move.axis))
        )
    keys = sql.SQL(", ").join(sql.Identifier(one) for one in move.key)
    statement += sql.SQL(
        "CREATE TABLE {log} AS SELECT {keys} FROM {default} WITH NO DATA; "
        "ALTER TABLE {log} ADD scaleout_n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY; "
    ).format(log=log, keys=keys, default=default)
    statement += ddl.comment(sql, schema, move.log, move.leftover.line(move.root))
    statement += _functions(sql, move)
    trigger = sql.Identifier(TRIGGER)
    return statement + sql.SQL(
        "CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {default} FOR EACH ROW EXECUTE FUNCTION {log}(); "
        "CREATE TRIGGER {truncate} AFTER TRUNCATE ON {default} FOR EACH STATEMENT EXECUTE FUNCTION {log}(); "
        "ALTER TABLE {default} ENABLE ALWAYS TRIGGER {trigger}, ENABLE ALWAYS TRIGGER {truncate}; "
    ).format(trigger=trigger, truncate=sql.Identifier(f"{TRIGGER}_all"), default=default, log=log)


def _functions(sql: t.Any, move: Move) -> t.Any:
    schema = move.root.schema
    copy, log, default = (ddl.name(sql, schema, one) for one in (move.copy, move.log, move.default.name))

    def listed(prefix: str, columns: t.Sequence[str]) -> t.Any:
        return sql.SQL(", ").join(sql.SQL(prefix) + sql.Identifier(one) for one in columns)

    same = sql.SQL(" AND ").join(sql.SQL("{0} = noted.{0}").format(sql.Identifier(one)) for one in move.key)
    note = sql.SQL(_NOTE).format(
        log=log, keys=listed("", move.key), old=listed("OLD.", move.key), new=listed("NEW.", move.key)
    )
    catch_up = sql.SQL(_CATCH_UP).format(
        log=log,
        first=sql.Identifier(move.key[0]),
        copy=copy,
        source=default,
        same=same,
        columns=listed("", move.columns),
    )
    function = sql.SQL("CREATE FUNCTION {log}{header} SET search_path = '' AS $scaleout${body}$scaleout$; ")
    # Who writes to the table need not be allowed to write notes; the names in the functions are all with their schemas.
    noting = sql.SQL("() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER")
    catching_up = sql.SQL("(most int, final boolean) RETURNS int LANGUAGE plpgsql")
    statement = function.format(log=log, header=noting, body=note)
    return statement + function.format(log=log, header=catching_up, body=catch_up)


def copy_blocks(sql: t.Any, move: Move, first: int, end: int) -> t.Any:
    """Copy the rows of some blocks of the default partition; a query that counts them."""
    columns = sql.SQL(", ").join(sql.Identifier(one) for one in move.columns)
    return sql.SQL(
        "WITH copied AS (INSERT INTO {copy} ({columns}) SELECT {columns} FROM {source} "
        "WHERE ctid >= {first}::tid AND ctid < {end}::tid ON CONFLICT DO NOTHING RETURNING 1) "
        "SELECT count(*) AS rows FROM copied"
    ).format(
        copy=ddl.name(sql, move.root.schema, move.copy),
        columns=columns,
        source=ddl.name(sql, move.root.schema, move.default.name),
        first=sql.Literal(f"({first},0)"),
        end=sql.Literal(f"({end},0)"),
    )


def catch_up(sql: t.Any, move: Move, most: int, final: bool = False) -> t.Any:
    """Copy noted rows again; a query that says how many notes that were."""
    return sql.SQL("SELECT {}({}, {}) AS rows").format(
        ddl.name(sql, move.root.schema, move.log), sql.Literal(most), sql.Literal(final)
    )


def swap(sql: t.Any, move: Move, most: int, more: t.Sequence[str] = ()) -> t.Any:
    """Let the prepared partitions take the place of the default one.

    The table is locked before its partitions, so that no reader has chosen those that it reads and waits for one.

    :param more: further statements for the same transaction, once all are attached.
    """
    schema = move.root.schema
    default, copy = (ddl.name(sql, schema, one) for one in (move.default.name, move.copy))
    rest = move.rest
    statement = ddl.lock(sql, move.root, "ACCESS EXCLUSIVE")
    statement += sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE; ").format(default)
    statement += catch_up(sql, move, most, final=True) + sql.SQL("; ")
    statement += ddl.detach(sql, move.root, move.default.schema, move.default.name)
    for new in (*move.new, rest):
        statement += sql.SQL("ALTER TABLE {} DETACH PARTITION {}; ").format(copy, ddl.name(sql, schema, new.name))
    for new in (*move.new, rest):
        statement += ddl.attach(sql, move.root, new, move.axis)
        if new is not rest:
            statement += sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}; ").format(
                ddl.name(sql, schema, new.name), sql.Identifier(CONSTRAINT)
            )
    for one in more:
        statement += sql.SQL(one)
    statement += _remove(sql, move)
    statement += sql.SQL("DROP TABLE {}; ").format(default)
    return statement + sql.SQL("ALTER TABLE {} RENAME TO {}; ").format(
        ddl.name(sql, schema, rest.name), sql.Identifier(move.default.name)
    )


def _remove(sql: t.Any, move: Move) -> t.Any:
    log = ddl.name(sql, move.root.schema, move.log)
    return sql.SQL(
        "DROP TABLE {copy}; DROP TABLE {log}; DROP FUNCTION {log}(int, boolean); DROP FUNCTION {log}() CASCADE; "
    ).format(copy=ddl.name(sql, move.root.schema, move.copy), log=log)


def clean(sql: t.Any, left: Leftover) -> t.Any:
    """Remove what an interrupted move has left; nothing of it was seen by a reader.

    The triggers go with their function, which takes the default partition for a moment.
    """
    log = ddl.name(sql, left.schema, left.name)
    tables = sql.SQL(", ").join(ddl.name(sql, left.schema, one) for one in left.tables)
    return sql.SQL(
        "DROP FUNCTION IF EXISTS {log}() CASCADE; DROP FUNCTION IF EXISTS {log}(int, boolean); "
        "DROP TABLE IF EXISTS {tables}; "
    ).format(log=log, tables=tables)


def at_once(sql: t.Any, move: Move, user: str, more: t.Sequence[str] = ()) -> t.Any:
    """Move the rows of a default partition that has no key, few as they are, in one transaction."""
    schema = move.root.schema
    default = ddl.name(sql, schema, move.default.name)
    columns = sql.SQL(", ").join(sql.Identifier(one) for one in move.columns)
    statement = ddl.lock(sql, move.root, "ACCESS EXCLUSIVE")
    statement += sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE; ").format(default)
    statement += sql.SQL(
        "CREATE TEMPORARY TABLE scaleout_moving ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA; "
    ).format(columns, default)
    for new in move.new:
        statement += ddl.create(sql, move.root, new, user)
        statement += sql.SQL(
            "WITH gone AS (DELETE FROM {} WHERE {} RETURNING {}) "
            "INSERT INTO pg_temp.scaleout_moving ({}) SELECT {} FROM gone; "
        ).format(default, condition(sql, move.column, new.bound, move.axis), columns, columns, columns)
        statement += ddl.attach(sql, move.root, new, move.axis)
    for one in more:
        statement += sql.SQL(one)
    root = ddl.name(sql, schema, move.root.name)
    overriding = sql.SQL("OVERRIDING SYSTEM VALUE ")
    return statement + sql.SQL("INSERT INTO {} ({}) {}SELECT {} FROM pg_temp.scaleout_moving; ").format(
        root, columns, overriding, columns
    )


def aside(sql: t.Any, default: Partition, column: str, axis: Axis, new: t.Sequence[New]) -> tuple[t.Any, t.Any, t.Any]:
    """Constraints that say of a default partition that it has no row of new ones; to add, to prove, and to drop them.

    Without them, the server reads all of it while it is locked. With them, it refuses such rows until the partition is
    attached.
    """
    table, name = ddl.name(sql, default.schema, default.name), sql.Identifier(column)
    add, prove, drop = [], [], []
    for place, one in enumerate(new):
        if not isinstance(one.bound, Range):
            continue
        constraint = sql.Identifier(f"{ASIDE}{place}")
        parts = [sql.SQL("{} IS NULL").format(name)]
        for sign, key in (("<", one.bound.lower), (">=", one.bound.upper)):
            if not isinstance(key, float):
                parts.append(sql.SQL("{} {} {}").format(name, sql.SQL(sign), sql.Literal(axis.literal(key))))
        check = sql.SQL(" OR ").join(parts)
        add.append(sql.SQL("ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(constraint, check))
        prove.append(sql.SQL("VALIDATE CONSTRAINT {}").format(constraint))
        drop.append(sql.SQL("DROP CONSTRAINT IF EXISTS {}").format(constraint))
    altering = sql.SQL("ALTER TABLE {} ").format(table)
    add_all, prove_all, drop_all = (altering + sql.SQL(", ").join(part) for part in (add, prove, drop))
    return add_all, prove_all, drop_all


def _longest(name: str, suffix: str) -> str:
    """A name with something behind it, shortened to what PostgreSQL keeps of one."""
    if len((name + suffix).encode()) <= LONGEST_IDENTIFIER:
        return name + suffix
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    kept = name.encode()[: LONGEST_IDENTIFIER - len(suffix) - 9].decode(errors="ignore")
    return f"{kept}_{digest}{suffix}"
