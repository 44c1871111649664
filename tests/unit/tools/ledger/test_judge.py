# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judging: what the client was told before, what it is told now, and what that is worth."""

from __future__ import annotations

import json

import pytest

from tools.ledger.judge import (
    EXISTS,
    Answer,
    Outcome,
    Row,
    judge_change,
    judge_create,
    judge_delete,
    judge_list,
    judge_read,
)

OK, FAILED, WRONG = Outcome.OK, Outcome.FAILED, Outcome.WRONG
ID = "01938c9e-7b1a-7cc0-8000-000000000001"
OTHER = "01938c9e-7b1a-7cc0-8000-000000000002"


def answer(status, body=None):
    return Answer(status, json.dumps(body).encode() if body is not None else b"")


def row(*writes):
    """A row acknowledged with name A, after further writes: (changes, outcome)."""
    made = Row(ID, {"name": "A", "email": "e"})
    for changes, outcome in writes:
        made.settle(changes, outcome)
    return made


def told(**fields):
    return {"id": ID, "name": "A", "email": "e", "created_at": "2026-01-01T00:00:00Z", **fields}


LOST_B = ({"name": "B"}, FAILED)
KEPT_C = ({"name": "C"}, OK)
GONE = ({EXISTS: False}, OK)
PERHAPS_GONE = ({EXISTS: False}, FAILED)


@pytest.mark.parametrize(
    ("writes", "told", "outcome"),
    [
        pytest.param([], answer(200, told()), OK, id="as acknowledged"),
        pytest.param([], answer(404, {}), WRONG, id="an acknowledged row is missing"),
        pytest.param([], answer(200, told(name="Z")), WRONG, id="a value that was never written"),
        pytest.param([], answer(200, told(id=OTHER)), WRONG, id="another user's row"),
        pytest.param([KEPT_C], answer(200, told(name="C")), OK, id="the newer value"),
        pytest.param([KEPT_C], answer(200, told(name="A")), WRONG, id="older than the last acknowledged"),
        pytest.param([LOST_B], answer(200, told(name="A")), OK, id="a lost write did not happen"),
        pytest.param([LOST_B], answer(200, told(name="B")), OK, id="a lost write happened"),
        pytest.param([LOST_B, KEPT_C], answer(200, told(name="C")), OK, id="acknowledged after a lost one"),
        pytest.param([LOST_B, KEPT_C], answer(200, told(name="B")), OK, id="a lost write happened late"),
        pytest.param([LOST_B, KEPT_C], answer(200, told(name="A")), WRONG, id="older than both"),
        pytest.param([LOST_B], answer(200, told(email="x")), WRONG, id="a lost write excuses its field only"),
        pytest.param([LOST_B], answer(404, {}), WRONG, id="a lost change excuses no loss"),
        pytest.param([GONE], answer(404, {}), OK, id="deleted"),
        pytest.param([GONE], answer(200, told()), WRONG, id="deleted, and back"),
        pytest.param([PERHAPS_GONE], answer(404, {}), OK, id="perhaps deleted: gone"),
        pytest.param([PERHAPS_GONE], answer(200, told()), OK, id="perhaps deleted: there"),
        pytest.param([PERHAPS_GONE], answer(200, told(name="Z")), WRONG, id="perhaps deleted: there, but wrong"),
        pytest.param([], Answer(200, b"<html>"), WRONG, id="success with rubbish"),
        pytest.param([], Answer(200, b""), WRONG, id="success with nothing"),
        pytest.param([], answer(200, [told()]), WRONG, id="success of another shape"),
        pytest.param([], answer(200, told(name=["A"])), WRONG, id="a value of another type"),
        pytest.param([], answer(200, {"id": ID}), WRONG, id="fields are missing"),
        pytest.param([], answer(204), WRONG, id="a success of another kind"),
        pytest.param([], answer(302), WRONG, id="sent elsewhere"),
        pytest.param([], answer(422, {}), WRONG, id="a valid request refused"),
        pytest.param([], answer(503, {}), FAILED, id="503"),
        pytest.param([], answer(500, {}), FAILED, id="500"),
        pytest.param([], answer(429, {}), FAILED, id="429"),
        pytest.param([], Answer(error="TimeoutError"), FAILED, id="no answer"),
        pytest.param([GONE], answer(503, {}), FAILED, id="503 for a deleted row"),
    ],
)
def test_read(writes, told, outcome):
    judgement = judge_read(row(*writes), told)
    assert judgement.outcome is outcome, judgement
    assert bool(judgement.detail) is (outcome is not OK)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (answer(201, told()), OK),
        (answer(200, told()), WRONG),
        (answer(201, told(name="Z")), WRONG),
        (answer(201, told(id=None)), WRONG),
        (answer(201, told(id="17")), WRONG),
        (answer(201, [ID]), WRONG),
        (Answer(201, b'{"id": "0193'), WRONG),
        (answer(404, {}), WRONG),
        (answer(503, {}), FAILED),
        (Answer(error="ConnectionResetError"), FAILED),
    ],
)
def test_create(told, outcome):
    assert judge_create({"name": "A", "email": "e"}, told).outcome is outcome


@pytest.mark.parametrize(
    ("writes", "told", "outcome"),
    [
        ([], answer(200, told(name="N")), OK),
        ([], answer(200, told()), WRONG),
        ([], answer(200, told(name="N", email="x")), WRONG),
        ([], answer(200, told(name="N", id=OTHER)), WRONG),
        ([], answer(200, "N"), WRONG),
        ([], answer(404, {}), WRONG),
        ([PERHAPS_GONE], answer(404, {}), OK),
        ([LOST_B], answer(200, told(name="B")), WRONG),
        ([({"email": "x"}, FAILED)], answer(200, told(name="N", email="x")), OK),
        ([], answer(502), FAILED),
    ],
)
def test_change(writes, told, outcome):
    assert judge_change(row(*writes), {"name": "N"}, told).outcome is outcome


@pytest.mark.parametrize(
    ("writes", "told", "outcome"),
    [
        ([], answer(204), OK),
        ([], answer(404, {}), WRONG),
        ([PERHAPS_GONE], answer(404, {}), OK),
        ([], answer(200, {}), WRONG),
        ([], answer(504), FAILED),
    ],
)
def test_delete(writes, told, outcome):
    assert judge_delete(row(*writes), told).outcome is outcome


@pytest.mark.parametrize(
    ("writes", "items", "outcome"),
    [
        pytest.param([], [told()], OK, id="complete"),
        pytest.param([], [], WRONG, id="a row is missing"),
        pytest.param([GONE], [], OK, id="deleted"),
        pytest.param([GONE], [told()], WRONG, id="deleted, and back"),
        pytest.param([PERHAPS_GONE], [], OK, id="perhaps deleted"),
        pytest.param([KEPT_C], [told()], WRONG, id="an older value"),
        pytest.param([], [told(), told()], WRONG, id="twice"),
        pytest.param([], [told(), told(id=OTHER, name="Z")], WRONG, id="a stranger"),
        pytest.param([], [told(), told(id=OTHER, name="lost")], OK, id="a lost creation happened"),
        pytest.param([], [told(), "x"], WRONG, id="rubbish among the rows"),
        pytest.param([], {}, WRONG, id="no list"),
    ],
)
def test_list(writes, items, outcome):
    assert judge_list([row(*writes)], {"lost"}, "name", answer(200, {"items": items})).outcome is outcome


def test_list_that_is_a_bare_array():
    assert judge_list([row()], (), "name", answer(200, [told()])).outcome is WRONG


def test_list_that_failed():
    assert judge_list([row()], (), "name", answer(503, {})).outcome is FAILED
