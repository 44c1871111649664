# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An apply that fails: all is taken back, or the error says what was done. A server is not needed for that."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import PartlyApplied, Refused, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import server
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import Reset, Set
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.overrides import (
    Change,
    Override,
    Scope,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.plan import Reload

psycopg2 = pytest.importorskip("psycopg2", reason="the driver is not installed")

ACTIONS = (
    Set("a", ("1",), undo=Set("a", ("0",))),
    Reset("b.c", undo=Set("b.c", ("x", "y"))),
    Set("d", ("2",), undo=Reset("d")),
    Reload(),
)


class FakeSession:
    """Runs nothing, remembers the statements, and fails as told."""

    def __init__(self, failures):
        self.failures = dict(failures)
        self.statements = []

    @property
    def sql(self):
        import psycopg2.sql

        return psycopg2.sql

    def run(self, statement):
        self.statements.append(self._text(statement))
        if len(self.statements) in self.failures:
            raise self.failures[len(self.statements)]

    def rows(self, statement, parameters=None):
        self.statements.append(statement)
        return [{"asked": "1795876577.905891"}] if parameters is None else [{"loaded": True}]

    def _text(self, part):
        if isinstance(part, self.sql.Composed):
            return "".join(map(self._text, part))
        if isinstance(part, self.sql.Identifier):
            return ".".join(f'"{name}"' for name in part.strings)
        return part.string if isinstance(part, self.sql.SQL) else repr(part.wrapped)


REFUSED = Refused("The server refused.", sqlstate="22023")
GONE = Unreachable("PostgreSQL", "pg1", 5432, "gone")


def test_statements():
    session = FakeSession({})
    server.apply(session, ACTIONS)
    assert session.statements[:3] == [
        "ALTER SYSTEM SET \"a\" = '1'",
        'ALTER SYSTEM RESET "b"."c"',
        "ALTER SYSTEM SET \"d\" = '2'",
    ]
    assert len(session.statements) == 5  # the reload, and one look whether it has happened


A, B, C = Scope("My app"), Scope(role="batch"), Scope("app", 'ba"tch')
OVERRIDES = Override(
    (Change(A, "work_mem", ("8MB",)), Change(B, "search_path", ("a", "b'c")), Change(C, "app.tenant")),
    undo=Override((Change(C, "app.tenant", ("7",)),)),
)


def test_all_overrides_are_one_message():
    session = FakeSession({})
    server.apply(session, (OVERRIDES,))
    assert session.statements == [
        """ALTER DATABASE "My app" SET "work_mem" = '8MB'; """
        """ALTER ROLE "batch" SET "search_path" = 'a', "b'c"; """
        """ALTER ROLE "ba"tch" IN DATABASE "app" RESET "app"."tenant\""""
    ]


def test_refused_overrides_take_the_servers_settings_back():
    session = FakeSession({2: REFUSED})
    with pytest.raises(Refused, match=r"No setting was changed\.$"):
        server.apply(session, (ACTIONS[0], OVERRIDES, Reload()))
    assert session.statements[2:] == ["ALTER SYSTEM SET \"a\" = '0'"]


def test_a_server_that_goes_away_between_settings_and_overrides():
    with pytest.raises(PartlyApplied, match="Not done: set work_mem of database My app, ") as error:
        server.apply(FakeSession({2: GONE}), (ACTIONS[0], OVERRIDES, Reload()))
    assert error.value.facts["not_done"][-1] == "reload"


def test_a_refused_value_takes_the_others_back():
    session = FakeSession({3: REFUSED})
    with pytest.raises(Refused, match=r"^The server refused\. No setting was changed\.$") as error:
        server.apply(session, ACTIONS)
    assert error.value.facts == {"sqlstate": "22023"}
    assert session.statements[3:] == ["ALTER SYSTEM SET \"b\".\"c\" = 'x', 'y'", "ALTER SYSTEM SET \"a\" = '0'"]


@pytest.mark.parametrize("failures", [{3: GONE}, {3: REFUSED, 4: GONE}])
def test_what_cannot_be_taken_back_is_named(failures):
    with pytest.raises(PartlyApplied, match=r"Done before: set a, reset b\.c\. Not done: set d, reload\.$") as error:
        server.apply(FakeSession(failures), ACTIONS)
    facts = error.value.facts
    assert facts["changed"]
    assert (facts["done"], facts["not_done"]) == (["set a", "reset b.c"], ["set d", "reload"])


def test_a_server_that_is_gone_at_once():
    with pytest.raises(Unreachable):
        server.apply(FakeSession({1: GONE}), ACTIONS)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (("/c/a.conf", 3, "syntax error", None), "/c/a.conf line 3: syntax error"),
        (
            ("/c/a.conf", 3, "unrecognized configuration parameter", "x"),
            "/c/a.conf line 3: unrecognized configuration ",
        ),
        ((None, None, 'could not open file "/c/a.conf"', None), 'could not open file "/c/a.conf"'),
    ],
)
def test_m1_an_error_names_its_place_where_it_has_one(line, text):
    told = server._file_error(dict(zip(("sourcefile", "sourceline", "error", "name"), line, strict=True)))
    assert told.startswith(text)
    assert "None" not in told
