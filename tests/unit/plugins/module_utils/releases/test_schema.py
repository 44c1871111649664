# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which releases a schema serves, and what is said of a deployment that cannot be gone back from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.releases import schema
from ansible_collections.scaleout.platform.plugins.module_utils.releases.plan import Release


@pytest.mark.parametrize(
    ("version", "number"),
    [
        ("1.4", (1, 4)),
        ("v1.4", (1, 4)),
        ("1.4.0", (1, 4)),
        ("12", (12,)),
        ("0", (0,)),
        ("1.4-rc1", None),
        ("8f434346648f", None),
        ("", None),
    ],
)
def test_versions_as_numbers(version, number):
    assert names.version_number(version) == number


@pytest.mark.parametrize(
    ("oldest", "version", "serves"),
    [
        ("", "anything", True),
        ("1.9", "1.9", True),
        ("1.9", "1.10", True),
        ("1.9", "2", True),
        ("1.9", "1.8.9", False),
        ("1.9", "8f434346648f", False),
        # Twelve digits are the beginning of a digest.
        ("1.9", "843466481217", False),
    ],
)
def test_what_a_schema_serves(oldest, version, serves):
    assert schema.serves(oldest, version) is serves


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_of_two_numbers_at_least_one_is_served_by_the_other(first, second):
    one, other = (".".join(map(str, parts)) for parts in (first, second))
    assert schema.serves(one, other) or schema.serves(other, one)
    assert schema.serves(one, one)


def release(version: str, serves: str = "", noted: float = 0.0, digest: str = "d") -> Release:
    return Release(version, digest, note={"schema_serves": serves} if serves else {}, noted=noted)


def test_the_newest_statement_counts_and_a_rollback_makes_none():
    there = [release("1.0"), release("2.0", "1.0", 1.0), release("3.0", "2.0", 2.0), release("3.1")]
    assert schema.oldest_served(there) == "2.0"
    assert schema.oldest_served(there[:1]) == ""


@pytest.mark.parametrize(
    ("version", "before", "there", "serves", "says"),
    [
        ("2.0", "1.0", [release("1.0")], "1.0", ""),
        ("2.0", None, [], "1.9", ""),
        ("2.0", "2.0", [release("2.0", "1.9")], "1.9", ""),
        (
            "2.0",
            "1.0",
            [release("1.0")],
            "1.9",
            "Release 2.0 cannot be rolled back once it is deployed: its schema serves 1.9 and later, and this host "
            "serves 1.0.",
        ),
        (
            "1.0",
            "3.0",
            [release("1.0"), release("3.0", "2.0", 1.0)],
            "",
            "Release 1.0 is older than 2.0, the oldest one that the schema of the database still serves.",
        ),
        # A new release without a number is no older one.
        ("8f434346648f", "3.0", [release("3.0", "2.0", 1.0)], "", ""),
    ],
)
def test_what_a_host_is_told_before_it_changes(version, before, there, serves, says):
    assert schema.warning(version, before, there, {"schema_serves": serves} if serves else {}) == says
