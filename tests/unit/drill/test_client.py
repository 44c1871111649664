# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drill's client against a real server that stops and comes back while it is written to."""

from __future__ import annotations

import time

from tests.drill import client, judge
from tests.unit import postgres_pair


def test_a_stop_is_a_gap_and_nothing_is_lost():
    with postgres_pair.running() as pair:
        pair.execute("one", client.TABLE)
        place = {"host": str(pair.folder), "port": 5431, "dbname": "postgres", "user": "postgres"}
        # Two names for the way to the same server.
        writer = client.Client({"a": place, "b": place}, {"one": place}, rate=40, connections=2)
        with client.limited():
            writer.start()
            pair.wait(lambda: len(writer.attempts) > 40)
            pair.run("pg_ctl", "-D", pair.data["one"], "-w", "-s", "-m", "immediate", "stop")
            time.sleep(1.5)
            pair.start("one")
            restarted = len(writer.attempts)
            pair.wait(lambda: len(writer.attempts) > restarted + 40)
            writer.stop()
            found = judge.judge(writer.attempts, {"one": client.rows(place)}, "one", writer.sightings)
    assert found.is_right, found
    assert found.acknowledged > 60
    # The fault bit: something was not acknowledged at first, and then it was.
    assert found.refused + found.unknown > 0
    assert found.gap > 1.0
    assert writer.sightings
    failed = {each.id for each in writer.attempts if each.outcome is not judge.Outcome.ACKNOWLEDGED}
    assert failed & {each.id for each in writer.attempts if each.outcome is judge.Outcome.ACKNOWLEDGED}


def test_a_commit_that_no_longer_waits_for_its_replica_is_not_acknowledged():
    with postgres_pair.running() as pair:
        pair.execute("one", client.TABLE)
        place = {"host": str(pair.folder), "port": 5431, "dbname": "postgres", "user": "postgres"}
        pair.execute_all("one", "ALTER SYSTEM SET synchronous_standby_names = 'lost'", "SELECT pg_reload_conf()")
        writer = client.Client({"a": place}, {}, rate=5, connections=1)
        waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        with client.limited():
            writer.start()
            pair.wait(lambda: pair.execute("one", waits))
            pair.execute("one", f"SELECT pg_cancel_backend(pid) FROM ({waits}) AS waiting")
            pair.wait(lambda: writer.attempts)
            writer.stop()
    assert [each for each in writer.attempts if "has already committed locally" in each.reason]
    assert all(each.outcome is judge.Outcome.UNKNOWN for each in writer.attempts)
