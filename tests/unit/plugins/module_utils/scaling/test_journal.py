# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is remembered of a pool: pauses (A2), the action that runs (A4, A5), and what cannot be believed (A7)."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.consul import strict
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import history, journal
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.journal import Alert, Journal

from .world import NOW, action, case, decided, decision, pool_of, samples

UP = history.Action("up", 3, 5, 1, by="rule requests > 1000", why="1200/s", replaced=("api2",))
DOWN = history.Action("down", 5, 4, 1)
EMPTY = Journal("api")
BEGUN = EMPTY.begun(UP, "r1", NOW)
#: One of everything.
FULL = (
    BEGUN.finished("succeeded", NOW + 50)
    .paused(NOW + 7200, "sale", "ops", NOW + 60)
    .alerted(["cpu/api1", "silent/api2"], NOW, unsent=["silent/api2"])
    .begun(DOWN, "r2", NOW + 70)
)


def changed(**fields):
    """The full document with other fields; as text."""
    return json.dumps({**FULL.document(), **fields})


@pytest.mark.parametrize("one", [EMPTY, BEGUN, FULL, FULL.resumed(), Journal("_all").paused(NOW + 1, "why", "", NOW)])
def test_a_journal_is_read_as_it_was_written(one):
    assert journal.decode(json.dumps(one.document()), one.group) == one
    assert one.faults == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        case("", "not JSON", id="empty"),
        case("[]", "not an object", id="a-list"),
        case('{"version": 1, "version": 1}', "twice", id="twice"),
        case(changed(version=2), "version is 2, and 1 is the one", id="a-later-version"),
        case(changed(version=True), "version is True", id="a-boolean-version"),
        case('{"group": "api"}', "version is None", id="no-version"),
        case(changed(group="web"), "of the group 'web', not of api", id="another-group"),
        case(changed(mood=1), "'mood'", id="an-unknown-field"),
        case('{"version": 1, "group": "api"}', "lacks the field alerts", id="a-missing-field"),
        case(changed(history={}), "history is not a list", id="no-list"),
        case(changed(alerts=[]), "alerts are not an object", id="no-object"),
    ],
)
def test_a_document_that_is_none_of_ours_is_refused(text, said):
    """A5."""
    with pytest.raises(journal.InvalidJournal, match=said):
        journal.decode(text, "api")


BROKEN = [
    case("history", [action(), {"direction": "up"}], "Entry 2 of the history cannot be.", id="A7-an-entry"),
    case("history", [None], "Entry 1 of the history cannot be.", id="A7-no-entry"),
    case("history", [action() | {"mood": 1}], "mood", id="A7-an-entry-with-another-key"),
    case("history", [action() | {"finished": None, "outcome": None}], "has not finished", id="A7-an-entry-that-runs"),
    case("running", UP.document(), "The action that runs cannot be. It does not say which run", id="A7-no-run"),
    case("running", "up", "The action that runs cannot be.", id="A7-running-is-a-text"),
    case("running", {**action(), "run": "r"}, "It has finished", id="A7-what-runs-has-finished"),
    case("paused", {"until": 5}, "The pause cannot be.", id="A7-half-a-pause"),
    case("paused", {**FULL.document()["paused"], "until": "noon"}, "no time", id="A7-a-pause-until-noon"),
    case("paused", {**FULL.document()["paused"], "why": " "}, "not a text", id="A7-a-pause-without-a-reason"),
    case("paused", ["x" * 9999], "The pause cannot be.", id="A7-garbage-is-cut"),
]


@pytest.mark.parametrize(("field", "value", "said"), BROKEN)
def test_what_cannot_be_is_kept_and_named_and_holds_the_decision(field, value, said):
    """A7."""
    found = journal.decode(changed(**{field: value}), "api")
    (fault,) = found.faults
    assert said in fault
    assert len(fault) <= 300
    # It is still there after another change, and as it was.
    later = journal.decode(json.dumps(found.alerted(["cpu/api1"], NOW).document()), "api")
    assert [(one.place, one.value) for one in later.broken] == [(field, value[-1] if field == "history" else value)]
    # The pool would grow otherwise.
    quiet = dataclasses.replace(found, running=None, actions=())
    assert decision(history=quiet.past()).told()[:2] == [
        "Held at 3: up is wanted, asked by rule cpu > 70.",
        f"  {fault}",
    ]
    assert decided(history=quiet.repaired(NOW).past()) == "up 4"


@pytest.mark.parametrize("value", [None, 1, {}, {"since": 1}, {"since": "1", "sent": None}, {"since": 1, "sent": True}])
def test_an_alert_that_cannot_be_is_sent_again(value):
    found = journal.decode(changed(alerts={"cpu/api1": value, "cpu/api2": {"since": 5, "sent": 6}}), "api")
    assert found.sent == ["cpu/api2"]
    assert found.faults == []


def test_what_is_yet_to_come_holds_until_it_is_repaired_or_past():
    """A7."""
    late = dataclasses.replace(EMPTY, actions=(history.read(action(ago=-900)),))
    assert decided(history=late.past()) == "hold history"
    assert late.repaired(NOW).actions == ()
    assert late.repaired(NOW + 900).actions == late.actions


def test_an_action_begins_once_and_holds_the_others():
    """A4."""
    assert BEGUN.begun(UP, "r1", NOW + 9) is BEGUN
    assert decided(history=BEGUN.past()) == "hold running"
    for other, run in ((DOWN, "r1"), (UP, "r2")):
        with pytest.raises(journal.ActionRuns, match="up from 3 to 5 of the run r1 has not been finished") as raised:
            BEGUN.begun(other, run, NOW + 9)
        assert raised.value.code == "action_runs"
    with pytest.raises(journal.ActionRuns, match="cannot be read has not been finished"):
        journal.decode(changed(running=5), "api").begun(DOWN, "r1", NOW)


def test_an_action_has_its_outcome():
    ended = BEGUN.finished("called_off", NOW + 60, "The load is back", run="r1")
    assert ended.running is None
    assert ended.actions == (
        dataclasses.replace(UP, started=NOW, finished=NOW + 60, outcome="called_off", why="1200/s; The load is back"),
    )
    assert ended.finished("failed", NOW + 61) is ended
    with pytest.raises(journal.ActionRuns, match="of the run r1; r2 cannot finish it"):
        BEGUN.finished("succeeded", NOW + 60, run="r2")
    with pytest.raises(history.InvalidAction, match="outcome"):
        BEGUN.finished("fine", NOW + 60)


def test_an_action_does_not_finish_before_it_began():
    """The clocks of two hosts differ by a little."""
    (ended,) = BEGUN.finished("succeeded", NOW - 3).actions
    assert ended.finished == ended.started == NOW


def test_what_another_run_began_has_failed_for_who_holds_the_lease():
    """A5."""
    assert BEGUN.broken_off("r1", NOW + 60) is BEGUN
    assert EMPTY.broken_off("r2", NOW) is EMPTY
    (ended,) = BEGUN.broken_off("r2", NOW + 60).actions
    assert (ended.outcome, ended.finished, ended.why) == ("failed", NOW + 60, "1200/s; broke off")
    assert BEGUN.broken_off("r2", NOW + 60).begun(DOWN, "r2", NOW + 61).running.run == "r2"


def test_a_growth_that_broke_off_waits_before_it_is_tried_again():
    """A4."""
    broken = EMPTY.begun(UP, "r1", NOW - 20).broken_off("r2", NOW - 10)
    assert decided(history=broken.past()) == "hold back_off"
    assert decided(history=broken.past(), now=NOW + 21, readings=samples(330, until=-15)) == "up 4"


PAUSES = [
    case(None, None, None, id="A2-none"),
    case(60, None, 60, id="A2-the-pools-own"),
    case(None, 60, 60, id="A2-all-pools"),
    case(60, 90, 90, id="A2-the-longer-is-that-of-all"),
    case(90, 60, 90, id="A2-the-longer-is-its-own"),
    case(-1, 0, None, id="A2-both-have-ended"),
    case(-1, 60, 60, id="A2-one-has-ended"),
]


@pytest.mark.parametrize(("own", "everyone", "expected"), PAUSES)
def test_the_stricter_pause_counts_and_ends_by_itself(own, everyone, expected):
    """A2."""

    def of(group, seconds):
        one = Journal(group)
        return one if seconds is None else one.paused(NOW + seconds, "sale", "ops", NOW - 100)

    found = of("api", own).paused_at(NOW, of("_all", everyone))
    assert (found.until - NOW if found else None) == expected


def test_a_decision_shows_the_pause_and_who_set_it():
    """A2."""
    pause = dataclasses.asdict(FULL.pause)
    assert decided(pool=pool_of(paused=pause)) == "hold paused"
    assert pause == {"until": NOW + 7200, "why": "sale", "by": "ops", "since": NOW + 60}


def test_a_manual_change_shortens_no_pause():
    """A2."""
    assert FULL.paused(NOW + journal.MANUAL_PAUSE, "manual", "ops", NOW + 60, keep_longer=True) is FULL
    assert FULL.paused(NOW + 9000, "manual", "ops", NOW + 60, keep_longer=True).pause.why == "manual"
    assert FULL.paused(NOW + 60, "short", "ops", NOW).pause.until == NOW + 60
    unreadable = journal.decode(changed(paused=5), "api")
    assert unreadable.paused(NOW + 9000, "manual", "ops", NOW, keep_longer=True) is unreadable
    assert unreadable.paused(NOW + 9000, "sale", "ops", NOW).faults == unreadable.resumed().faults == []


def test_an_alert_is_out_until_it_has_cleared():
    """B3."""
    first = EMPTY.alerted(["a", "b"], NOW, unsent=["b"])
    assert first.alerts == {"a": Alert(NOW, NOW), "b": Alert(NOW, None)}
    assert first.sent == ["a"]
    second = first.alerted(["b", "a", "a"], NOW + 60)
    assert second.alerts == {"a": Alert(NOW, NOW), "b": Alert(NOW, NOW + 60)}
    assert second.alerted(["a"], NOW + 90).alerted(["a", "b"], NOW + 99).alerts["b"] == Alert(NOW + 99, NOW + 99)


@given(st.lists(st.tuples(st.floats(0, 5 * 86400), st.sampled_from(history.OUTCOMES)), max_size=260))
def test_the_history_is_bounded_in_number_and_in_age(steps):
    one, now = EMPTY, NOW
    for seconds, outcome in steps:
        now += seconds
        one = one.begun(UP, "r", now).finished(outcome, now + 1)
    assert len(one.actions) <= journal.MOST
    assert all(now - action.finished < journal.LONGEST for action in one.actions)
    assert list(one.actions) == sorted(one.actions, key=lambda action: action.finished)
    if steps:
        assert one.actions[-1].finished == now + 1
    assert journal.decode(json.dumps(one.document()), "api") == one


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[("2h", 7200), ("30m", 1800), ("90s", 90), ("1d", 86400), ("90", 90), (90, 90), (0.5, 0.5), ("1.5h", 5400)],
        *[(" 2 h ", 7200), ("30d", 30 * 86400), ("720h", 30 * 86400)],
    ],
)
def test_a_duration_is_read(value, seconds):
    """A2."""
    assert journal.parse_duration(value) == seconds


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "pause: 0 is no time at all."),
        ("0h", "pause: '0h' is no time at all."),
        ("0.0", "pause: '0.0' is no time at all."),
        (-5, "pause: -5 is negative."),
        ("-2h", "pause: '-2h' is negative."),
        ("31d", "pause: '31d' is longer than 30 days."),
        (2592001, "pause: 2592001 is longer than 30 days."),
        *[
            (value, f"pause: {value!r} is not a time such as 2h, 30m, 90s, 1d, or a number of seconds.")
            for value in ("", "h", "2w", "two hours", "2h30m", "1e3", "٢h", True, None, [], float("nan"), float("inf"))
        ],
    ],
)
def test_another_duration_is_refused_in_one_sentence(value, said):
    """A2."""
    with pytest.raises(InvalidInput) as raised:
        journal.parse_duration(value, "pause")
    assert raised.value.message == said


@pytest.mark.parametrize(
    ("why", "kept"),
    [
        case("sale", "sale", id="plain"),
        case("a\nfatal: [api1]: FAILED!\r\n\tb", "a fatal: [api1]: FAILED! b", id="lines"),
        case('it\'s "so" `now` {{ 1 / 0 }}', 'it\'s "so" `now` {{ 1 / 0 }}', id="quotes"),
        case("a\udcff\x1b[31m\0\u202eb", "a??[31m??b", id="what-nothing-shows"),
        case("é" * 10_000, "é" * 400 + "...", id="long"),
    ],
)
def test_a2_a_reason_is_one_line_that_can_be_written_and_read_again(why, kept):
    paused = EMPTY.paused(NOW + 9, why, why, NOW)
    assert (paused.pause.why, paused.pause.by) == (kept, kept)
    begun = EMPTY.begun(dataclasses.replace(UP, by=why, why=why), "r1", NOW)
    assert (begun.running.action.by, begun.running.action.why) == (kept, kept)
    # The same is not begun twice.
    assert begun.begun(dataclasses.replace(UP, by=why, why=why), "r1", NOW + 1) == begun
    for one in (paused, begun, begun.finished("failed", NOW + 1, why)):
        assert journal.decode(strict.render(one.document()), "api") == one


@pytest.mark.parametrize("text", ["Traceback " * 500, "Грунт " * 500, "\U0001f600" * 900])
def test_whatever_fails_how_often_and_with_what_words_the_journal_stays_small_enough_for_a_key(text):
    """What does not fit is not written, so an action could not finish any more."""
    one = EMPTY
    for tick in range(250):
        one = one.begun(dataclasses.replace(UP, by=text, why=text), "r1", NOW + tick).finished(
            "failed", NOW + tick, text
        )
    assert len(strict.render(one.document())) <= journal.LARGEST + 1000
    assert 20 < len(one.actions) <= journal.MOST
    assert one.actions[-1].started == NOW + 249


def test_alerts_of_many_members_make_no_action_go():
    one = EMPTY.alerted([f"shop:silent:api{number}" for number in range(4000)], NOW)
    assert len(strict.render(one.document())) > journal.LARGEST
    for tick in range(60):
        one = one.begun(UP, "r1", NOW + tick).finished("failed", NOW + tick)
    assert len(one.actions) == 60


@pytest.mark.parametrize("field", ["until", "since"])
def test_a_time_that_no_float_holds_cannot_be(field):
    pause = {**FULL.document()["paused"], field: 10**400}
    assert journal.read({**FULL.document(), "paused": pause}, "api").faults
    assert journal.read({**FULL.document(), "alerts": {"a": {"since": 10**400, "sent": None}}}, "api").alerts == {}


def test_a_person_reads_it_in_lines():
    assert FULL.text().splitlines() == [
        "api: paused until 2026-01-01 02:00:00 UTC: sale",
        "api: 2026-01-01 00:00:00 UTC up from 3 to 5: succeeded; rule requests > 1000; 1200/s",
        "api: 2026-01-01 00:01:10 UTC down from 5 to 4: runs",
        "api: alert cpu/api1",
        "api: alert silent/api2, not sent",
    ]
