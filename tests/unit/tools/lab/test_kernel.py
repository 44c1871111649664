# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's limits: which are too low, and what a person is told who must raise them."""

from __future__ import annotations

import pytest

from tools.lab import kernel
from tools.lab.shell import NeedsHelp

INSTANCES, WATCHES = kernel.NEEDED


@pytest.mark.parametrize(
    ("instances", "watches", "missing"),
    [
        (128, 8192, [INSTANCES, WATCHES]),
        (128, 192536, [INSTANCES]),
        (1023, 65536, [INSTANCES]),
        (1024, 65535, [WATCHES]),
        (1024, 65536, []),
        (65536, 1048576, []),
        # A kernel without inotify has nothing to raise.
        (None, None, []),
    ],
)
def test_limits_that_are_too_low(instances, watches, missing):
    found = kernel.too_low({INSTANCES: instances, WATCHES: watches})
    assert found == {name: kernel.NEEDED[name] for name in missing}


@pytest.fixture
def machine(monkeypatch):
    """A machine whose limits are too low, and what is run on it."""
    ran = []
    monkeypatch.setattr(kernel, "_read", {INSTANCES: 128, WATCHES: 100000}.get)
    monkeypatch.setattr(kernel, "as_root", lambda: ("sudo", "-n"))
    monkeypatch.setattr(kernel, "run", lambda *command: ran.append(command))
    return ran


def test_they_are_raised(machine):
    assert kernel.ensure() == "raised: fs.inotify.max_user_instances=1024"
    assert machine == [("sudo", "-n", "sysctl", "-q", "-w", "fs.inotify.max_user_instances=1024")]


@pytest.mark.parametrize("who", ["as_root", "run"], ids=["without root", "where /proc/sys is read-only"])
def test_where_they_may_not_be_raised_a_sentence_says_what_to_set(machine, monkeypatch, who):
    def refuse(*_command):
        raise NeedsHelp("no")

    monkeypatch.setattr(kernel, who, refuse)
    assert kernel.ensure() == (
        "too low for more than some twenty VMs, and not ours to raise: run `sysctl -w "
        "fs.inotify.max_user_instances=1024` as root on the machine that runs the Docker engine"
    )


def test_limits_that_suffice_are_left_alone(machine, monkeypatch):
    monkeypatch.setattr(kernel, "_read", {INSTANCES: 8192, WATCHES: 1000000}.get)
    assert kernel.ensure() == "enough"
    assert not machine
