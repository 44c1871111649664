# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each fault that was found when release 0.1.0 was tried has a test that names its id."""

from __future__ import annotations

import pathlib
import re

import pytest

TESTS = pathlib.Path(__file__).parents[1]
MOLECULE = TESTS.parent / "molecule"
#: How many there are of each kind: losing a host, scaling, PostgreSQL, modules, hosts, Consul, secrets, the rest.
COUNTS = {"L": 8, "S": 11, "P": 7, "M": 9, "H": 15, "C": 6, "K": 7, "X": 3}
#: They wait for failover, which Patroni brings; the API's watches wait with it.
LATER = {"P3", "P4", "C3"}
IDS = sorted({f"{kind}{number}" for kind, count in COUNTS.items() for number in range(1, count + 1)} - LATER)


@pytest.fixture(scope="module")
def texts():
    files = [*TESTS.rglob("*.py"), *TESTS.rglob("*.yml"), *MOLECULE.rglob("*.yml")]
    return "\n".join(path.read_text() for path in files if path != pathlib.Path(__file__)).lower()


@pytest.mark.parametrize("fault", IDS)
def test_a_fault_has_its_test(texts, fault):
    # In a test's name, in the id of a row, or in words.
    assert re.search(rf"(?<![a-z0-9]){fault.lower()}(?![0-9a-z])", texts.replace("_", " "))
