# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who gets a lock, who is told of whom, and when a lock counts as left."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents, lock
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict

ANNE = {"run": "1", "user": "anne"}
BOB = {"run": "2", "user": "bob"}


def test_a_free_lock_is_taken_and_taken_again_and_released(consul):
    assert lock.take(consul, "l", ANNE, now=100, patience=60) is None
    assert lock.take(consul, "l", ANNE, now=130, patience=60) is None
    assert consul.held("l") == {"holder": ANNE, "since": 100, "renewed": 130, "patience": 60}
    assert lock.release(consul, "l", ANNE)
    assert consul.kv == {}
    assert not lock.release(consul, "l", ANNE)


def test_the_second_is_told_who_holds_it_and_since_when(consul):
    lock.take(consul, "l", ANNE, now=100, patience=60)
    lock.take(consul, "l", ANNE, now=150, patience=60)
    with pytest.raises(lock.Held) as raised:
        lock.take(consul, "l", BOB, now=210, patience=5)
    assert raised.value.result() == {
        "msg": "The lock l is held by run 1, user anne.",
        "code": "held",
        "holder": ANNE,
        "since": 100,
        "renewed": 150,
        "until": 210,
    }
    with pytest.raises(lock.Held):
        lock.look(consul, "l", BOB, now=210)
    for holder, now in ((ANNE, 210), (BOB, 211)):
        lock.look(consul, "l", holder, now)
    assert not lock.release(consul, "l", BOB)
    assert consul.held("l")["holder"] == ANNE


@pytest.mark.parametrize(
    ("now", "gone", "taken"),
    [(160, False, False), (161, False, True), (101, True, True), (50, False, False)],
)
def test_a_lock_is_left_when_its_holder_is_silent_or_dead(consul, now, gone, taken):
    lock.take(consul, "l", ANNE, now=100, patience=60)
    asked = []

    def is_gone(holder):
        asked.append(holder)
        return gone

    if taken:
        assert lock.take(consul, "l", BOB, now, 60, is_gone) == ANNE
        assert consul.held("l")["since"] == now
    else:
        with pytest.raises(lock.Held):
            lock.take(consul, "l", BOB, now, 60, is_gone)
    assert asked in ([ANNE], [])


def is_anne(holder):
    return holder == ANNE


@pytest.mark.parametrize(
    ("now", "holder", "facts"),
    [
        (160, ANNE, None),
        (161, ANNE, {"holder": {}, "since": 100, "renewed": 100}),
        (100, None, {"holder": {}}),
        (100, BOB, {"holder": BOB, "since": 100, "renewed": 100}),
    ],
)
def test_a_fence_is_had_only_of_a_lock_that_is_ours_and_has_not_expired(consul, now, holder, facts):
    if holder:
        lock.take(consul, "l", holder, now=100, patience=60)
    if facts is None:
        assert lock.fence(consul, "l", is_anne, now) == documents.Fence("l", consul.kv["l"].modify_index)
        return
    with pytest.raises(lock.LeaseLost) as raised:
        lock.fence(consul, "l", is_anne, now)
    assert (raised.value.code, raised.value.facts) == ("lease_lost", facts)


def test_a_write_behind_a_fence_fails_if_the_lock_has_changed(consul):
    lock.take(consul, "l", ANNE, now=100, patience=60)
    fence = lock.fence(consul, "l", is_anne, now=100)
    written = documents.write(consul, "a", 1, None, fence=fence)
    lock.take(consul, "l", BOB, now=161, patience=60)
    with pytest.raises(Conflict) as raised:
        documents.write(consul, "a", 2, written, fence=fence)
    assert raised.value.facts == {"key": "a"}
    assert consul.held("a") == 1


def test_of_two_who_find_it_free_one_gets_it(consul):
    def rival():
        consul.before_commit = None
        lock.take(consul, "l", BOB, now=100, patience=60)

    consul.before_commit = rival
    with pytest.raises(lock.Held, match="user bob"):
        lock.take(consul, "l", ANNE, now=100, patience=60)
    assert consul.held("l")["holder"] == BOB


def test_a_holder_who_takes_it_again_meanwhile_still_releases_it(consul):
    lock.take(consul, "l", ANNE, now=100, patience=60)

    def renewed():
        consul.before_commit = None
        lock.take(consul, "l", ANNE, now=101, patience=60)

    consul.before_commit = renewed
    assert lock.release(consul, "l", ANNE)
    assert consul.kv == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (b"[]", "invalid_lock"),
        (b'{"holder": {}}', "invalid_lock"),
        (b'{"holder": [], "since": 1, "renewed": 1, "patience": 1}', "invalid_lock"),
        (b'{"holder": {}, "since": 1, "renewed": "1", "patience": 1}', "invalid_lock"),
        (b'{"holder": {}, "since": 1, "renewed": true, "patience": 1}', "invalid_lock"),
    ],
)
def test_what_is_no_lock_is_left_alone(consul, text, code):
    consul.hold("l", text)
    for change in (
        lambda: lock.take(consul, "l", ANNE, 100, 60),
        lambda: lock.release(consul, "l", ANNE),
        lambda: lock.fence(consul, "l", is_anne, 100),
    ):
        with pytest.raises(lock.Refused) as raised:
            change()
        assert raised.value.code == code
        assert raised.value.message.startswith("The key l holds ")
    assert consul.kv["l"].value == text
