# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release consists of, and that its digest depends on that alone."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import (
    DIRECTORY,
    FILE,
    JUNK,
    Entry,
    digest,
    is_excluded,
    is_safe,
    ordered,
)

hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
paths = st.lists(st.text("ab.é", min_size=1), min_size=1, max_size=3).map("/".join)
entries = st.builds(Entry, paths, st.just(FILE), st.booleans(), hashes) | st.builds(Entry, paths, st.just(DIRECTORY))


@given(st.lists(entries, unique_by=lambda entry: entry.path), st.randoms())
def test_the_order_of_listing_does_not_matter(listed, random):
    shuffled = list(listed)
    random.shuffle(shuffled)
    assert digest(shuffled) == digest(listed)
    assert ordered(shuffled) == ordered(listed)


@given(st.lists(entries, unique_by=lambda entry: entry.path), st.lists(entries, unique_by=lambda entry: entry.path))
def test_other_contents_have_another_digest(one, other):
    assert (digest(one) == digest(other)) == (set(one) == set(other))


@given(st.lists(entries, unique_by=lambda entry: entry.path))
def test_a_directory_comes_before_what_is_in_it(listed):
    seen = [entry.path for entry in ordered(listed)]
    for position, path in enumerate(seen):
        assert not [before for before in seen[:position] if before.startswith(path + "/")]


def test_the_digest_is_the_same_for_ever():
    release = [Entry("bin", DIRECTORY), Entry("bin/run", FILE, True, "ab" * 32), Entry("é", FILE, False, "cd" * 32)]
    assert digest(release) == "53b52faea6364fa42915a85e8f23882ae85d0974a84f851f8b18fd1fe73ad416"


@pytest.mark.parametrize(
    "change",
    [{"path": "other"}, {"executable": True}, {"sha256": "0" * 64}, {"kind": DIRECTORY, "sha256": ""}],
)
def test_each_field_counts(change):
    entry = Entry("file", FILE, False, "f" * 64)
    assert digest([dataclasses.replace(entry, **change)]) != digest([entry])


def test_modes_are_two():
    assert Entry("file", FILE).mode == 0o644
    assert Entry("file", FILE, executable=True).mode == Entry("directory", DIRECTORY).mode == 0o755


@pytest.mark.parametrize(
    ("path", "patterns", "excluded"),
    [
        (".git", JUNK, True),
        ("vendor/lib/.git", JUNK, True),
        ("app/module.pyc", JUNK, True),
        ("app/module.py", JUNK, False),
        (".gitignore", JUNK, False),
        ("docs/build", ["docs/build"], True),
        ("other/docs/build", ["docs/build"], False),
        ("docs/build", ["/docs/*"], True),
        ("node_modules", ["node_modules/"], True),
        ("Readme", ["readme"], False),
        ("anything", [], False),
    ],
)
def test_exclusion(path, patterns, excluded):
    assert is_excluded(path, patterns) is excluded


@pytest.mark.parametrize("path", ["a", "a/b", "...", "a b", "é", "a/..b"])
def test_paths_inside(path):
    assert is_safe(path)


@pytest.mark.parametrize("path", ["", "/a", ".", "..", "../a", "a/../b", "a/..", "./a", "a//b", "a/", "a\0b"])
def test_paths_that_lead_out_or_are_spelled_oddly(path):
    assert not is_safe(path)
