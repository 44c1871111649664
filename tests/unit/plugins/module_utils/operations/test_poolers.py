# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real PgBouncer holds requests, and lets go; its own console is asked what it does."""

from __future__ import annotations

import contextlib
import threading
import time

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.poolers import Poolers
from tests.unit import pooler, postgres_server

AWAY = {"name": "away", "host": "127.0.0.1", "port": 1}


@pytest.fixture(scope="module")
def vm1():
    pooler.program()
    with postgres_server.running() as server, server.connect("postgres") as sql:
        sql.run(f"CREATE DATABASE {pooler.DATABASE}")
        with pooler.running(server.folder, "vm1", str(server.folder), 5432) as running:
            running.place = (str(server.folder), 5432)
            # A pool that never had a server lets no client in while it waits for one.
            with asking(running):
                pass
            yield running


def options(*poolers, **more):
    return {
        "poolers": [one if isinstance(one, dict) else one.options for one in poolers],
        "pooler_user": pooler.USER,
        "pooler_password": pooler.PASSWORD,
        "databases": [pooler.DATABASE],
        "drain": 0.5,
        "hold": 10.0,
        **more,
    }


@contextlib.contextmanager
def held(*poolers, **more):
    made = Poolers.of(options(*poolers, **more))
    made.look()
    try:
        made.hold()
        yield made
    finally:
        made.release()
        made.settle()
        made.close()


@contextlib.contextmanager
def asking(vm1, connection=None):
    """A client that asks once in a thread, over a new connection; yields what it gets: ``ok`` and the seconds."""
    got = []

    def ask():
        began = time.monotonic()
        try:
            with contextlib.closing(connection or vm1.connect()) as mine, mine.cursor() as cursor:
                cursor.execute("SELECT 1")
            got.append(("ok", time.monotonic() - began))
        except psycopg2.Error as error:
            got.append((str(error), time.monotonic() - began))

    thread = threading.Thread(target=ask)
    thread.start()
    yield got
    thread.join()


#: One is raised, and one is longer than a hold already.
HELD = {"min_pool_size": 0, "query_wait_timeout": 13, "client_login_timeout": 60}


def test_requests_wait_for_longer_than_the_pooler_lets_them_by_itself(vm1):
    connection = vm1.connect()
    vm1.show("SET query_wait_timeout = 2")
    with held(vm1) as poolers:
        assert vm1.paused()
        assert poolers.drained
        assert vm1.settings() == HELD
        with asking(vm1, connection) as got, asking(vm1) as newcomer:
            # The watch does so as soon as another one leads.
            vm1.console().reload()
            time.sleep(4)
            assert got == newcomer == []
            assert vm1.settings() == HELD
            poolers.release()
    assert [got[0][0], newcomer[0][0]] == ["ok", "ok"]
    assert got[0][1] > 3.5
    assert not vm1.paused()
    assert vm1.settings() == pooler.SETTINGS
    vm1.console().reload()
    assert vm1.settings() == pooler.SETTINGS


def test_without_a_hold_that_wait_is_an_error(vm1):
    connection = vm1.connect()
    vm1.show("SET query_wait_timeout = 2", f"PAUSE {pooler.DATABASE}")
    with asking(vm1, connection) as got:
        pass
    vm1.show(f"RESUME {pooler.DATABASE}", "RELOAD")
    first = got[0][0]
    # PgBouncer took its own refusals while it was paused for the server's: what a hold sees to.
    until = time.monotonic() + 60
    while got[-1][0] != "ok" and time.monotonic() < until:
        with asking(vm1) as again:
            pass
        got += again
        time.sleep(0.2)
    assert first != "ok"


def test_a_transaction_that_is_open_is_waited_for_and_no_longer(vm1):
    with contextlib.closing(vm1.connect()) as client, client.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1")
        began = time.monotonic()
        with held(vm1) as poolers:
            assert time.monotonic() - began >= 0.5
            assert not poolers.drained
            assert vm1.paused()
            cursor.execute("COMMIT")
        assert not vm1.paused()
        cursor.execute("SELECT 1")


def test_it_lets_go_of_those_that_point_to_the_new_leader(vm1):
    with held(vm1) as poolers:
        poolers.release_those_at(("192.0.2.1", 5432))
        assert poolers.holding == ["vm1"]
        assert vm1.paused()
        poolers.release_those_at(vm1.place)
        assert poolers.holding == []
        assert not vm1.paused()


def test_one_that_does_not_answer_keeps_no_other_from_holding(vm1):
    poolers = Poolers.of(options(vm1, AWAY))
    seen = {pool.name: pool for pool in poolers.look()}
    assert seen["vm1"].databases == {pooler.DATABASE: vm1.place}
    assert seen["vm1"].patience == 60
    assert seen["away"].missing.startswith("Cannot reach PgBouncer at 127.0.0.1:1: ")
    with held(vm1, AWAY) as both:
        assert both.holding == ["vm1"]


def test_a_login_that_is_wrong_is_said(vm1):
    [pool] = Poolers.of(options(vm1, pooler_password="wrong")).look()
    assert "Cannot reach PgBouncer" in pool.missing
    assert "wrong" not in pool.missing
    assert pooler.PASSWORD not in pool.missing


def test_what_another_one_holds_is_seen(vm1):
    vm1.show(f"PAUSE {pooler.DATABASE}")
    [pool] = Poolers.of(options(vm1)).look()
    vm1.show(f"RESUME {pooler.DATABASE}")
    assert pool.paused == (pooler.DATABASE,)


def test_a_database_that_it_does_not_have(vm1):
    made = Poolers.of(options(vm1, databases=["other"]))
    with pytest.raises(Refused, match="The pooler of vm1 does not hold requests") as caught:
        made.hold()
    assert caught.value.code == "not_held"


def test_a_pause_that_is_forgotten_ends(vm1):
    with held(vm1):
        since, console = {}, vm1.console()
        assert vm1.watch.let_go([pooler.DATABASE], console, since, 100.0) == ""
        assert vm1.watch.let_go([pooler.DATABASE], console, since, 119.0) == ""
        assert vm1.paused()
        assert vm1.watch.let_go([pooler.DATABASE], console, since, 120.0).endswith(f"20 s: {pooler.DATABASE}")
        assert not vm1.paused()
        assert vm1.settings() == pooler.SETTINGS


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"poolers": [AWAY, AWAY]}, "poolers: ['away', 'away'] names one twice."),
        ({"poolers": [{**AWAY, "port": 0}]}, "poolers: 0 is not a port."),
        ({"databases": []}, "databases: [] is empty, so that the poolers would hold nothing."),
        ({"hold": 0}, "hold: 0 is not a number of seconds from 1 to 15."),
    ],
)
def test_options_that_cannot_be(more, says):
    with pytest.raises(InvalidInput) as caught:
        Poolers.of({**options(AWAY), **more})
    assert caught.value.message == says


def test_no_poolers_at_all():
    poolers = Poolers.of(options(databases=[]))
    poolers.hold()
    assert poolers.drained
    assert poolers.release() == []
