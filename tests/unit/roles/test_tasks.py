# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a role's tasks have to say, whatever else they say: who takes turns, and what a server that joins never does."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import jinja2.nativetypes
import pytest
import yaml

ROLES = pathlib.Path(__file__).parents[3] / "roles"


def tasks(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The tasks of a file, those of its blocks among them."""

    def of(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for task in found:
            yield task
            for part in ("block", "rescue", "always"):
                yield from of(task.get(part, []))

    yield from of(yaml.safe_load(path.read_text()))


def configurations(role: str) -> list[dict[str, Any]]:
    """The arguments with which a role's tasks configure a service."""
    found = [task for path in sorted((ROLES / role / "tasks").glob("*.yml")) for task in tasks(path)]
    return [task["scaleout.platform.service_config"] for task in found if "scaleout.platform.service_config" in task]


@pytest.mark.parametrize(
    ("role", "driver"), [("consul", "consul"), ("nginx", "nginx"), ("pgbouncer", "pgbouncer"), ("redis", "redis")]
)
def test_c6_s9_hosts_that_can_stand_in_for_each_other_take_turns(role, driver):
    """A change that stops a service is never made on all of its hosts within the same second."""
    present = [one for one in configurations(role) if one.get("driver") == driver and one.get("state") != "absent"]
    assert present
    assert [one["name"] for one in present if not one.get("group")] == []


@pytest.mark.parametrize(("release_from", "command"), [("api1", []), ("", ["/opt/shop/migrate", "--all"])])
def test_l6_a_server_that_joins_never_migrates(release_from, command):
    """It takes the release that serves; with a database away, a migration would stop at it and none would join."""
    (prepare,) = [task for task in tasks(ROLES / "app" / "tasks" / "prepare.yml") if "release" in task["name"]]
    template = prepare["scaleout.platform.release"]["command"]
    found = jinja2.nativetypes.NativeEnvironment().from_string(template.strip())
    variables = {"app_prepare_command": ["migrate", "--all"], "app_release_from": release_from}
    assert found.render(_app_archive={"programs": {"migrate": "/opt/shop/migrate"}}, **variables) == command


def test_turns_of_an_application_have_one_name_everywhere():
    """A rolling update reads them, and has to call them as the role does, whatever the application's own role is."""
    found = [task for path in sorted((ROLES / "app" / "tasks").glob("*.yml")) for task in tasks(path)]
    groups = {task["scaleout.platform.turn"]["group"] for task in found if "scaleout.platform.turn" in task}
    assert groups == {"{{ _app_turns }}", "{{ _app_turns }} back"}
