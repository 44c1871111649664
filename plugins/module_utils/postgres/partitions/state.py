# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables and partitions of a server, as it has them; and what is stored with a set, in its table's comment."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError

#: How the last line of a table's comment begins when it is ours.
MARK = "partition_set: "
#: How that line begins of a table that was detached to be dropped or moved.
RETIRED = MARK + '{"action": '

STRATEGIES = {"r": "range", "h": "hash", "l": "list"}


@dataclasses.dataclass(frozen=True)
class Partition:
    """A direct partition of a table.

    :param bound: as ``pg_get_expr`` prints it.
    :param pending: its detaching has begun and was interrupted.
    :param rows: as the statistics and the size have it; negative where they do not know.
    :param size: bytes of its rows, where they were asked for.
    :param is_divided: whether it has partitions in turn.
    :param is_foreign: whether it is a foreign table.
    """

    oid: int
    schema: str
    name: str
    bound: str
    pending: bool = False
    rows: float = -1
    size: int = 0
    is_divided: bool = False
    is_foreign: bool = False


@dataclasses.dataclass(frozen=True)
class Key:
    """A primary key, a unique or an exclusion constraint, or a unique index without a constraint."""

    name: str
    columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Record:
    """What is stored with a set, so that a later run, and another session, divides time as the first one did.

    :param retention: the last one that a run had, with what becomes of old partitions.
    """

    time_zone: str | None = None
    interval: str | None = None
    kind: str | None = None
    retention: str | None = None

    def line(self) -> str:
        """As a line of a comment."""
        kept = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return MARK + json.dumps(kept, sort_keys=True, ensure_ascii=False)


@dataclasses.dataclass(frozen=True)
class Root:
    """A table of which a set is wanted, partitioned or not.

    :param kind: as in ``pg_class.relkind``: ``p`` for a partitioned table.
    :param by: ``range``, ``hash`` or ``list``; None of a plain table.
    :param partitioned_by: the columns of the partition key; None for an expression.
    :param columns: the types of all columns by name, without their modifiers.
    :param default: oid of the default partition, 0 for none.
    :param may_own: whether our user may alter the table.
    :param may_create: whether our user may create tables in its schema.
    :param referenced: oids of the tables that its foreign keys lead to.
    :param referencing: oids of the tables whose foreign keys lead to it.
    :param is_partition: whether it is a partition of another table.
    :param hidden: it and its partitions, as far as row security hides rows of them from our user.
    :param parameters: what a new partition has to be given, as its table has it and LIKE does not bring.
    """

    oid: int
    schema: str
    name: str
    kind: str = "p"
    by: str | None = None
    partitioned_by: tuple[str | None, ...] = ()
    columns: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    default: int = 0
    owner: str = ""
    may_own: bool = True
    may_create: bool = True
    comment: str = ""
    keys: tuple[Key, ...] = ()
    referenced: tuple[int, ...] = ()
    referencing: tuple[int, ...] = ()
    is_partition: bool = False
    tablespace: str = ""
    replica_identity: str = "d"
    replica_index: str = ""
    row_security: bool = False
    force_row_security: bool = False
    access_method: str = ""
    hidden: tuple[str, ...] = ()
    partitions: tuple[Partition, ...] = ()
    leftovers: tuple[Leftover, ...] = ()

    @property
    def record(self) -> Record:
        """What is stored with the set; all None where nothing is."""
        return read_record(self.comment)


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A table that was detached to be dropped or moved, and was not yet; or what a move of rows has left.

    :param action: ``dropped`` or ``moved``: what is to be done; or ``moving``.
    :param move_to: the schema that it moves to.
    :param comment: what a user had written in its comment.
    :param tables: of an interrupted move: all that it has made.
    :param upper: the key of its upper bound.
    :param is_foreign: whether it is a foreign table.
    """

    oid: int
    schema: str
    name: str
    action: str
    move_to: str = ""
    comment: str = ""
    tables: tuple[str, ...] = ()
    upper: int | None = None
    is_foreign: bool = False

    def line(self, root: Root) -> str:
        """As the comment of the table.

        :param root: whose partition it was.
        """
        stored: dict[str, t.Any] = {"action": self.action, "move_to": self.move_to, "of": [root.schema, root.name]}
        if self.tables:
            stored["tables"] = list(self.tables)
        if self.upper is not None:
            stored["upper"] = str(self.upper)
        return MARK + json.dumps(stored, sort_keys=True, ensure_ascii=False)


@dataclasses.dataclass(frozen=True)
class State:
    """What the server says, read once.

    :param clock: the server's time, in microseconds since 1970.
    :param roots: the tables that exist among those asked for, by schema and name.
    :param largest: the largest value of the column of sets whose column is a number.
    :param with_rows: the tables to drop that have rows.
    :param unread: why the rows of a table cannot be looked at, which its set needs.
    :param schemas: those that exist among the schemas asked for, and whether our user may create tables there.
    """

    version: int
    clock: int
    in_recovery: bool
    user: str
    deadlock_timeout: int
    roots: t.Mapping[tuple[str, str], Root]
    schemas: t.Mapping[str, bool] = dataclasses.field(default_factory=dict)
    largest: t.Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    with_rows: frozenset[tuple[str, str]] = frozenset()
    unread: t.Mapping[tuple[str, str], ScaleoutError] = dataclasses.field(default_factory=dict)


def read_record(comment: str) -> Record:
    """What is stored in a comment."""
    _kept, line = split_comment(comment)
    if not line:
        return Record()
    try:
        stored = json.loads(line[len(MARK) :])
    except ValueError:
        return Record()
    if not isinstance(stored, dict):
        return Record()
    names = [field.name for field in dataclasses.fields(Record)]
    return Record(**{name: stored[name] for name in names if isinstance(stored.get(name), str)})


def read_leftover(oid: int, schema: str, name: str, comment: str) -> tuple[tuple[str, str], Leftover] | None:
    """A table that an interrupted run has left, after the schema and name of that whose partition it was."""
    try:
        kept, line = split_comment(comment)
        stored = json.loads(line[len(MARK) :])
        of, action, move_to = stored["of"], stored["action"], stored["move_to"]
        if not line.startswith(RETIRED) or action not in ("dropped", "moved", "moving"):
            return None
        tables = tuple(str(table) for table in stored.get("tables", ()))
        upper = int(stored["upper"]) if "upper" in stored else None
        return (str(of[0]), str(of[1])), Leftover(oid, schema, name, action, str(move_to), kept, tables, upper)
    except (ValueError, LookupError, TypeError):
        return None


def comment_with(comment: str, line: str) -> str:
    """A comment with a line of ours as its last one, after what a user has written."""
    kept, _line = split_comment(comment)
    return f"{kept}\n{line}" if kept else line


def split_comment(comment: str) -> tuple[str, str]:
    """What a user has written, and our last line, which may be empty."""
    kept, _newline, last = comment.rpartition("\n")
    return (kept, last) if last.startswith(MARK) else (comment, "")
