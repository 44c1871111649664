# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of a rolling update and of a rollback: which release, the plan, and what is told at the end."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations import roll_out
from ansible_collections.scaleout.platform.plugins.module_utils.operations.roll_out import Chosen
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Pool
from ansible_collections.scaleout.platform.plugins.module_utils.releases.rollout import (
    Asked,
    Outcome,
    Server,
    Share,
    read,
)

PLATFORM = Platform(
    hosts={"vm1": {"platform_failure_domain": "x"}, "vm2": {}, "vm3": {}},
    groups={"shop": ["vm1", "vm2", "vm3"]},
    applications={"shop": Application("shop", "shop", "scaleout.platform.app", "shop", pool=Pool(2, 4))},
)
PACKED = {"version": "8f434346648f", "digest": "8f434346648f" + "0" * 52}
ASKED = Asked("shop")


def there(fallback="1.9", previous="1.8", versions="1.8 1.9", unconfirmed=False, **notes):
    """What a host has; notes are keyed by `v1_9`."""
    releases = {
        version: {"digest": f"digest of {version}", "noted": 1.0, **notes.get(f"v{version.replace('.', '_')}", {})}
        for version in versions.split()
    }
    return {"fallback": fallback, "previous": previous, "releases": releases, "unconfirmed": unconfirmed}


def test_what_a_run_is_about():
    request = read(["shop"], {"application": "shop", "batch_delay": 3})
    assert roll_out.asked(PLATFORM, request) == {
        "application": {"name": "shop", "role": "scaleout.platform.app"},
        "hosts": ["vm1", "vm2", "vm3"],
        "delay": 3.0,
        "healthy_for": 10.0,
    }


@pytest.mark.parametrize(
    ("request_", "settings", "version"),
    [
        (ASKED, {}, "8f434346648f"),
        (ASKED, {"version": "2.0"}, "2.0"),
        (Asked("shop", "2.1"), {"version": "2.0"}, "2.1"),
    ],
)
def test_the_release_of_an_update(request_, settings, version):
    chosen = roll_out.for_update(request_, PACKED, settings, {"vm1": there()})
    assert chosen == Chosen(version, PACKED["digest"])
    assert chosen.document() == {"version": version, "schema_serves": "", "one_way": ""}


TWO = {"version": "2.0", "schema_serves": "1.9"}
NO_WAY_BACK = (
    "Release 2.0 cannot be rolled back once it is deployed: its schema serves 1.9 and later, and vm2 serves 1.8."
)


def test_an_update_that_makes_its_own_rollback_impossible_says_so_before_it_starts():
    hosts = {"vm1": there("1.9"), "vm2": there("1.8")}
    with pytest.raises(Refused) as raised:
        roll_out.for_update(ASKED, PACKED, TWO, hosts)
    assert raised.value.code == "no_way_back"
    assert raised.value.message == (
        f"{NO_WAY_BACK} Deploy a release in between first, or accept it with -e accept_no_rollback=2.0."
    )
    accepted = roll_out.for_update(Asked("shop", accept_no_rollback="2.0"), PACKED, TWO, hosts)
    assert accepted.one_way == NO_WAY_BACK
    assert not roll_out.for_update(ASKED, PACKED, TWO, {"vm1": there("1.9")}).one_way


def test_the_word_names_the_release():
    with pytest.raises(InvalidInput, match=r"accept_no_rollback: '1\.9' is not the release that would be deployed"):
        roll_out.for_update(Asked("shop", accept_no_rollback="1.9"), PACKED, TWO, {"vm1": there("1.8")})


def test_a_version_that_cannot_be_compared_with_the_schema():
    with pytest.raises(InvalidInput, match=r"version: 'next' is compared with schema_serves \(1\.9\)"):
        roll_out.for_update(Asked("shop", "next"), PACKED, TWO, {"vm1": there()})


@pytest.mark.parametrize(
    ("request_", "hosts", "version"),
    [
        (ASKED, {"vm1": there(), "vm2": there()}, "1.8"),
        (Asked("shop", "1.9"), {"vm1": there("2.0", "1.8", "1.8 1.9 2.0")}, "1.9"),
        # A rollout that was cut short is gone back from, not the one before it.
        (ASKED, {"vm1": there("1.9", "1.8", "1.8 1.9 2.0", unconfirmed=True), "vm2": there("1.9", "1.8")}, "1.9"),
    ],
)
def test_the_release_of_a_rollback(request_, hosts, version):
    chosen = roll_out.for_rollback(request_, {"command": ["serve"]}, hosts)
    assert (chosen.version, chosen.digest) == (version, f"digest of {version}")
    assert chosen.document()["archive"] == {
        "version": version,
        "digest": f"digest of {version}",
        "path": "",
        "image": None,
        "programs": {},
        "command": [],
    }


FLOOR = {"v2_0": {"schema_serves": "1.9", "noted": 5.0}}
IMAGE = {"image": {"command": ["serve"], "working_directory": "/"}, "programs": {"serve": "/bin/serve"}}


@pytest.mark.parametrize(
    ("request_", "settings", "hosts", "code", "says"),
    [
        (
            Asked("shop", "1.7"),
            {},
            {"vm1": there(), "vm2": there(versions="1.7 1.9")},
            "no_release",
            "Release 1.7 is not on vm1; on all hosts there is 1.9.",
        ),
        (
            ASKED,
            {},
            {"vm1": there(previous="1.8"), "vm2": there(previous=None)},
            "no_release",
            "The hosts do not agree on the release that served before (1.8 on vm1, none on vm2); name one with -e "
            "version=.",
        ),
        (
            Asked("shop", "1.8"),
            {},
            {"vm1": there("2.0", "1.9", "1.8 1.9 2.0", **FLOOR)},
            "below_schema",
            "The schema of the database serves 1.9 and later, and a rollback does not migrate; release 1.8 would meet "
            "a schema that it does not know.",
        ),
        # What serves by now makes no difference: the schema is still that of 2.0.
        (
            Asked("shop", "1.8"),
            {},
            {"vm1": there("1.9", "2.0", "1.8 1.9 2.0", **FLOOR)},
            "below_schema",
            "The schema of the database serves 1.9 and later",
        ),
        (
            ASKED,
            {},
            {"vm1": there(), "vm2": there(v1_8={"digest": "other"})},
            "differs",
            "Release 1.8 is not the same on all hosts; deploy it from its source instead.",
        ),
        (
            ASKED,
            {"image": "registry/shop:2"},
            {"vm1": there()},
            "no_release",
            "It was not noted how the image of release 1.8 is run; deploy it from its image instead.",
        ),
        (
            ASKED,
            {"image": "registry/shop:2", "workers": [{"command": ["mail"]}]},
            {"vm1": there(v1_8=IMAGE)},
            "no_release",
            "It was not noted how mail of release 1.8 is run; deploy it from its image instead.",
        ),
    ],
)
def test_a_rollback_that_is_refused(request_, settings, hosts, code, says):
    with pytest.raises(Refused) as raised:
        roll_out.for_rollback(request_, settings, hosts)
    assert raised.value.code == code
    assert raised.value.message.startswith(says)


def test_an_image_is_run_as_it_was_noted():
    chosen = roll_out.for_rollback(ASKED, {"image": "registry/shop:2"}, {"vm1": there(v1_8=IMAGE)})
    assert chosen.archive["image"] == IMAGE["image"]
    assert chosen.archive["programs"] == {"serve": "/bin/serve"}
    assert chosen.archive["command"] == ["serve"]


def test_a_rollback_to_what_the_schema_serves():
    hosts = {"vm1": there("2.0", "1.9", "1.8 1.9 2.0", **FLOOR)}
    assert roll_out.for_rollback(ASKED, {}, hosts).version == "1.9"


@pytest.mark.parametrize(
    ("hosts", "code", "says"),
    [
        ([], "unreachable", "No host of the pool answers."),
        (["vm1", "vm2"], "incomplete", "Nothing was changed, for some hosts could not be looked at. vm2: no disk"),
    ],
)
def test_a_host_that_cannot_be_looked_at_keeps_the_run_from_starting(hosts, code, says):
    failures = [{"kind": "failed", "host": "vm2", "service": "shop", "reason": "no disk"}]
    with pytest.raises(Refused) as raised:
        roll_out.refuse_unread(hosts, {"vm1": {}}, failures)
    assert (raised.value.code, raised.value.message) == (code, says)


def predicted(turn="drain", ready=True):
    return {"turn": turn, "health": {"ready": ready}}


def test_the_plan_is_readable():
    hosts = {"vm1": there(), "vm2": there(unconfirmed=True), "vm3": there("2.0")}
    said = {"vm1": predicted(), "vm2": predicted(ready=False), "vm3": predicted("none")}
    pool = roll_out.servers(PLATFORM, list(hosts), hosts, said)
    assert pool[0] == Server("vm1", "1.9", domain="x")
    plan = roll_out.plan(PLATFORM, Asked("shop", parallelism=Share(3)), Chosen("2.0"), pool)
    assert plan["batches"] == [
        {"number": 1, "of": 2, "hosts": ["vm2"], "healthy_for": 10.0},
        {"number": 2, "of": 2, "hosts": ["vm1"], "healthy_for": 0.0},
    ]
    assert plan["told"] == [
        "shop: release 2.0, 1 at a time (not 3: the pool keeps its minimum of 2); each is watched for 10 s before the "
        "next",
        "   1. vm2  1.9 -> 2.0  (canary: healthy for 10 s before it gets requests, not healthy now, an earlier run was "
        "cut short here)",
        "   2. vm1  1.9 -> 2.0",
        "unchanged: vm3",
        "at the first failure, all that were updated go back to the release that they had",
    ]


def test_a_plan_of_nothing():
    pool = [Server("vm1", "2.0", due=False), Server("vm2", "2.0", due=False)]
    plan = roll_out.plan(PLATFORM, ASKED, Chosen("2.0"), pool)
    assert plan == {"batches": [], "told": ["shop: all of vm1, vm2 serve 2.0; nothing is to be done"]}


def test_a_plan_without_a_way_back_and_one_of_other_settings():
    plan = roll_out.plan(PLATFORM, ASKED, Chosen("2.0", one_way="It is so."), [Server("vm1", "2.0")])
    assert "  2.0 -> 2.0  (canary: healthy for 10 s before it gets requests, other settings)" in plan["told"][1]
    assert plan["told"][-1] == "no way back, as accepted: It is so."


POOL = {name: Server(name, "1.9") for name in ("vm1", "vm2", "vm3")}
ENDED = {"vm1": ("ended",)}


def failed(host):
    return {"kind": "failed", "host": host, "service": "shop", "reason": "it died"}


@pytest.mark.parametrize(
    ("outcome", "now", "back", "failures", "lines", "troubles"),
    [
        (Outcome(("vm1", "vm2", "vm3")), dict.fromkeys(POOL, "2.0"), {}, [], ["2.0: vm1, vm2, vm3"], []),
        (
            Outcome((), ("vm1",)),
            {"vm1": "1.9"},
            {},
            [failed("vm1")],
            ["1.9: vm1, vm2, vm3"],
            ["vm1 failed: it died"],
        ),
        (
            Outcome(("vm1",), ("vm2",), (), ("vm1",)),
            {"vm1": "1.9", "vm2": "1.9"},
            ENDED,
            [failed("vm2"), {**failed("vm9"), "service": "another"}],
            ["1.9: vm1, vm2, vm3", "taken back: vm1"],
            ["vm2 failed: it died"],
        ),
        (
            Outcome(("vm1",), (), ("vm2",), ("vm1",)),
            {},
            {"vm1": ("failed",)},
            [],
            ["1.9: vm3", "2.0, not confirmed: vm1, vm2"],
            [
                "vm2 was lost in its turn; the next run finishes it.",
                "vm1 could not be taken back: it may still serve 2.0, not confirmed.",
            ],
        ),
        # It failed, and was lost while it put itself back.
        (
            Outcome(("vm1",), ("vm2",), (), ("vm1",)),
            {"vm1": "1.9"},
            ENDED,
            [],
            ["1.9: vm1, vm3", "2.0, not confirmed: vm2", "taken back: vm1"],
            ["vm2 was lost in its turn; the next run finishes it."],
        ),
        (
            Outcome(("vm1", "vm2")),
            {"vm1": "2.0"},
            {},
            [],
            ["1.9: vm3", "2.0: vm1", "2.0, not confirmed: vm2"],
            ["vm3 did not get 2.0.", "vm2 was lost before 2.0 was confirmed."],
        ),
    ],
)
def test_the_summary(outcome, now, back, failures, lines, troubles):
    assert roll_out.summary("shop", Chosen("2.0"), outcome, POOL, now, back, failures) == (lines, troubles)


def test_the_summary_of_an_update_without_a_way_back():
    outcome = Outcome(("vm1",), ("vm2",))
    chosen = Chosen("2.0", one_way="It is so.")
    _lines, troubles = roll_out.summary("shop", chosen, outcome, POOL, {"vm1": "2.0", "vm2": "1.9"}, {}, [])
    assert troubles == ["Nothing was taken back, since that was accepted; 2.0 stays on: vm1."]


def test_the_summary_where_no_host_had_its_turn():
    lines, troubles = roll_out.summary("shop", Chosen("2.0"), Outcome(), POOL, {}, {}, [failed("vm2")], "Not ready.")
    assert lines == ["1.9: vm1, vm2, vm3"]
    assert troubles == ["Not ready.", "vm2 failed: it died"]
