# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whoever takes the lease says what becomes of a run that does not renew it (A5)."""

from __future__ import annotations

import pathlib

import yaml

PLAYBOOKS = pathlib.Path(__file__).parents[3] / "playbooks"


def test_each_task_that_takes_the_lease_says_whether_the_run_is_watched():
    taken = {}
    for path in sorted(PLAYBOOKS.glob("*.yml")):
        for play in yaml.safe_load(path.read_text(encoding="utf-8")):
            for options in leases(play.get("tasks", ())):
                if options.get("state") != "released":
                    taken[path.name] = options.get("watched")
    assert taken == {"_lease.yml": "{{ lease_watched | default(not lease_optional) }}", "autoscale.yml": True}


def leases(tasks):
    """The options of each run_lease, those in blocks as well."""
    for task in tasks:
        yield from leases([*task.get("block", ()), *task.get("rescue", ()), *task.get("always", ())])
        if "scaleout.platform.run_lease" in task:
            yield task["scaleout.platform.run_lease"] or {}
