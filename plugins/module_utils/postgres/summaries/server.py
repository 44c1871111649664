# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads, makes, folds and verifies the summaries of a database."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import secrets
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Conflict,
    InvalidInput,
    Refused,
    ScaleoutError,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Locked, Patience, Waited
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import (
    ddl,
    fit,
    queries,
    reading,
    triggers,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.decide import (
    CREATED,
    REPAIRED,
    RESEEDED,
    Decision,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import SUFFIXES, Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import Source, Summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import (
    MARK,
    PART_MARK,
    ColumnFact,
    Dependent,
    Firing,
    Kept,
    Relation,
    Standing,
    State,
    Table,
    defining_comment,
    part_comment,
    part_mark,
    turn_of,
)

_SUFFIXES = [f"_{suffix}" for suffix in SUFFIXES]
_LOCK_NOT_AVAILABLE = "55P03"
_DEPENDENT_OBJECTS = "2BP01"
_IN_OTHER_PLACES = {"42P07", "42723", "42710"}  # duplicate_table, duplicate_function, duplicate_object

#: The longest pause between two attempts to fold, in seconds.
_PAUSE = 1.0


def read(session: Session, wanted: Summary, owner: str, readers: t.Sequence[str]) -> State:
    """All that the decision wants to know, in few queries.

    :param owner: who the summary's objects belong to; "" for the session's user.
    """
    given = {
        "schema": wanted.schema,
        "name": wanted.name,
        "owner": owner,
        "readers": list(readers),
        "mark": MARK,
        "part": part_mark(wanted),
        "defining": wanted.defining,
        "counts": defining_comment(wanted),
    }
    # A view whose comment another task has just dropped with it would pass for someone else's.
    with session.snapshot():
        server = session.rows(queries.SERVER, given)[0]
        kept, odd = marked(session, wanted.schema, wanted.name)
    named = {
        "schemas": [source.schema for source in wanted.read],
        "tables": [source.table for source in wanted.read],
        "owner": server["owner"],
    }
    rows = session.rows(queries.TABLES, named) if wanted.read else []
    firing, dependents = [], []
    if server["stems"]:
        own = {"schema": wanted.schema, "stems": server["stems"], "suffixes": _SUFFIXES, "owner": server["owner"]}
        firing = session.rows(queries.FIRING, own)
    if server["view"] or server["stems"]:
        views = [wanted.name] if server["defining_taken"] else [wanted.name, wanted.defining]
        own = {"schema": wanted.schema, "views": views, "stems": server["stems"]}
        dependents = session.rows(queries.DEPENDENTS, own)
    return State(
        tables={(row["schema"], row["name"]): _table(row) for row in rows},
        view=server["view"],
        kept=known_now(session, kept)[0] if kept else None,
        stems=tuple(server["stems"]),
        in_recovery=server["in_recovery"],
        owner=server["owner"],
        may_create=server["may_create"],
        roles=frozenset(server["roles"]),
        dependents=tuple(_dependent(row, wanted) for row in dependents),
        odd=bool(odd),
        seen=json.loads(server["seen"] or "{}"),
        defining_taken=server["defining_taken"],
        firing=tuple(Firing(**row) for row in firing),
    )


def _dependent(row: dict[str, t.Any], wanted: Summary) -> Dependent:
    kept = Kept.of(row["description"] or "")
    renamed = bool(kept and kept.summary.label == wanted.label and row["of"] != wanted.name)
    return Dependent(row["of"], row["what"], renamed)


def summaries(session: Session, schema: str = "", name: str | None = None) -> list[Kept]:
    """The summaries of the database, or the one of a name, whoever made them; see :func:`distrust`."""
    return marked(session, schema, name)[0]


def marked(session: Session, schema: str = "", name: str | None = None) -> tuple[list[Kept], list[str]]:
    """The summaries, and the views whose comments begin as a summary's and do not fit them."""
    found, odd = [], []
    for row in session.rows(queries.SUMMARIES, {"schema": schema, "name": name, "mark": MARK}):
        kept = Kept.of(row["description"], row["owner"], row["readers"])
        if kept and (kept.summary.schema, kept.summary.name) == (row["schema"], row["name"]):
            found.append(dataclasses.replace(kept, may_be=row["may_be"]))
        else:
            odd.append(f"{row['schema']}.{row['name']}")
    return found, odd


def known_now(session: Session, found: t.Sequence[Kept]) -> list[Kept]:
    """Summaries with what was renamed of their tables, in one query."""
    views = [(kept.summary.schema, kept.summary.defining) for kept in found]
    now: dict[tuple[str, str], dict[str, list[str]]] = {view: {} for view in views}
    asked = {"schemas": [schema for schema, _name in views], "names": [name for _schema, name in views]}
    asked["counts"] = [defining_comment(kept.summary) for kept in found]
    for row in session.rows(queries.COUNTED, asked) if views else ():
        now[row["schema"], row["name"]][row["label"]] = row["columns"]
    return [dataclasses.replace(kept, altered=fit.altered(kept, now[view])) for kept, view in zip(found, views)]


@dataclasses.dataclass(frozen=True)
class _Needed:
    """All that is read or run with a summary, or with a part of one.

    :param owner: a role that is trusted beside the session's own, superusers and the owner of the database.
    :param tables: each with its schema and the kinds that it may be of.
    :param stems: what names of functions begin with, in that schema.
    :param paths: further schemas.
    """

    owner: str
    schema: str
    tables: tuple[tuple[str, str, str], ...]
    stems: tuple[str, ...]
    paths: tuple[str, ...] = ()

    @classmethod
    def of(cls, kept: Kept, owner: str) -> _Needed:
        tables = [(source.schema, source.table, "rp") for source in kept.summary.read]
        for part in kept.parts:
            tables += [(part.schema, part.stem, "r"), (part.schema, f"{part.stem}_pending", "r")]
        tables.append((kept.summary.schema, kept.summary.name, "v"))
        paths = (*kept.schemas, *(schema for part in kept.parts for schema in part.extremes.values()))
        return cls(owner, kept.summary.schema, tuple(tables), tuple(part.stem for part in kept.parts), paths)


def distrust(session: Session, found: t.Sequence[Kept], owners: t.Sequence[str]) -> list[list[str]]:
    """What of summaries, and of all that is read for each, belongs to a role whose code must not run in this session.

    Whoever may make a view may write a summary's comment, and functions of the view or of triggers would run with the
    rights of the session. To be their owner meanwhile would not help: what runs in a session may RESET ROLE.

    :param owners: for each a role that is trusted beside the session's own, superusers and the owner of the database.
    """
    return _distrust(session, [_Needed.of(kept, owner) for kept, owner in zip(found, owners)])


def _distrust(session: Session, needed: t.Sequence[_Needed]) -> list[list[str]]:
    tables = [(of, *table) for of, one in enumerate(needed) for table in one.tables]
    stems = [(of, one.schema, stem) for of, one in enumerate(needed) for stem in one.stems]
    paths = [(of, path) for of, one in enumerate(needed) for path in one.paths]
    given: dict[str, list[t.Any]] = {"owners": [one.owner for one in needed]}
    for names, rows in (
        (("table_of", "schemas", "names", "kinds"), tables),
        (("stem_of", "stem_schemas", "stems"), stems),
        (("path_of", "paths"), paths),
    ):
        given.update({name: [row[place] for row in rows] for place, name in enumerate(names)})
    strange: list[list[str]] = [[] for _one in needed]
    for row in session.rows(queries.DISTRUST, given) if needed else ():
        strange[row["of"]].append(row["what"])
    return strange


def standing(session: Session) -> list[Standing]:
    """The parts of all summaries of the database, with the triggers of each base table.

    There are also those of summaries that are being made, or that a broken-off task has left. What belongs to someone
    else than the base table, the session and those that it trusts is passed over: its functions are not called.
    """
    rows = session.rows(queries.STANDING, {"mark": PART_MARK, "suffixes": _SUFFIXES})
    needed = [
        _Needed(row["owner"], row["schema"], ((row["schema"], row["stem"], "r"),), (row["stem"],)) for row in rows
    ]
    found = {}
    for row, strange in zip(rows, _distrust(session, needed)):
        if strange:
            continue
        summary = ".".join(json.loads(row["description"][len(MARK) :])["part_of"])
        part = Part(row["schema"], row["stem"], Source(row["base_schema"], row["base_name"], ()))
        found[part.schema, part.stem, part.source.label] = Standing(part, summary, json.loads(row["triggers"]))
    every = summaries(session)
    owned = _owners(session, every)
    for kept, owners, strange in zip(every, owned, distrust(session, every, ["".join(one) for one in owned])):
        if len(owners) > 1 or strange:
            continue
        for part in kept.parts:
            # Of one whose triggers are all gone, the view still tells.
            one = (part.schema, part.stem, part.source.label)
            triggers = found[one].triggers if one in found else {}
            found[one] = Standing(part, kept.summary.label, triggers)
    return list(found.values())


def _owners(session: Session, found: t.Sequence[Kept]) -> list[set[str]]:
    """Who owns the base tables of each summary."""
    sources = [(place, part.source) for place, kept in enumerate(found) for part in kept.parts]
    asked = {"schemas": [one.schema for _place, one in sources], "names": [one.table for _place, one in sources]}
    rows = session.rows(queries.OWNERS, asked) if sources else []
    owner = {(row["schema"], row["name"]): row["owner"] for row in rows}
    owners: list[set[str]] = [set() for _kept in found]
    for place, one in sources:
        owners[place] |= {owner[one.schema, one.table]} if (one.schema, one.table) in owner else set()
    return owners


def _table(row: dict[str, t.Any]) -> Table:
    return Table(
        kind=row["kind"],
        is_partition=row["is_partition"],
        inherits=row["inherits"],
        owner=row["owner"],
        columns={one["name"]: ColumnFact(**one) for one in json.loads(row["columns"] or "[]")},
        tree=tuple(Relation(**one) for one in json.loads(row["tree"] or "[]")),
        indexes=tuple(tuple(columns) for columns in json.loads(row["indexes"] or "[]")),
    )


def canonical(session: Session, filters: t.Mapping[Source, t.Sequence[str]], owner: str) -> dict[str, str]:
    """Filters as PostgreSQL writes them, by :meth:`.spec.Source.condition`; changes nothing.

    :raises InvalidInput: one of them is no condition on the table's columns, or not an immutable one.
    """
    found = {}
    for source, conditions in filters.items():
        for given in conditions:
            session.run("BEGIN")
            try:
                session.run(ddl.trial(source, given, owner))
                found[source.condition(given)] = session.rows(ddl.TRIED)[0]["condition"]
            except Refused as error:
                if not error.facts.get("sqlstate"):
                    raise
                raise InvalidInput(
                    "filter", given, f"of {source.label} is no condition that a summary can have. {error.message}"
                ) from None
            finally:
                session.run("ROLLBACK")
    return found


class Work:
    """Carries a decision out.

    :param owner: whom to be meanwhile; "" for the session's own user.
    """

    def __init__(self, session: Session, owner: str, waiting: Patience, waited: Waited) -> None:
        self.session = session
        self.owner = owner
        self.waiting = waiting
        self.waited = waited
        self.run = secrets.token_hex(8)
        self.wanted = Summary("", "")
        self.seen: dict[str, str] = {}

    def carry_out(self, decision: Decision, oids: t.Mapping[str, int], seen: t.Mapping[str, str]) -> None:
        """Make what is decided be so.

        :param oids: those of the base tables, by their labels.
        :param seen: the comments that the decision was made on.
        :raises Locked: others held a lock for too long; the next run goes on.
        :raises Conflict: another task has changed the summary since it was read, or changes it.
        """
        self.wanted, self.seen = decision.wanted, dict(seen)
        before, after = decision.before, decision.after
        tables = {source.label: source for source in decision.wanted.sources} if after else {}
        label = decision.wanted.label
        if after is None:
            known = {part.source.label: part for part in before.parts} if before else {}
            strong = {oids[name]: "AccessExclusiveLock" for name in known if name in oids}
            bases = [part.base for name, part in known.items() if name in oids]
            statements = ddl.drop_all(decision.wanted, bases, decision.leftovers)
            self._patiently(statements, f"drop {label}", strong)
            return
        weak = {oids[name]: "ShareRowExclusiveLock" for name in tables if name in oids}
        strong = {oids[name]: "AccessExclusiveLock" for name in tables if name in oids}
        if decision.leftovers:
            # First of all, so that a task that fails each time leaves no more of them each time.
            left = ddl.drop_parts(after.summary.schema, (), decision.leftovers)
            self._patiently(left, f"drop what {label} does not use", strong)
            self._gone(decision.leftovers)
        if decision.built:
            self._patiently(ddl.install(after, self.run), f"put triggers on the tables of {label}", weak)
            self.seen.update({part.stem: part_comment(decision.wanted, self.run) for part in after.parts})
            try:
                self._patiently(ddl.open_view(after, before), f"make {label}", {})
                self.seen[decision.wanted.name] = after.comment()
            except (Refused, Conflict):
                with contextlib.suppress(ScaleoutError):
                    self._drop(after.parts, f"drop the new half of {label}", oids)
                raise
        elif any(decision.bare.values()):
            self._patiently(ddl.equip(after), f"put triggers on the tables of {label}", weak)
        if decision.stray:
            taken = [one for stray in decision.stray for one in triggers.off(stray)]
            strong = {stray.oid: "AccessExclusiveLock" for stray in decision.stray}
            self._patiently(taken, f"take triggers off what is no partition for {label}", strong)
        if decision.outcome in (REPAIRED, RESEEDED):
            self._patiently(ddl.reseed(after), f"count {label} again", {})
        if decision.grants and decision.outcome != CREATED:
            self._patiently(ddl.grant(after.summary, decision.grants), f"let others read {label}", {})
        if decision.retired:
            self._drop(decision.retired, f"drop what {label} had before", oids)

    def _drop(self, parts: t.Sequence[Part], what: str, oids: t.Mapping[str, int]) -> None:
        known = [part for part in parts if part.source.label in oids]
        strong = {oids[part.source.label]: "AccessExclusiveLock" for part in known}
        stems = [part.stem for part in parts]
        self._patiently(ddl.drop_parts(parts[0].schema, [part.base for part in known], stems), what, strong)
        self._gone(stems)

    def _gone(self, stems: t.Iterable[str]) -> None:
        for stem in stems:
            self.seen.pop(stem, None)

    def _patiently(self, statements: t.Sequence[str], what: str, locks: t.Mapping[int, str]) -> None:
        try:
            statement = ddl.together(statements, self.owner, ddl.turn(self.wanted, self.owner, self.seen))
            turn = turn_of(self.wanted)
            patience.patiently(self.session, statement, what, locks, self.waiting, self.waited, turn=turn)
        except Refused as error:
            raise _understood(error, what) from None

    def fold(self, kept: Kept) -> int:
        """Fold all that is pending of a summary, group by group; returns how many rows it was."""
        count = 0
        for part in kept.parts:
            one = self._fold(part, kept)
            if one:
                # Their room is for those that come next. Expressions of indexes run as the table's owner here, and are
                # held back from becoming another.
                self.session.run(f"VACUUM (SKIP_LOCKED, TRUNCATE false) {part.pending}")
            count += one
        return count

    def _fold(self, part: Part, kept: Kept) -> int:
        count, started = 0, time.monotonic()
        there = self.session.rows(f"SELECT count(*) AS n FROM {part.pending}")[0]["n"]
        whole = there <= reading.WHOLE
        if not whole:
            # The last VACUUM found it empty, and a plan for an empty table would not do.
            self.session.run(f"ANALYZE {part.pending}")
        while True:
            statements = [*ddl.fold_lock(part, kept), reading.fold(part, whole)]
            try:
                limit = f"SET LOCAL lock_timeout = '{self.waiting.lock_timeout:d}ms'; "
                folded = self.session.rows(limit + ddl.together(statements, self.owner or _role(kept)))[0]["folded"]
            except Refused as error:
                if error.facts.get("sqlstate") != _LOCK_NOT_AVAILABLE:
                    raise
                self.waited.attempts += 1
                spent = time.monotonic() - started
                if spent > self.waiting.seconds:
                    raise Locked(f"fold {kept.summary.label}", self.waited.attempts, spent, []) from None
                time.sleep(_PAUSE * random.uniform(0.5, 1.0))
                continue
            count += int(folded)
            # What is written meanwhile is for the next time, or there would be no end.
            if whole or not folded or count >= there:
                return count


def _role(kept: Kept) -> str:
    """Whom to be while a summary is read or folded, so that mistakes of its owner stay their own."""
    return kept.owner if kept.may_be else ""


def pending(session: Session, kept: Kept) -> int:
    """How many rows of a summary are not folded."""
    united = " UNION ALL ".join(f"SELECT count(*) AS n FROM {part.pending}" for part in kept.parts)
    return int(session.rows(f"SELECT CAST(sum(n) AS int8) AS n FROM ({united}) x")[0]["n"])


def drift(session: Session, kept: Kept) -> tuple[int, list[dict[str, t.Any]]]:
    """How many groups differ from the base tables, and some of them: as the view has each and as it has to be."""
    statements = [*ddl.path(kept), reading.drift(kept.summary, kept.parts)]
    found: dict[str, dict[str, t.Any]] = {}
    count = 0
    for row in session.rows(ddl.together(statements, _role(kept))):
        count = row["groups"]
        line = found.setdefault(row["key"], {"kept": None, "counted": None})
        line["kept" if row["ours"] else "counted"] = json.loads(row["line"])
    return count, list(found.values())


def _understood(error: Refused, what: str) -> ScaleoutError:
    """A refusal of the server that has a code of its own."""
    state = error.facts.get("sqlstate")
    if state == ddl.OUTRUN:
        return Conflict(f"Another task changes the same summary, so this one did not {what}. Run it again.")
    if state == _DEPENDENT_OBJECTS:
        said = f"The server does not {what}: something has come to depend on it. The next run names it."
        return Refused(said, code="depended_on", **error.facts)
    if state in _IN_OTHER_PLACES:
        return Refused(f"Another object has a name of the summary's. {error.message}", code="name_taken", **error.facts)
    return error
