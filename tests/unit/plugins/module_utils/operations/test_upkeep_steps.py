# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order a database is kept, and what is told of it."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations.upkeep_steps import Step, steps, told

DATABASE = {
    "database": "shop",
    "partition_sets": [{"table": "orders"}],
    "summaries": [{"name": "a"}, {"name": "b"}],
    "materialized_views": [{"name": "v"}],
}
NOTHING = {"database": "other", "partition_sets": [], "summaries": [], "materialized_views": []}


def short(step):
    return (step.database, step.module.rpartition(".")[2], step.options.get("state"))


def test_the_order():
    expected = [
        ("shop", "partition_set", None),
        ("shop", "summary_table", "present"),
        ("shop", "summary_table", "present"),
        ("shop", "summary_table", "folded"),
        ("shop", "summary_table", "verified"),
        ("shop", "materialized_view", None),
        ("shop", "table_upkeep", None),
        ("other", "table_upkeep", None),
    ]
    assert [short(step) for step in steps([DATABASE, NOTHING], verify=True)] == expected
    assert [short(step) for step in steps([DATABASE, NOTHING])] == [one for one in expected if one[2] != "verified"]
    assert {step.options["login_db"] for step in steps([DATABASE])} == {"shop"}


def test_summaries_are_folded_and_verified_for_each_owner():
    """Those of an owner whom no one names would be passed over."""
    owners = [{"name": "a", "owner": "app"}, {"name": "b", "owner": "app"}, {"name": "c"}]
    done = [
        step for step in steps([{**NOTHING, "summaries": owners}], verify=True) if step.label.startswith("summaries")
    ]
    assert [(step.options["state"], step.options.get("owner")) for step in done] == [
        ("folded", "app"),
        ("verified", "app"),
        ("folded", None),
        ("verified", None),
    ]


@pytest.mark.parametrize(
    ("module", "result", "lines"),
    [
        ("partition_set", {"sets": [{"table": "t", "created": [], "retired": [], "moved": 0}]}, []),
        (
            "partition_set",
            {
                "sets": [
                    {
                        "table": "t",
                        "created": [{"name": "t_y2026m01"}, {"name": "t_y2026m02"}],
                        "retired": [{"name": "t_y2024m01", "action": "detached"}, {"name": "old", "action": "kept"}],
                        "moved": 7,
                    }
                ]
            },
            [
                "t: t_y2026m01, t_y2026m02 created",
                "t: t_y2024m01 detached",
                "t: 7 rows of the default partition moved",
            ],
        ),
        ("summary_table", {"outcome": "none"}, []),
        ("summary_table", {"outcome": "created"}, ["created"]),
        ("summary_table", {"outcome": "folded", "folded": 12}, ["12 rows folded"]),
        ("summary_table", {"outcome": "exact"}, ["exact"]),
        (
            "summary_table",
            {"outcome": "drifted", "verified": [{"summary": "public.s", "drifted": 2, "exact": False}]},
            ["not what the tables have: public.s in 2 groups; reseed: true counts again"],
        ),
        (
            "summary_table",
            {
                "outcome": "drifted",
                "verified": [{"summary": "public.s", "drifted": 0, "exact": False, "altered": ["x is called y now"]}],
            },
            ["public.s cannot be compared: x is called y now"],
        ),
        ("materialized_view", {"views": [{"name": "v", "action": "none", "reason": "due in 3 minutes"}]}, []),
        (
            "materialized_view",
            {"views": [{"name": "v", "action": "refreshed", "reason": "it was asked for"}]},
            ["v refreshed, because it was asked for"],
        ),
        (
            "table_upkeep",
            {
                "analyzed": ["public.t"],
                "frozen": [{"table": f"public.p{n}"} for n in range(8)],
                "waiting": 3,
                "locked": [],
            },
            [
                "public.t analyzed",
                "public.p0, public.p1, public.p2, public.p3, public.p4, public.p5 and 2 more frozen, "
                "3 more wait for the next runs",
            ],
        ),
        (
            "table_upkeep",
            {"locked": ["analyze public.t"]},
            ["left to the next run, as others had a lock: analyze public.t"],
        ),
        ("table_upkeep", {"failed": True, "code": "denied", "msg": "No."}, ["failed [denied]: No."]),
        ("table_upkeep", {"failed": True}, ["failed [failed]: see above."]),
    ],
)
def test_what_is_told(module, result, lines):
    step = Step("shop", "part", f"scaleout.platform.{module}", {})
    assert told(step, result) == [f"shop: part: {line}" for line in lines]


def test_check_mode_tells_what_would_be():
    step = Step("shop", "tables", "scaleout.platform.table_upkeep", {})
    assert told(step, {"analyzed": ["public.t"]}, check_mode=True) == ["shop: tables: public.t would be analyzed"]
