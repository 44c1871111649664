# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on a platform: what is read of it, and the code and the sentence that each wrong value gets."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Database,
    Platform,
    Pool,
    Server,
    Site,
    Unevaluated,
)
from ansible_collections.scaleout.platform.plugins.module_utils.topology import applications as room
from ansible_collections.scaleout.platform.plugins.module_utils.topology import databases

SHOP = {"group": "api", "port": 8000}
BLOG = {"group": "blogs", "port": 8001}
OWN = {"group": "api", "role": "acme.shop.deploy", "secrets": ["shop_password"]}
STORED = {"cluster": "pg1", "password": "hidden"}
GROUPS = {"all": ["lb1", "api1", "pg1"], "loadbalancer": ["lb1"], "api": ["api1"], "blogs": ["api1", "lb1"]}
CLUSTERS = {
    "pg1": Cluster("pg1", (Server("pg1", "192.0.2.1"),), shards=(0,), databases=("ana",)),
    "pg2": Cluster("pg2", (Server("pg2", "192.0.2.2"),)),
}
KEYS = ", ".join(room.KEYS)


def read(changes=None, groups=None, clusters=None, more=None, **applications):
    """The applications and the problems, with changes of a host's variables."""
    shared = {"applications": applications, **(more or {})}
    hosts = {name: {**shared, **(changes or {}).get(name, {})} for name in ("lb1", "api1", "pg1")}
    return room.read(Platform(hosts, {**GROUPS, **(groups or {})}, CLUSTERS if clusters is None else clusters))


def test_an_application_is_read():
    entry = {
        **SHOP,
        "source": "/src/shop",
        "database": STORED,
        "site": {"server_name": ["shop.example", "www.shop.example"], "listen": 8080, "proxy_read_timeout": "60s"},
        "pool": {"min": 2, "max": "5"},
        "secrets": {"STRIPE_KEY": "hidden"},
        "health": {"path": "/health", "host": "shop.example", "timeout": 30},
    }
    found, problems = read(shop=entry)
    assert problems == []
    assert found["shop"] == Application(
        "shop",
        "api",
        "scaleout.platform.app",
        "shop",
        8000,
        Database("shop", "shop", "pg1"),
        Site(("shop.example", "www.shop.example"), ("8080",), {"proxy_read_timeout": "60s"}),
        Pool(2, 5),
    )
    assert "hidden" not in repr(found)


@pytest.mark.parametrize(
    ("site", "listen"),
    [
        ({}, ("80",)),
        ({"tls": {"certificate": "text", "key": "hidden"}}, ("443 ssl",)),
        ({"tls": {"self_signed": True}, "listen": "8443 ssl"}, ("8443 ssl",)),
    ],
)
def test_a_site_with_a_certificate_is_https_and_its_key_is_never_told(site, listen):
    found, problems = read(shop={**SHOP, "source": "/src/shop", "site": {"server_name": "shop.example", **site}})
    assert problems == []
    assert found["shop"].site.listen == listen
    assert "hidden" not in repr(found["shop"].document())


def test_what_an_application_is_without_more():
    assert read(shop=SHOP)[0]["shop"] == Application("shop", "api", "scaleout.platform.app", "shop", 8000)
    assert read(shop=OWN) == (
        {"shop": Application("shop", "api", "acme.shop.deploy", "shop", secrets=("shop_password",))},
        [],
    )
    assert read() == ({}, [])
    assert room.read(Platform({"a": {"applications": None}})) == ({}, [])


def test_several_share_a_group_or_a_host():
    found, problems = read(shop=SHOP, blog=BLOG, wiki={"group": "api", "port": 8002})
    assert problems == []
    assert [(one.name, one.group, one.port) for one in found.values()] == [
        ("shop", "api", 8000),
        ("blog", "blogs", 8001),
        ("wiki", "api", 8002),
    ]


def test_the_reference_api_says_by_its_own_variables_what_others_say_in_their_entry():
    more = {"reference_api_name": "ref", "reference_api_service": "api", "reference_api_port": 8100}
    found, problems = read(more=more, reference_api={"group": "api", "role": "scaleout.platform.reference_api"})
    assert problems == []
    assert (found["reference_api"].service, found["reference_api"].port) == ("api", 8100)


def test_a_database_is_one_of_its_cluster_and_has_its_own_owner():
    found, problems = read(
        shop={**SHOP, "database": STORED},
        blog={**BLOG, "database": {**STORED, "name": "ana", "owner": "writer"}},
    )
    assert problems == []
    clusters = databases.with_applications(CLUSTERS, found.values())
    assert clusters["pg1"].all_databases == ("shard_0", "ana", "shop")
    assert clusters["pg1"].owners == {"shop": "shop", "ana": "writer"}
    assert clusters["pg2"] == CLUSTERS["pg2"]


def test_a_single_cluster_needs_no_name():
    found, problems = read(clusters={"pg2": CLUSTERS["pg2"]}, shop={**SHOP, "database": {"password": "hidden"}})
    assert (found["shop"].database, problems) == (Database("shop", "shop", "pg2"), [])


def test_what_a_process_is_given_may_differ_between_hosts():
    here = {"applications": {"shop": {**SHOP, "environment": {"BIND": "192.0.2.7"}, "secrets": {"KEY": "another"}}}}
    assert read({"api1": here}, shop={**SHOP, "environment": {"BIND": "192.0.2.8"}})[1] == []


def test_what_playbooks_are_told():
    found, _problems = read(shop={**SHOP, "database": STORED, "site": {"extra": "gzip on;"}})
    assert found["shop"].document() == {
        "name": "shop",
        "group": "api",
        "role": "scaleout.platform.app",
        "service": "shop",
        "port": 8000,
        "database": {
            "name": "shop",
            "owner": "shop",
            "cluster": "pg1",
            "user": "",
            "previous_user": "",
            "one_host": False,
        },
        "site": {"server_name": ("_",), "listen": ("80",), "options": {"extra": "gzip on;"}},
        "pool": {"min": None, "max": None},
    }


def wrong(entry, code, text):
    """A row of the table: one application of this entry."""
    return {"shop": entry}, code, f"applications: shop{text}."


@pytest.mark.parametrize(
    ("applications", "code", "text"),
    [
        wrong("hidden", "invalid_applications", f" is not a mapping with {KEYS}"),
        *(
            (
                {name: SHOP},
                "invalid_name",
                f"applications has {name!r}; its name must be 1 to 31 of a-z, 0-9, _ and -, and begin with a letter.",
            )
            for name in ("Shop", "1shop", "a;b", "", "a" * 32)
        ),
        wrong(
            {**OWN, "pools": {}},
            "unknown_key",
            f" has 'pools', which is not known here; did you mean pool; it may have {KEYS}",
        ),
        wrong({**OWN, "source": "x"}, "unknown_key", f" has 'source', which is not known here; it may have {KEYS}"),
        wrong(
            {**SHOP, "prot": 1},
            "unknown_key",
            f" has 'prot', which is not known here; did you mean port; it may have {KEYS}, {', '.join(room.APP_KEYS)}",
        ),
        *(
            wrong(
                {**SHOP, part: {**(STORED if part == "database" else {}), "x": 1}},
                "unknown_key",
                f": {part} has 'x', which is not known here; it may have {keys}",
            )
            for part, keys in (
                ("health", "path, host, timeout, check_timeout"),
                (
                    "database",
                    "name, owner, cluster, user, previous_user, password, partition_sets, summaries, "
                    "materialized_views, hosts",
                ),
                ("shards", "partition_sets, summaries, materialized_views"),
                ("pool", "min, max"),
                ("site", ", ".join((*room.SITE_KEYS, *room.SITE_OPTIONS))),
            )
        ),
        wrong({**SHOP, "pool": 3}, "invalid_applications", ": pool is not a mapping with min, max"),
        wrong({"port": 1}, "unknown_group", ": group is None, which is not a group of the inventory"),
        wrong({**SHOP, "group": "shops"}, "unknown_group", ": group is 'shops', which is not a group of the inventory"),
        wrong(
            {**SHOP, "group": "all"},
            "unknown_group",
            ": group is all, whose hosts are no pool of servers; give the application a group",
        ),
        *(
            wrong({**OWN, "role": role}, "invalid_role", f": role is {role!r}, which is not the name of a role")
            for role in (None, "", "a;b", "a..b", "../x")
        ),
        wrong(
            {**SHOP, "service": "a b"}, "bad_name", ": service is 'a b'; it must be 1 to 63 letters, digits, _ and -"
        ),
        wrong({"group": "api"}, "bad_port", ": port is None; a port is between 1 and 65535"),
        wrong({**SHOP, "port": 70000}, "bad_port", ": port is 70000; a port is between 1 and 65535"),
        wrong({**OWN, "port": "x"}, "bad_port", ": port is 'x'; a port is between 1 and 65535"),
        wrong(
            {**SHOP, "port": Unevaluated("cannot be evaluated")},
            "not_evaluated",
            ": port cannot be evaluated",
        ),
        wrong(
            {**OWN, "secrets": "shop_password"},
            "invalid_applications",
            ": secrets is not a list of names of variables, which the role acme.shop.deploy needs",
        ),
        wrong(
            {**SHOP, "secrets": ["hidden"]},
            "invalid_applications",
            ": secrets is not a mapping from variables of its environment to their values",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "cluster": "pg9"}},
            "unknown_cluster",
            ": database: cluster is 'pg9', which postgres_clusters does not have (it has pg1, pg2)",
        ),
        wrong(
            {**SHOP, "database": {"password": "hidden"}},
            "unknown_cluster",
            ": database: cluster is None, which postgres_clusters does not have (it has pg1, pg2)",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "name": "shard_0"}},
            "database_taken",
            ": database: name is shard_0, which holds a shard in the cluster pg1",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "name": "a;b", "owner": "shop"}},
            "invalid_name",
            ": database: name is 'a;b', which is not a name of letters, digits, underscores and hyphens",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "owner": "a b"}},
            "invalid_name",
            ": database: owner is 'a b', which is not a name of letters, digits, underscores and hyphens",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "name": "postgres", "owner": "shop"}},
            "reserved_name",
            ": database: name is postgres, which every server has already",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "owner": "replicator"}},
            "reserved_name",
            ": database: owner is replicator, which is a role of the platform's",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "user": "a b"}},
            "invalid_name",
            ": database: user is 'a b', which is not a name of letters, digits, underscores and hyphens",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "previous_user": "postgres"}},
            "reserved_name",
            ": database: previous_user is postgres, which is a role of the platform's",
        ),
        wrong(
            {**SHOP, "database": {**STORED, "previous_user": "shop"}},
            "duplicate",
            ": database: previous_user is shop, which is its user; a new password needs another one",
        ),
        wrong(
            {**SHOP, "database": {"cluster": "pg1"}},
            "missing_secret",
            ": database: password is missing; its user logs in with it",
        ),
        wrong(
            {**SHOP, "site": {"server_name": "shop example"}},
            "invalid_name",
            ": site: server_name has 'shop example', which is not a host name",
        ),
        wrong(
            {**SHOP, "site": {"extra": Unevaluated("cannot be evaluated")}},
            "not_evaluated",
            ": site: extra cannot be evaluated",
        ),
        *(
            wrong(
                {**SHOP, "pool": {"min": low, "max": high}},
                "bad_pool",
                f": pool: min is {low!r} and max is {high!r}; they must be numbers from 1 on, and max not below min",
            )
            for low, high in ((0, 3), (4, 3), ("x", 3), (1, "x"))
        ),
        wrong(
            {**SHOP, "pool": {"max": 0}},
            "bad_pool",
            ": pool: max is 0; they must be numbers from 1 on, and max not below min",
        ),
        (
            {"shop": SHOP, "blog": {**BLOG, "service": "shop"}},
            "duplicate",
            "applications: shop and blog are both the service shop in Consul; rename one.",
        ),
        (
            {"shop": {**SHOP, "database": STORED}, "blog": {**BLOG, "database": {**STORED, "name": "shop"}}},
            "database_taken",
            "applications: shop and blog both have the database shop of pg1; give each its own.",
        ),
        (
            {"shop": {**SHOP, "database": STORED}, "blog": {**BLOG, "database": {**STORED, "owner": "shop"}}},
            "duplicate",
            "applications: shop and blog both have the role shop in pg1; give each its own.",
        ),
        (
            {
                "shop": {**SHOP, "database": {**STORED, "user": "shop_b", "previous_user": "writer"}},
                "blog": {**BLOG, "database": {**STORED, "name": "ana", "owner": "writer"}},
            },
            "duplicate",
            "applications: shop and blog both have the role writer in pg1; give each its own.",
        ),
    ],
)
def test_a_wrong_application_gets_a_code_and_a_sentence(applications, code, text):
    _applications, problems = read(**applications)
    assert [(code, text)] == [(problem.code, str(problem)) for problem in problems]
    assert "hidden" not in repr(problems)


@pytest.mark.parametrize(
    ("variables", "groups", "code", "text"),
    [
        (
            {"applications": ["hidden"]},
            {},
            "invalid_applications",
            "applications is not a mapping such as {shop: {group: api, port: 8000}}.",
        ),
        (
            {"applications": {"shop": {**SHOP, "site": {"server_name": "shop.example"}}}},
            {"loadbalancer": []},
            "empty_group",
            "applications: shop: site needs a load balancer, and the group loadbalancer has no host.",
        ),
    ],
)
def test_a_wrong_platform_for_them(variables, groups, code, text):
    _applications, problems = room.read(Platform({"api1": variables}, {**GROUPS, "loadbalancer": ["api1"], **groups}))
    assert [(code, text)] == [(problem.code, str(problem)) for problem in problems]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"shop": {**SHOP, "port": 8001}},
        {"shop": {**SHOP, "pool": {"max": 3}}},
        {"shop": {**SHOP, "database": STORED}},
        {"shop": SHOP, "blog": BLOG},
    ],
)
def test_applications_are_the_same_on_all_hosts(other):
    _applications, problems = read({"pg1": {"applications": other}}, shop=SHOP)
    assert [str(problem) for problem in problems] == [
        "pg1: applications is not what it is on lb1; put it into group_vars/all."
    ]


@pytest.mark.parametrize(("part", "key", "meant"), [
    ("", "prot", "port"),
    ("", "sources", "source"),
    ("", "app_source", "source"),
    ("", "commands", "command"),
    ("", "env", "environment"),
    ("", "worker", "workers"),
    ("", "prepare-command", "prepare_command"),
    ("", "health_path", "health"),
    ("", "Group", "group"),
    ("site", "server_names", "server_name"),
    ("site", "listens", "listen"),
    ("site", "client_max_body", "client_max_body_size"),
    ("database", "passwd", "password"),
    ("database", "clusters", "cluster"),
    ("database", "db", None),
    ("pool", "maximum", "max"),
    ("pool", "minimum", "min"),
    ("pool", "size", None),
    ("health", "pth", "path"),
    ("health", "check-timeout", "check_timeout"),
    ("health", "url", None),
])  # fmt: skip
def test_a_key_that_is_misspelled_is_told_with_the_nearest_that_there_is(part, key, meant):
    entry = {**SHOP, **({part: {**SHOP.get(part, {}), key: 1}} if part else {key: 1})}
    _found, problems = read(shop=entry)
    (text,) = [problem.text for problem in problems if problem.code == "unknown_key"]
    where = f"applications: shop: {part}" if part else "applications: shop"
    hint = f"; did you mean {meant}" if meant else ""
    assert text.startswith(f"{where} has {key!r}, which is not known here{hint}; it may have ")
