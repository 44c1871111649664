# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The budget of `make test` adds up to what CI can bear, and `.ci/run` runs both parts, whichever of them fails."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[4]


def test_the_budget_adds_up():
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| part of `make test` |")[2].partition("\n\n")[0]
    *parts, total = [int(minutes) for minutes in re.findall(r"\| (\d+) \|", table)]
    assert sum(parts) == total <= 35


MAKE = """#!/bin/sh
[ "$1" = env ] && exit 0
echo "=== 3 passed in 1.0s ==="
echo "part $1: passed in 1:05 min"
[ "$1" != "$BROKEN" ]
"""


@pytest.fixture
def ci(tmp_path):
    """A copy of .ci/run beside a `make` that says what was asked of it."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    make = tmp_path / "make"
    make.write_text(MAKE)
    make.chmod(0o755)

    def run(broken):
        environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "BROKEN": broken}
        return subprocess.run(
            [tmp_path / ".ci/run"], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.mark.parametrize("broken", ["", "lint", "test"])
def test_ci_runs_both_parts_and_closes_with_what_they_said(ci, broken):
    done = ci(broken)
    closing = done.stdout.splitlines()[-6:]
    for name, first in (("lint", 0), ("test", 3)):
        result = "FAILED" if broken == name else "passed"
        assert re.fullmatch(rf"make {name}: {result} in \d+ s", closing[first])
        assert closing[first + 1 : first + 3] == [
            "    === 3 passed in 1.0s ===",
            f"    part {name}: passed in 1:05 min",
        ]
    assert done.returncode == (1 if broken in ("lint", "test") else 0)


@pytest.mark.parametrize(("command", "status", "told"), [("true", 0, "passed"), ("false", 1, "FAILED")])
def test_a_part_says_what_it_took_and_keeps_its_status(command, status, told):
    done = subprocess.run(
        [ROOT / "tools/ci/timed", "unit", command], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (status, f"part unit: {told} in 0:00 min\n")
