# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests through nginx, and the rows where they belong."""

from __future__ import annotations

import json
import uuid

from tests.end_to_end import lab, playbooks


def test_smoke(platform):
    smoke = playbooks.run("make", "smoke", log="30-smoke", as_json=False).succeeded()
    print(f"\n`make smoke`: {smoke.seconds:.0f} s")


def test_a_user_is_on_one_shard_and_its_replica(platform):
    """Asked of every database of every server, whatever any map says."""
    name = f"found {uuid.uuid4()}"
    answer = lab.ask("POST", "/users", {"name": name, "email": "found@example.org"})
    assert answer.status == 201, answer
    user = json.loads(answer.body)["id"]
    found = {}

    def look() -> bool:
        found.update({server: _databases_with(server, user, name) for server in lab.hosts("postgres")})
        return any(found[server] for server in found) and all(found[server] for server in _cluster_with(found))

    lab.wait_for(look, 10)
    at = {server: databases for server, databases in found.items() if databases}
    print(f"\nuser {user}: {at}")
    # All members of one cluster, in one and the same database, and no other server.
    assert set(at) == set(_cluster_with(found)), at
    assert len(at) > 1, at
    assert len(set(map(tuple, at.values()))) == 1, at
    assert {len(databases) for databases in at.values()} == {1}, at
    assert lab.ask("DELETE", f"/users/{user}").status == 204


def _cluster_with(found: dict[str, list[str]]) -> list[str]:
    """The members of the first cluster in which something was found."""
    (cluster, *_more) = [lab.variables(server)["postgres_cluster"] for server in found if found[server]]
    return [server for server in lab.hosts("postgres") if lab.variables(server)["postgres_cluster"] == cluster]


def _databases_with(server: str, user: str, name: str) -> list[str]:
    databases = [
        row[0] for row in lab.sql(server, "postgres", "SELECT datname FROM pg_database WHERE datname ~ '^shard_'")
    ]
    query = f"SELECT name FROM users WHERE id = '{user}'"
    return [database for database in databases if lab.sql(server, database, query) == [[name]]]
