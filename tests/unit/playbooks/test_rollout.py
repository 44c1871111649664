# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/rolling_update.yml and rollback.yml with what cannot be asked: one sentence, and no host is touched."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]
INVENTORY = """
all:
  vars:
    consul_gossip_key: MDEyMzQ1Njc4OWFiY2RlZg==
    consul_management_token: 00000000-0000-4000-8000-000000000001
    consul_agent_token: 00000000-0000-4000-8000-000000000002
    consul_reader_token: 00000000-0000-4000-8000-000000000003
    applications:
      shop: {group: shop, port: 8000, source: shop, command: [serve], MORE}
  children:
    consul_server: {hosts: {consul1: {ansible_host: 192.0.2.1}}}
    shop: {hosts: {shop1: {ansible_host: 192.0.2.11}, shop2: {ansible_host: 192.0.2.12}}}
"""


@pytest.fixture(name="play")
def _play(tmp_path):
    """A function that runs a playbook, and returns its status and its output; it must not have called SSH."""

    def run(playbook, *arguments, more="packages: []"):
        (tmp_path / "hosts.yml").write_text(INVENTORY.replace("MORE", more), encoding="utf-8")
        called = tmp_path / "called"
        ssh = tmp_path / "ssh"
        ssh.write_text(f"#!/bin/sh\ntouch '{called}'\nexit 255\n", encoding="utf-8")
        ssh.chmod(0o755)
        options = [option for argument in arguments for option in ("-e", argument)]
        command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), f"playbooks/{playbook}.yml", *options]
        done = subprocess.run(
            [*command, "-e", f"ansible_ssh_executable={ssh}"],
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
                "COLUMNS": "1000",
                "ANSIBLE_NOCOLOR": "1",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not called.exists()
        return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)

    return run


@pytest.mark.parametrize("playbook", ["rolling_update", "rollback"])
def test_all_that_is_wrong_with_what_is_asked_is_said_at_once(play, playbook):
    status, said = play(playbook, "application=shp", "parallelism=101%", "batch_delay=-1")
    assert status == 2, said
    assert (
        "application: 'shp' is not an application; there is shop. parallelism: '101%' is not how many servers" in said
    )
    assert "batch_delay: '-1' is not a number of seconds from 0 to 3600." in said
    assert "Traceback" not in said


def test_a_schema_that_cannot_be_compared_is_refused_by_preflight(play):
    status, said = play("rolling_update", "application=shop", more="version: next, schema_serves: '1.4'")
    assert status == 2, said
    assert 'applications: shop: version is "next"; schema_serves and version are compared' in said
