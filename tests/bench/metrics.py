# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the callback costs a play, and what a decision costs that reads a week's store.

    python -m tests.bench.metrics [--rounds N] [--hosts N] [--tasks N] [--members N]

The play runs without a callback, with one that does nothing, with push_metrics and with ara, in turns of which each
begins with another. What the one that does nothing adds is what ansible-core takes for any callback, and this machine's
noise. Beside the clock stands the time of all processors that ansible-playbook and its children took: on a machine that
has other work too, the clock says little. ara is measured where it can be imported;
``pip install --target FOLDER 'ara[server]'`` and ``BENCH_ARA=FOLDER`` bring it without touching the environment.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import pathlib
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import redis

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import sample
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import decide_on
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import read as read_policy
from ansible_collections.scaleout.platform.plugins.plugin_utils import metric_codec, metric_source, metric_store
from tests.unit import redis_server
from tests.unit.plugins.callback.runs import Project

MB = 1024**2
DAY = 24 * 3600
INTERVAL = 30
OURS = "push_metrics"
CALLBACKS = "ANSIBLE_CALLBACKS_ENABLED"
BASE = "no callback"

#: A callback with the hooks of ours, of which none does anything.
EMPTY = """
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = "{name: empty, type: aggregate, short_description: Nothing, description: Nothing}"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "empty"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook): pass
    def v2_playbook_on_play_start(self, play): pass
    def v2_runner_on_start(self, host, task): pass
    def v2_runner_on_ok(self, result): pass
    def v2_runner_on_failed(self, result, ignore_errors=False): pass
    def v2_runner_on_unreachable(self, result): pass
    def v2_playbook_on_stats(self, stats): pass
"""


def play(tasks: int) -> str:
    """A play of which one task takes samples and the others do next to nothing on their host."""
    head = (
        "- name: Work\n  hosts: all\n  gather_facts: false\n  tasks:\n    - name: Take a sample\n      take_sample:\n"
    )
    return head + "".join(f"    - name: Task {n}\n      ansible.builtin.ping:\n" for n in range(1, tasks))


def ara() -> dict[str, str] | None:
    """The environment that brings ara; None where it is not to be had."""
    folder = os.environ.get("BENCH_ARA", "")
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")]))
    if not folder and importlib.util.find_spec("ara") is None:
        return None
    command = [sys.executable, "-m", "ara.setup.callback_plugins"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ara does not say where its callback is: {done.stderr}")
    return {
        "PYTHONPATH": path,
        "ANSIBLE_CALLBACK_PLUGINS": done.stdout.strip(),
        CALLBACKS: "ara_default",
    }


def empty(folder: pathlib.Path) -> dict[str, str]:
    """Write the callback that does nothing; the environment that brings it."""
    folder.mkdir()
    (folder / "empty.py").write_text(EMPTY, encoding="utf-8")
    return {"ANSIBLE_CALLBACK_PLUGINS": str(folder), CALLBACKS: "empty"}


def processors() -> float:
    """Seconds that the processes which have ended took of all processors, with their own children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def callback(rounds: int, hosts: int, tasks: int) -> None:
    """Measure runs in turns and print what the callback took of them."""
    wall: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    hooks, shares = [], []
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(redis_server.running(folder / "redis"))
        project = Project(folder / "project", port, hosts)
        # An empty list of callbacks is an error, so the variable is not there where there are none.
        ours = {CALLBACKS: project.environment.pop(CALLBACKS)}
        kinds = {BASE: {}, "an empty one": empty(folder / "callbacks"), OURS: ours}
        brought = ara()
        if brought:
            kinds["ara"] = {**brought, "ARA_BASE_DIR": str(folder / "ara")}
        else:
            print("ara is not in this environment, so it was not measured: BENCH_ARA=FOLDER brings it.")
        for number in range(rounds + 1):
            # A machine that slows down while this runs would charge it to whoever is always last.
            first = number % len(kinds)
            for kind, environment in [*kinds.items()][first:] + [*kinds.items()][:first]:
                before = processors()
                run = project.play(play(tasks), "-v", "--forks", "10", **environment)
                used = processors() - before
                if run.status or run.warnings:
                    raise SystemExit(f"The run with {kind} ended with status {run.status}: {run.said[-2000:]}")
                if not number:
                    continue  # The first of each fills caches.
                wall.setdefault(kind, []).append(run.seconds)
                cpu.setdefault(kind, []).append(used)
                if kind == OURS:
                    found = re.search(r"push_metrics: ([0-9.]+) s in hooks, (\d+) samples", run.said)
                    if not found or int(found[2]) != hosts:
                        raise SystemExit(f"The callback has not said that it had {hosts} samples: {run.said[-2000:]}")
                    hooks.append(float(found[1]))
                    shares.append(100 * float(found[1]) / run.seconds)
    print(f"{tasks} tasks on {hosts} hosts, {rounds} round(s) in turns; median (lowest to highest)")
    print(
        f"  seconds in the callback's hooks       {spread(hooks, 3)}, {spread(shares, 2)} % of the run; the goal is 2 %"
    )
    for what, taken in (("by the clock", wall), ("of all processors", cpu)):
        for kind in kinds:
            ratios = [one / base for one, base in zip(taken[kind], taken[BASE], strict=True)]
            print(f"  {kind:<14} {spread(taken[kind], 2)} s {what}, {spread(ratios, 3)} of a run without a callback")


def spread(values: list[float], places: int) -> str:
    """The median of values, the lowest and the highest."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{places}f} ({low:.{places}f} to {high:.{places}f})"


def document(instance: str, at: float, number: int, dice: random.Random) -> metric_codec.Document:
    """A sample as service_metrics_info takes it of a host with an application that has a histogram."""
    moved = [float(number * 1_000_000 + dice.randrange(100_000)) for _way in range(2)]
    bounds = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)
    requests = number * 3000 + dice.randrange(300)
    counts = tuple(float(requests * part // (len(bounds) + 1)) for part in range(1, len(bounds) + 2))
    free = float(dice.randrange(1000, 3000) * MB)
    taken = sample.Sample(
        at,
        "shop",
        instance,
        cpu=sample.Cpu(round(dice.uniform(10, 90), 2), (1.5, 1.25, round(dice.random(), 2))),
        memory=sample.Memory(8000.0 * MB - free, free, float(dice.randrange(500) * MB), 8000.0 * MB),
        network=sample.Network(*moved, float(dice.randrange(200))),
        application=sample.Application(float(requests), float(number), (1.0, 5.0, round(dice.uniform(5, 100), 2))),
        counters=sample.Counters(
            boot=f"{dice.getrandbits(64):x}/1",
            uptime=round(at - 1_700_000_000, 2),
            host=sample.Group("machine", number * 20 + round(dice.random(), 2), 2.0),
            started=1_790_000_000.0,
            latency=sample.Histogram(bounds, counts),
            chosen="1f3a9b",
            interfaces="ab12cd",
        ),
    )
    return metric_codec.sample(sample.render(taken))


def fill(client: redis.Redis, members: int, horizon: float, now: float) -> None:
    """Fill a store with a week of pushes; what is older than a decision looks at is copies of what is not."""
    dice = random.Random(1)
    raw, minutes = metric_store.raw_key("shop"), metric_store.minutes_key("shop")
    entries = []
    for number in range(int(horizon // INTERVAL) + 1):
        at = now - number * INTERVAL
        taken = [document(f"shop{n:04}", at - dice.random(), 10_000 - number, dice) for n in range(members)]
        entries.append((at, metric_codec.encode(taken)))
    older = [now - number * INTERVAL for number in range(len(entries), DAY // INTERVAL)]
    times = [(minutes, now - age) for age in range(7 * DAY, DAY, -60)] + [(raw, at) for at in reversed(older)]
    copies = [(key, at, dice.choice(entries)[1]) for key, at in times]
    for key, at, packed in [*copies, *((raw, at, packed) for at, packed in reversed(entries))]:
        client.xadd(key, {"z": packed}, id=f"{int(at * 1000)}-0")


def decision(rounds: int, members: int) -> None:
    """Measure decisions over a store with a week of samples."""
    now = float(int(time.time()))
    names = [{"name": f"shop{n:04}", "healthy": True, "in_rotation": True} for n in range(members)]
    pool = {"desired": members, "members": names}
    policy, parsed = read_policy({"min": 1, "max": 2 * members, "interval": INTERVAL}, pool, now)
    want = metric_source.Want.by("shop", policy, now)
    parts: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, redis_server.running(pathlib.Path(folder)) as port:
        with redis.Redis(port=port, password=redis_server.PASSWORD) as client:
            empty = client.info("memory")["used_memory"]
            fill(client, members, now - want.since, now)
            size = client.info("memory")["used_memory"] - empty
            held = [client.xlen(key) for key in (metric_store.raw_key("shop"), metric_store.minutes_key("shop"))]
        settings = metric_store.Settings("127.0.0.1", port, password=redis_server.PASSWORD, timeout=10)
        for number in range(rounds + 1):
            began, cpu = time.perf_counter(), [time.process_time()]
            found = metric_source.read(settings, [want], now)
            cpu.append(time.process_time())
            readings = Readings(found.readings["shop"])
            made = decide_on(policy, readings, parsed, History([]), now)
            cpu.append(time.process_time())
            if found.problems or len(made.look.roll.eligible) != members:
                raise SystemExit(f"The decision was not made on {members} members: {found.problems}")
            if number:
                took = {"all, of one processor": cpu[2] - cpu[0], "reading": cpu[1] - cpu[0]}
                took |= {"deciding": cpu[2] - cpu[1], "all, by the clock": time.perf_counter() - began}
                for part, seconds in took.items():
                    parts.setdefault(part, []).append(seconds)
    count = len(found.readings["shop"])
    print(f"a decision over {members} instances with a week of samples, one each {INTERVAL} s; the goal is 1 s")
    print(
        f"  it looks at {count} samples, and at the values of {sum('values' in one for one in found.readings['shop'])}"
    )
    for part, seconds in parts.items():
        print(f"  {part:<24} {spread(seconds, 3)} s")
    print(
        f"  the store: {size / MB:.0f} MB, {size / sum(held) / members:.0f} bytes a sample: {held[0]} raw entries, and"
    )
    print(f"  {held[1]} of minutes. Those older than the decision looks at are copies, so its size is extrapolated.")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=14)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--members", type=int, default=1000)
    given = parser.parse_args()
    decision(given.rounds, given.members)
    print()
    callback(given.rounds, given.hosts, given.tasks)


if __name__ == "__main__":
    main()
