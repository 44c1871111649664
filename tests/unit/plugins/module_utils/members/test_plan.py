# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who joins and who leaves."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.plan import Pool, Range, plan, settle, write_off
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import Member, Record

EARLIER, LATER, NOW = "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"
STATIC = tuple(Member(f"api{number}", f"192.0.2.2{number}", "docker") for number in (1, 2, 3))
RANGE = Range("192.0.2.128/29", "api{n}")
POOL = Pool((("spare1", "192.0.2.91"), ("spare2", "192.0.2.92")))


def record(text, **since):
    """Make a record from ``api1 api4:joining``; names up to 3 have the inventory's addresses."""
    found = []
    for word in text.split():
        name, _colon, state = word.partition(":")
        number = int(name.lstrip("api"))
        address = f"192.0.2.2{number}" if number <= 3 else f"192.0.2.{125 + number}"
        found.append(Member(name, address, "docker", "", state or "member", since.get(name)))
    return Record("api", tuple(found))


def written(record):
    """The other way round."""
    return " ".join(
        member.name if member.state == "member" else f"{member.name}:{member.state}" for member in record.members
    )


def names(members):
    return " ".join(member.name for member in members)


@pytest.mark.parametrize(
    ("before", "count", "joining", "leaving", "staying", "after"),
    [
        # without a record
        (None, 3, "", "", "api1 api2 api3", None),
        (None, 5, "api4 api5", "", "api1 api2 api3", "api1 api2 api3 api4:joining api5:joining"),
        (None, 2, "", "api3", "api1 api2", "api1 api2 api3:leaving"),
        # with one
        ("api1 api2 api3 api4", 4, "", "", "api1 api2 api3 api4", "api1 api2 api3 api4"),
        ("api1 api2 api3", 3, "", "", "api1 api2 api3", "api1 api2 api3"),
        ("api1 api2 api3 api5", 5, "api4", "", "api1 api2 api3 api5", "api1 api2 api3 api5 api4:joining"),
        ("api1 api2 api3 api4 api5", 4, "", "api5", "api1 api2 api3 api4", "api1 api2 api3 api4 api5:leaving"),
        ("api1 api2 api3 api4", 2, "", "api3 api4", "api1 api2", "api1 api2 api3:leaving api4:leaving"),
        # what the inventory has comes back first
        ("api1", 3, "api2 api3", "", "api1", "api1 api2:joining api3:joining"),
        ("api1 api2", 4, "api3 api4", "", "api1 api2", "api1 api2 api3:joining api4:joining"),
        # a run that broke off is carried on
        ("api1 api2 api3 api4:joining", 4, "api4", "", "api1 api2 api3", "api1 api2 api3 api4:joining"),
        ("api1 api2 api3:leaving", 2, "", "api3", "api1 api2", "api1 api2 api3:leaving"),
        (
            "api1 api2 api3 api4:joining",
            5,
            "api4 api5",
            "",
            "api1 api2 api3",
            "api1 api2 api3 api4:joining api5:joining",
        ),
        # no member that is leaving is used again
        ("api1 api2 api3:leaving", 3, "api4", "api3", "api1 api2", "api1 api2 api3:leaving api4:joining"),
        ("api1 api2:leaving api3", 1, "", "api2 api3", "api1", "api1 api2:leaving api3:leaving"),
        # who does not serve yet goes first
        ("api1 api2 api3 api4:joining api5", 4, "", "api4", "api1 api2 api3 api5", "api1 api2 api3 api4:leaving api5"),
    ],
)
def test_a_plan(before, count, joining, leaving, staying, after):
    present = record(before) if before else None
    planned = plan("api", STATIC, present, count, RANGE, NOW)
    assert planned.before == present
    assert (names(planned.joining), names(planned.leaving), names(planned.staying)) == (joining, leaving, staying)
    assert (written(planned.after) if planned.after else None) == after


@pytest.mark.parametrize(
    ("since", "leaves"),
    [
        ({"api3": NOW, "api4": EARLIER, "api5": LATER}, "api5"),  # api3 is the inventory's
        ({"api4": LATER, "api5": EARLIER}, "api4"),
        ({"api4": EARLIER, "api5": EARLIER, "api10": EARLIER}, "api10"),
    ],
)
def test_the_newest_leaves(since, leaves):
    present = record("api1 api2 api3 " + " ".join(name for name in since if name != "api3"), **since)
    planned = plan("api", STATIC, present, len(present.members) - 1, RANGE, NOW)
    assert names(planned.leaving) == leaves


def test_the_newest_leaves_also_where_the_inventory_names_it():
    """The plugin's own additions may have found their way into the list of static members."""
    present = record("api1 api2 api3 api4", api4=EARLIER)
    planned = plan("api", present.members, present, 3, RANGE, NOW)
    assert names(planned.leaving) == "api4"


def test_who_comes_and_goes_has_the_time_and_who_stays_keeps_its_own():
    planned = plan("api", STATIC, record("api1 api2 api3 api4", api4=EARLIER), 3, RANGE, NOW)
    assert {member.name: member.since for member in planned.after.members} == {
        "api1": None,
        "api2": None,
        "api3": None,
        "api4": NOW,
    }
    planned = plan("api", STATIC, record("api1 api2 api3 api4:joining", api4=EARLIER), 5, RANGE, NOW)
    assert [member.since for member in planned.joining] == [EARLIER, NOW]


def test_names_and_addresses_are_the_lowest_free_ones():
    source = Range("192.0.2.128/29", "app-{n}", frozenset({"app-1", "192.0.2.130"}))
    others = [Member("app-3", "192.0.2.131", "docker"), Member("app-4", "192.0.2.9", "docker", state="leaving")]
    planned = plan("api", STATIC, record("api1 api2 api3 api4"), 6, source, NOW, others=others)
    assert [(member.name, member.address) for member in planned.joining] == [
        ("app-2", "192.0.2.132"),
        ("app-5", "192.0.2.133"),
    ]


def test_a_name_of_the_inventory_is_not_given_to_another_address():
    others = [Member("thing", "192.0.2.23", "docker")]
    planned = plan("api", STATIC, record("api1 api2"), 3, RANGE, NOW, others=others)
    assert [(member.name, member.address) for member in planned.joining] == [("api4", "192.0.2.129")]


def test_a_pool_is_taken_in_its_order_and_skips_who_is_taken():
    present = Record("api", (*record("api1 api2 api3").members, Member("spare1", "192.0.2.91", "static")))
    planned = plan("api", STATIC, present, 5, POOL, NOW)
    assert [(member.name, member.address, member.provider) for member in planned.joining] == [
        ("spare2", "192.0.2.92", "static")
    ]
    planned = plan("api", STATIC, None, 4, POOL, NOW, others=[Member("spare1", "192.0.2.91", "static")])
    assert names(planned.joining) == "spare2"


def test_a_group_may_begin_empty():
    planned = plan("api", (), None, 2, RANGE, NOW)
    assert written(planned.after) == "api1:joining api2:joining"


@pytest.mark.parametrize(
    ("count", "options", "says"),
    [
        (0, {}, "count: 0 is below the minimum of api, 1."),
        (-1, {}, "count: -1 is below the minimum of api, 1."),
        (1, {"minimum": 2}, "count: 1 is below the minimum of api, 2."),
        (5, {"maximum": 4}, "count: 5 is above the maximum of api, 4."),
        (3, {"minimum": 0}, "minimum: 0 is below 1."),
        (3, {"minimum": 4, "maximum": 2}, "maximum: 2 is below the minimum of api, 4."),
        (4, {"source": Range("192.0.2.128/33", "api{n}")}, "address_range: '192.0.2.128/33' is not a network"),
        (4, {"source": Range("192.0.2.129/25", "api{n}")}, "address_range: '192.0.2.129/25' is not a network"),
        (4, {"source": Range(None, "api{n}")}, "address_range: None is not a network, such as 192.0.2.128/25."),
        (4, {"source": Range("192.0.2.128/29", "api")}, "name_pattern: 'api' does not have {n} once"),
        (4, {"source": Range("192.0.2.128/29", "-{n}")}, "name_pattern: '-1' gives no host: '-1' is not the name"),
        (4, {"source": Pool((("a b", "192.0.2.9"),))}, "pool: 'a b' gives no host: 'a b' is not the name of a host."),
    ],
)
def test_an_option_that_can_never_work(count, options, says):
    with pytest.raises(InvalidInput, match=f"^{re.escape(says)}"):
        plan("api", STATIC, None, count, options.pop("source", RANGE), NOW, **options)


@pytest.mark.parametrize(
    ("count", "source", "says"),
    [
        (
            6,
            POOL,
            "count: the static pool has 2 hosts left of the 3 that api=6 needs: add hosts to the pool, or ask for 5 at "
            "the most.",
        ),
        (
            5,
            Pool(()),
            "count: the static pool has 0 hosts left of the 2 that api=5 needs: add hosts to the pool, or ask for 3 at "
            "the most.",
        ),
        (10, RANGE, "address_range: 192.0.2.128/29 has 6 free addresses of the 7 that api=10 needs."),
    ],
)
def test_hosts_that_run_out(count, source, says):
    with pytest.raises(Refused, match=f"^{re.escape(says)}$"):
        plan("api", STATIC, None, count, source, NOW)


def test_a_spare_host_that_is_still_leaving_is_named_with_what_ends_that():
    before = Record("api", (*STATIC, Member("spare1", "192.0.2.91", "static", "", "leaving", EARLIER)))
    with pytest.raises(Refused) as refused:
        plan("api", STATIC, before, 5, POOL, NOW)
    assert "has 1 host left of the 2 that api=5 needs" in refused.value.message
    assert refused.value.message.endswith(
        "spare1 is still leaving api: scale.yml with the number of members that there are now finishes that, and then "
        "they can be had again."
    )


# Histories: any sequence of plans, broken off anywhere

steps = st.lists(
    st.tuples(st.integers(1, 8), st.sets(st.integers(0, 9)), st.sampled_from(["docker", "static"])), max_size=8
)
BIG_POOL = Pool(tuple((f"spare{number}", f"192.0.2.{90 + number}") for number in range(20)))
BIG_RANGE = Range("192.0.2.128/25", "api{n}")


@given(steps)
def test_any_history_keeps_its_promises(history):
    present = None
    for count, done, provider in history:
        planned = plan("api", STATIC, present, count, BIG_POOL if provider == "static" else BIG_RANGE, NOW)
        # As many as asked for, and everyone is in one place.
        assert len(planned.joining) + len(planned.staying) == count
        everyone = [*planned.joining, *planned.leaving, *planned.staying]
        assert len({member.name for member in everyone}) == len(everyone)
        if planned.after is None:
            assert present is None
            assert planned.staying == STATIC
            continue
        assert sorted(member.name for member in planned.after.members) == sorted(member.name for member in everyone)
        # No member is forgotten, and none that leaves comes back before it is gone.
        if present:
            was = {member.name: member for member in present.members}
            now = {member.name: member for member in planned.after.members}
            assert set(was) <= set(now)
            assert all(now[name].address == member.address for name, member in was.items())
            assert all(now[name].state == "leaving" for name, member in was.items() if member.state == "leaving")
        # A second run plans the same and writes nothing.
        again = plan("api", STATIC, planned.after, count, BIG_RANGE, LATER)
        assert again.after == planned.after
        assert (again.joining, again.staying) == (planned.joining, planned.staying)
        # The run breaks off: only some of it is done.
        joined = [member.name for at, member in enumerate(planned.joining) if at in done]
        left = [member.name for at, member in enumerate(planned.leaving) if at in done]
        present = settle(planned.after, "api", joined, left, NOW)


@given(steps, st.integers(1, 8))
def test_any_history_is_repaired_by_one_whole_run(history, count):
    present = None
    for step, done, _provider in history:
        planned = plan("api", STATIC, present, step, BIG_RANGE, NOW)
        joined = [member.name for at, member in enumerate(planned.joining) if at in done]
        present = settle(planned.after, "api", joined, [], NOW)
    planned = plan("api", STATIC, present, count, BIG_RANGE, NOW)
    present = settle(
        planned.after,
        "api",
        [member.name for member in planned.joining],
        [member.name for member in planned.leaving],
        NOW,
    )
    assert len(present.members if present else STATIC) == count
    assert all(member.state == "member" for member in (present.members if present else ()))


# Settling


@pytest.mark.parametrize(
    ("before", "joined", "left", "after"),
    [
        ("api1 api4:joining api5:leaving", "api4", "api5", "api1 api4"),
        ("api1 api4:joining api5:leaving", "", "", "api1 api4:joining api5:leaving"),
        ("api1 api4:joining", "", "api4", "api1"),
        ("api1 api4", "api4", "", "api1 api4"),
        ("api1", "", "api9", "api1"),
    ],
)
def test_a_settled_record(before, joined, left, after):
    assert written(settle(record(before), "api", joined.split(), left.split(), NOW)) == after


def test_a_settled_member_has_its_id_and_its_time():
    before = record("api1 api4:joining", api4=EARLIER)
    settled = settle(before, "api", ["api1", "api4"], [], NOW, {"api4": "0c5f"})
    assert [(member.since, member.provider_id) for member in settled.members] == [(None, ""), (NOW, "0c5f")]
    assert settle(settled, "api", ["api1", "api4"], [], LATER) == settled


def test_without_a_record_no_member_has_to_leave():
    assert settle(None, "api", [], ["api3"], NOW) is None


@pytest.mark.parametrize(
    ("before", "joined", "left", "says"),
    [
        ("api1", ["api4"], [], "api4 cannot have joined api: the record does not name it."),
        ("api1 api4:leaving", ["api4"], [], "api4 cannot have joined api: it is leaving."),
        ("api1", [], ["api1"], "api1 cannot have left api: the record has it as a member that stays."),
        (None, ["api1"], [], "api1 cannot have joined api: no record says that it was to join."),
    ],
)
def test_what_was_not_expected_is_refused(before, joined, left, says):
    with pytest.raises(Refused, match=f"^{re.escape(says)}$"):
        settle(record(before) if before else None, "api", joined, left, NOW)


def test_a_host_cannot_have_come_and_gone():
    with pytest.raises(InvalidInput, match=r"^joined: 'api4' is in left as well\.$"):
        settle(record("api4:joining"), "api", ["api4"], ["api4"], NOW)


@pytest.mark.parametrize(
    ("before", "count", "leave", "health", "joining", "leaving"),
    [
        # L2: who is dead goes first, then who fails, then who does not serve yet, and only then the newest.
        ("api1 api2 api3", 2, "", {"api2": "dead"}, "", "api2"),
        ("api1 api2 api3", 2, "", {"api1": "failing"}, "", "api1"),
        ("api1 api2 api3", 2, "", {"api1": "failing", "api2": "dead"}, "", "api2"),
        ("api1 api2 api3", 1, "", {"api1": "failing", "api2": "dead"}, "", "api1 api2"),
        ("api1 api2 api3 api4:joining", 3, "", {"api2": "dead", "api4": "serving"}, "api4", "api2"),
        ("api1 api2 api3", 2, "", {"api1": "serving", "api2": "serving", "api3": "serving"}, "", "api3"),
        (None, 2, "", {"api1": "dead"}, "", "api1"),
        # A member that is named goes, whoever is dead.
        ("api1 api2 api3", None, "api2", {}, "", "api2"),
        ("api1 api2 api3", 2, "api1", {"api3": "dead"}, "", "api1"),
        ("api1 api2 api3", 1, "api1", {"api2": "dead"}, "", "api1 api2"),
        ("api1 api2 api3", 3, "api1", {}, "api4", "api1"),
        (None, None, "api2", {}, "", "api2"),
        ("api1 api2 api3:leaving", None, "api3", {}, "", "api3"),
    ],
)
def test_l2_who_leaves_first(before, count, leave, health, joining, leaving):
    present = record(before) if before else None
    planned = plan("api", STATIC, present, count, RANGE, NOW, leave=leave.split(), health=health)
    assert (names(planned.joining), names(planned.leaving)) == (joining, leaving)


@pytest.mark.parametrize(
    ("count", "leave", "sentence"),
    [
        (2, ["api9"], "leave: 'api9' is not a member of api, which has api1, api2, api3."),
        (None, ["api1", "api2", "api3"], "count: 0 is below the minimum of api, 1."),
    ],
)
def test_who_cannot_leave(count, leave, sentence):
    with pytest.raises(InvalidInput, match=re.escape(sentence)):
        plan("api", STATIC, record("api1 api2 api3"), count, RANGE, NOW, leave=leave)


@pytest.mark.parametrize(
    ("source", "known", "joining"),
    [
        (RANGE, {}, "api4"),
        (RANGE, {"api4": False}, "api5"),
        (RANGE, {"api4": True}, "api5"),
        # What is alive in Consul is there for what else it does.
        (POOL, {"spare1": True}, "spare1"),
        (POOL, {"spare1": False}, "spare2"),
    ],
)
def test_s11_a_name_comes_back_only_when_consul_has_forgotten_it(source, known, joining):
    assert names(plan("api", STATIC, record("api1 api2 api3"), 4, source, NOW, known=known).joining) == joining


def test_s11_a_pool_of_which_consul_still_knows_all_says_so():
    known = {"spare1": False, "spare2": False}
    with pytest.raises(Refused, match=r"Consul still knows spare1, spare2 from before; forget\.yml ends that\."):
        plan("api", STATIC, record("api1 api2 api3"), 4, POOL, NOW, known=known)


def vms(text):
    """A record as `record` makes it, of VMs that stay."""
    return Record("api", tuple(dataclasses.replace(member, provider="static") for member in record(text).members))


@pytest.mark.parametrize(
    ("before", "lost", "after"),
    [
        ("api1 api2 api3", "api2", "api1 api2:lost api3"),
        ("api1 api2:joining", "api2", "api1 api2:lost"),
        ("api1 api2:leaving", "api2", "api1 api2:lost"),
        ("api1 api2:lost", "api2", "api1 api2:lost"),
        ("api1 api2", "pg2", "api1 api2"),
    ],
)
def test_l3_a_host_is_written_off(before, lost, after):
    present = vms(before)
    found = write_off(present, "api", STATIC, [lost], NOW)
    assert written(found) == after
    assert (found is present) == (before == after)


def test_l3_without_a_record_the_inventory_s_members_are_the_others():
    static = vms("api1 api2 api3").members
    assert written(write_off(None, "api", static, ["api2"], NOW)) == "api1 api2:lost api3"
    assert write_off(None, "api", static, ["pg2"], NOW) is None


def test_l3_of_a_host_that_its_provider_makes_nothing_is_kept():
    assert written(write_off(record("api1 api4"), "api", STATIC, ["api4"], NOW)) == "api1"


def test_l3_the_last_member_is_not_written_off():
    with pytest.raises(Refused, match="api1 cannot be written off, because api would have no member left") as refused:
        write_off(vms("api1 api2:leaving"), "api", STATIC, ["api1"], NOW)
    assert refused.value.code == "last_member"


@pytest.mark.parametrize(
    ("known", "count", "joining", "leaving", "after"),
    [
        # Its name and its address stay taken, and it counts for nothing.
        ({}, 2, "", "", "api1 api2:lost api3"),
        ({"api2": False}, 3, "api4", "", "api1 api2:lost api3 api4:joining"),
        # It is back: it is cleaned, and may be used again after that.
        ({"api2": True}, 2, "", "api2", "api1 api2:leaving api3"),
        ({"api2": True}, 3, "api4", "api2", "api1 api2:leaving api3 api4:joining"),
    ],
)
def test_l3_a_host_that_was_written_off_comes_back(known, count, joining, leaving, after):
    planned = plan("api", STATIC, vms("api1 api2:lost api3"), count, RANGE, NOW, known=known)
    assert (names(planned.joining), names(planned.leaving), written(planned.after)) == (joining, leaving, after)


def test_l3_a_host_that_was_written_off_does_not_join():
    with pytest.raises(Refused, match="api2 cannot have joined api: it is lost"):
        settle(vms("api1 api2:lost"), "api", ["api2"], [], NOW)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("api1 api2:leaving", "api1 api2"),
        # Told twice, it is the same.
        ("api1 api2", "api1 api2"),
        ("api1 api2:joining", None),
        ("api1 api2:lost", None),
        ("api1", None),
    ],
)
def test_who_was_leaving_may_stay_after_all(before, after):
    if after is None:
        with pytest.raises(Refused, match="api2 cannot stay in api: ") as refused:
            settle(record(before), "api", [], [], NOW, kept=["api2"])
        assert refused.value.code == "not_expected"
        return
    kept = settle(record(before), "api", [], [], NOW, kept=["api2"])
    assert written(kept) == after
    assert kept.get("api1").since is None


def test_who_stays_has_not_left():
    with pytest.raises(InvalidInput, match="kept: 'api2' is in joined or left as well"):
        settle(record("api1 api2:leaving"), "api", [], ["api2"], NOW, kept=["api2"])
