# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be deployed as an application: a row for each rule, with its code and the sentence that a user reads."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.services import app

RELAY = {"name": "relay", "command": ["/usr/bin/relay"]}
GOOD = {
    "platform_address": "192.0.2.7",
    "consul_agent_token": "token",
    "app_name": "shop",
    "app_user": "shop",
    "app_service": "shop",
    "app_consul": True,
    "app_port": 8000,
    "app_source": "/src/shop",
    "app_command": ["bin/serve"],
    "app_version": "",
    "app_strip_components": 0,
    "app_health_path": "/healthz",
    "app_keep_releases": 5,
    "app_environment": {"LOG": "info"},
    "app_secrets": {"KEY": "sesame"},
    "app_limits": {"memory_max": "1G"},
    "app_workers": [RELAY],
    "app_service_tags": ["blue", "green"],
}


def platform(**changes) -> Platform:
    variables = {
        **GOOD,
        **{name if name.startswith(("consul_", "fleet_")) else f"app_{name}": v for name, v in changes.items()},
    }
    return Platform(hosts={"api1": variables}, groups={"api": ["api1"]})


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        (
            {"name": "Shop"},
            "bad_name",
            'app_name is "Shop"; it becomes an account, a unit and a path, so it must be 1 to 31 of a-z, 0-9, _ and -, '
            "beginning with a letter",
        ),
        ({"user": "no body"}, "bad_name", 'app_user is "no body", which is no name for an account'),
        ({"port": 0}, "bad_port", "app_port is 0; a port is between 1 and 65535"),
        ({"port": "65536"}, "bad_port", "app_port is 65536; a port is between 1 and 65535"),
        (
            {"service": "shop.eu"},
            "bad_name",
            'app_service is "shop.eu"; it must be 1 to 63 letters, digits, _ and -',
        ),
        ({"consul_agent_token": ""}, "missing_secret", "app_consul is true and consul_agent_token is missing"),
        (
            {"source": ""},
            "missing_source",
            "app_source is missing; it, app_archive, app_image or app_image_archive names what to deploy",
        ),
        (
            {"archive": "x.tar"},
            "two_sources",
            "app_source and app_archive are given; one of them can be deployed",
        ),
        ({"command": []}, "missing_program", "app_command is empty; it must be the command and its arguments"),
        (
            {"command": ["@serve"]},
            "bad_program",
            'app_command begins with "@serve", which cannot be a program\'s path; use letters, digits and _./+- there',
        ),
        (
            {"strip_components": -1},
            "bad_value",
            "app_strip_components is -1; it is how many leading directories to drop",
        ),
        (
            {"version": ".hidden"},
            "bad_name",
            'app_version is ".hidden"; it becomes a directory, so it must be 1 to 64 letters, digits and ._+-, no dot '
            "first",
        ),
        *(
            (
                {"schema_serves": "1.3", "version": "1.4", name: 1.10},
                "bad_value",
                f"app_{name} is 1.1 without quotes, and YAML takes 1.10 for 1.1; put it in quotes",
            )
            for name in ("version", "schema_serves")
        ),
        (
            {"schema_serves": "1.3", "version": ""},
            "bad_value",
            'app_version is ""; app_schema_serves and app_version are compared, so both must be numbers with dots, '
            "such as 1.4",
        ),
        (
            {"schema_serves": "one", "version": "1.4"},
            "bad_value",
            'app_schema_serves is "one"; app_schema_serves and app_version are compared, so both must be numbers with '
            "dots, such as 1.4",
        ),
        (
            {"health_path": "healthz"},
            "bad_path",
            'app_health_path is "healthz"; it must begin with a slash and be free of spaces',
        ),
        (
            {"environment": {"PORT": 1}, "secrets": {"SERVICE_TAGS": "x"}},
            "taken_variable",
            "PORT, SERVICE_TAGS cannot be set in app_environment or app_secrets: the role does that",
        ),
        ({"keep_releases": 0}, "bad_value", "app_keep_releases is 0; at least 1 has to stay"),
        (
            {"fleet_host": {"memory": "768m"}},
            "bad_limits",
            "app_limits: memory_max is 1G, more than the 768M that this host has",
        ),
        (
            {"limits": {"memory_min": "2G", "memory_max": "1G"}},
            "bad_limits",
            "app_limits: memory_min is 2G, above memory_max, which is 1G",
        ),
        (
            {"workers": [{**RELAY, "limits": {"cpu_quota": 0}}]},
            "bad_limits",
            "app_workers, limits of relay: cpu_quota is 0 and must be at least 1000 microseconds of each 100000",
        ),
        (
            {"workers": [{**RELAY, "name": "a b"}]},
            "bad_name",
            'app_workers has the name "a b"; it becomes a part of a unit\'s name, so it must be 1 to 31 of a-z, 0-9, '
            "_ and -, beginning with a letter",
        ),
        (
            {"workers": [{**RELAY, "name": "prepare"}]},
            "bad_name",
            "app_workers has the name prepare, which is that of app_prepare_command's unit",
        ),
        (
            {"health_host": "shop\r\nX: 1"},
            "bad_value",
            'app_health_host is "shop\\r\\nX: 1", which no Host header can be',
        ),
        (
            {"health_check_timeout": "fast"},
            "bad_value",
            'app_health_check_timeout is "fast"; it is a number of seconds',
        ),
        ({"workers": [RELAY, RELAY]}, "duplicate", "app_workers has the name relay twice"),
        ({"workers": [{**RELAY, "command": []}]}, "missing_program", "app_workers has no command for relay"),
        (
            {"workers": [{**RELAY, "command": ["$X"]}]},
            "bad_program",
            'app_workers has a command that begins with "$X", which cannot be a program\'s path; use letters, digits '
            "and _./+- there",
        ),
    ],
)
def test_what_is_refused(changes, code, sentence):
    (problem,) = app.problems(platform(**changes), "api1")
    assert (problem.code, problem.text, str(problem)) == (code, sentence, f"api1: {sentence}.")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"port": "8000"},
        {"consul": False, "consul_agent_token": ""},
        {"source": "", "image": "registry.example/shop:1", "command": []},
        {"source": "", "image_archive": "shop.tar", "command": None},
        {"workers": [], "limits": {}, "environment": None, "secrets": None},
        # What is removed needs no source, and may have been described in any way.
        {"state": "absent", "source": "", "command": [], "workers": [RELAY, RELAY], "keep_releases": 0},
        # The role of an application of its own knows what the inventory does not say.
        {"name": None, "port": 0},
    ],
)
def test_what_is_not(changes):
    assert app.problems(platform(**changes), "api1") == []


def test_all_that_is_wrong_is_said():
    assert len(app.problems(platform(port=0, source="", workers=[RELAY, RELAY]), "api1")) == 3


def test_what_the_role_works_from():
    wanted = app.wanted(platform(prepare_command=["bin/migrate", "--all"], user="www"), "api1", None)
    assert wanted == {
        "unit": "shop.service",
        "worker_units": ["shop-relay.service"],
        "root": "/srv/shop",
        "state_dir": "/var/lib/shop",
        "own_account": False,
        "source": "/src/shop",
        "kind": "directory",
        "is_image": False,
        "registration": "/etc/consul.d/service_shop.json",
        "balancers": [],
        "programs": ["/usr/bin/relay", "bin/migrate"],
        "environment": {"PORT": 8000, "SERVICE_NAME": "shop", "SERVICE_TAGS": "blue,green"},
        "service": {
            "name": "shop",
            "id": "shop",
            "port": 8000,
            "address": "192.0.2.7",
            "tags": ["blue", "green"],
            "checks": [{"http": "http://127.0.0.1:8000/healthz"}],
        },
        # The inventory of this test has no servers and no applications.
        "token": {"servers": [], "hosts": [{"name": "api1", "node": "api1", "services": ["shop"]}]},
        "check_timeout": 5.0,
        "upstream_pattern": r"(^|[^0-9A-Za-z.-])192\.0\.2\.7:8000([^0-9]|$)",
    }
    assert "sesame" not in repr(wanted)


SITES = {"lb1": [{"service": "shop"}, {"service": "hello"}], "lb2": [{"service": "hello"}], "lb3": [], "lb4": None}


@pytest.mark.parametrize(
    ("reached", "service", "waited_for"),
    [
        (None, "shop", ["lb1"]),
        (None, "hello", ["lb1", "lb2"]),
        (["lb2"], "hello", ["lb2"]),
        (None, "other", []),
    ],
    ids=["its own", "two have it", "one does not answer", "no site"],
)
def test_s1_a_host_that_joins_waits_for_the_sites_of_its_own_service(reached, service, waited_for):
    known = platform(service=service)
    hosts = {**known.hosts, **{name: {"nginx_sites": sites} for name, sites in SITES.items()}}
    groups = {"loadbalancer": list(SITES), **({"platform_reached": reached} if reached else {})}
    assert app.wanted(Platform(hosts, groups), "api1", None)["balancers"] == waited_for


@pytest.mark.parametrize(
    ("changes", "check", "gate"),
    [
        ({}, {}, 5.0),
        ({"health_host": "shop.example"}, {"header": {"Host": ["shop.example"]}}, 5.0),
        ({"health_host": "[2001:db8::1]:8443"}, {"header": {"Host": ["[2001:db8::1]:8443"]}}, 5.0),
        ({"health_check_timeout": 3}, {"timeout": "3s"}, 3.0),
        ({"health_check_timeout": "0.5"}, {"timeout": "0.5s"}, 0.5),
    ],
)
def test_h8_consul_and_the_gate_ask_by_name_and_with_patience(changes, check, gate):
    wanted = app.wanted(platform(**changes), "api1", None)
    assert wanted["service"]["checks"] == [{"http": "http://127.0.0.1:8000/healthz", **check}]
    assert wanted["check_timeout"] == gate


@pytest.mark.parametrize(
    ("variable", "kind"),
    [("source", "directory"), ("archive", "archive"), ("image", "reference"), ("image_archive", "image")],
)
def test_a_source_is_of_a_kind(variable, kind):
    wanted = app.wanted(platform(**{"source": "", variable: "x"}), "api1", None)
    assert (wanted["source"], wanted["kind"]) == ("x", kind)


@pytest.mark.parametrize(
    ("address", "line", "listed"),
    [
        ("192.0.2.7", "    server 192.0.2.7:8000 max_fails=3;", True),
        ("192.0.2.7", "    server 192.0.2.7:80001;", False),
        ("192.0.2.7", "    server 10.192.0.2.7:8000;", False),
        ("192.0.2.7", "    server 192.0.217:8000;", False),
        ("fd00::7", "    server [fd00::7]:8000 max_fails=3;", True),
        ("fd00::7", "    server [fd00::7]:80001;", False),
        ("fd00::7", "    server [fd00::77]:8000;", False),
    ],
)
def test_a_load_balancer_lists_the_host_or_another_one(address, line, listed):
    wanted = app.wanted(platform(address=address), "api1", None)
    assert bool(re.search(wanted["upstream_pattern"], line)) is listed


@pytest.mark.parametrize(
    ("variables", "ports"),
    [
        ({"app_port": 8000, "reference_api_port": 8001}, [("app_port", 8000, "")]),
        ({"reference_api_port": "8001"}, [("reference_api_port", 8001, "")]),
        ({}, []),
    ],
)
def test_the_port_that_it_takes(variables, ports):
    assert app.listens(Platform(hosts={"api1": variables}), "api1") == ports


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_a_word_arrives_as_it_is(text):
    """A shell reads double quotes as systemd does, once systemd's own doublings are undone."""
    word = app.systemd_word(text)
    inner = word[1:-1].replace("%%", "%").replace("$$", "$").replace("`", "\\`")
    assert shlex.split(f'"{inner}"') == [text.replace("`", "\\`")]
    assert "$" not in word.replace("$$", "")
    assert "%" not in word.replace("%%", "")
