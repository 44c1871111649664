# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which versions of a map are kept."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import stored


@pytest.mark.parametrize(
    ("kept", "replaced", "planned", "keep", "expected"),
    [
        ([], None, 1, 10, ((1,), ())),
        ([1], 1, 2, 10, ((2,), ())),
        ([], 7, 8, 10, ((7, 8), ())),
        ([], 7, 8, 1, ((8,), ())),
        ([5, 6, 7], 7, 8, 3, ((8,), (5,))),
        ([5, 6, 7], 7, 8, 1, ((8,), (5, 6, 7))),
        ([5, 6, 9], 7, 8, 3, ((7, 8), (5, 6))),
        ([9], 7, 8, 1, ((8,), (9,))),
        (range(1, 100), 99, 100, 1, ((100,), tuple(range(1, 62)))),
    ],
    ids=[
        "the first",
        "the next",
        "after a release without a history",
        "after such a release, and only one is kept",
        "the oldest goes",
        "only the one in force is kept",
        "left from a map that was replaced by an older one",
        "what is published stays, whatever is newer",
        "no more at once than a transaction takes",
    ],
)
def test_the_newest_versions_are_kept(kept, replaced, planned, keep, expected):
    assert stored.archive(kept, replaced, planned, keep, 61) == expected


def test_versions_are_found_among_other_keys():
    names = ["a.history/10", "a.history/9", "a.history/x", "a.history/1/2", "a.history/", "b.history/3", "a.history/01"]
    assert stored.versions("a", names) == [9, 10]


@pytest.mark.parametrize(("flags", "text"), [(0, None), (1764000000, "2025-11-24T16:00:00Z"), ((1 << 64) - 1, None)])
def test_flags_hold_the_time(flags, text):
    assert stored.published_at(flags) == text


@pytest.mark.parametrize("key", ["", "/", "/absolute", "a\nb", " "])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(InvalidInput, match="is not a key of Consul's KV"):
        stored.check_key(key)


def test_garbage_is_named_with_its_place():
    with pytest.raises(
        Refused, match=r"^The key a in Consul at b:1 holds something that is not a shard map, c: It is "
    ):
        stored.decode(b"{", "a", "b:1", ", c")
