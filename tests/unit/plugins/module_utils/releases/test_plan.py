# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a host gets from what is there to what is wanted, step by step and back."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.releases import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.releases.plan import (
    EXCHANGE,
    JOURNAL,
    LINK,
    MAKE,
    NOTE,
    PRUNE,
    REPAIR,
    RESTORE,
    STAGE,
    UNPACK,
    UNSTAGE,
    File,
    Journal,
    Present,
    Release,
    Wanted,
)

TEXTS = {"environment": "A=1\n", "secrets": "PASSWORD=swordfish\n", "unit": "[Unit]\n"}
FILES = {name: File(text, planner.mode_of(name)) for name, text in TEXTS.items()}
ONE = Release("one", "digest-1", "digest-1", used=1.0)
TWO = Release("two", "digest-2", "digest-2", used=2.0)
WANTED = Wanted("two", "digest-2", TEXTS)
BARE = Present()
SETTLED = Present(tree=True, releases=(ONE, TWO), current="two", previous="one", files=FILES)


def settled(**facts) -> Present:
    return dataclasses.replace(SETTLED, **facts)


def edited(name: str, **changes) -> dict:
    return {**FILES, name: dataclasses.replace(FILES[name], **changes)}


@pytest.mark.parametrize(
    ("present", "actions", "pending"),
    [
        (SETTLED, (), False),
        (BARE, (MAKE, UNPACK, STAGE), True),
        (settled(tree=False), (MAKE,), False),
        (settled(releases=(ONE,), current="one"), (UNPACK, STAGE), True),
        (settled(current="one"), (STAGE,), True),
        (settled(current="/tmp"), (STAGE,), True),
        (settled(current=None), (STAGE,), True),
        (settled(releases=(ONE, dataclasses.replace(TWO, found="other"))), (REPAIR, STAGE), True),
        (settled(releases=(ONE, dataclasses.replace(TWO, digest="", found="other"))), (REPAIR, STAGE), True),
        (settled(files=edited("environment", text="A=2\n")), (STAGE,), True),
        (settled(files=edited("secrets", mode=0o644)), (STAGE,), True),
        (settled(files=edited("unit", mode=-1)), (STAGE,), True),
        (settled(files={}), (STAGE,), True),
        # Cut short after the exchange: the files are right, and it is not known whether the process has them.
        (settled(journal=Journal("one")), (STAGE,), True),
        # Cut short before it, and not wanted any more.
        (settled(staged=True), (UNSTAGE,), False),
    ],
)
def test_staging(present, actions, pending):
    plan = planner.stage(present, WANTED)
    assert plan.actions == actions
    assert plan.result["pending"] is pending
    assert plan.result["missing"] is bool({UNPACK, REPAIR} & set(actions))
    assert (plan.before != plan.after) is pending


def test_a_version_cannot_be_used_again():
    with pytest.raises(Refused, match="Release two is already there with other contents"):
        planner.stage(SETTLED, dataclasses.replace(WANTED, digest="digest-3"))


def test_a_name_that_is_taken():
    for act in (lambda present: planner.stage(present, WANTED), planner.remove):
        with pytest.raises(Refused, match="something else of that name, with /etc/ssh/moduli"):
            act(settled(foreign="with /etc/ssh/moduli"))


@pytest.mark.parametrize("name", planner.FILES)
@pytest.mark.parametrize("present", [SETTLED, settled(files={}), BARE])
def test_the_diff_shows_what_differs_and_never_a_secret(present, name):
    texts = {**TEXTS, name: "B=tuna\n"}
    plan = planner.stage(present, dataclasses.replace(WANTED, files=texts))
    assert f"\n{name}, mode" in plan.after
    assert "swordfish" not in plan.before + plan.after
    assert ("tuna" in plan.after) is (name != "secrets")
    assert ("(not shown, changed)" in plan.after) is (name == "secrets" or not present.files)


def test_the_diff_tells_a_mode_from_a_change_of_secrets():
    plan = planner.stage(settled(files=edited("secrets", mode=0o644)), WANTED)
    assert "secrets, mode 0644" in plan.before
    assert "secrets, mode 0600\n(not shown)\n" in plan.after


@pytest.mark.parametrize(
    ("facts", "fallback"),
    [
        ({}, "two"),
        ({"current": None}, None),
        ({"current": "/tmp"}, None),
        ({"current": "gone"}, None),
        ({"journal": Journal("one")}, "one"),
        ({"journal": Journal(None)}, None),
    ],
)
def test_what_a_failed_exchange_goes_back_to(facts, fallback):
    assert planner.stage(settled(**facts), WANTED).result["fallback"] == fallback


@pytest.mark.parametrize(
    ("facts", "actions"),
    [
        ({"staged": True, "current": "one"}, (JOURNAL, EXCHANGE, LINK)),
        # The journal of a run that was cut short keeps what was last confirmed, and may lack a file of this one.
        ({"staged": True, "journal": Journal("one")}, (JOURNAL, EXCHANGE, LINK)),
        ({}, ()),
    ],
)
def test_activating(facts, actions):
    assert planner.activate(settled(**facts), "two").actions == actions


@pytest.mark.parametrize("facts", [{"current": "one"}, {"journal": Journal("one")}])
def test_activating_what_was_not_staged(facts):
    with pytest.raises(Refused, match="Release two is not staged"):
        planner.activate(settled(**facts), "two")


@pytest.mark.parametrize(
    ("facts", "actions", "restored"),
    [
        ({}, (), False),
        ({"staged": True}, (UNSTAGE,), False),
        ({"journal": Journal("one")}, (RESTORE,), True),
        ({"journal": Journal(None), "staged": True}, (RESTORE, UNSTAGE), True),
    ],
)
def test_reverting(facts, actions, restored):
    plan = planner.revert(settled(**facts))
    assert plan.actions == actions
    assert plan.result["restored"] is restored


def releases(count: int) -> tuple:
    return tuple(Release(str(number), "d", used=float(number)) for number in range(count))


def test_confirming_removes_the_longest_unused():
    present = Present(releases=releases(6), current="5", previous="0", journal=Journal("4"))
    plan = planner.confirm(present, keep=3)
    assert plan.actions == (planner.CONFIRM, (PRUNE, "0"), (PRUNE, "1"), (PRUNE, "2"))


def test_confirming_a_reverted_exchange_keeps_the_release_before():
    present = Present(releases=releases(4), current="1", previous="0", journal=Journal("1"))
    assert planner.confirm(present, keep=1).actions == (planner.CONFIRM, (PRUNE, "2"), (PRUNE, "3"))


def test_confirming_twice_does_nothing():
    assert not planner.confirm(SETTLED, keep=5).changed


@given(
    st.dictionaries(st.text("abc", min_size=1), st.floats(0, 9), min_size=1),
    st.integers(1, 9),
    st.data(),
)
def test_pruning_keeps_what_is_needed_and_enough(used, keep, data):
    needed = data.draw(st.sets(st.sampled_from(sorted(used)), max_size=2))
    present = [Release(version, "d", used=time) for version, time in used.items()]
    gone = planner.prune(present, keep, needed)
    kept = set(used) - set(gone)
    assert needed <= kept
    assert len(kept) == min(len(used), max(keep, len(needed)))
    free = kept - needed
    assert all(used[old] <= used[new] for old in gone for new in free)


def test_removing():
    assert planner.remove(SETTLED).changed
    assert planner.remove(Present(tree=True)).changed
    assert not planner.remove(BARE).changed


RELAY = {"relay.environment": "WHO=relay\n", "relay.unit": "[Unit]\n"}
RELAY_FILES = {name: File(text, planner.mode_of(name)) for name, text in RELAY.items()}


@pytest.mark.parametrize(
    ("files", "journal", "wanted", "pending", "fallback", "surplus"),
    [
        ({}, None, {}, False, [], []),
        ({}, None, RELAY, True, [], []),
        (RELAY_FILES, None, RELAY, False, ["relay"], []),
        (RELAY_FILES, None, {}, True, ["relay"], ["relay"]),
        # One of its two files was removed by hand.
        ({"relay.unit": RELAY_FILES["relay.unit"]}, None, RELAY, True, ["relay"], []),
        ({"relay.environment": RELAY_FILES["relay.environment"]}, None, {}, True, ["relay"], ["relay"]),
        # Cut short after the exchange that removed it: its process may still run.
        ({}, Journal("one", ("unit", "relay.unit")), {}, True, ["relay"], ["relay"]),
        # Cut short after the exchange that brought it.
        (RELAY_FILES, Journal("one", ("unit",)), RELAY, True, [], []),
        (RELAY_FILES, Journal("one", ("unit",)), {}, True, [], ["relay"]),
    ],
)
def test_workers(files, journal, wanted, pending, fallback, surplus):
    present = settled(files={**FILES, **files}, journal=journal)
    plan = planner.stage(present, dataclasses.replace(WANTED, files={**TEXTS, **wanted}))
    assert plan.result["pending"] is pending
    assert plan.result["fallback_workers"] == fallback
    assert plan.result["surplus_workers"] == surplus
    assert (plan.before != plan.after) is pending


def test_the_diff_of_a_worker():
    plan = planner.stage(SETTLED, dataclasses.replace(WANTED, files={**TEXTS, **RELAY}))
    assert "relay.environment, mode 0600\nWHO=relay\n" in plan.after
    assert "relay.unit, mode 0644\n[Unit]\n" in plan.after
    plan = planner.stage(settled(files={**FILES, **RELAY_FILES}), WANTED)
    assert "relay.environment, mode 0600\nWHO=relay\n" in plan.before
    assert "relay" not in plan.after


def test_removing_tells_who_may_be_running():
    present = settled(files={**FILES, **RELAY_FILES}, journal=Journal("one", ("mailer.unit",)))
    assert planner.remove(present).result["surplus_workers"] == ["mailer", "relay"]


def test_what_is_noted_of_a_release_is_no_reason_to_put_it_in_force():
    wanted = dataclasses.replace(WANTED, note={"schema_serves": "one"})
    plan = planner.stage(SETTLED, wanted)
    assert (plan.actions, plan.result["pending"]) == ((NOTE,), False)
    noted = settled(releases=(ONE, dataclasses.replace(TWO, note={"schema_serves": "one"}, noted=1.0)))
    assert planner.stage(noted, wanted).actions == ()
    assert planner.stage(BARE, wanted).actions == (MAKE, UNPACK, NOTE, STAGE)


#: A rolling update from one to two was killed. Each host is as it was left: untouched, with the release staged, put in
#: force and not proven, put back and not confirmed, or confirmed.
KILLED = {
    "untouched": settled(releases=(ONE,), current="one", previous=None),
    "staged": settled(current="one", previous=None, staged=True),
    "in force": settled(previous=None, journal=Journal("one")),
    "put back": settled(current="one", previous=None, journal=Journal("one")),
    "confirmed": SETTLED,
}


@pytest.mark.parametrize(
    ("left", "version", "pending", "fallback"),
    [
        # The next run goes forward to what it is told, and each host still has its way back to what was proven.
        ("untouched", "two", True, "one"),
        ("staged", "two", True, "one"),
        ("in force", "two", True, "one"),
        ("put back", "two", True, "one"),
        ("confirmed", "two", False, "two"),
        # Told to go back, only those that had been changed are.
        ("untouched", "one", False, "one"),
        ("staged", "one", False, "one"),
        ("in force", "one", True, "one"),
        ("put back", "one", True, "one"),
        ("confirmed", "one", True, "two"),
        # And so with a third release.
        ("in force", "three", True, "one"),
        ("confirmed", "three", True, "two"),
    ],
)
def test_the_run_after_a_rolling_update_that_was_killed(left, version, pending, fallback):
    wanted = Wanted(version, {"one": "digest-1", "two": "digest-2"}.get(version, "digest-3"), TEXTS)
    present = KILLED[left]
    looked = dataclasses.replace(
        present, releases=tuple(dataclasses.replace(each, found=each.digest) for each in present.releases)
    )
    plan = planner.stage(looked, wanted)
    assert (plan.result["pending"], plan.result["fallback"]) == (pending, fallback)
    # Staged and exchanged, a failure takes it to what was proven, and a success makes that the one before.
    journal = looked.journal or Journal(looked.current)
    exchanged = dataclasses.replace(looked, current=version, journal=journal)
    if pending:
        assert planner.revert(exchanged).actions == (RESTORE, *((UNSTAGE,) if looked.staged else ()))
        assert exchanged.fallback == fallback
        assert planner.CONFIRM in planner.confirm(exchanged, keep=5).actions
