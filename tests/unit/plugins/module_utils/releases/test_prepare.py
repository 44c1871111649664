# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the command that prepares a release is run, and which part a host takes in a rollout."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.releases import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.releases.prepare import Preparation, argv

PATH = "/srv/shop/releases/one"
FILES = ("/etc/shop/staged/environment", "/etc/shop/staged/secrets")


def test_a_command_runs_as_the_process_would():
    assert argv(Preparation("shop", "www", ["/usr/bin/python3", "-m", "shop.migrate"], 600), PATH, FILES) == [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
        "--collect",
        "--service-type=exec",
        "--unit=shop-prepare",
        "--uid=www",
        "--working-directory=/srv/shop/releases/one",
        "--property=RuntimeMaxSec=600",
        "--property=NoNewPrivileges=yes",
        "--property=ProtectSystem=strict",
        "--property=PrivateTmp=yes",
        "--property=StateDirectory=shop",
        "--property=EnvironmentFile=/etc/shop/staged/environment",
        "--property=EnvironmentFile=/etc/shop/staged/secrets",
        "--",
        "/usr/bin/python3",
        "-m",
        "shop.migrate",
    ]


@pytest.mark.parametrize(
    ("word", "program"),
    [("bin/migrate", f"{PATH}/bin/migrate"), ("./migrate", f"{PATH}/./migrate"), ("migrate", "migrate"), ("/m", "/m")],
)
def test_a_program_is_the_releases_own_or_the_systems(word, program):
    assert argv(Preparation("shop", "shop", [word], 1), PATH, ())[-1] == program


def test_an_image_is_a_root_of_its_own():
    words = argv(Preparation("shop", "shop", ["/bin/sh"], 1, root=True, directory="/app"), PATH, ())
    assert "--working-directory=/app" in words
    assert f"--property=RootDirectory={PATH}" in words
    assert "--property=MountAPIVFS=yes" in words


@pytest.mark.parametrize(
    ("staged", "pending", "active", "enabled", "idle", "turn"),
    [
        (False, False, True, True, [], "none"),
        # It serves and something is to be exchanged, whether this run has staged it or one before.
        (True, True, True, True, [], "drain"),
        (False, True, True, True, [], "drain"),
        (False, True, True, False, ["shop-relay.service"], "drain"),
        # Nothing serves.
        (True, True, False, False, [], "start"),
        (False, False, False, True, [], "start"),
        # It serves, and comes back to what it should be without leaving the load balancers.
        (True, False, True, True, [], "start"),
        (False, False, True, False, [], "start"),
        (False, False, True, True, ["shop-relay.service"], "start"),
    ],
)
def test_which_part_a_host_takes(staged, pending, active, enabled, idle, turn):
    assert planner.turn(staged, pending, active, enabled, idle) == turn
