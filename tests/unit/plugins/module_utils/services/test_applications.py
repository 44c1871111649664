# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an entry of ``applications`` becomes for the role app, and what it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Database,
    Platform,
    Server,
    Unevaluated,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import applications
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen
from ansible_collections.scaleout.platform.plugins.module_utils.topology.applications import APP_KEYS, ROLE

ROOT = Path(__file__).resolve().parents[5]
SHOP = {"group": "api", "port": 8000, "source": "/src", "command": ["bin/serve"]}
#: As the role's defaults have them.
COMMON = {
    "app_consul": True,
    "app_strip_components": 0,
    "app_image_engine": "auto",
    "app_exclude": [".git"],
    "app_keep_releases": 5,
    "app_prepare_timeout": 600,
    "app_worker_steady_time": 3,
    "app_drain_timeout": 30,
    "app_restart_delay": 1,
    "app_health_path": "/healthz",
    "app_health_host": "",
    "app_health_check_timeout": 0,
    "app_health_timeout": 60,
    "consul_agent_token": "token",
}
PG = Cluster("pg", (Server("pg1", "192.0.2.1", pooler_port=6432), Server("pg2", "192.0.2.2")))


def platform(entry=None, database=None, **variables):
    """A host with the applications shop and blog; blog is deployed by a role of its own."""
    shop = Application("shop", "api", ROLE, "shop", 8000, database)
    return Platform(
        {"api1": {**COMMON, "applications": {"shop": {**SHOP, **(entry or {})}}, **variables}, "lb1": {}},
        {"api": ["api1"], "loadbalancer": ["lb1"]},
        {"pg": PG},
        {"shop": shop, "blog": Application("blog", "api", "acme.blog", "blog", 8001)},
    )


def settings(made, folder=""):
    return applications.settings(made, "api1", made.applications["shop"], folder)


@pytest.mark.parametrize("key", ["source", "archive", "image_archive"])
@pytest.mark.parametrize(
    ("given", "found"),
    [("shop", "/srv/project/shop"), ("/opt/shop", "/opt/shop"), ("~/shop", "~/shop"), ("", "")],
)
def test_k3_relative_paths_begin_where_ansible_playbook_was_started(key, given, found):
    assert settings(platform({key: given}), "/srv/project")[key] == found


def test_an_entry_over_the_role():
    found = settings(platform({"keep_releases": 2, "user": "www", "health": {"path": "/up"}}, app_drain_timeout=10))
    assert (found["name"], found["service"], found["port"], found["user"]) == ("shop", "shop", 8000, "www")
    assert (found["source"], found["archive"], found["environment"], found["limits"]) == ("/src", "", {}, {})
    assert (found["keep_releases"], found["drain_timeout"], found["restart_delay"]) == (2, 10, 1)
    assert (found["health_path"], found["health_timeout"]) == ("/up", 60)


def test_what_another_application_is_made_of_is_not_inherited():
    """A variable of the role that was left in the inventory would be in every application."""
    found = settings(platform(app_environment={"A": 1}, app_packages=["x"], app_port=1, app_name="old"))
    assert (found["environment"], found["packages"], found["port"], found["name"]) == ({}, [], 8000, "shop")


def test_h15_it_logs_in_as_the_user_of_its_password():
    found = settings(platform({}, Database("shop", "seller", "pg", "seller_b", "seller")))
    assert found["environment"]["PGUSER"] == "seller_b"


def test_it_knows_where_its_database_is():
    found = settings(platform({"environment": {"PGUSER": "other", "A": 1}}, Database("shop", "seller", "pg")))
    assert found["environment"] == {
        "PGHOST": "192.0.2.1,192.0.2.2",
        "PGPORT": "6432,5432",
        "PGDATABASE": "shop",
        "PGUSER": "other",
        "A": 1,
    }


def test_a_driver_that_takes_one_server_gets_one():
    found = settings(platform({}, Database("shop", "seller", "pg", one_host=True)))
    assert (found["environment"]["PGHOST"], found["environment"]["PGPORT"]) == ("192.0.2.1", "6432")


def test_no_secret_is_handed_on():
    entry = {"secrets": {"KEY": "hidden"}, "database": {"password": "hidden"}}
    assert "hidden" not in repr(settings(platform(entry, Database("shop", "shop", "pg"))))


@pytest.mark.parametrize(
    ("entry", "code", "text"),
    [
        (
            {"source": ""},
            "missing_source",
            "source is missing; it, archive, image or image_archive names what to deploy",
        ),
        ({"archive": "x"}, "two_sources", "source and archive are given; one of them can be deployed"),
        ({"command": []}, "missing_program", "command is empty; it must be the command and its arguments"),
        ({"user": "a b"}, "bad_name", 'user is "a b", which is no name for an account'),
        (
            {"health": {"path": "up"}},
            "bad_path",
            'health: path is "up"; it must begin with a slash and be free of spaces',
        ),
        ({"health": {"host": "a b"}}, "bad_value", 'health: host is "a b", which no Host header can be'),
        (
            {"secrets": {"PORT": "1"}},
            "taken_variable",
            "PORT cannot be set in environment or secrets: the role does that",
        ),
        ({"keep_releases": 0}, "bad_value", "keep_releases is 0; at least 1 has to stay"),
        ({"workers": [{"name": "mailer"}]}, "missing_program", "workers has no command for mailer"),
        ({"secrets": {"KEY": " "}}, "missing_secret", "secrets: KEY is empty"),
        (
            {"secrets": {"KEY": Unevaluated("cannot be evaluated")}},
            "missing_secret",
            "secrets: KEY cannot be evaluated",
        ),
        (
            {"environment": {"A": Unevaluated("cannot be evaluated")}},
            "not_evaluated",
            "environment: A cannot be evaluated",
        ),
        ({"source": Unevaluated("cannot be evaluated")}, "not_evaluated", "source cannot be evaluated"),
        (
            {"health": {"path": Unevaluated("cannot be evaluated")}},
            "not_evaluated",
            "health: path cannot be evaluated",
        ),
    ],
)
def test_what_is_refused(entry, code, text):
    problems = applications.problems(platform(entry), "api1")
    assert [(one.code, str(one)) for one in problems] == [(code, f"api1: applications: shop: {text}.")]


def test_h12_what_was_left_of_an_inventory_for_one_application_is_named():
    made = platform(app_name="shop", app_environment={"A": 1}, app_secrets={}, app_packages=[], app_user=None)
    assert [(one.code, str(one)) for one in applications.problems(made, "api1")] == [
        (
            "renamed_variable",
            "api1: app_name is not read any more; applications has it: make it the entry's name.",
        ),
        (
            "renamed_variable",
            "api1: app_environment is not read any more; applications has it: move it to the entry, as environment.",
        ),
    ]


def test_what_is_not():
    assert applications.problems(platform(), "api1") == []
    assert applications.problems(platform({"source": ""}), "lb1") == []


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("hidden", []),
        ("", ["api1: applications: shop: database: password is empty."]),
        (Unevaluated("cannot be evaluated"), ["api1: applications: shop: database: password cannot be evaluated."]),
    ],
)
def test_the_password_of_a_database(password, said):
    made = platform({"database": {"password": password}})
    assert [str(one) for one in applications.of_database(made, "api1", made.applications["shop"])] == said


def test_the_ports():
    assert applications.listens(platform(), "api1", ["shop", "blog"]) == {
        "shop": [Listen("the port", 8000, "")],
        "blog": [Listen("the port", 8001, "")],
    }


def test_the_playbook_hands_over_all_of_it_and_the_role_knows_it():
    (block,) = yaml.safe_load((ROOT / "playbooks/tasks/application.yml").read_text(encoding="utf-8"))
    (task,) = [task for task in block["block"] if task["ansible.builtin.include_role"]["name"] == ROLE]
    handed = {name[len("app_") :] for name in task["vars"]}
    assert handed - {"secrets"} == set(settings(platform()))
    specs = yaml.safe_load((ROOT / "roles/app/meta/argument_specs.yml").read_text(encoding="utf-8"))
    assert {f"app_{name}" for name in handed} <= set(specs["argument_specs"]["main"]["options"])


def test_each_key_of_an_entry_becomes_a_variable():
    known = {*applications.OWN, *applications.COMMON, "secrets", "user", "health"}
    assert set(APP_KEYS) <= known
    assert known - set(APP_KEYS) == {"health_path", "health_host", "health_timeout", "health_check_timeout", "secrets"}
