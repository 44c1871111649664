# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults P7 and H2: every service of ours comes back by itself, however long what it needs was away."""

from __future__ import annotations

import pathlib
import re

import pytest

ROLES = pathlib.Path(__file__).parents[3] / "roles"
#: The templates of units and of drop-ins for units; what else a role has is no service.
UNITS = {
    "app": ["app.service.j2"],
    "consul": ["consul.service.j2"],
    "firewall": ["scaleout-firewall.service.j2"],
    "nginx": ["nginx-upstream@.service.j2", "unit.conf.j2"],
    "pgbackrest": ["pgbackrest.service.j2"],
    "pgbouncer": ["pgbouncer-leader.service.j2", "unit.conf.j2"],
    "postgres": ["patroni-watch.service.j2", "patroni.service.j2"],
    "rabbitmq": ["unit.conf.j2"],
    "redis": ["unit.conf.j2"],
}
TEMPLATES = [(role, name) for role, names in UNITS.items() for name in names]


def settings(text: str, section: str) -> dict[str, str]:
    """The settings of one section of a unit's template."""
    parts = re.split(r"^\[(\w+)\]\n", text, flags=re.MULTILINE)
    (body,) = [body for name, body in zip(parts[1::2], parts[2::2], strict=True) if name == section]
    return dict(re.findall(r"^(\w+)=(.*)$", body, re.MULTILINE))


@pytest.mark.parametrize(("role", "name"), TEMPLATES)
def test_p7_h2_a_service_is_started_again_without_end(role: str, name: str) -> None:
    text = (ROLES / role / "templates" / name).read_text()
    service = settings(text, "Service")
    assert service["Restart"] in ("always", "on-failure")
    assert service["RestartSec"]
    assert settings(text, "Unit")["StartLimitIntervalSec"] == "0"


@pytest.mark.parametrize(("role", "name"), [one for one in TEMPLATES if one[1].endswith(".service.j2")])
def test_p7_h2_a_unit_of_ours_starts_with_the_host(role: str, name: str) -> None:
    text = (ROLES / role / "templates" / name).read_text()
    # A drop-in says nothing of it: the package's unit does.
    if "\nExecStart=" in text:
        assert settings(text, "Install")["WantedBy"]


def test_p7_h2_the_list_of_units_is_whole() -> None:
    found = {
        (path.parts[-3], path.name)
        for path in ROLES.glob("*/templates/*.j2")
        # A cycle of the role control is started again by its timer, and so is a backup.
        if "[Service]" in path.read_text()
        and path.parts[-3] not in ("fleet", "control")
        and (path.parts[-3], path.name[:4]) != ("pgbackrest", "job-")
    }
    assert found == set(TEMPLATES)


@pytest.mark.parametrize(("role", "name"), TEMPLATES)
def test_p7_h2_each_unit_is_written(role: str, name: str) -> None:
    assert [path for path in (ROLES / role).glob("*/*.yml") if re.search(rf"\b{re.escape(name)}\b", path.read_text())]
