# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No playbook makes Ansible warn of a group that no host has joined, or that the inventory can do without."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[3]
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_python_interpreter: PYTHON}
  children:
    consul_server: {hosts: {consul1: }}
    postgres: {hosts: {pg1: }}
"""
#: smoke.yml is for our own labs, which have all groups.
PUBLIC = sorted(path.stem for path in ROOT.glob("playbooks/*.yml") if path.stem[0] != "_" and path.stem != "smoke")


@pytest.fixture(name="play")
def _play(run_playbook):
    """A function that runs a playbook on an inventory without most groups, and returns what it printed."""

    def run(playbook, *options):
        status, said = run_playbook(INVENTORY.replace("PYTHON", sys.executable), playbook, *options)
        assert status == 0, said
        return said

    return run


@pytest.mark.parametrize("name", PUBLIC)
def test_a_playbook_names_no_group_that_may_be_missing(play, name):
    said = play(f"playbooks/{name}.yml", "--list-hosts")
    # Before a run begins, no host has been reached, and one that reaches none ends.
    assert set(re.findall(r"supplied host pattern, ignoring: (\S+)", said)) <= {"platform_reached"}


def _plays(*tasks):
    """Return two plays, of which the second has the pattern of the services' plays."""
    service = yaml.safe_load((ROOT / "playbooks/_service.yml").read_text(encoding="utf-8"))[0]
    reached = {"name": "Note who answers", "ansible.builtin.group_by": {"key": "platform_reached"}}
    return yaml.safe_dump(
        [
            {"hosts": "all", "gather_facts": False, "tasks": [reached, *tasks]},
            {
                "hosts": service["hosts"],
                "gather_facts": False,
                "tasks": [{"ansible.builtin.debug": {"msg": "goes on with {{ inventory_hostname }}"}}],
            },
        ]
    )


FAILS = {
    "scaleout.platform.run_note": {"service": "base", "reason": "no room"},
    "when": "inventory_hostname == 'pg1'",
}


@pytest.mark.parametrize(("tasks", "left"), [([], ["consul1", "pg1"]), ([FAILS], ["consul1"])], ids=["green", "red"])
def test_a_host_that_failed_is_left_out_of_the_next_play(play, tmp_path, tasks, left):
    (tmp_path / "plays.yml").write_text(_plays(*tasks), encoding="utf-8")
    said = play(tmp_path / "plays.yml")
    assert sorted(set(re.findall(r"goes on with (\w+)", said))) == left
    assert "Could not match" not in said
