# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a pooler is refused, and what it is to run with."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Server
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbouncer

SERVER = {
    "in_recovery": False,
    "connections": 397,
    "role": True,
    "databases": ["postgres", "shard_0", "shard_1"],
    "functions": {"shard_0": pgbouncer.FUNCTION, "shard_1": None},
}


def platform(cluster=None, host="pg1", **variables):
    """A cluster of two with three databases; the variables are those of one of its hosts."""
    addresses = {"pg1": "192.0.2.11", "pg1r": "192.0.2.12"}
    hosts = {
        name: {
            "postgres_cluster": "main",
            "platform_address": address,
            "pgbouncer_password": "secret",
            "postgres_settings": {"max_connections": 400},
            **(variables if name == host else {}),
        }
        for name, address in addresses.items()
    }
    servers = tuple(Server(name, address) for name, address in addresses.items())
    made = Cluster("main", servers, shards=(0, 1), databases=("app",))
    return Platform(hosts, {"postgres": list(hosts)}, {"main": dataclasses.replace(made, **(cluster or {}))})


@pytest.mark.parametrize(
    ("host", "state", "variables"),
    [
        ("pg1", None, {}),
        ("pg1r", None, {}),
        ("pg1", {"server": SERVER}, {}),
        ("pg1r", {"server": {**SERVER, "in_recovery": True}}, {}),
        # The other one leads by now.
        ("pg1", {"server": {**SERVER, "in_recovery": True}}, {}),
        ("pg1r", {"server": SERVER}, {}),
        ("pg1", {"server": None}, {}),
        ("pg1", None, {"pgbouncer_databases": ["other.db-1"]}),
        ("pg1", None, {"pgbouncer_pool_min": 0, "pgbouncer_pool_max": "1"}),
        ("pg1", None, {"pgbouncer_tls_cert_file": "/a", "pgbouncer_tls_key_file": "/b"}),
        ("pg1", None, {"pgbouncer_allowed_networks": ["10.0.0.0/8", "::1", "2001:db8::/32"]}),
        ("pg1", {"server": {**SERVER, "connections": 1000}}, {"pgbouncer_pool_max": 100}),
        # The run that is about to check the pooler raises them first.
        ("pg1", {"server": {**SERVER, "connections": 97}}, {}),
    ],
)
def test_a_right_pooler_has_no_problems(host, state, variables):
    assert pgbouncer.problems(platform(host=host, **variables), host, state) == []


@pytest.mark.parametrize(
    ("variables", "more", "code", "text"),
    [
        (
            {"postgres_cluster": "other"},
            {},
            "no_cluster",
            "pgbouncer belongs on a member of a cluster; postgres_cluster must name one of postgres_clusters",
        ),
        (
            {"pgbouncer_databases": "app"},
            {},
            "invalid_databases",
            "pgbouncer_databases is 'app', not a list of names",
        ),
        (
            {},
            {"cluster": {"shards": (), "databases": ()}},
            "no_databases",
            "pgbouncer_databases is empty, and postgres_clusters names none for its cluster",
        ),
        (
            {"pgbouncer_databases": ["a b", "fine", "a;b"]},
            {},
            "invalid_name",
            "pgbouncer_databases has a b, a;b; a name must be letters, digits, dots, hyphens and underscores",
        ),
        (
            {"pgbouncer_databases": ["pgbouncer"]},
            {},
            "reserved_name",
            "pgbouncer_databases must not name pgbouncer, which is PgBouncer's own console",
        ),
        *(
            ({"pgbouncer_port": port}, {}, "bad_port", f"pgbouncer_port is {port}; a port is between 1 and 65535")
            for port in (0, 65536, "x", True)
        ),
        ({"pgbouncer_port": "5432"}, {}, "port_taken", "pgbouncer_port must not be 5432, which is PostgreSQL's"),
        (
            {"postgres_peer_users": []},
            {},
            "no_peer",
            "postgres_peer_users must name pgbouncer, for PgBouncer logs in by it",
        ),
        *(
            (variables, {}, "bad_pool", "pgbouncer_pool_max must be 1 or more and pgbouncer_pool_min 0 or more")
            for variables in ({"pgbouncer_pool_min": -1}, {"pgbouncer_pool_max": 0}, {"pgbouncer_pool_max": "x"})
        ),
        (
            {"pgbouncer_pool_min": 9, "pgbouncer_pool_max": 8},
            {},
            "bad_pool",
            "pgbouncer_pool_min (9) is above pgbouncer_pool_max (8)",
        ),
        *(
            ({f"pgbouncer_{name}": 0}, {}, "too_small", f"pgbouncer_{name} must be 1 or more")
            for name in ("connection_timeout", "pool_idle_timeout", "max_client_conn")
        ),
        *(
            ({"pgbouncer_password": value}, {}, "missing_secret", "the secret pgbouncer_password is missing")
            for value in (None, "", " ")
        ),
        (
            {"pgbouncer_pool_max": 50},
            {},
            "too_many_connections",
            "pgbouncer_pool_max 50 and one look-up for each of 3 databases make 459 connections with those of 2 "
            "members' poolers, and PostgreSQL has 397 (max_connections less superuser_reserved_connections); "
            "lower the one or raise the other",
        ),
        (
            {"postgres_settings": {"max_connections": 120}},
            {},
            "too_many_connections",
            "pgbouncer_pool_max 20 and one look-up for each of 3 databases make 189 connections with those of 2 "
            "members' poolers, and PostgreSQL has 117 (max_connections less superuser_reserved_connections); "
            "lower the one or raise the other",
        ),
        (
            {"postgres_settings": {"max_connections": 23}},
            {"state": {"server": {**SERVER, "connections": 20}}},
            "too_many_connections",
            "pgbouncer_pool_max 20 and one look-up for each of 3 databases make 189 connections with those of 2 "
            "members' poolers, and PostgreSQL has 20 (max_connections less superuser_reserved_connections); "
            "lower the one or raise the other",
        ),
        *(
            (
                {f"pgbouncer_tls_{kind}_file": "/etc/x"},
                {},
                "half_of_tls",
                "pgbouncer_tls_cert_file and pgbouncer_tls_key_file go together",
            )
            for kind in ("cert", "key")
        ),
        *(
            (
                {variable: ["10.0.0.0/8", "app.internal"]},
                {},
                "host_name",
                "PgBouncer knows addresses and networks, no host names such as app.internal; set "
                "pgbouncer_allowed_networks",
            )
            for variable in ("pgbouncer_allowed_networks", "postgres_allowed_networks")
        ),
    ],
)
def test_what_cannot_be_gets_a_code_and_a_sentence(variables, more, code, text):
    host = more.get("host", "pg1")
    made = platform(more.get("cluster"), host, **variables)
    (problem,) = pgbouncer.problems(made, host, more.get("state"))
    assert (problem.code, problem.host, problem.text) == (code, host, text)


def test_the_databases_are_the_clusters_unless_the_host_names_some():
    assert pgbouncer.look(platform(), "pg1r") == {"databases": ["app", "shard_0", "shard_1"], "server_port": 5432}
    assert pgbouncer.databases(platform(pgbouncer_databases=["shard_1"]), "pg1") == ["shard_1"]


def test_what_it_is_to_run_with():
    found = pgbouncer.wanted(platform(pgbouncer_settings={"tcp_user_timeout": 9, "log_connections": 1}), "pg1", None)
    settings = found["settings"]
    assert settings["listen_addr"] == "127.0.0.1,192.0.2.11"
    assert (settings["default_pool_size"], settings["max_db_connections"]) == ("20", "21")
    assert (settings["tcp_user_timeout"], settings["log_connections"]) == ("9", "1")
    assert "client_tls_sslmode" not in settings
    assert found["open_files"] == 65536
    assert found["locals"] == {"app_local": "app", "shard_0_local": "shard_0", "shard_1_local": "shard_1"}
    assert found["service"]["tags"] == ["main", "app", "shard_0", "shard_1"]
    assert "--dbname=app" in found["service"]["checks"][0]["args"]
    assert found["hba"] == [
        'local all "pgbouncer" peer',
        "local all all scram-sha-256",
        'host "pgbouncer" "pgbouncer" 192.0.2.11/32 scram-sha-256',
        'host "pgbouncer" "pgbouncer" 192.0.2.12/32 scram-sha-256',
        'host "pgbouncer" all 0.0.0.0/0 reject',
        'host "pgbouncer" all ::/0 reject',
        "host all all 127.0.0.1/32 scram-sha-256",
        "host all all ::1/128 scram-sha-256",
        "host all all 192.0.2.11/32 scram-sha-256",
        "host all all 192.0.2.12/32 scram-sha-256",
    ]


def test_h14_the_health_check_comes_as_a_user_that_is_known_and_from_an_address_that_may():
    found = pgbouncer.wanted(platform(pgbouncer_address="198.51.100.7"), "pg1", None)
    assert "--username=scaleout_health" in found["service"]["checks"][0]["args"]
    assert "WHERE $1 = 'scaleout_health'" in found["function_body"]
    assert "host all all 198.51.100.7/32 scram-sha-256" in found["hba"]


def test_with_a_certificate_clients_must_use_tls():
    made = platform(pgbouncer_tls_cert_file="/a", pgbouncer_tls_key_file="/b", pgbouncer_max_client_conn=70000)
    found = pgbouncer.wanted(made, "pg1", None)
    assert found["settings"]["client_tls_sslmode"] == "require"
    assert found["hba"][2] == 'hostssl "pgbouncer" "pgbouncer" 192.0.2.11/32 scram-sha-256'
    assert found["hba"][4:7] == [
        'host "pgbouncer" all 0.0.0.0/0 reject',
        'host "pgbouncer" all ::/0 reject',
        "hostssl all all 127.0.0.1/32 scram-sha-256",
    ]
    assert found["open_files"] == 70000 + 2 * 63 + 100


@pytest.mark.parametrize(
    ("host", "server", "due"),
    [
        ("pg1", SERVER, ["app", "shard_1"]),
        ("pg1", {**SERVER, "functions": {}}, ["app", "shard_0", "shard_1"]),
        ("pg1", {**SERVER, "functions": {"app": {**pgbouncer.FUNCTION, "may": ["-"]}}}, ["app", "shard_0", "shard_1"]),
        ("pg1r", SERVER, ["app", "shard_1"]),
        # A replica has them from its leader, and a server that is down is not asked.
        ("pg1", {**SERVER, "in_recovery": True}, []),
        ("pg1", None, []),
    ],
)
def test_the_function_is_due_where_it_is_missing_or_another(host, server, due):
    assert pgbouncer.wanted(platform(), host, {"server": server})["functions_due"] == due


@pytest.mark.parametrize(
    ("changes", "fixed", "needs"),
    [
        ({}, ["listen_port"], "reload"),
        ({"default_pool_size": "5"}, ["listen_port"], "reload"),
        ({"listen_port": "6433"}, ["listen_port"], "restart"),
        (None, [], "restart"),
    ],
)
def test_what_is_read_at_the_start_only_needs_a_restart(changes, fixed, needs):
    made = platform()
    in_force = {} if changes is None else {**pgbouncer.settings(made, "pg1"), **changes}
    assert pgbouncer.wanted(made, "pg1", {"settings": in_force, "fixed": fixed})["needs"] == needs
    assert pgbouncer.drift(pgbouncer.settings(made, "pg1"), in_force) == [
        f"{name} = {value}" for name, value in pgbouncer.settings(made, "pg1").items() if in_force.get(name) != value
    ]
