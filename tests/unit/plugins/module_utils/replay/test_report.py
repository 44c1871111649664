# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person reads of a replay."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.replay import report
from ansible_collections.scaleout.platform.plugins.module_utils.replay.report import Breach, Doubling, Outcome
from ansible_collections.scaleout.platform.plugins.module_utils.replay.scores import score
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Setup, simulate
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import Trace

# Needed 1 3 3 1 2, serving 1 1 2 2 1: too few for two intervals, and for the last one.
DEMAND = (100.0, 250.0, 250.0, 100.0, 150.0)


DOUBLINGS = (Doubling(1, 240.0), Doubling(5, None))


def outcome(name="policy", sizes=(None, 2, None, None, 1), doublings=DOUBLINGS, said=()):
    left = iter(sizes)
    run = simulate(Trace(1000.0, 60.0, DEMAND), lambda *_seen: next(left), Setup(100.0, 1, 5, starts_in=60.0))
    return Outcome(name, run, score(run), doublings, said)


def test_a_breach_has_its_length_and_what_held_the_pool():
    said = ["calm", "grows", "cooldown", "calm", "unproven"]
    assert report.breaches(outcome(said=said)) == [
        Breach(1060.0, 120.0, 2, {"grows": 60.0, "cooldown": 60.0}),
        Breach(1240.0, 60.0, 1, {"unproven": 60.0}),
    ]
    # A policy of others does not say why.
    assert [breach.because for breach in report.breaches(outcome())] == [{}, {}]
    assert report.breaches(outcome(sizes=[3] * 5, said=said)) == []


def test_the_capacity_is_told_where_it_changes():
    assert report.capacity(outcome().run) == [
        {"at": 1000.0, "serving": 1, "ordered": 1},
        {"at": 1060.0, "serving": 1, "ordered": 2},
        {"at": 1120.0, "serving": 2, "ordered": 2},
        {"at": 1240.0, "serving": 1, "ordered": 1},
    ]


def test_the_tables_have_a_row_for_each_policy():
    outcomes = [outcome(), outcome("hpa", sizes=[3] * 5, doublings=())]
    head, ours, theirs = report.rows(outcomes)
    assert dict(zip(head, ours, strict=True)) == {
        "policy": "policy",
        "too few": "3 min",
        "longest": "2 min",
        # 150 + 50 of 250 requests a second, then 50 of 150: 250 * 60 of 850 * 60.
        "refused": "29.41 %",
        "member-hours": "0.1",
        "actions": "2",
        "flaps": "1",
        "doubles": "5 in more than a day",
    }
    assert (theirs[0], theirs[-1]) == ("hpa", "-")
    head, ours, _theirs = report.score_rows(outcomes)
    assert dict(zip(head, ours, strict=True)) == {
        "policy": "policy",
        # (2/3 + 1/3 + 1/2) / 5, and 1 of 1 too many in one of five.
        "theta_U": "30.0 %",
        "theta_O": "20.0 %",
        "tau_U": "60.0 %",
        "tau_O": "20.0 %",
        # The demand moves + 0 - +, the supply 0 + 0 -.
        "upsilon": "100.0 %",
    }


def test_the_tables_are_aligned():
    lines = report.table([outcome(), outcome("a longer name")])
    assert lines[0].startswith("policy         too few")
    assert len({line.index(" %") for line in lines[1:3]}) == 1
    assert lines[3] == ""
    assert len({len(line) for line in lines[4:]}) == 1
    assert max(map(len, lines)) < 100


def test_what_is_worse_is_named_and_nothing_else():
    late, hpa = outcome(), outcome("hpa", sizes=[3] * 5)
    assert [(one["than"], one["score"]) for one in report.worse(late, hpa)] == [("hpa", "tau_u"), ("hpa", "actions")]
    assert [one["score"] for one in report.worse(hpa, late)] == ["member_hours"]
    assert report.worse(late, late) == []


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (
            [outcome(said=["calm", "grows", "cooldown", "calm", "something else"])],
            [
                "policy: 2 actions in 5 min, 1 to 2 members, 0.1 member-hours.",
                "It had too few members 2 times, 3 min in all, at most 2 too few; 29.41 % of the requests ",
                "Of that time, in a cooldown: 60 s; growing: 60 s; something else: 60 s.",
                "It doubles a pool of 1 in 4 min.",
                "It doubles a pool of 5 in more than a day.",
            ],
        ),
        (
            [outcome(sizes=[5] * 5, doublings=()), outcome("hpa"), outcome("other", sizes=[5] * 5)],
            [
                "policy: 1 action in 5 min, 1 to 5 members, 0.4 member-hours.",
                "It never had too few members.",
                "Worse than hpa: member-hours 0.4 against 0.1.",
                "Not worse than other in time with too few members, member-hours and actions.",
            ],
        ),
    ],
    ids=["breaches", "compared"],
)
def test_it_is_told_in_sentences(outcomes, expected):
    lines = report.told(outcomes)
    assert [line[: len(words)] for line, words in zip(lines, expected, strict=True)] == expected


def test_one_that_never_had_too_few_says_so():
    calm = outcome()
    run = dataclasses.replace(calm.run, needed=(1,) * 5)
    assert "It never had too few members." in report.told([dataclasses.replace(calm, run=run)])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (90, "90 s"), (120, "2 min"), (3480, "58 min"), (7200, "2 h"), (27600, "7.667 h"), (360000, "100 h")],
)
def test_a_time_is_written_for_a_person(seconds, expected):
    assert report.span(seconds) == expected


def test_the_page_stands_alone_and_is_well_formed():
    text = report.page("<shop> & co", [outcome(), outcome("hpa")])
    root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n").replace('<meta charset="utf-8">', ""))
    assert root.find("head/title").text == "<shop> & co"
    assert [row[0].text for row in root.iter("tr")] == ["policy", "policy", "hpa"] * 2
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 3
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
