# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens to hosts that leave, and what the summary says."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.members.outcome import Departure, Leaver, depart, tell


@pytest.mark.parametrize(
    ("provider", "needed", "clean", "expected"),
    [
        ("docker", False, True, Departure((), ("api4",), ("api4",), ("api4",))),
        # A container goes, however it is.
        ("docker", False, False, Departure(("api4",), ("api4",), ("api4",), ("api4",))),
        ("static", False, True, Departure((), ("api4",), ("api4",), ("api4",))),
        ("static", False, False, Departure(("api4",), (), (), ())),
        # S4: what is a cache as well loses neither its agent nor itself.
        ("docker", True, True, Departure((), (), (), ("api4",))),
        ("docker", True, False, Departure()),
        ("static", True, True, Departure((), (), (), ("api4",))),
    ],
)
def test_s4_a_host_that_leaves(provider, needed, clean, expected):
    assert depart([Leaver("api4", provider, needed, clean)]) == expected


HEALTH = {"api1": "serving", "api2": "serving", "api10": "serving"}


@pytest.mark.parametrize(
    ("health", "joining", "joined", "leaving", "left", "notes", "lines", "troubles"),
    [
        (HEALTH, "", "", "", "", [], ("api1, api2, api10", "none", "none"), []),
        (HEALTH, "api10", "api10", "", "", [], ("api1, api2, api10", "api10", "none"), []),
        (HEALTH, "", "", "api3", "api3", [], ("api1, api2, api10", "none", "api3"), []),
        (
            {**HEALTH, "api10": "failing"},
            "api10",
            "",
            "",
            "",
            [{"kind": "failed", "host": "api10", "reason": "It did not get healthy."}],
            ("api1, api2", "none", "none"),
            ["api10 does not serve and is tried again by the next run (It did not get healthy)"],
        ),
        (
            HEALTH,
            "",
            "",
            "api10",
            "",
            [],
            ("api1, api2", "none", "none"),
            [
                "api10 could not be cleaned and stays recorded as leaving; the next run tries again, and forget.yml "
                "-e host=api10 writes it off"
            ],
        ),
        (
            {**HEALTH, "api2": "dead", "api1": "failing"},
            "",
            "",
            "",
            "",
            [],
            ("api10", "none", "none"),
            [
                "api1 is a member of api and does not serve: its health check does not pass; -e leave=api1 takes it "
                "out",
                "api2 is a member of api and does not serve: its Consul agent is gone; -e leave=api2 takes it out",
            ],
        ),
        (
            HEALTH,
            "",
            "",
            "api3",
            "api3",
            [
                {"kind": "failed", "host": "api3", "reason": "it cannot be reached"},
                {"kind": "failed", "host": "pg2", "reason": "it does not answer"},
                {"kind": "prepared", "host": "api1"},
            ],
            ("api1, api2, api10", "none", "api3"),
            ["pg2: it does not answer"],
        ),
    ],
    ids=["nothing", "joined", "left", "not joined", "not left", "members that do not serve", "notes"],
)
def test_l2_the_summary_tells_who_serves(health, joining, joined, leaving, left, notes, lines, troubles):
    words = (text.split() for text in (joining, joined, leaving, left))
    told, found = tell("api", health, *words, notes)
    assert told == [f"serving: {lines[0]}", f"joined:  {lines[1]}", f"left:    {lines[2]}"]
    assert found == troubles


def test_what_a_decision_wanted_and_did_not_serve_is_said_once():
    notes = [{"kind": "failed", "host": "api10", "reason": "It did not get healthy."}]
    health = {"api1": "serving"}
    lines, troubles = tell("api", health, ["api10"], [], ["api10"], ["api10"], notes, ["api10"])
    assert troubles == ["api10 did not come to serve and leaves again (It did not get healthy)"]
    assert lines == ["serving: api1", "joined:  none", "left:    api10"]
