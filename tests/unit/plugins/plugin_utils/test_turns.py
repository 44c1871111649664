# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns among processes, as the forks of a run are."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time

from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, Turn

FORK = multiprocessing.get_context("fork")


def take(folder, group, host, outcome, log):
    """One host's turn: it notes when it begins and ends, and does as ``outcome`` says."""
    with Turn(folder, group) as turn:
        if turn.holds(host):
            log.put((host, "held", turn.holds(host), 0.0, 0.0))
            return
        began = time.monotonic()
        with turn.breaks_unless_done(host) as done:
            time.sleep(0.05)
            if outcome == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if outcome == "raises":
                log.put((host, "raised", "", began, time.monotonic()))
                raise ConnectionError
            if outcome == "works":
                done()
        log.put((host, outcome, "", began, time.monotonic()))


def run(folder, hosts, group="redis"):
    """Let hosts take turns, started at once; returns what each did."""
    log = FORK.Queue()
    processes = []
    for host, outcome in hosts.items():
        process = FORK.Process(target=take, args=(str(folder), group, host, outcome, log))
        process.start()
        processes.append(process)
    for process in processes:
        process.join(20)
        assert process.exitcode is not None, "a turn was never given"
    found = {}
    while not log.empty():
        host, *rest = log.get()
        found[host] = rest
    return found


def test_one_at_a_time(tmp_path):
    done = run(tmp_path, {"a": "works", "b": "works", "c": "works"})
    spans = sorted((began, ended) for _outcome, _by, began, ended in done.values())
    assert len(spans) == 3
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_s9_the_first_failure_holds_the_rest(tmp_path):
    assert run(tmp_path, {"a": "works"})["a"][0] == "works"
    run(tmp_path, {"b": "fails"})
    held = run(tmp_path, {"c": "works", "d": "works"})
    assert [held["c"][:2], held["d"][:2]] == [["held", "b"], ["held", "b"]]


def test_a_host_that_failed_may_try_again_and_holds_the_rest_all_the_same(tmp_path):
    run(tmp_path, {"b": "fails"})
    assert run(tmp_path, {"b": "fails"})["b"][0] == "fails"
    assert run(tmp_path, {"b": "works"})["b"][0] == "works"
    assert run(tmp_path, {"c": "works"})["c"][:2] == ["held", "b"]


def test_a_lost_connection_is_a_failure(tmp_path):
    run(tmp_path, {"a": "raises"})
    assert run(tmp_path, {"b": "works"})["b"][:2] == ["held", "a"]


def test_a_fork_that_dies_gives_its_turn_back(tmp_path):
    """Its host was not noted as failed: whoever killed the fork has ended the run as well."""
    run(tmp_path, {"a": "dies"})
    assert run(tmp_path, {"b": "works"})["b"][0] == "works"


def test_a_host_that_is_lost_between_the_tasks_of_its_turn_holds_the_rest(tmp_path):
    for host in "ab":
        with Turn(str(tmp_path), "redis") as turn:
            assert turn.holds(host) is None
            turn.begin(host)
        if host == "a":
            with Turn(str(tmp_path), "redis") as turn:
                turn.end(host)
    assert run(tmp_path, {"c": "works"})["c"][:2] == ["held", "b"]
    # It comes back in a later play of the run.
    assert run(tmp_path, {"b": "works"})["b"][0] == "works"


def test_only_the_first_of_a_group_is_the_first(tmp_path):
    seen = []
    for host in "ab":
        with Turn(str(tmp_path), "redis") as turn:
            seen.append(turn.is_first())
            turn.begin(host)
            turn.end(host)
    assert seen == [True, False]


def test_groups_do_not_wait_for_each_other(tmp_path):
    run(tmp_path, {"a": "fails"}, group="redis")
    assert run(tmp_path, {"b": "works"}, group="nginx")["b"][0] == "works"


def test_without_a_group_no_task_waits(tmp_path):
    run(tmp_path, {"a": "fails"}, group="")
    assert run(tmp_path, {"b": "works"}, group="")["b"][0] == "works"


def test_the_ledger_keeps_the_lines_of_all_forks(tmp_path):
    ledger = Ledger(str(tmp_path))
    assert ledger.entries() == []
    processes = [FORK.Process(target=ledger.note, args=("held", f"h{n}"), kwargs={"service": "x"}) for n in range(20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert sorted(entry["host"] for entry in ledger.entries()) == sorted(f"h{n}" for n in range(20))
    assert {(entry["kind"], entry["service"]) for entry in ledger.entries()} == {("held", "x")}


def test_those_of_a_batch_have_their_turns_together(tmp_path):
    for host in ("a", "b"):
        with Turn(str(tmp_path), "shop", "2") as turn:
            assert turn.holds(host) is None
            turn.begin(host)
    with Turn(str(tmp_path), "shop", "2") as turn:
        turn.end("a")
    # b was lost in its turn.
    with Turn(str(tmp_path), "shop", "3") as turn:
        assert turn.holds("c") == "b"
        assert turn.outcome() == {"a": ("begun", "ended"), "b": ("begun",)}


def test_a_failure_holds_its_own_batch_too(tmp_path):
    with Turn(str(tmp_path), "shop", "2") as turn:
        turn.begin("a")
        turn.fail("a")
    with Turn(str(tmp_path), "shop", "2") as turn:
        assert turn.holds("b") == "a"
