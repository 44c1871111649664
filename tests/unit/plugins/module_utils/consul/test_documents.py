# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents are changed only by those who have seen the last change."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents
from ansible_collections.scaleout.platform.plugins.module_utils.consul.strict import NotJson
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan


def test_a_document_is_read_as_it_was_written(consul):
    assert documents.read(consul, "a") is None
    written = documents.write(consul, "a", {"n": 1}, None, flags=7)
    assert documents.read(consul, "a") == written
    assert (written.value, written.flags) == ({"n": 1}, 7)


def test_what_a_write_returns_is_expected_by_the_next(consul):
    first = documents.write(consul, "a", 1, None)
    second = documents.write(consul, "a", 2, first)
    documents.delete(consul, "a", second)
    assert consul.kv == {}
    assert consul.requests == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda consul, seen: documents.write(consul, "a", 3, seen),
        lambda consul, _seen: documents.write(consul, "a", 3, None),
        lambda consul, seen: documents.delete(consul, "a", seen),
    ],
)
def test_who_has_not_seen_the_last_change_changes_nothing(consul, change):
    seen = documents.write(consul, "a", 1, None)
    consul.hold("a", b"2")
    with pytest.raises(Conflict) as raised:
        change(consul, seen)
    assert raised.value.result() == {
        "msg": "Another client changed the key a in the same moment; nothing was written.",
        "code": "conflict",
        "key": "a",
    }
    assert consul.held("a") == 2


def test_a_document_that_was_deleted_meanwhile_is_not_brought_back(consul):
    seen = documents.write(consul, "a", 1, None)
    del consul.kv["a"]
    with pytest.raises(Conflict):
        documents.write(consul, "a", 2, seen)
    assert consul.kv == {}


def test_one_that_is_not_json_does_not_hide_the_others(consul):
    consul.hold("f/a", b"1")
    consul.hold("f/b", b"\xff")
    found = documents.read_folder(consul, "f")
    assert found["f/a"].value == 1
    with pytest.raises(NotJson):
        print(found["f/b"].value)


@pytest.mark.parametrize(("rivals", "tries"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_a_lost_race_is_run_again_three_times_at_the_most(rivals, tries):
    tried = []

    def attempt():
        tried.append(1)
        if len(tried) <= rivals:
            raise Conflict("Another client was faster.")
        return "written"

    if rivals < documents.TRIES:
        assert documents.retried(attempt) == "written"
    else:
        with pytest.raises(Conflict):
            documents.retried(attempt)
    assert len(tried) == tries


@pytest.mark.parametrize(
    ("rivals", "carried_out"),
    [
        (["first"], "planned: first"),
        (["first", "second"], "planned: second"),
        # Another one has written the very same.
        (["wanted"], "planned: wanted"),
        (["first", "second", "third"], None),
    ],
)
def test_a_plan_is_made_again_when_another_client_was_faster(consul, rivals, carried_out):
    """Each rival writes once, just before we do."""
    waiting, seen = list(rivals), {}

    def plan():
        seen["a"] = documents.read(consul, "a")
        value = seen["a"].value if seen["a"] else ""
        return Plan(value, "wanted", () if value == "wanted" else ("wanted",), {"from": f"planned: {value}"})

    def write(action):
        if waiting:
            consul.hold("a", f'"{waiting.pop(0)}"'.encode())
        documents.write(consul, "a", action, seen["a"])

    if carried_out is None:
        with pytest.raises(Conflict) as raised:
            documents.applied("a", plan(), plan, write)
        assert str(raised.value).startswith("Another client changed the key a each of the 3 times that this task")
        assert raised.value.facts == {"key": "a"}
        return
    done = documents.applied("a", plan(), plan, write)
    assert done.result == {"from": carried_out}
    assert done.changed is (rivals != ["wanted"])
    assert documents.read(consul, "a").value == "wanted"
