# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Creates, replaces, refreshes and drops the materialized views of a database, each action in one transaction.

A view with another definition is built beside the old one, with its rows and indexes, and put in its place at the end:
readers wait for the exchange alone. What is interrupted is undone by the server.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Patience, Waited
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews import server
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.plan import (
    Create,
    Drop,
    EnsureIndex,
    Own,
    Refresh,
    Replace,
    index_name,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.server import qualified
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.spec import Desired
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.state import Dependent, Grant, Index
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.patience import keep_trying

_CHANGED_VIEW = ("42P16", "42703", "42804")
"""A view cannot be made over the new definition: other columns, or of other types."""

_UNIQUE_VIOLATION, _CARDINALITY = "23505", "21000"

_DATA = ("21", "22", "38", "39", "P0")
"""The classes of what goes wrong while rows are computed: values, and functions that give up."""


class Changer:
    """Carries actions out over one session."""

    def __init__(self, session: Session, patience: Patience) -> None:
        self.session = session
        self.patience = patience
        #: What waiting for locks has come to, by the label of the view.
        self.waited: dict[str, Waited] = {}
        self.sql = session.sql
        # Of its own, so that two tasks can build at the same time.
        self.tag = session.rows("SELECT pg_backend_pid() AS pid")[0]["pid"]

    def carry_out(self, action: t.Any) -> None:
        """Carry one action out; in the end it is done, or nothing of it is.

        :raises Locked: others held a lock for too long.
        """
        work: dict[type, t.Callable[[t.Any], None]] = {
            Create: self._create,
            Replace: self._replace,
            Own: self._own,
            EnsureIndex: self._ensure_index,
            Refresh: self._refresh,
            Drop: self._drop,
        }
        desired: Desired = action.desired

        def once() -> None:
            with server.transaction(self.session, self.patience.lock_timeout, keep=True):
                work[type(action)](action)

        try:
            self._patiently(once, desired)
        except Refused as error:
            raise _of_view(action, error) from None

    def _patiently(self, work: t.Callable[[], None], desired: Desired) -> None:
        """Try until the locks on a view are there, or the time is over."""
        waited = self.waited.setdefault(desired.label, Waited())
        locks = functools.partial(server.locks_on, self.session, desired)
        keep_trying(self.session, work, f"change {desired.label}", locks, self.patience, waited)

    def _run(self, text: str, *parts: t.Any, **named: t.Any) -> None:
        self.session.run(self.sql.SQL(text).format(*parts, **named))

    def _at(self, desired: Desired, name: str | None = None) -> t.Any:
        return qualified(self.session, desired.schema, name or desired.name)

    def _name(self, name: str) -> t.Any:
        return self.sql.Identifier(name)

    def _create(self, action: Create) -> None:
        desired = action.desired
        server.find_in(self.session, desired)
        self.session.run(server.create_statement(self.session, desired.schema, desired.name, desired.query or ""))
        self.session.run("SET LOCAL search_path = ''")
        self._own_new(desired, desired.name, desired.owner)
        if desired.populate:
            self._run("REFRESH MATERIALIZED VIEW {}", self._at(desired))
        if desired.unique_index is not None:
            self._make_index(desired, desired.name, index_name(desired.name))
        self._remember(desired, desired.populate)

    def _own(self, action: Own) -> None:
        self._run(
            "ALTER MATERIALIZED VIEW {} OWNER TO {}", self._at(action.desired), self._name(action.desired.owner or "")
        )

    def _ensure_index(self, action: EnsureIndex) -> None:
        """Create the unique index: readers go on meanwhile, refreshes wait."""
        desired = action.desired
        if action.instead:
            self._run("DROP INDEX {}", self._at(desired, index_name(desired.name)))
        self._make_index(desired, desired.name, index_name(desired.name))

    def _refresh(self, action: Refresh) -> None:
        desired = action.desired
        word = self.sql.SQL("CONCURRENTLY " if action.concurrently else "")
        self._run("REFRESH MATERIALIZED VIEW {}{}", word, self._at(desired))
        self._remember(desired, True)

    def _drop(self, action: Drop) -> None:
        """Drop a view, and nothing that came to depend on it meanwhile."""
        self._run("DROP MATERIALIZED VIEW {}", self._at(action.desired))
        self._remember(action.desired, False)

    def _replace(self, action: Replace) -> None:
        desired, old = action.desired, action.old
        new = f"scaleout_new_{self.tag}"
        indexes = [f"scaleout_index_{self.tag}_{number}" for number in range(len(action.indexes))]
        owner = desired.owner or old.owner
        self._have(old.tablespace, old.method)
        server.find_in(self.session, desired)
        self.session.run(server.create_statement(self.session, desired.schema, new, desired.query or "", old.options))
        self.session.run("SET LOCAL search_path = ''")
        self._own_new(desired, new, owner)
        self._grant(desired, new, _given_to(old.grants, old.owner, owner))
        if action.populated:
            self._run("REFRESH MATERIALIZED VIEW {}", self._at(desired, new))
        for name, index in zip(indexes, action.indexes):
            self._copy_index(desired, new, name, index)
        kept = any(one.usable and one.columns == desired.unique_index for one in action.indexes)
        if desired.unique_index is not None and not kept:
            indexes.append(f"scaleout_index_{self.tag}")
            self._make_index(desired, new, indexes[-1])
        names = [index.name for index in action.indexes] + [index_name(desired.name)]
        columns = server.read_columns(self.session, desired.schema, new)
        self._describe(desired, new, action, columns)
        if action.populated:
            self._run("ANALYZE {}", self._at(desired, new))
        self._exchange(action, new, dict(zip(indexes, names)))
        self._remember(desired, action.populated)

    def _exchange(self, action: Replace, new: str, indexes: t.Mapping[str, str]) -> None:
        """Put the new view in the place of the old one; only here readers may have to wait."""
        desired = action.desired

        def once() -> None:
            self.session.run("SAVEPOINT exchange")
            try:
                self._swap(action, new, indexes)
            except Refused:
                # With it go the locks, so that others need not wait between two attempts.
                self.session.run("ROLLBACK TO SAVEPOINT exchange")
                raise

        self._patiently(once, desired)

    def _swap(self, action: Replace, new: str, indexes: t.Mapping[str, str]) -> None:
        desired, gone = action.desired, f"scaleout_old_{self.tag}"
        self._run("ALTER MATERIALIZED VIEW {} RENAME TO {}", self._at(desired), self._name(gone))
        self._run("ALTER MATERIALIZED VIEW {} RENAME TO {}", self._at(desired, new), self._name(desired.name))
        for dependent in action.old.dependents:
            self._read_new(desired, dependent)
        self._run("DROP MATERIALIZED VIEW {}", self._at(desired, gone))
        for name, final in indexes.items():
            self._run("ALTER INDEX {} RENAME TO {}", self._at(desired, name), self._name(final))
        for one in action.old.statistics:
            self.session.run(one.definition)
            place = qualified(self.session, one.schema, one.name)
            if one.target is not None:
                self._run("ALTER STATISTICS {} SET STATISTICS {}", place, self.sql.Literal(one.target))
            if one.comment is not None:
                self._run("COMMENT ON STATISTICS {} IS {}", place, self.sql.Literal(one.comment))
            self._run("ALTER STATISTICS {} OWNER TO {}", place, self._name(one.owner))

    def _read_new(self, desired: Desired, dependent: Dependent) -> None:
        """Have a view read the new one: the same view with its owner, privileges and readers."""
        try:
            self._run(
                "CREATE OR REPLACE VIEW {}{} AS {}",
                qualified(self.session, dependent.schema, dependent.name),
                server.with_options(self.session, dependent.options),
                self.sql.SQL(dependent.definition),
            )
        except Refused as error:
            if error.facts.get("sqlstate") not in _CHANGED_VIEW:
                raise
            raise Refused(
                f"{desired.label} does not get another definition: the view {dependent.label} cannot be kept over it. "
                f"{error.message} Change that view first, or drop it.",
                code="depended_on",
                dependents=[dependent.label],
            ) from None

    def _own_new(self, desired: Desired, name: str, owner: str | None) -> None:
        """Give a new view to its owner before it has rows, since its query runs with the owner's privileges."""
        if owner is not None:
            self._run("ALTER MATERIALIZED VIEW {} OWNER TO {}", self._at(desired, name), self._name(owner))

    def _have(self, tablespace: str, method: str) -> None:
        """Have what is created next stored as the old one is."""
        self._run("SET LOCAL default_tablespace = {}", self.sql.Literal(tablespace))
        self._run("SET LOCAL default_table_access_method = {}", self.sql.Literal(method))

    def _make_index(self, desired: Desired, view: str, name: str) -> None:
        self._run(
            "CREATE UNIQUE INDEX {} ON {} ({})",
            self._name(name),
            self._at(desired, view),
            self.sql.SQL(", ").join([self._name(column) for column in desired.unique_index or ()]),
        )

    def _copy_index(self, desired: Desired, view: str, name: str, index: Index) -> None:
        self._run("SET LOCAL default_tablespace = {}", self.sql.Literal(index.tablespace))
        self._run(
            "CREATE {}INDEX {} ON {} {}",
            self.sql.SQL("UNIQUE " if index.unique else ""),
            self._name(name),
            self._at(desired, view),
            self.sql.SQL(index.tail),
        )
        if index.clustered:
            self._run("ALTER MATERIALIZED VIEW {} CLUSTER ON {}", self._at(desired, view), self._name(name))
        if index.comment is not None:
            self._run("COMMENT ON INDEX {} IS {}", self._at(desired, name), self.sql.Literal(index.comment))

    def _describe(self, desired: Desired, view: str, action: Replace, columns: t.Container[str]) -> None:
        """Give the new view the comments and the statistics targets of the old one."""
        old, place = action.old, self._at(desired, view)
        if old.comment is not None:
            self._run("COMMENT ON MATERIALIZED VIEW {} IS {}", place, self.sql.Literal(old.comment))
        for column, text in old.column_comments.items():
            if column in columns:
                name = qualified(self.session, desired.schema, view)
                self._run("COMMENT ON COLUMN {}.{} IS {}", name, self._name(column), self.sql.Literal(text))
        for column, target in old.targets.items():
            if column in columns:
                value = self.sql.Literal(target)
                self._run("ALTER MATERIALIZED VIEW {} ALTER {} SET STATISTICS {}", place, self._name(column), value)

    def _grant(self, desired: Desired, view: str, wanted: frozenset[Grant]) -> None:
        """Give the new view the privileges of the old one, and no others, whatever the default privileges say."""
        columns = server.read_columns(self.session, desired.schema, view)
        wanted = frozenset(one for one in wanted if one.column is None or one.column in columns)
        have = server.read_grants(self.session, desired.schema, view)
        for one in sorted(have - wanted, key=repr):
            self._run("REVOKE {} ON {} FROM {}", *self._granted(desired, view, one))
        for one in sorted(wanted - have, key=repr):
            option = self.sql.SQL(" WITH GRANT OPTION" if one.grantable else "")
            self._run("GRANT {} ON {} TO {}{}", *self._granted(desired, view, one), option)

    def _granted(self, desired: Desired, view: str, grant: Grant) -> tuple[t.Any, t.Any, t.Any]:
        what = self.sql.SQL(grant.privilege)
        if grant.column is not None:
            what = self.sql.SQL("{} ({})").format(what, self._name(grant.column))
        return (
            what,
            self._at(desired, view),
            self.sql.SQL("PUBLIC") if grant.grantee is None else self._name(grant.grantee),
        )

    def _remember(self, desired: Desired, refreshed: bool) -> None:
        """Keep when a view was refreshed, in the transaction that does it; or forget it."""
        table = self._at(desired, server.REFRESHES)
        kept = server.refreshes_kept(self.session, desired.schema)
        if not refreshed:
            if kept:
                self.session.run(self.sql.SQL("DELETE FROM {} WHERE view = %s").format(table), (desired.name,))
            return
        if not kept:
            self._make_table(desired, table)
        # The rows are those of a moment after the transaction's begin, so never older than it says.
        self.session.run(
            self.sql.SQL(
                "INSERT INTO {} (view, refreshed_at) VALUES (%s, now()) "
                "ON CONFLICT (view) DO UPDATE SET refreshed_at = excluded.refreshed_at"
            ).format(table),
            (desired.name,),
        )

    def _make_table(self, desired: Desired, table: t.Any) -> None:
        """Create the table of refreshes; the schema's owner gets it, if we may, so that others can go on with it."""
        self._run("CREATE TABLE IF NOT EXISTS {} (view name PRIMARY KEY, refreshed_at timestamptz NOT NULL)", table)
        text = self.sql.Literal("When each materialized view of this schema was refreshed by scaleout.platform.")
        self._run("COMMENT ON TABLE {} IS {}", table, text)
        owner = server.owner_of_schema(self.session, desired.schema)
        if owner is not None:
            self._run("ALTER TABLE {} OWNER TO {}", table, self._name(owner))


def _of_view(action: t.Any, error: Refused) -> Refused:
    """What the server says of a view, with the view and with what of the task is at fault."""
    state = str(error.facts.get("sqlstate") or "")
    if not state:
        return error
    what = "query of " if state[:2] in _DATA else ""
    if state == _UNIQUE_VIOLATION:
        what = "unique_index of "
    elif state == _CARDINALITY and isinstance(action, Refresh) and action.concurrently:
        # Two equal rows, or a subquery with more than one: the server has one state for both.
        what = "query or unique_index of "
    return Refused(f"{what}{action.desired.label}: {error.message}", code=error.code, **error.facts)


def _given_to(grants: frozenset[Grant], before: str, owner: str) -> frozenset[Grant]:
    """What is granted once a view has another owner: the old one's own privileges are the new one's."""
    return frozenset(dataclasses.replace(one, grantee=owner) if one.grantee == before else one for one in grants)
