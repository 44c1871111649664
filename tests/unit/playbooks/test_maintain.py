# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/maintain.yml with a real PostgreSQL; all hosts are this machine, but one is not there."""

from __future__ import annotations

import pathlib
import sys

import pytest
import yaml

from tests.unit import postgres_server

ROOT = pathlib.Path(__file__).parents[3]
SQL = ROOT / "roles/reference_api/files/reference_api/migrations"
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
AWAY = {"ansible_ssh_common_args": "-o ConnectTimeout=1 -o BatchMode=yes", "ansible_port": 9}
DATABASE = {
    "cluster": "pg1",
    "password": "secret",
    "partition_sets": [{"table": "orders", "column": "placed_at", "interval": "month", "premake": 2}],
    "summaries": [
        {
            "name": "order_stats",
            "tables": [
                {
                    "table": "orders",
                    "group_by": ["customer"],
                    "columns": [{"name": "orders", "function": "count"}],
                }
            ],
        }
    ],
    "materialized_views": [
        {
            "name": "days",
            "query": "SELECT DISTINCT placed_at::date AS day FROM orders",
            "state": "refreshed",
            "max_age": 5,
        }
    ],
}


def inventory(server, **database):
    hosts = {"pg1": {**HERE, "platform_address": "192.0.2.1"}, "api1": {**HERE, "platform_address": "192.0.2.3"}}
    hosts["pg2"] = {"ansible_host": "127.0.0.1", "platform_address": "192.0.2.2", **AWAY}
    for name in ("pg1", "pg2"):
        hosts[name]["postgres_cluster"] = name
    variables = {
        "consul_gossip_key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "consul_management_token": "00000000-0000-4000-8000-000000000001",
        "consul_agent_token": "00000000-0000-4000-8000-000000000002",
        "consul_reader_token": "00000000-0000-4000-8000-000000000003",
        "postgres_replicator_password": "secret",
        "postgres_patroni_password": "secret",
        "pgbouncer_password": "secret",
        "postgres_clusters": {"pg1": {}, "pg2": {"databases": ["other"]}},
        "applications": {
            "shop": {
                "group": "api",
                "port": 8000,
                "source": "shop",
                "command": ["./serve"],
                "database": {**DATABASE, **database},
            },
        },
        "maintain_login": {"login_unix_socket": str(server.folder), "login_user": "postgres"},
    }
    groups = {"consul_server": ["api1"], "postgres": ["pg1", "pg2"], "api": ["api1"]}
    children = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items()}
    return yaml.safe_dump({"all": {"vars": variables, "children": children}})


@pytest.fixture(name="server", scope="module")
def _server():
    with postgres_server.running() as server:
        yield server


@pytest.fixture(name="shop")
def _shop(server):
    with server.connect("postgres") as admin:
        admin.run("DROP DATABASE IF EXISTS shop")
        admin.run("DROP ROLE IF EXISTS shop")
        admin.run("CREATE ROLE shop LOGIN")
        admin.run("CREATE DATABASE shop OWNER shop")
    with server.connect("shop", "shop") as client:
        client.run(
            "CREATE TABLE orders (id int, customer int, placed_at timestamptz NOT NULL, PRIMARY KEY (id, placed_at)) "
            "PARTITION BY RANGE (placed_at)"
        )
        yield client


def test_a_database_is_kept_though_another_server_is_not_there(server, shop, run_playbook):
    playbook = ROOT / "playbooks/maintain.yml"
    status, said = run_playbook(inventory(server), playbook, "--check")
    assert "pg1: shop: partition sets: orders: orders_y" in said
    assert shop.rows("SELECT FROM pg_inherits") == []
    status, said = run_playbook(inventory(server), playbook, "--diff")
    assert status == 4, said
    assert "pg1: shop: summary order_stats: created" in said
    assert "pg1: shop: materialized views: days created" in said
    assert "pg1: shop: tables: public.orders analyzed" in said
    assert "pg2 did not answer." in said
    assert shop.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'orders'::regclass") == 3
    # What is made belongs to the owner of the database.
    shop.run("INSERT INTO orders VALUES (1, 7, now())")
    assert shop.rows("SELECT * FROM order_stats") == [(7, 1)]
    owners = "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert set(shop.rows(owners)) <= {("shop",), ("pg_database_owner",)}
    status, said = run_playbook(inventory(server), playbook, "--limit", "pg1,api1", "-e", "maintain_verify=true")
    assert status == 0, said
    assert "pg1: shop: summaries: 1 rows folded" in said
    assert "pg1: shop: summaries verified: exact" in said
    assert "pg1: shop: partition sets" not in said
    assert "pg1: shop: materialized views" not in said


def test_what_fails_stops_nothing_else_and_the_run_ends_red(server, shop, run_playbook):
    views = [{"name": "bad", "query": "SELECT 1 / 0 AS never"}, {"name": "good", "query": "SELECT 1 AS one"}]
    sets = [{"table": "nothing", "column": "id", "interval": "month"}, *DATABASE["partition_sets"]]
    given = inventory(server, materialized_views=views, partition_sets=sets)
    status, said = run_playbook(given, ROOT / "playbooks/maintain.yml", "--limit", "pg1,api1")
    assert status == 2, said
    assert "There is no table public.nothing" in said
    assert "pg1: shop: materialized views: failed [partly_applied]: query of public.bad: PostgreSQL at" in said
    assert "pg1: shop: tables: public.orders analyzed" in said
    assert "pg1 failed with upkeep at 'Keep the databases': shop: partition sets: " in said
    assert shop.rows("SELECT one FROM good") == [(1,)]
    assert shop.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'orders'::regclass") == 3


def test_the_shards_of_the_reference_api_get_months_and_statistics(server, run_playbook):
    with server.connect("postgres") as admin:
        admin.run("DROP DATABASE IF EXISTS shard_0")
        admin.run("DROP ROLE IF EXISTS reference_api")
        admin.run("CREATE ROLE reference_api LOGIN")
        admin.run("CREATE DATABASE shard_0 OWNER reference_api")
    given = yaml.safe_load(inventory(server))
    given["all"]["vars"].update(
        postgres_clusters={"pg1": {"shards": [0]}, "pg2": {"databases": ["other"]}},
        postgres_database_owner="reference_api",
        reference_api_database_password="secret",
        applications={"reference_api": {"group": "api", "role": "scaleout.platform.reference_api"}},
    )
    with server.connect("shard_0", "reference_api") as client:
        for file in sorted(SQL.glob("*.sql")):
            client.run(file.read_text(encoding="utf-8"))
        user = "01900000-0000-7000-8000-000000000001"
        client.run("INSERT INTO users (id, name, email) VALUES (%s, 'Ada', 'ada@example.org')", (user,))
        client.run(
            "INSERT INTO tasks (user_id, id, title, status) "
            "SELECT %s, ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'task', "
            "CASE WHEN n %% 3 = 0 THEN 'completed' ELSE 'pending' END FROM generate_series(1, 30) n",
            (user,),
        )
        for _run in (1, 2):
            options = ("--limit", "pg1,api1", "-e", "maintain_verify=true")
            status, said = run_playbook(yaml.safe_dump(given), ROOT / "playbooks/maintain.yml", *options)
            assert status == 0, said
        assert "pg1: shard_0: partition sets" not in said
        assert "pg1: shard_0: summaries verified: exact" in said
        # All that was there, up to the end of the next month, and those of the months after it.
        assert client.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'tasks'::regclass") >= 3
        stats = "SELECT id::text, total_tasks, completed_tasks, total_habits, best_streak FROM user_stats"
        assert client.rows(stats) == [(user, 30, 10, 0, None)]
        client.run("DELETE FROM tasks WHERE status = 'completed'")
        assert client.rows(stats) == [(user, 20, 0, 0, None)]
