# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What other roles, policies, statistics and odd values would have us lose, against a real server."""

from __future__ import annotations

import contextlib
import json

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from tests.unit.plugins.module_utils.postgres.partitions.visits import CREATE_VISITS, VISITS

DEFAULT = "CREATE TABLE visits_default PARTITION OF visits DEFAULT"


@pytest.fixture
def role(client, server):
    """Create a role that may log in and create tables; roles outlive the database of a test."""

    def create(name):
        with contextlib.suppress(Exception):
            client.run(f"CREATE ROLE {name} LOGIN")
        client.run(f"GRANT CREATE ON SCHEMA public TO {name}")
        return name

    return create


def forged(**facts):
    """Return the comment that a run leaves at a table, as any role may write it."""
    return "partition_set: " + json.dumps({"move_to": "", "of": ["public", "visits"], **facts}).replace("'", "''")


@pytest.mark.parametrize("owner", ["postgres", "maid"])
def test_another_roles_comment_has_nothing_dropped(keep, client, role, owner):
    role("mallory")
    role("maid")
    client.run(CREATE_VISITS)
    client.run(f"ALTER TABLE visits OWNER TO {owner}")
    client.run("CREATE TABLE secret AS SELECT 1 AS a")
    client.run("CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    client.run("SET ROLE mallory")
    client.run("CREATE TABLE evil ()")
    client.run("CREATE TABLE old ()")
    moving = forged(action="moving", tables=["secret"])
    client.run(f"COMMENT ON TABLE evil IS '{moving}'")
    client.run(f"COMMENT ON TABLE old IS '{forged(action='dropped', upper='0')}'")
    client.run("RESET ROLE")
    keep({**VISITS, "retention": "1 year", "retention_action": "drop"})
    assert client.one("SELECT count(*) FROM secret") == 1
    assert client.one("SELECT evil()") == 1
    assert client.one("SELECT to_regclass('old') IS NOT NULL")


def test_the_owner_of_a_set_has_only_its_own_dropped(keep, client, role):
    role("mallory")
    client.run("CREATE TABLE secret AS SELECT 1 AS a")
    client.run("SET ROLE mallory")
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE evil ()")
    moving = forged(action="moving", tables=["secret"])
    client.run(f"COMMENT ON TABLE evil IS '{moving}'")
    client.run("RESET ROLE")
    keep(VISITS)
    assert client.one("SELECT count(*) FROM secret") == 1


@pytest.mark.parametrize("name", ["visits_default_copy", "visits_default_moving", "visits_default_rest"])
def test_tables_with_the_names_of_a_move_stay(keep, client, name):
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz, PRIMARY KEY (id, seen_at))"
               " PARTITION BY RANGE (seen_at)")  # fmt: skip
    client.run(DEFAULT)
    client.run("INSERT INTO visits VALUES (1, now())")
    client.run(f"CREATE TABLE {name} AS SELECT 1 AS a")
    with pytest.raises(ScaleoutError):
        keep(VISITS)
    assert client.one(f"SELECT count(*) FROM {name}") == 1
    assert client.one("SELECT count(*) FROM visits") == 1
