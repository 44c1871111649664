# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What RabbitMQ's role refuses, in the words that a user reads, and what its configuration is made of."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.services import rabbitmq
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, fights

ALL = {"configure": ".*", "write": ".*", "read": ".*"}
APP = {"name": "app", "password": "s3cret", "vhosts": {"/app": ALL}}
PRINTABLE = "".join(map(chr, range(32, 127))) + "ü€😀"

# What the role's defaults say.
DEFAULTS = {
    "platform_address": "10.0.0.5",
    "rabbitmq_address": "10.0.0.5",
    "rabbitmq_port": 5672,
    "rabbitmq_vhosts": ["/app"],
    "rabbitmq_users": [APP],
    "rabbitmq_memory_high_watermark": "0.6",
    "rabbitmq_disk_free_limit": "1GB",
    "rabbitmq_plugins": ["rabbitmq_prometheus"],
    "rabbitmq_prometheus_port": 15692,
    "rabbitmq_settings": {},
    "rabbitmq_erl_args": "",
}


def platform(**variables):
    return Platform({"mq1": {**DEFAULTS, **variables}})


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"rabbitmq_vhosts": [], "rabbitmq_users": []},
        {"rabbitmq_users": [{**APP, "password": PRINTABLE}]},
        {"rabbitmq_users": [{**APP, "vhosts": {}}, {"name": "watcher", "password": "x", "tags": ["monitoring"]}]},
        {"rabbitmq_port": "5672", "rabbitmq_memory_high_watermark": 0.4},
        {"rabbitmq_memory_high_watermark": "2GB", "rabbitmq_disk_free_limit": "512MiB"},
        {"rabbitmq_disk_free_limit": 1000000},
        {"rabbitmq_memory_high_watermark": ".5"},
        {"rabbitmq_plugins": [], "rabbitmq_prometheus_port": 0},
        {"rabbitmq_settings": {"channel_max": 100, "heartbeat": "60", "mqtt.allow_anonymous": False},
         "rabbitmq_plugins": ["rabbitmq_web_mqtt"]},
        {"rabbitmq_settings": {"management.tcp.port": 15672}, "rabbitmq_plugins": ["rabbitmq_management"]},
        {"rabbitmq_erl_args": "+S 2:2"},
    ],
)  # fmt: skip
def test_no_problem(variables):
    assert rabbitmq.problems(platform(**variables), "mq1") == []


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({"rabbitmq_port": 0}, "bad_port", "rabbitmq_port is 0; it must be 1 to 65535"),
        ({"rabbitmq_port": "amqp"}, "bad_port", "rabbitmq_port is amqp; it must be 1 to 65535"),
        (
            {"rabbitmq_prometheus_port": 70000},
            "bad_port",
            "rabbitmq_prometheus_port is 70000; it must be 1 to 65535",
        ),
        ({"rabbitmq_port": 4369}, "port_taken", "rabbitmq_port is 4369, the port of Erlang's port mapper"),
        ({"rabbitmq_port": 25672}, "port_taken", "rabbitmq_port is 25672, the port of Erlang's own traffic"),
        (
            {"rabbitmq_port": 15692},
            "port_taken",
            "rabbitmq_prometheus_port is 15692, the port of rabbitmq_port",
        ),
        (
            {"rabbitmq_address": "10.0.0.5, 10.0.0.6"},
            "bad_address",
            "rabbitmq_address is 10.0.0.5, 10.0.0.6, which is not an address or a host name",
        ),
        (
            {"rabbitmq_users": [APP, {"name": "guest", "password": "guest"}]},
            "reserved_name",
            "rabbitmq_users has guest, whom the role removes",
        ),
        ({"rabbitmq_users": [APP, APP]}, "duplicate", "rabbitmq_users has the user app twice"),
        (
            {"rabbitmq_vhosts": ["/app", "/b", "/app"]},
            "duplicate",
            "rabbitmq_vhosts has the virtual host /app twice",
        ),
        (
            {"rabbitmq_users": [{**APP, "name": 'a "b"'}]},
            "bad_name",
            'rabbitmq_users has the name "a \\"b\\""; up to 128 letters, digits and _ . / @ : - only',
        ),
        (
            {"rabbitmq_users": [{"password": "x"}]},
            "bad_name",
            'rabbitmq_users has the name ""; up to 128 letters, digits and _ . / @ : - only',
        ),
        (
            {"rabbitmq_vhosts": ["/app", "ü"]},
            "bad_name",
            'rabbitmq_vhosts has the name "\\u00fc"; up to 128 letters, digits and _ . / @ : - only',
        ),
        (
            {"rabbitmq_vhosts": ["/app", "v" * 129]},
            "bad_name",
            f'rabbitmq_vhosts has the name "{"v" * 129}"; up to 128 letters, digits and _ . / @ : - only',
        ),
        ({"rabbitmq_users": [{**APP, "password": ""}]}, "no_password", "rabbitmq_users: app has an empty password"),
        (
            {"rabbitmq_users": [{"name": "app", "password": None}]},
            "no_password",
            "rabbitmq_users: app has an empty password",
        ),
        (
            {"rabbitmq_vhosts": []},
            "unknown_vhost",
            "rabbitmq_users: app has the virtual host /app, which is not among the virtual hosts",
        ),
        (
            {"rabbitmq_users": [{**APP, "vhosts": {"/app": {"read": ".*"}}}]},
            "bad_permissions",
            "rabbitmq_users: app has read in /app; it must have configure, write and read",
        ),
        (
            {"rabbitmq_users": [{**APP, "vhosts": {"/app": None}}]},
            "bad_permissions",
            "rabbitmq_users: app has nothing in /app; it must have configure, write and read",
        ),
        (
            {"rabbitmq_users": [{**APP, "vhosts": {"/app": {**ALL, "own": ".*"}}}]},
            "bad_permissions",
            "rabbitmq_users: app has configure, write, read, own in /app; it must have configure, write and read",
        ),
        (
            {"rabbitmq_memory_high_watermark": "60%"},
            "bad_value",
            "rabbitmq_memory_high_watermark is 60%; it must be a share of the memory below 1, such as 0.6, or a size "
            "such as 2GB",
        ),
        (
            {"rabbitmq_memory_high_watermark": "1.5"},
            "bad_value",
            "rabbitmq_memory_high_watermark is 1.5; it must be a share of the memory below 1, such as 0.6, or a size "
            "such as 2GB",
        ),
        (
            {"rabbitmq_disk_free_limit": "1 GB"},
            "bad_value",
            "rabbitmq_disk_free_limit is 1 GB; it must be a size such as 1GB",
        ),
        (
            {"rabbitmq_erl_args": '+S "2:2"'},
            "bad_value",
            'rabbitmq_erl_args is "+S \\"2:2\\""; quotes, $, ` and backslashes do not fit there',
        ),
        (
            {"rabbitmq_plugins": ["rabbitmq-prometheus"]},
            "bad_name",
            'rabbitmq_plugins has "rabbitmq-prometheus", which is not the name of a plugin',
        ),
        (
            {"rabbitmq_settings": {"listeners.tcp.2": "0.0.0.0:5672"}},
            "owned_setting",
            "rabbitmq_settings has listeners.tcp.2, which the role itself writes",
        ),
        (
            {"rabbitmq_settings": {"default_pass": "x"}},
            "owned_setting",
            "rabbitmq_settings has default_pass, which the role itself writes",
        ),
        (
            {"rabbitmq_settings": {"a b": 1}},
            "bad_name",
            'rabbitmq_settings has "a b", which is not the name of a setting',
        ),
        (
            {"rabbitmq_settings": {"management.tcp.port": 15672}},
            "unknown_plugin",
            "rabbitmq_settings has management.tcp.port, which needs rabbitmq_management or rabbitmq_top in "
            "rabbitmq_plugins",
        ),
        (
            {"rabbitmq_settings": {"web_stomp.tcp.port": 15674}},
            "unknown_plugin",
            "rabbitmq_settings has web_stomp.tcp.port, which needs rabbitmq_web_stomp in rabbitmq_plugins",
        ),
        (
            {"rabbitmq_settings": {"heartbeat": [60]}},
            "bad_value",
            "rabbitmq_settings: heartbeat must have one line of text, a number or a boolean",
        ),
        (
            {"rabbitmq_settings": {"heartbeat": "60\nloopback_users = none"}},
            "bad_value",
            "rabbitmq_settings: heartbeat must have one line of text, a number or a boolean",
        ),
        (
            {"rabbitmq_settings": {"listeners.ssl.default": "tls"}},
            "bad_port",
            "rabbitmq_settings: listeners.ssl.default is tls, which is not a port",
        ),
    ],
)
def test_problems(variables, code, said):
    (problem,) = rabbitmq.problems(platform(**variables), "mq1")
    assert (problem.code, str(problem)) == (code, f"mq1: {said}.")


def test_all_problems_are_said_at_once():
    found = rabbitmq.problems(platform(rabbitmq_port=0, rabbitmq_vhosts=[], rabbitmq_plugins=["A"]), "mq1")
    assert [problem.code for problem in found] == ["bad_port", "unknown_vhost", "bad_name"]


def test_no_problem_tells_a_password():
    users = [{**APP, "password": "s3cret", "name": " ", "vhosts": {"/x": {"read": ""}}}]
    assert not any("s3cret" in str(problem) for problem in rabbitmq.problems(platform(rabbitmq_users=users), "mq1"))


def test_the_ports():
    settings = {"management.tcp.port": 15672, "listeners.ssl.default": "10.0.0.5:5671"}
    wanted = platform(rabbitmq_settings=settings, rabbitmq_plugins=["rabbitmq_management"])
    assert rabbitmq.listens(wanted, "mq1") == [
        Listen("rabbitmq_port", 5672, "127.0.0.1"),
        Listen("rabbitmq_port", 5672, "10.0.0.5"),
        Listen("the port mapper", 4369, "127.0.0.1"),
        Listen("the Erlang port", 25672, "127.0.0.1"),
        Listen("rabbitmq_settings (listeners.ssl.default)", 5671, "10.0.0.5"),
        Listen("rabbitmq_settings (management.tcp.port)", 15672, ""),
    ]


def test_another_service_on_a_port_of_the_broker():
    other = [Listen("redis_port", 25672, "127.0.0.1")]
    (problem,) = fights("mq1", {"rabbitmq": rabbitmq.listens(platform(), "mq1"), "redis": other})
    assert str(problem) == (
        "mq1: redis_port of redis and the Erlang port of rabbitmq both want port 25672; change one of the two."
    )


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ({}, []),
        ({"installed": False, "active": False}, []),
        ({"installed": True, "active": True, "mapper_open": False}, []),
        ({"installed": True, "active": False}, ["rabbitmq-server.service is not running"]),
        ({"installed": True, "active": True, "mapper_open": True}, ["Erlang's port mapper answers everyone"]),
    ],
)
def test_health(state, health):
    assert rabbitmq.health(platform(), "mq1", state) == health


def test_what_the_templates_take():
    settings = {"heartbeat": 60, "mqtt.allow_anonymous": False}
    plugins = ["rabbitmq_prometheus", "rabbitmq_mqtt"]
    wanted = rabbitmq.wanted(
        platform(rabbitmq_settings=settings, rabbitmq_plugins=plugins),
        "mq1",
        {"host": "mq1", "memory_limit": 805306368},
    )
    assert wanted == {
        "host": "mq1",
        "memory_limit": 805306368,
        "watermark": "relative = 0.6",
        "plugins": ["rabbitmq_mqtt", "rabbitmq_prometheus"],
        "listeners": ["127.0.0.1:5672", "10.0.0.5:5672"],
        "accepts": ["127.0.0.1:5672", "10.0.0.5:5672", "10.0.0.5:15692"],
        "metrics_port": 15692,
        "settings": {"heartbeat": "60", "mqtt.allow_anonymous": "false"},
    }


@pytest.mark.parametrize(
    ("variables", "key", "value"),
    [
        ({"rabbitmq_memory_high_watermark": "2GB"}, "watermark", "absolute = 2GB"),
        ({"rabbitmq_address": "127.0.0.1"}, "listeners", ["127.0.0.1:5672"]),
        ({"rabbitmq_address": "fd00::5"}, "listeners", ["127.0.0.1:5672", "fd00::5:5672"]),
        ({"rabbitmq_address": "fd00::5", "rabbitmq_plugins": []}, "accepts", ["127.0.0.1:5672", "[fd00::5]:5672"]),
        ({"rabbitmq_plugins": []}, "metrics_port", None),
    ],
)
def test_one_of_them(variables, key, value):
    assert rabbitmq.wanted(platform(**variables), "mq1", {})[key] == value
