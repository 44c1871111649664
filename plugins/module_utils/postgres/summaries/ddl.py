# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transactions that make, change and drop a summary, each as a list of statements; pure.

A summary comes in two steps. The first puts tables, functions and triggers in place, under a lock that waits for those
who write and holds up others for as long as that takes. The second counts what is there while others write, and opens
the view. In between no one sees a summary, and what a broken-off task leaves is found by its comment and dropped.

A change makes new parts beside the old ones, lets the view read those, and drops the old ones: the view is right, and
can be read, all the time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import (
    counting,
    queries,
    reading,
    text,
    triggers,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import Source, Summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import (
    MARK,
    Kept,
    defining_comment,
    part_comment,
    part_mark,
    turn_of,
)

_TRIAL = text.name("scaleout_filter")
_SET, _GET = "SELECT pg_catalog.set_config", "pg_catalog.current_setting"

#: The SQLSTATE of a transaction that found the summary changed by another task.
OUTRUN = "SC001"

TRIED = (
    "SET LOCAL search_path = ''; SELECT pg_get_expr(x.indpred, x.indrelid) AS condition FROM pg_index x "
    "JOIN pg_class c ON c.oid = x.indrelid WHERE c.relname = 'scaleout_filter' AND c.relnamespace = pg_my_temp_schema()"
)


def together(statements: t.Sequence[str], owner: str, turn: t.Sequence[str] = ()) -> str:
    """Statements as one message, so as one transaction, in which each sees what was committed before it.

    :param owner: the role to be meanwhile; "" for the session's user.
    :param turn: statements of :func:`turn`.
    """
    role = [f"SET LOCAL ROLE {text.name(owner)};"] if owner else []
    return "\n".join(["SET TRANSACTION ISOLATION LEVEL READ COMMITTED;", *turn, *role, *statements])


def turn(summary: Summary, owner: str, seen: t.Mapping[str, str]) -> list[str]:
    """Statements that wait for the end of other tasks' transactions at a summary, and go on if nothing has changed.

    Behind a pooler no lock could be kept from one transaction to the next. So each one takes it, and compares.

    :param owner: the role that the task names.
    :param seen: what this task has seen of the summary, with what it has made of it since.
    """
    now = queries.seen(
        owner=text.literal(owner),
        schema=text.literal(summary.schema),
        name=text.literal(summary.name),
        mark=text.literal(MARK),
        part=text.literal(part_mark(summary)),
    )
    expected = ", ".join(text.literal(f"{name} {comment}") for name, comment in seen.items())
    body = f"""DECLARE
  expected text[] := ARRAY[{expected}]::text[];
  there text[];
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended({text.literal(turn_of(summary))}, 0));
  {now} SELECT coalesce(array_agg(name || ' ' || comment), '{{}}') INTO there FROM seen;
  IF NOT (there @> expected AND there <@ expected) THEN
    RAISE EXCEPTION 'another task has changed it' USING ERRCODE = '{OUTRUN}';
  END IF;
END"""
    return [
        f"{_SET}('scaleout.path', {_GET}('search_path'), true), pg_catalog.set_config('search_path', '', true);",
        f"DO {text.literal(body)};",
        f"{_SET}('search_path', {_GET}('scaleout.path'), true);",
    ]


def trial(source: Source, condition: str, owner: str) -> str:
    """Statements that fail unless a filter is an immutable condition on columns: PostgreSQL demands that of an index.

    They are for a transaction that is rolled back.
    """
    role = f"SET LOCAL ROLE {text.name(owner)}; " if owner else ""
    base = text.name(source.schema, source.table)
    # The index is on a constant, as the table may have no column that can be indexed. The last line may be a comment.
    return (
        f"{role}CREATE TEMPORARY TABLE {_TRIAL} (LIKE {base}) ON COMMIT DROP; "
        f"CREATE INDEX ON pg_temp.{_TRIAL} ((1)) WHERE ({condition}\n)"
    )


def path(kept: Kept) -> list[str]:
    """The search_path for queries of :mod:`.reading`."""
    return [f"SET LOCAL search_path = {', '.join(text.name(schema) for schema in ('pg_catalog', *kept.schemas))};"]


def _lock(bases: t.Iterable[str], mode: str) -> list[str]:
    """Lock tables and their partitions, in PostgreSQL's own order, or give up.

    ``lock_timeout`` bounds each lock. It is made to bound all of them together: a writer waits for the first one while
    we wait for the others, and looks for a deadlock once ``deadlock_timeout`` is over.
    """
    tables = ", ".join(dict.fromkeys(bases))
    if not tables:
        return []
    body = f"""BEGIN
  LOCK TABLE {tables} IN {mode} MODE;
  -- Here, as a statement of its own could be cancelled by the short limit, and not be tried again.
  PERFORM pg_catalog.set_config('statement_timeout', {_GET}('scaleout.timeout'), true);
EXCEPTION WHEN query_canceled THEN
  RAISE EXCEPTION 'the locks were not had in time' USING ERRCODE = 'lock_not_available';
END"""
    return [
        f"{_SET}('scaleout.timeout', {_GET}('statement_timeout'), true), "
        f"pg_catalog.set_config('statement_timeout', {_GET}('lock_timeout'), true);",
        f"DO {text.literal(body)};",
    ]


def install(kept: Kept, run: str) -> list[str]:
    """The first step of a new summary.

    :param run: as in :func:`.state.part_comment`.
    """
    statements = _lock((part.base for part in kept.parts), "SHARE ROW EXCLUSIVE")
    for part in kept.parts:
        statements += counting.filters(part)
    statements += path(kept)
    comment = text.literal(part_comment(kept.summary, run))
    for part in kept.parts:
        statements += [*counting.storage(part), *counting.functions(part), *triggers.equip(part)]
        statements.append(f"COMMENT ON TABLE {part.kept} IS {comment};")
    return statements


def equip(kept: Kept) -> list[str]:
    """Put triggers where they are missing."""
    statements = _lock((part.base for part in kept.parts), "SHARE ROW EXCLUSIVE") + path(kept)
    return statements + [statement for part in kept.parts for statement in triggers.equip(part)]


def open_view(kept: Kept, before: Kept | None) -> list[str]:
    """The second step: count, and open the view."""
    summary = kept.summary
    statements = ["SET LOCAL statement_timeout = 0;", *path(kept)]
    statements += [reading.seed(part) for part in kept.parts]
    statements += [f"ANALYZE {part.kept};" for part in kept.parts]
    view, counted = text.name(summary.schema, summary.name), _defining(summary)
    verb = "CREATE"
    statements.append(_drop_own(counted, defining_comment(summary)))
    if before:
        if kept.extends(before):
            verb = "CREATE OR REPLACE"
        else:
            statements.append(_drop_own(view, MARK))
    statements.append(f"{verb} VIEW {view} AS {reading.view(summary, kept.parts)};")
    statements.append(f"COMMENT ON VIEW {view} IS {text.literal(kept.comment())};")
    # It is there to be read by people, and so that no column that counts is dropped or altered.
    statements.append(f"CREATE VIEW {counted} AS {reading.defining(summary, kept.parts)};")
    statements.append(f"COMMENT ON VIEW {counted} IS {text.literal(defining_comment(summary))};")
    readers = dict.fromkeys([*(before.readers if before else ()), *kept.readers])
    return statements + grant(summary, tuple(readers))


def _drop_own(view: str, comment: str) -> str:
    """Drop a view whose comment begins as ours does. Another one of that name stays."""
    own = (
        f"SELECT FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass({text.literal(view)}) "
        f"AND c.relkind = 'v' AND pg_catalog.starts_with("
        f"pg_catalog.obj_description(c.oid, 'pg_class'), {text.literal(comment)})"
    )
    body = f"BEGIN IF EXISTS ({own}) THEN DROP VIEW {view}; END IF; END"
    return f"DO {text.literal(body)};"


def _defining(summary: Summary) -> str:
    return text.name(summary.schema, summary.defining)


def reseed(kept: Kept) -> list[str]:
    """Count again while others write; readers have what was there until the end."""
    statements = ["SET LOCAL statement_timeout = 0;", *path(kept)]
    for part in kept.parts:
        statements += [fold_lock(part, kept)[-1], f"DELETE FROM {part.kept};", reading.seed(part)]
    return statements


def fold_lock(part: Part, kept: Kept) -> list[str]:
    """What keeps others from folding at the same time; no reader and no writer needs that lock."""
    lock = f"LOCK TABLE {part.kept} IN SHARE UPDATE EXCLUSIVE MODE;"
    return [*path(kept), lock]


def grant(summary: Summary, readers: t.Sequence[str]) -> list[str]:
    """Let roles read the view."""
    view = text.name(summary.schema, summary.name)
    names = ["PUBLIC" if reader == "public" else text.name(reader) for reader in readers]
    return [f"GRANT SELECT ON {view} TO {name};" for name in names]


def drop_parts(schema: str, bases: t.Sequence[str], stems: t.Sequence[str]) -> list[str]:
    """Drop parts that no view reads.

    :param bases: the tables that have their triggers, as SQL has them, as far as they are known.
    """
    # Regular expressions and the output of names are PostgreSQL's own.
    statements = [*_lock(bases, "ACCESS EXCLUSIVE"), "SET LOCAL search_path = pg_catalog;"]
    return statements + [statement for stem in stems for statement in counting.drop(schema, stem)]


def drop_all(summary: Summary, bases: t.Sequence[str], stems: t.Sequence[str]) -> list[str]:
    """Drop a summary with all that it has."""
    lock = _lock(bases, "ACCESS EXCLUSIVE")
    view = text.name(summary.schema, summary.name)
    views = [_drop_own(_defining(summary), defining_comment(summary)), _drop_own(view, MARK)]
    return lock + views + drop_parts(summary.schema, (), stems)
