# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Columns of types that are not PostgreSQL's own, or are compared as another type."""

from __future__ import annotations

from .conftest import column, table


def test_types_of_extensions_and_groups_of_odd_types(database):
    role = f"writer_{database.name}"
    database.sql(
        f"CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE ROLE {role};"
        "CREATE DOMAIN ext.mail AS ext.citext;"
        "CREATE TABLE t (g inet, r int4range, u varchar(3), d ext.mail, c ext.citext, o oid, a ext.citext[]);"
        f"CREATE INDEX ON t (g, r, u, o, a, d); GRANT ALL ON t TO {role}"
    )
    columns = [column(f"{function}_{name}", function, name) for function in ("min", "max") for name in "dc"]
    given = {"tables": [table("t", ["g", "r", "u", "o", "a", "d"], column("n", "count"), *columns)]}
    assert database.summary("s", **given)[1]["outcome"] == "created"
    assert not database.summary("s", **given)[0]
    for values in ("'x', 'B'), ('10.0.0.1', '[1,2)', 'u', 1, '{A}', 'X', 'a'", "'x', 'C'", "NULL, NULL"):
        row = f"('10.0.0.1'::inet, '[1,2)'::int4range, 'u', 1::oid, '{{a}}', {values})"
        database.sql(f"SET ROLE {role}; INSERT INTO t (g, r, u, o, a, d, c) VALUES {row}")
        assert database.drift() == []
    assert database.rows("SELECT n, min_c::text, max_c::text FROM s WHERE lower(d::text) = 'x'") == [(3, "a", "C")]
    database.summary("s", state="folded")
    database.sql("DELETE FROM t WHERE lower(c::text) = 'c'")
    assert database.drift() == []
    assert database.rows("SELECT n, min_c::text, max_c::text FROM s WHERE d IS NOT NULL") == [(2, "a", "B")]
