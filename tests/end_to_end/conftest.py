# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole platform end to end: from nothing to one that was asked, run again, changed, broken and repaired.

It is the trio, or the lab with SCALEOUT_LAB=lab. The files are numbered: each finds it as the one before left it. Any
but the first can be run by itself on one that is up. What playbooks print is kept in .lab/logs; here only what it comes
to.
"""

from __future__ import annotations

import shlex

import pytest

from tests.end_to_end import lab


@pytest.fixture(scope="session")
def platform():
    """A lab that answers; without one there is nothing to learn from a test."""
    answer = lab.get("/users?limit=1")
    if answer.status != 200:
        pytest.exit(
            f"The lab does not answer ({answer.status or answer.error}): `{shlex.join(lab.UP)}` says why.", returncode=1
        )
