# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules of the role redis: variables, and the code and the sentence that follow from them."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Unevaluated
from ansible_collections.scaleout.platform.plugins.module_utils.services import redis
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen

GIB = 1024**3
#: As the role's defaults and a vault have them.
HOST = {
    "platform_address": "192.0.2.51",
    "redis_password": "secret",
    "redis_instances": {"cache": {}},
    "redis_port": 6379,
    "redis_bind": ["127.0.0.1", "-::1", "192.0.2.51"],
    "redis_maxmemory": "256mb",
    "redis_maxmemory_policy": "allkeys-lru",
    "redis_appendonly": False,
    "redis_appendfsync": "everysec",
    "redis_save": [],
    "redis_settings": {},
    "redis_consul_service_tags": [],
}
STORE = {"port": 6380, "maxmemory": "1gb", "maxmemory_policy": "noeviction", "appendonly": True}
STATE = {"memory": 2 * GIB, "overcommit": "refused", "package_server": None, "instances": []}


def platform(**variables):
    return Platform({"a": {**HOST, **variables}}, {"cache": ["a"]})


def cache(**values):
    return {"redis_instances": {"cache": values}}


RULES = [
    (
        {"redis_instances": {}},
        "bad_instances",
        "a: redis_instances is {}; it must name at least one instance, such as {cache: {}}.",
    ),
    (
        {"redis_instances": ["cache"]},
        "bad_instances",
        'a: redis_instances is ["cache"]; it must name at least one instance, such as {cache: {}}.',
    ),
    (
        {"redis_instances": {"cache": 6379}},
        "bad_instances",
        "a: redis_instances.cache is 6379; it must be a mapping, such as {port: 6379}.",
    ),
    (
        {"redis_instances": {"My cache": {}}},
        "bad_name",
        'a: redis_instances has "My cache"; a name must be lower case letters, digits and hyphens, at most 31, begin '
        "with a letter, and not be appendonlydir.",
    ),
    (
        {"redis_instances": {"appendonlydir": {}}},
        "bad_name",
        'a: redis_instances has "appendonlydir"; a name must be lower case letters, digits and hyphens, at most 31, '
        "begin with a letter, and not be appendonlydir.",
    ),
    (
        cache(max_memory="1gb"),
        "unknown_key",
        "a: redis_instances.cache.max_memory is not known; an instance has port, bind, maxmemory, maxmemory_policy, "
        "appendonly, appendfsync, save, settings, consul_service_name, consul_service_tags.",
    ),
    (cache(port=0), "bad_port", "a: redis_instances.cache.port is 0; it must be 1 to 65535."),
    ({"redis_port": "http"}, "bad_port", "a: redis_instances.cache.port is http; it must be 1 to 65535."),
    (
        {"redis_instances": {"cache": {}, "metrics": {}}},
        "port_taken",
        "a: redis_instances.cache and metrics both have port 6379; change one of the two.",
    ),
    (
        cache(bind=[]),
        "bad_address",
        "a: redis_instances.cache.bind is []; it must be a list of addresses, at least one.",
    ),
    (
        {"redis_bind": ["127.0.0.1 192.0.2.1"]},
        "bad_address",
        'a: redis_instances.cache.bind is ["127.0.0.1 192.0.2.1"]; it must be a list of addresses, at least one.',
    ),
    ({"redis_password": ""}, "bad_password", "a: redis_password must be 1 to 512 printable characters."),
    ({"redis_password": "two\nlines"}, "bad_password", "a: redis_password must be 1 to 512 printable characters."),
    ({"redis_password": "ends\n"}, "bad_password", "a: redis_password must be 1 to 512 printable characters."),
    ({"redis_password": "x" * 513}, "bad_password", "a: redis_password must be 1 to 512 printable characters."),
    ({"redis_password": 12345}, "bad_password", "a: redis_password must be 1 to 512 printable characters."),
    (
        cache(maxmemory="0"),
        "bad_size",
        'a: redis_instances.cache.maxmemory is "0"; it must be a size above 0 such as 256mb or 4gb.',
    ),
    (
        {"redis_maxmemory": "256 MB"},
        "bad_size",
        'a: redis_instances.cache.maxmemory is "256 MB"; it must be a size above 0 such as 256mb or 4gb.',
    ),
    (
        cache(maxmemory_policy="lru"),
        "bad_value",
        'a: redis_instances.cache.maxmemory_policy is "lru"; it must be one of noeviction, allkeys-lru, allkeys-lfu, '
        "allkeys-random, volatile-lru, volatile-lfu, volatile-random, volatile-ttl.",
    ),
    (
        cache(appendfsync="often"),
        "bad_value",
        'a: redis_instances.cache.appendfsync is "often"; it must be one of always, everysec, no.',
    ),
    (
        cache(appendonly="maybe"),
        "bad_value",
        'a: redis_instances.cache.appendonly is "maybe"; it must be one of true, false.',
    ),
    (
        {"redis_save": ["60 1000", "often"]},
        "bad_value",
        'a: redis_instances.cache.save has "often"; each must be "<seconds> <changes>".',
    ),
    (
        cache(save="60 1000"),
        "bad_value",
        'a: redis_instances.cache.save has "60 1000"; each must be "<seconds> <changes>".',
    ),
    (cache(settings=["hz 10"]), "bad_value", 'a: redis_instances.cache.settings is ["hz 10"]; it must be a mapping.'),
    (
        {"redis_settings": {"Port": 6380}},
        "owned_setting",
        "a: redis_instances.cache.settings has Port; port has it.",
    ),
    (
        cache(settings={"dir": "/srv"}),
        "owned_setting",
        "a: redis_instances.cache.settings has dir; each instance has its own folder.",
    ),
    (
        {"redis_settings": {"hz 10\nport": 1}},
        "unknown_key",
        'a: redis_instances.cache.settings has "hz 10\\nport", which is not a directive of redis.conf.',
    ),
    (
        {"redis_settings": {"hz": "10\nport 1"}},
        "bad_value",
        "a: redis_instances.cache.settings.hz has a line break.",
    ),
    (
        cache(consul_service_name="metric store"),
        "bad_name",
        'a: redis_instances.cache.consul_service_name is "metric store"; it must be letters, digits and hyphens, at '
        "most 63.",
    ),
]


@pytest.mark.parametrize(("variables", "code", "sentence"), RULES)
def test_what_the_inventory_shows(variables, code, sentence):
    found = redis.problems(platform(**variables), "a")
    assert [(problem.code, str(problem)) for problem in found] == [(code, sentence)]


THERE = [
    (
        {"redis_instances": {"cache": {"maxmemory": "1gb"}, "metrics": {**STORE, "maxmemory": "1100mb"}}},
        {},
        "too_little_memory",
        "a: the instances of redis_instances have 2124mb of maxmemory together (cache 1gb, metrics 1100mb), and the "
        "host has 2048mb.",
    ),
    (
        {"redis_instances": {"cache": {"port": 6400}, "metrics": STORE}},
        {"package_server": {"port": 6379, "directory": "/var/lib/redis", "data": True}},
        "has_data",
        "a: redis-server.service has data in /var/lib/redis and port 6379, which no instance of redis_instances has; "
        "give that port to the instance that is to take the data over, or move the data away.",
    ),
]


@pytest.mark.parametrize(("variables", "state", "code", "sentence"), THERE)
def test_what_the_host_has_against_it(variables, state, code, sentence):
    found = redis.problems(platform(**variables), "a", {**STATE, **state})
    assert [(problem.code, str(problem)) for problem in found] == [(code, sentence)]
    assert redis.problems(platform(**variables), "a") == []


PACKAGE = {"port": 6379, "directory": "/var/lib/redis", "data": True}


@pytest.mark.parametrize(
    ("instances", "package", "heir"),
    [
        ({"cache": {}, "metrics": STORE}, None, "cache"),
        ({"metrics": STORE, "cache": {}}, None, "cache"),
        ({"metrics": STORE, "cache": {}}, {**PACKAGE, "port": 6380}, "metrics"),
        # The only one inherits, whatever its port is.
        ({"metrics": STORE}, PACKAGE, "metrics"),
        ({"metrics": STORE, "cache": {"port": 6400}}, {**PACKAGE, "data": False}, "metrics"),
    ],
)
def test_who_takes_over_from_the_package(instances, package, heir):
    here, state = platform(redis_instances=instances), {**STATE, "package_server": package}
    assert redis.problems(here, "a", state) == []
    wanted = redis.wanted(here, "a", state)["instances"]
    assert [instance["name"] for instance in wanted if instance["heir"]] == [heir]


def test_every_fault_is_told_at_once():
    wrong = {"redis_instances": {"cache": {"port": 0, "maxmemory": "x"}}, "redis_password": ""}
    assert [problem.code for problem in redis.problems(platform(**wrong), "a")] == [
        "bad_password",
        "bad_port",
        "bad_size",
    ]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"redis_instances": {"cache": None, "metrics": STORE}},
        cache(appendonly="yes", appendfsync=False),
        cache(port="6379", maxmemory=1048576, bind=["*", "-::*"], settings={"hz": 10, "rename": ["a", "b"]}),
        # A missing one is told by name elsewhere.
        {"redis_password": None},
        {"redis_password": Unevaluated("cannot be evaluated")},
        {"redis_password": "".join(map(chr, range(32, 127))) + "é€漢🔑"},
    ],
)
def test_nothing_is_wrong(variables):
    here = platform(**variables)
    assert redis.problems(here, "a") == []
    assert redis.problems(here, "a", STATE) == []


def test_what_the_role_works_from():
    here = platform(
        redis_instances={"cache": {"settings": {"hz": 20}}, "metrics": {**STORE, "consul_service_name": "store"}},
        redis_settings={"tcp-keepalive": 60, "activedefrag": True, "client-output-buffer-limit": ["normal 0 0 0", "x"]},
    )
    wanted = redis.wanted(here, "a", {**STATE, "instances": ["cache", "former"]})
    first, second = wanted["instances"]
    assert wanted["surplus"] == ["former"]
    assert wanted["overcommit"] is True
    assert first["unit"] == "redis-server@cache.service"
    assert (first["port"], first["address"], first["consul_service_name"]) == (6379, "192.0.2.51", "cache")
    assert (second["port"], second["configuration"], second["consul_service_name"]) == (
        6380,
        "/etc/redis/redis-metrics.conf",
        "store",
    )
    assert first["directives"] == [
        "bind 127.0.0.1 -::1 192.0.2.51",
        "port 6379",
        "protected-mode yes",
        "maxmemory 256mb",
        "maxmemory-policy allkeys-lru",
        "dir /var/lib/redis/cache",
        "appendonly no",
        "appendfsync everysec",
        'save ""',
        'logfile ""',
        "activedefrag yes",
        "client-output-buffer-limit normal 0 0 0",
        "client-output-buffer-limit x",
        "hz 20",
        "tcp-keepalive 60",
    ]
    assert "secret" not in str(wanted)


def test_a_cache_needs_nothing_of_the_kernel():
    assert redis.wanted(platform(), "a", STATE)["overcommit"] is False
    assert redis.wanted(platform(redis_save=["60 1"]), "a", STATE)["overcommit"] is True
    assert redis.wanted(platform(redis_save=["60 1"]), "a", {**STATE, "overcommit": "fixed"})["overcommit"] is False


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        (["127.0.0.1", "-::1", "192.0.2.51"], "192.0.2.51"),
        (["127.0.0.1", "-192.0.2.9"], "127.0.0.1"),
        (["-192.0.2.9"], "192.0.2.9"),
        (["*", "-::*"], "127.0.0.1"),
        (["0.0.0.0"], "127.0.0.1"),
    ],
)
def test_where_it_is_reached(bind, address):
    assert redis.reached_at(bind, "192.0.2.51") == address


def test_the_ports_that_it_takes():
    assert redis.listens(platform(redis_bind=["127.0.0.1", "-::1"]), "a") == [
        Listen("redis_instances.cache.port", 6379, "127.0.0.1"),
        Listen("redis_instances.cache.port", 6379, "::1"),
    ]
