# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The newest supported ansible-core runs the platform that the pinned one made: nothing to change, and scaling."""

from __future__ import annotations

import os

import pytest

from tests.end_to_end import lab, load, playbooks
from tools.ci import cores

pytestmark = [lab.long_tier, lab.any_size]


@pytest.fixture(scope="module")
def newest() -> dict[str, str]:
    """The variables under which a command runs on the newest core."""
    core = cores.cores()["newest"]
    python = cores.interpreter(core["python"])
    assert python, f"ansible-core {core['version']} needs Python {core['python']} or later, and none is installed here"
    path = cores.environment(core["version"], python) / "bin"
    return {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "ANSIBLE_COLLECTIONS_PATH": cores.COLLECTIONS}


def test_it_is_the_newest(newest):
    said = playbooks.run("ansible", "--version", log="86-version", as_json=False, **newest).succeeded()
    assert f"[core {cores.cores()['newest']['version']}]" in said.text


def test_nothing_to_change(platform, newest):
    made = playbooks.playbook("site.yml", log="86-site", **newest).succeeded()
    assert set(lab.hosts()) <= made.tasks.keys()
    assert not made.changes, "\n".join(map(str, made.changes))


def test_one_more_and_three_again_under_load(platform, newest):
    before = lab.upstream()
    with load.ledger("newest-core", longest=900) as ledger:
        playbooks.playbook("scale.yml", "-e", "api=4", log="86-up", **newest).succeeded()
        assert len(lab.upstream()) == 4
        playbooks.playbook("scale.yml", "-e", "api=3", log="86-down", **newest).succeeded()
        told = ledger.report()
    assert lab.upstream() == before
    load.tell("from 3 to 4 and back on the newest ansible-core", told)
    load.assert_right(told)
    assert told["failed"]["total"] == 0


def test_one_lost_host_ends_the_run_red_and_stops_no_other_host(platform, newest):
    """2.21 once kept a host that failed among those that act."""
    *others, victim = lab.hosts()
    lab.engine("pause", lab.container(victim))
    try:
        made = playbooks.playbook("site.yml", "--check", log="86-lost", **newest)
    finally:
        lab.engine("unpause", lab.container(victim))
    assert made.status != 0
    assert f"{victim} did not answer" in made.summary
    assert set(others) <= made.tasks.keys()
    assert lab.wait_for(lambda: len(lab.upstream()) == 3, 60) is not None
