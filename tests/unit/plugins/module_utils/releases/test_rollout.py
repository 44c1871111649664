# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order of a rolling update, its batches, and who goes back."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.releases import rollout
from ansible_collections.scaleout.platform.plugins.module_utils.releases.rollout import Asked, Server, Share

SHOP = {"application": "shop"}


@pytest.mark.parametrize(
    ("given_", "asked"),
    [
        ({}, Asked("shop")),
        ({"version": "2.0"}, Asked("shop", "2.0")),
        ({"parallelism": "3"}, Asked("shop", parallelism=Share(3))),
        ({"parallelism": 3}, Asked("shop", parallelism=Share(3))),
        ({"parallelism": "25%"}, Asked("shop", parallelism=Share(25, percent=True))),
        ({"delay": "0", "minimum_healthy_time": "2.5"}, Asked("shop", delay=0.0, minimum_healthy_time=2.5)),
        ({"accept_no_rollback": "2.0"}, Asked("shop", accept_no_rollback="2.0")),
    ],
)
def test_what_is_asked(given_, asked):
    assert rollout.read(["shop"], {**SHOP, **given_}) == asked


SHARE = "is not how many servers at a time: a number from 1 on, or a percentage from 1% to 100%."


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"application": "shp"}, "application: 'shp' is not an application; there is blog or shop."),
        ({"application": ""}, "application: '' is not set; there is blog or shop."),
        ({"version": "../x"}, "version: '../x' is no name of a release: 1 to 64 letters, digits and ._+-, no dot f"),
        *(({"parallelism": bad}, f"parallelism: {bad!r} {SHARE}") for bad in ("0", "101%", "abc", "-1", "1.5", True)),
        ({"parallelism": "0%"}, f"parallelism: '0%' {SHARE}"),
        ({"version": 1.10}, "version: 1.1 is no text, and 1.10 would be 1.1; put it in quotes."),
        ({"version": False}, "version: False is no text"),
        ({"delay": 10**400}, "delay: 1000"),
        ({"delay": "-1"}, "delay: '-1' is not a number of seconds from 0 to 3600."),
        ({"delay": "nan"}, "delay: 'nan' is not a number of seconds from 0 to 3600."),
        ({"minimum_healthy_time": "5m"}, "minimum_healthy_time: '5m' is not a number of seconds from 0 to 3600."),
    ],
)
def test_what_is_refused(given_, says):
    with pytest.raises(ScaleoutError) as raised:
        rollout.read(["shop", "blog"], {**SHOP, **given_})
    assert raised.value.code == "invalid_input"
    assert raised.value.message.startswith(says)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ScaleoutError) as raised:
        rollout.read(["shop"], {"application": "x", "parallelism": "0", "delay": -1})
    assert len(raised.value.facts["problems"]) == 3


def test_a_rollback_has_nothing_to_accept():
    with pytest.raises(ScaleoutError, match="accept_no_rollback: '2' has no meaning for a rollback"):
        rollout.read(["shop"], {**SHOP, "accept_no_rollback": 2}, back=True)


@pytest.mark.parametrize(
    ("share", "pool", "number"),
    [
        (Share(1), 3, 1),
        (Share(9), 3, 3),
        (Share(25, percent=True), 8, 2),
        (Share(25, percent=True), 7, 1),
        (Share(25, percent=True), 3, 1),
        (Share(100, percent=True), 5, 5),
    ],
)
def test_how_many_at_a_time(share, pool, number):
    assert share.of(pool) == number


def servers(names: str, **facts) -> list[Server]:
    return [Server(name, "1", **facts) for name in names]


@pytest.mark.parametrize(
    ("pool", "hosts"),
    [
        (servers("abc"), "abc"),
        ([Server("a"), Server("b", ready=False), Server("c")], "bac"),
        ([Server("a"), Server("b", unconfirmed=True), Server("c", ready=False)], "cba"),
        ([Server("a"), Server("b", ready=False), Server("c", ready=False, unconfirmed=True)], "cba"),
        ([Server("a"), Server("b", due=False), Server("c")], "ac"),
        # a and b fail together, as do c and d: neighbours do not.
        ([Server(host, domain=domain) for host, domain in zip("abcd", "xxyy", strict=True)], "acbd"),
        ([Server(host, domain=domain) for host, domain in zip("abcd", "xxxy", strict=True)], "adbc"),
        ([Server("a", ready=False, domain="x"), Server("b", domain="x"), Server("c", domain="y")], "acb"),
    ],
)
def test_the_order(pool, hosts):
    assert "".join(server.host for server in rollout.order(pool)) == hosts


@pytest.mark.parametrize(
    ("pool", "share", "floor", "batches"),
    [
        (servers("abc"), Share(1), 1, ["a", "b", "c"]),
        # A canary is alone, whatever is asked.
        (servers("abcde"), Share(2), 1, ["a", "bc", "de"]),
        (servers("abcde"), Share(100, percent=True), 0, ["a", "bcde"]),
        (servers("abcdefgh"), Share(25, percent=True), 2, ["a", "bc", "de", "fg", "h"]),
        # Five may be out by the request, and two by the minimum of the pool.
        (servers("abcdefghij"), Share(50, percent=True), 8, ["a", "bc", "de", "fg", "hi", "j"]),
        # A pool at its minimum can be updated all the same, one at a time.
        (servers("abc"), Share(3), 3, ["a", "b", "c"]),
        (servers("a"), Share(1), 1, ["a"]),
        (servers("abc", due=False), Share(1), 1, []),
        # Those that serve no one are not missed.
        ([*servers("abc", ready=False), *servers("de")], Share(3), 1, ["a", "bcd", "e"]),
    ],
)
def test_the_batches(pool, share, floor, batches):
    assert ["".join(batch) for batch in rollout.batches(pool, share, floor)] == batches


POOLS = st.lists(
    st.builds(
        Server,
        host=st.just(""),
        ready=st.booleans(),
        due=st.booleans(),
        unconfirmed=st.booleans(),
        domain=st.sampled_from(["", "x", "y", "z"]),
    ),
    max_size=20,
).map(lambda pool: [dataclasses.replace(server, host=f"h{number}") for number, server in enumerate(pool)])
SHARES = st.builds(Share, st.integers(1, 100), st.booleans())


@given(POOLS, SHARES, st.integers(0, 20))
def test_each_due_host_once_never_more_than_the_batch_and_the_floor_kept(pool, share, floor):
    found = rollout.batches(pool, share, floor)
    by_name = {server.host: server for server in pool}
    assert sorted(itertools.chain(*found)) == sorted(server.host for server in pool if server.due)
    assert not found or len(found[0]) == 1
    healthy = sum(server.ready for server in pool)
    for batch in found:
        out = sum(by_name[host].ready for host in batch)
        assert 1 <= len(batch) <= share.of(len(pool))
        assert out <= 1 or healthy - out >= floor


@given(POOLS)
def test_those_that_serve_no_one_come_first_and_domains_are_apart(pool):
    found = rollout.order(pool)
    assert [server.ready for server in found] == sorted(server.ready for server in found)
    for first, second in itertools.pairwise(found):
        if first.domain and first.domain == second.domain:
            rest = found[found.index(second) :]
            rank = (second.ready, second.unconfirmed)
            same = [one for one in rest if (one.ready, one.unconfirmed) == rank]
            assert {one.domain for one in same} == {second.domain}


@pytest.mark.parametrize(
    ("notes", "updated", "failed", "lost", "back"),
    [
        ({}, "", "", "", ""),
        ({"a": ("begun", "ended"), "b": ("begun", "ended"), "c": ("begun", "ended")}, "abc", "", "", ""),
        # The canary put itself back.
        ({"a": ("begun", "failed")}, "", "a", "", ""),
        ({"a": ("begun", "ended"), "b": ("begun", "failed")}, "a", "b", "", "a"),
        ({"a": ("begun", "ended"), "b": ("begun", "ended"), "c": ("begun", "failed")}, "ab", "c", "", "ba"),
        # It had its requests back, and was watched.
        ({"a": ("begun", "ended", "failed")}, "a", "a", "", "a"),
        ({"a": ("begun", "ended"), "b": ("begun",)}, "a", "", "b", "a"),
        ({"a": ("begun",)}, "", "", "a", ""),
    ],
)
def test_who_goes_back(notes, updated, failed, lost, back):
    outcome = rollout.judge(notes, "abc")
    assert tuple(map("".join, (outcome.updated, outcome.failed, outcome.lost, outcome.back))) == (
        updated,
        failed,
        lost,
        back,
    )
    assert outcome.broken is bool(failed or lost)
    assert rollout.judge(notes, "abc", one_way=True).back == ()
