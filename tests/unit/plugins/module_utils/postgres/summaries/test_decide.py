# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import ddl, decide, fit, result
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import Column, Source, Summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import (
    ColumnFact,
    Kept,
    Relation,
    State,
    Table,
)

DONE = Column("done", "count", "", "status = 'x'")
TOTAL = Column("total", "count")
WANTED = Summary("public", "stats", (Source("public", "tasks", ("user_id",), (TOTAL, DONE)),))
TEXT = "public.tasks: status = 'x'"
CANONICAL = {TEXT: "(status = 'x'::text)"}
STANDING = {
    "stats__tasks_insert": "O",
    "stats__tasks_update": "O",
    "stats__tasks_delete": "O",
    "stats__tasks_row": "R",
    "stats__tasks_truncate": "A",
}


def fact(name, kind, not_null=True):
    return ColumnFact(name, kind, kind, "pg_catalog", not_null, "pg_catalog")


def relation(name="tasks", leaf=True, triggers=None, **changed):
    given = {"oid": 1, "schema": "public", "name": name, "kind": "r" if leaf else "p", "persistence": "p"}
    given |= {
        "leaf": leaf,
        "filtered": False,
        "owned": True,
        "readable": True,
        "triggers": STANDING if triggers is None else triggers,
    }
    return Relation(**{**given, **changed})


def state(*tree, kept=None, stems=(), **changed):
    columns = {"user_id": fact("user_id", "uuid"), "status": fact("status", changed.pop("status", "text"), False)}
    tasks = Table("r", False, False, "app", columns, tree or (relation(),), (("user_id", "id"),))
    given = {"tables": {("public", "tasks"): tasks}, "view": "v" if kept else "", "kept": kept, "stems": stems}
    given |= {"in_recovery": False, "owner": "app", "may_create": True, "roles": frozenset({"reader"})}
    return State(**{**given, **changed})


def there(wanted=WANTED, **changed):
    built = fit.build(wanted, state(relation(triggers={})))
    return dataclasses.replace(Kept(wanted, built, CANONICAL, (), "app"), **changed)


def meant(condition, *more):
    source = WANTED.sources[0]
    columns = (TOTAL, dataclasses.replace(DONE, filter=condition), *more)
    return dataclasses.replace(WANTED, sources=(dataclasses.replace(source, columns=columns),))


STEMS = ("stats__tasks",)
LEAVES = (
    relation(leaf=False, triggers={k: v for k, v in STANDING.items() if "truncate" not in k}),
    relation("tasks_1"),
)
CASES = [
    ("none is there", WANTED, state(), CANONICAL, (), False, "created"),
    ("as wanted", WANTED, state(kept=there(), stems=STEMS), {}, (), False, "none"),
    ("as wanted, partitioned", WANTED, state(*LEAVES, kept=there(), stems=STEMS), {}, (), False, "none"),
    (
        "another text of the same filter",
        meant("(status) = 'x'"),
        state(kept=there(), stems=STEMS),
        {"public.tasks: (status) = 'x'": CANONICAL[TEXT]},
        (),
        False,
        "none",
    ),
    (
        "another filter",
        meant("status = 'y'"),
        state(kept=there(), stems=STEMS),
        {"public.tasks: status = 'y'": "(status = 'y'::text)"},
        (),
        False,
        "changed",
    ),
    (
        "one column more",
        meant("status = 'x'", Column("n", "count", "status")),
        state(kept=there(), stems=STEMS),
        CANONICAL,
        (),
        False,
        "changed",
    ),
    ("a column of another type", WANTED, state(kept=there(), stems=STEMS, status="integer"), {}, (), False, "changed"),
    (
        "what was renamed",
        WANTED,
        state(kept=there(altered=("it is so",)), stems=STEMS),
        CANONICAL,
        (),
        False,
        "changed",
    ),
    ("counted again on request", WANTED, state(kept=there(), stems=STEMS), {}, (), True, "reseeded"),
    ("a reader more", WANTED, state(kept=there(), stems=STEMS), {}, ("reader",), False, "granted"),
    (
        "a reader who may already",
        WANTED,
        state(kept=there(readers=("reader",)), stems=STEMS),
        {},
        ("reader",),
        False,
        "none",
    ),
    (
        "what a broken-off change left",
        WANTED,
        state(kept=there(), stems=(*STEMS, "stats__tasks_2")),
        {},
        (),
        False,
        "cleaned",
    ),
    (
        "a table without triggers",
        WANTED,
        state(relation(triggers={}), kept=there(), stems=STEMS),
        {},
        (),
        False,
        "repaired",
    ),
    (
        "a trigger that is disabled",
        WANTED,
        state(relation(triggers={**STANDING, "stats__tasks_delete": "D"}), kept=there(), stems=STEMS),
        {},
        (),
        False,
        "repaired",
    ),
    (
        "a partition without triggers",
        WANTED,
        state(*LEAVES, relation("tasks_2", triggers={"stats__tasks_row": "R"}), kept=there(), stems=STEMS),
        {},
        (),
        False,
        "repaired",
    ),
]


@pytest.mark.parametrize(("what", "wanted", "found", "canonical", "readers", "reseed", "outcome"), CASES)
def test_what_becomes_of_a_summary(what, wanted, found, canonical, readers, reseed, outcome):
    decision = decide.present(wanted, found, canonical, readers, reseed)
    assert decision.outcome == outcome, what
    plan = result.plan(decision)
    assert plan.changed == (outcome != "none")
    assert (plan.before != plan.after) == plan.changed


def test_a_new_part_gets_names_that_no_object_has():
    found = state(relation(triggers={}))
    assert [part.stem for part in fit.build(WANTED, found)] == ["stats__tasks"]
    # A summary in another schema may have triggers of that name.
    assert [part.stem for part in fit.build(WANTED, state(relation(triggers={"stats__tasks_row": "R"})))] == [
        "stats__tasks_2"
    ]
    assert [part.stem for part in fit.build(WANTED, state(stems=STEMS))] == ["stats__tasks_2"]
    two = Source("other", "tasks", ("user_id",), (Column("more", "count"),))
    wanted = dataclasses.replace(WANTED, sources=(*WANTED.sources, two))
    tables = {**found.tables, ("other", "tasks"): found.tables["public", "tasks"]}
    stems = [part.stem for part in fit.build(wanted, dataclasses.replace(found, tables=tables))]
    assert stems == ["stats__public__tasks", "stats__other__tasks"]


REFUSED = [
    (state(in_recovery=True), "standby"),
    (state(may_create=None), "missing"),
    (state(may_create=False), "denied"),
    (state(view="r"), "name_taken"),
    (state(relation(filtered=True)), "row_security"),
    (state(relation(owned=False)), "denied"),
    (state(relation(readable=False)), "denied"),
    (state(relation(persistence="u")), "unsupported"),
    (state(relation(leaf=False), relation("far", kind="f")), "unsupported"),
    (state(kept=there(owner="another"), stems=STEMS), "denied"),
    (state(tables={}), "missing"),
]


@pytest.mark.parametrize(("found", "code"), REFUSED)
def test_what_would_be_wrong_is_refused(found, code):
    with pytest.raises(Refused) as caught:
        decide.present(WANTED, found, {}, (), False)
    assert caught.value.code == code


def test_what_goes():
    assert decide.absent(WANTED, state()).outcome == "none"
    assert decide.absent(WANTED, state(kept=there(), stems=STEMS)).outcome == "dropped"
    assert decide.absent(WANTED, state(stems=STEMS)).outcome == "cleaned"
    with pytest.raises(Refused):
        decide.absent(WANTED, state(view="v"))


def test_the_short_limit_of_all_locks_ends_with_the_statement_that_takes_them():
    kept = there()
    for statements in (ddl.install(kept, "run"), ddl.equip(kept), ddl.drop_parts("public", ["public.tasks"], [])):
        (locking,) = [place for place, one in enumerate(statements) if "LOCK TABLE" in one]
        assert "set_config('statement_timeout', pg_catalog.current_setting('scaleout.timeout')" in statements[locking]
        assert not any("statement_timeout" in one for one in statements[locking + 1 :])


def test_filters_are_read_only_where_one_is_not_known():
    assert decide.unknown_filters(WANTED, there()) == {}
    assert decide.unknown_filters(WANTED, None) == {WANTED.sources[0]: ["status = 'x'"]}
    assert list(decide.unknown_filters(meant("status = 'y'"), there()).values()) == [["status = 'y'"]]


def test_a_comment_holds_all_that_later_runs_need():
    kept = there(readers=("reader",), schemas=("types",))
    again = Kept.of(kept.comment(), "app", ("reader",))
    assert again == kept
    assert [dict(part.types) for part in again.parts] == [dict(part.types) for part in kept.parts]
