# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control loop on VMs: a pool of three grows to five under load and shrinks back, and not one request fails. It is
held by a brake, killed in the middle, and told a hundred times. The tests follow each other."""

from __future__ import annotations

import math
import os
import random
import time

import pytest

from ansible_collections.scaleout.platform.plugins.plugin_utils import hand_over, sink_local
from tests.autoscale import platform
from tests.autoscale.platform import HOSTS, SPARE, THRESHOLD
from tools.lab import shell

STATIC = ("-e", "scale_provider=static")
#: Cycles within which the loop has to act; each begins an interval after the one before, or as soon as that has ended.
CYCLES = 20
#: Requests in a second: too many for five servers, and few enough for one.
HIGH, LOW = 5.4 * THRESHOLD, 0.3 * THRESHOLD
#: Results of tasks of a cycle in which nothing is done, on three Consul servers that are the members.
QUIET = 20


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """The platform, with three servers."""
    made = platform.Platform(tmp_path_factory.mktemp("autoscale"))
    with platform.VMS.for_a_while():
        made.run("fleet.yml", log="vms").succeeded()
        made.make_spare()
        made.run("site.yml", log="site").succeeded()
        yield made


@pytest.fixture(scope="module")
def traffic(pool):
    """Requests all the time, from the first test to the last."""
    with platform.Traffic([pool.address("vm1"), pool.address("vm2")]) as asking:
        yield asking
    asking.assert_well("all the time")


def cycles(pool, *arguments, until):
    """Run cycles until something is so; returns all lines."""
    said = []
    for _number in range(CYCLES):
        began = time.monotonic()
        run, lines = pool.cycle(*arguments)
        run.succeeded()
        said += lines
        if until():
            return said
        time.sleep(max(0.0, pool.interval - (time.monotonic() - began)))
    raise AssertionError(f"it is not so after {CYCLES} cycles: {said}")


def last(pool, count):
    return len(pool.journal()["history"]) == count


def test_a_calm_pool_is_looked_at_and_left_alone(pool, traffic):
    traffic.at(LOW)
    pool.cycle(*STATIC)[0].succeeded()
    run, lines = pool.cycle(*STATIC)
    run.succeeded()
    pool.scale_each(max(platform.SHORTEST, math.ceil(1.3 * run.seconds)))
    print(f"a sample each {pool.interval} s")
    assert not run.changes
    print(f"a cycle in which nothing is done: {run.seconds:.1f} s, {sum(run.tasks.values())} results {run.tasks}")
    assert sum(run.tasks.values()) <= QUIET
    assert lines[0].startswith("web: 3")
    assert pool.members() == dict.fromkeys(HOSTS, "member")


def test_w2_it_grows_under_load_and_shrinks_back(pool, traffic):
    breach = traffic.at(HIGH)
    cycles(pool, *STATIC, until=lambda: set(SPARE) <= set(pool.members()))
    (action,) = pool.journal()["history"]
    assert (action["direction"], action["from"], action["to"], action["outcome"]) == ("up", 3, 5, "succeeded")
    assert pool.passing() == {*HOSTS, *SPARE}
    time.sleep(3)
    print(f"static pool: {platform.parts(breach, action, [traffic.first[name] for name in SPARE])}")
    traffic.at(LOW)
    cycles(pool, *STATIC, until=lambda: last(pool, 3))
    assert pool.history()[1:] == [("down", 5, 4, "succeeded"), ("down", 4, 3, "succeeded")]
    assert len(pool.members()) == 3
    assert pool.passing() == set(pool.members())
    assert not traffic.seen.failed


def test_a2_the_brake_holds_and_is_shown(pool, traffic):
    traffic.at(HIGH)
    pool.cycle("-e", "pause=1h", "-e", "why='The sale'", "-e", "application=counter")[0].succeeded()
    before = pool.members()
    said = cycles(pool, *STATIC, until=lambda: "up is wanted" in (pool.cycle(*STATIC)[1] or [""])[0])
    assert all("The sale" in line for line in said), said
    assert (pool.members(), len(pool.journal()["history"])) == (before, 3)
    pool.cycle("-e", "resume=true", "-e", "application=counter")[0].succeeded()
    assert pool.journal()["paused"] is None


def test_a_hundred_hand_overs_of_one_event_are_one_action(pool, traffic, monkeypatch):
    """By the docker provider, which makes the hosts."""
    breach = traffic.at(HIGH)
    # One cycle before, so that the samples that decide are there.
    for name, value in platform.PUSHES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(platform.ROOT)
    options = hand_over.Options(
        playbook=str(platform.ROOT / "playbooks/autoscale.yml"),
        log_path=str(pool.folder / "handed-over.log"),
        inventories=(str(pool.inventory),),
    )
    event = hand_over.Event("the-same", time.time(), ("counter",), 3)
    end = time.monotonic() + 30 * pool.interval
    while not last(pool, 4) and time.monotonic() < end:
        # The first one starts a cycle; the others find it running.
        started = [told for told in (sink_local.send(event, options) for _copy in range(100)) if "as process" in told]
        assert len(started) <= 1
        time.sleep(pool.interval)
    action = pool.journal()["history"][-1]
    assert pool.history()[3] == ("up", 3, 5, "succeeded")
    new = set(pool.members()) - {*HOSTS, *SPARE}
    assert len(new) == 2
    time.sleep(3)
    print(f"docker provider: {platform.parts(breach, action, [traffic.first[name] for name in new])}")
    assert not pool.journal()["running"]
    assert not traffic.seen.failed


@pytest.mark.parametrize("round_", range(int(os.environ.get("AUTOSCALE_KILLS", "2"))))
def test_a5_killed_at_a_random_step_and_run_again_it_ends_clean(pool, traffic, round_):
    has_grown = len(pool.members()) > len(HOSTS)
    traffic.at(LOW if has_grown else HIGH)
    wanted = 3 if has_grown else 5
    # Until it wants to act, so that the kill meets an action more often than not.
    for _number in range(CYCLES):
        _run, lines = pool.cycle("--check")
        pool.run("collect.yml", log="collect", **platform.PUSHES).succeeded()
        if any("scale " in line for line in lines):
            break
    seconds = random.uniform(4, 75)
    pool.killed_cycle(seconds)
    running = pool.journal()["running"]
    print(f"round {round_}: killed after {seconds:.0f} s, {'in an action' if running else 'beside an action'}")
    # The next holder of the lease finds it.
    cycles(pool, until=lambda: len(pool.members()) == wanted and set(pool.members().values()) == {"member"})
    assert pool.journal()["running"] is None
    if running:
        assert ("failed" in {one[3] for one in pool.history()[-3:]}) or pool.history()[-1][3] == "succeeded"
    assert pool.passing() == set(pool.members())
    made = containers() - {*HOSTS, *SPARE}
    assert made == set(pool.members()) - {*HOSTS, *SPARE}, "a VM is left that no record has"
    assert not traffic.seen.failed


def containers():
    names = shell.run("docker", "ps", "--all", "--format", "{{.Names}}").stdout.split()
    return {name.removeprefix(f"{platform.VMS.fleet}-") for name in names if name.startswith(platform.VMS.fleet)}
