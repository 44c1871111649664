# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which services a host runs, which of them a run is about, and whose port it is."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.operations import check_platform
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Unevaluated

ROOT = Path(__file__).resolve().parents[5]

PLATFORM = Platform(
    hosts={"lb1": {}, "vm1": {}, "spare1": {}},
    groups={
        "all": ["lb1", "vm1", "spare1"],
        "loadbalancer": ["lb1", "vm1"],
        "postgres": ["vm1"],
        "cache": ["vm1"],
        "monitoring": ["vm1"],
        "api": ["vm1"],
        "fleet_idle": ["spare1"],
    },
    applications={"shop": Application("shop", "api", "acme.shop.web", secrets=("shop_password",))},
)


@pytest.mark.parametrize(
    ("host", "services"),
    [
        ("lb1", ["base", "consul", "nginx"]),
        ("vm1", ["base", "consul", "postgres", "pgbouncer", "redis", "nginx"]),
        ("spare1", []),
    ],
)
def test_the_services_of_a_host(host, services):
    assert check_platform.services_of(PLATFORM, host) == services


@pytest.mark.parametrize(("enabled", "expected"), [(True, ["firewall"]), ("no", []), (None, [])])
def test_the_firewall_is_a_service_where_it_is_enabled(enabled, expected):
    platform = dataclasses.replace(PLATFORM, hosts={**PLATFORM.hosts, "lb1": {"firewall_enabled": enabled}})
    assert [one for one in check_platform.services_of(platform, "lb1") if one == "firewall"] == expected


@pytest.mark.parametrize(("backup", "expected"), [(["spare1"], []), (["lb1"], ["pgbackrest"]), ([], [])])
def test_pgbackrest_is_a_service_where_a_host_keeps_backups(backup, expected):
    platform = dataclasses.replace(PLATFORM, groups={**PLATFORM.groups, "backup": backup})
    assert [one for one in check_platform.services_of(platform, "lb1") if one == "pgbackrest"] == expected


@pytest.mark.parametrize(
    ("tags", "skipped", "names"),
    [
        (("all",), (), ["base", "consul", "postgres", "pgbouncer", "redis", "nginx", "shop"]),
        (("redis",), (), ["base", "redis"]),
        (("redis", "app"), (), ["base", "redis", "shop"]),
        (("app",), (), ["base", "shop"]),
        (("all",), ("postgres", "app"), ["base", "consul", "pgbouncer", "redis", "nginx"]),
        (("redis",), ("redis",), []),
        (("unknown",), (), []),
    ],
)
def test_what_a_run_is_about(tags, skipped, names):
    chosen = check_platform.chosen(PLATFORM, "vm1", tags, skipped)
    assert [one["name"] for one in chosen["services"] + chosen["applications"]] == names


def test_each_with_its_role():
    chosen = check_platform.chosen(PLATFORM, "vm1")
    assert chosen["applications"] == [{"name": "shop", "role": "acme.shop.web"}]
    assert chosen["first_aid"] == [
        {"name": "base", "role": "scaleout.platform.base"},
        {"name": "consul", "role": "scaleout.platform.consul"},
    ]


@pytest.mark.parametrize(("scaled", "names"), [(None, ["shop", "blog"]), (["blog"], ["blog"]), ([], [])])
def test_a_host_that_leaves_one_pool_keeps_what_it_runs_for_another(scaled, names):
    platform = dataclasses.replace(
        PLATFORM,
        hosts={**PLATFORM.hosts, "vm1": {**PLATFORM.hosts["vm1"], "scale_applications": scaled}},
        applications={**PLATFORM.applications, "blog": Application("blog", "cache", "scaleout.platform.app", "blog")},
    )
    chosen = check_platform.chosen(platform, "vm1")
    assert [one["name"] for one in chosen["applications"]] == names


@pytest.mark.parametrize(
    ("group", "names"),
    [("fleet_spare", []), ("fleet_leaving", []), ("scale_joining", ["shop"]), ("scale_leaving", ["shop"])],
)
def test_a_host_that_leaves_still_runs_what_an_earlier_run_left_there(group, names):
    groups = {**PLATFORM.groups, "api": ["vm1", "spare1"], group: ["spare1"]}
    assert check_platform.applications_of(dataclasses.replace(PLATFORM, groups=groups), "spare1") == names


def test_secrets_are_wanted_where_they_are_used():
    secrets = check_platform.secrets(PLATFORM)
    assert secrets["redis_password"] == ["vm1"]
    assert secrets["consul_gossip_key"] == ["lb1", "vm1"]
    assert secrets["shop_password"] == ["lb1", "vm1"]
    assert check_platform.secrets(Platform(hosts={"lb1": {}}, groups={"loadbalancer": ["lb1"]})) == {}


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, {"lb1": ["database"], "api1": ["database"]}),
        (
            {"reference_api_queue_address": "mq1:5672"},
            {"lb1": ["database", "queue"], "api1": ["database", "queue"]},
        ),
        ({"reference_api_caches": {"tasks": "c1:6379"}}, {"lb1": ["database"], "api1": ["database", "cache"]}),
    ],
)
def test_h11_the_reference_api_needs_secrets_for_what_it_uses(variables, wanted):
    reference_api = Application("reference_api", "api", "scaleout.platform.reference_api")
    platform = Platform(
        {"lb1": {}, "api1": variables}, {"api": ["api1"]}, applications={"reference_api": reference_api}
    )
    secrets = check_platform.secrets(platform)
    assert {
        host: [name[14:-9] for name, hosts in secrets.items() if host in hosts] for host in platform.hosts
    } == wanted
    assert not [name for name in check_platform.secrets(Platform({"lb1": {}})) if name.startswith("reference_api")]


def test_several_applications_share_a_host():
    platform = dataclasses.replace(
        PLATFORM,
        applications={
            "shop": Application("shop", "api", "scaleout.platform.app", "shop", 8000),
            "blog": Application("blog", "loadbalancer", "acme.blog.web", "blog", 8001),
            "idle": Application("idle", "fleet_idle", "scaleout.platform.app", "idle", 8002),
        },
    )
    assert check_platform.applications_of(platform, "vm1") == ["shop", "blog"]
    assert check_platform.applications_of(platform, "lb1") == ["blog"]
    assert check_platform.applications_of(platform, "spare1") == []


def test_two_applications_or_an_application_and_a_service_want_one_port():
    """On a host that both have."""
    entries = {name: {"source": "/src", "command": ["x"]} for name in ("shop", "blog", "apart")}
    common = {"consul_agent_token": "t", "app_health_path": "/", "applications": entries}
    redis = {"redis_instances": {"cache": {"port": 6379, "maxmemory": "1mb"}}, "redis_password": "x"}

    def fights(**ports):
        found = {name: Application(name, name, "scaleout.platform.app", name, port) for name, port in ports.items()}
        groups = {"cache": ["vm1"], "shop": ["vm1"], "blog": ["vm1", "vm2"], "apart": ["vm2"]}
        platform = Platform({"vm1": {**common, **redis}, "vm2": common}, groups, applications=found)
        return [(one.code, str(one)) for one in check_platform.problems(platform)]

    assert fights(shop=8000, blog=8001, apart=8000) == []
    assert fights(shop=8000, blog=8000) == [
        (
            "port_taken",
            "vm1: the port of blog and the port of shop both want port 8000; change one of the two.",
        )
    ]
    (fight,) = set(fights(shop=6379))
    assert fight == (
        "port_taken",
        "vm1: the port of shop and redis_instances.cache.port of redis both want port 6379; change one of the two.",
    )


def test_h12_a_user_whose_password_no_application_has_is_named_before_anything_is_changed():
    missing = Unevaluated("cannot be evaluated, because something in it is undefined ('x' is undefined)")
    platform = Platform({"vm1": {"rabbitmq_users": missing}, "vm2": {"rabbitmq_users": missing}}, {"queue": ["vm1"]})
    assert ("not_evaluated", f"vm1: rabbitmq_users {missing.reason}.") in [
        (one.code, str(one)) for one in check_platform.problems(platform)
    ]
    assert not [one for one in check_platform.problems(platform) if one.host == "vm2"]


def test_the_table_of_the_playbook_says_the_same():
    rows = [
        play["vars"]
        for play in yaml.safe_load((ROOT / "playbooks/site.yml").read_text(encoding="utf-8"))
        if play.get("import_playbook", play.get("ansible.builtin.import_playbook")) == "_service.yml"
    ]
    # The last one comes back to the tokens, once all services have theirs.
    assert rows.pop() == {"service": "consul", "members": "consul_server", "part": "host_tokens"}
    assert [row["service"] for row in rows] == list(check_platform.GROUPS)
    # A pattern that depends on the groups names first what it is where all of them are there.
    patterns = {row["service"]: re.sub(r"^{{ '(.*?)' if .*", r"\1", row["members"]) for row in rows}
    members = {name: tuple(part for part in one.split(":") if part[0] != "!") for name, one in patterns.items()}
    assert members == check_platform.GROUPS


def test_each_row_of_the_playbook_runs_its_own_role():
    """As Ansible itself reads it: a static import whose name is a variable is easily another one."""
    told = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "--list-tasks", "playbooks/site.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    plays = re.findall(r"^  play #\d+ \(.*?\): (.*?)\tTAGS: .*?\n(.*?)(?=^  play |\Z)", told, re.M | re.S)
    roles = {
        name: {role for role in re.findall(r"^      scaleout\.platform\.(\w+) : ", tasks, re.M) if role != "consul"}
        for name, tasks in plays
    }
    for service in check_platform.GROUPS:
        assert roles[service] == ({service} - {"consul"}), (service, roles[service])
    assert "scaleout.platform.consul : Run Consul" in told
