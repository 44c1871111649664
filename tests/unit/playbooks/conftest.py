# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks of this checkout in runs of their own, on an inventory that a test writes."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(name="run_playbook")
def _run_playbook(tmp_path):
    """A function that runs a playbook on an inventory, and returns its status and its output on one line."""

    def run(inventory, playbook, *options):
        hosts = tmp_path / "hosts.yml"
        hosts.write_text(inventory, encoding="utf-8")
        done = subprocess.run(
            ["ansible-playbook", "-i", str(hosts), str(playbook), *options],
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
        return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)

    return run


@pytest.fixture(name="run_untouched")
def _run_untouched(tmp_path, run_playbook):
    """The same on hosts that are not there, and that no run may try to reach: it must not have called SSH."""

    def run(inventory, playbook, *options):
        called, ssh = tmp_path / "called", tmp_path / "ssh"
        ssh.write_text(f"#!/bin/sh\ntouch '{called}'\nexit 255\n", encoding="utf-8")
        ssh.chmod(0o755)
        answer = run_playbook(inventory, playbook, *options, "-e", f"ansible_ssh_executable={ssh}")
        assert not called.exists()
        return answer

    return run
