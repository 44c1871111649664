# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the callback keeps of large results, and what a hook costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ansible_collections.scaleout.platform.plugins.plugin_utils import run_log
from tests.unit.plugins.callback.runs import COLLECTIONS

#: Core's own results through the callback's hooks, each as it is sent to a callback. A process of its own, whose
#: memory nothing else has used.
HOOKS = """
import json, os, resource, sys
from ansible import context
from ansible.executor import task_result
from ansible.inventory.host import Host
from ansible.playbook.task import Task
from ansible.plugins.loader import callback_loader, init_plugin_loader
from ansible.utils.context_objects import CLIArgs

init_plugin_loader()
BIG = 'x' * 2**20
context.CLIARGS = CLIArgs({})
callback = callback_loader.get("scaleout.platform.push_metrics")
callback.set_options()
task = Task.load({"name": "Take a sample", "debug": {"msg": "x"}})

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

def result(number):
    big = f"{number}" + BIG
    sample = {"timestamp": 1.8e9 + number, "service": "shop", "instance": f"shop{number % 1000}",
              "metrics": {"cpu": {"usage": 1.5}}}
    return {"sample": sample, "payload": big, "changed": False}

def as_core_sends_it(host, data):
    if hasattr(task_result, "_RawTaskResult"):
        return task_result._RawTaskResult(host, task, data, {}).as_callback_task_result()
    from ansible._internal._task import UnifiedTaskResult  # 2.21
    items = [UnifiedTaskResult.from_action_result_dict(one) for one in data.pop("results", ())]
    made = UnifiedTaskResult.from_action_result_dict(data)
    made.loop_results = items or None
    return task_result.CallbackTaskResult(host, task, made)

def send(name, host, data):
    callback.v2_runner_on_start(host, task)
    getattr(callback, name)(as_core_sends_it(host, data))

hosts = [Host(f"shop{n}") for n in range(14)]
for n in range(20):
    send("v2_runner_on_ok", hosts[n % 14], result(n))
before, spent = rss(), callback._spent
for n in range(int(sys.argv[1])):
    send("v2_runner_on_ok", hosts[n % 14], result(n))
for n in range(100):
    items = [result(n), {"failed": True, **result(n)}]
    told = {"failed": True, "msg": "y" * 2**20, "code": "z" * 2**20}
    send("v2_runner_on_failed", hosts[n % 14], {"results": items, **told})
timed = callback._spent
print(json.dumps({"grown": rss() - before, "samples": len(callback._samples), "dropped": callback._dropped,
                  "each": (timed - spent) / int(sys.argv[1]), "report": len(json.dumps(callback._log.report(0, 1)))}))
"""


def measured(results):
    done = subprocess.run(
        [sys.executable, "-c", HOOKS, str(results)],
        env={"ANSIBLE_COLLECTIONS_PATH": COLLECTIONS},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_ten_thousand_results_of_a_megabyte_leave_their_samples_and_nothing_else():
    found = measured(10_000)
    assert (found["samples"], found["dropped"]) == (10_000, 220)
    # 10,000 documents of five mappings each.
    assert found["grown"] < 40, found
    assert found["report"] < 10_000


@pytest.mark.parametrize("size", [1, 2])
def test_tasks_and_failures_are_bounded(size):
    log = run_log.RunLog("r", "p" * 1000, 1.0)
    for number in range(3000):
        task = run_log.Task(f"{number}.yml:1", "a" * 200, "n" * 200)
        for host in range(size):
            log.begins(f"h{host}", task, number)
            log.ends(f"h{host}", number + 1, "failed", "bad_port")
    report = log.report(5.0, 2)
    assert report["results"] == report["failed"] == 3000 * size
    assert (len(report["tasks"]), len(report["failures"])) == (20, 50)
    assert len(log._spent) == run_log.MOST_TASKS + 1
    assert len(json.dumps(report)) < 32_000
