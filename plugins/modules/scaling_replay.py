#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: scaling_replay
short_description: Try a scaling policy on a demand before a pool has it
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Simulates a pool under a demand that was recorded or is generated. O(policy) decides on the pool's size, by the same
    code as M(scaleout.platform.scaling_decision). Policies that others publish decide on pools of their own beside it.
  - Tells what became of each, with the actions and who asked for them, when there were too few members and why, the
    elasticity scores of the literature, and how long each takes to double a pool.
  - It asks no server. It writes nothing but O(plot). The same options give the same result, on every machine.
  - How to read the result, and what the simulation leaves out, is in C(docs/replay.md) of the collection.
options:
  policy:
    description:
      - What is to be tried, as O(scaleout.platform.scaling_decision#module:policy) describes it.
      - Guards on metrics that only databases have never hold in a simulation.
    type: dict
    required: true
  trace:
    description: The demand on the pool. One of O(trace.path) and O(trace.kind) is needed.
    type: dict
    required: true
    suboptions:
      path:
        description:
          - A CSV file on the host that this runs on. Its first line is C(seconds,requests_per_second). Each other line
            has the time at which an interval begins, and the demand in it. All intervals are equally long.
          - Times are seconds since 1970. Times below 1e9 count from Thursday, 2026-01-01, 00:00 UTC.
        type: path
      kind:
        description:
          - The shape of a generated demand. A V(wave) is lowest at the beginning of its period and highest in its
            middle. A V(flash) is a crowd that comes once a period, at a moment that O(trace.seed) draws. A V(step) goes
            up at a third of the period and down at two thirds. A V(saw) rises over the period and falls at once.
        type: str
        choices: [wave, flash, step, saw]
      seed:
        description: Another number gives other noise and other moments of flash crowds. By default V(1).
        type: int
      low:
        description: Requests per second when there is little to do. By default V(100).
        type: float
      peak:
        description: Requests per second when there is most to do. By default V(1000).
        type: float
      hours:
        description: Length of the demand. By default V(24).
        type: float
      period_hours:
        description: Hours from one peak to the next. By default V(24).
        type: float
      interval:
        description: Seconds between two values. By default the V(interval) of O(policy).
        type: float
      noise:
        description: The part of each value by which it is at most off, V(0) to V(1). By default V(0.05).
        type: float
      start:
        description: When it begins, in seconds since 1970. By default Thursday, 2026-01-01, 00:00 UTC.
        type: float
  member:
    description: What one member can do. All members are alike.
    type: dict
    required: true
    suboptions:
      capacity:
        description: Requests per second at which its processors are fully used. More are refused. Measure it.
        type: float
        required: true
      starts_in:
        description: Seconds from the decision to the first request that a new member serves. By default V(60).
        type: float
      memory:
        description: Per cent of its memory that it uses, whatever its load. By default V(40).
        type: float
      memory_total:
        description: Its memory in MB. By default V(2048).
        type: float
      request_bytes:
        description: Bytes received and sent for one request. By default V(10000).
        type: float
  initial:
    description: Members at the beginning. By default the minimum at that time.
    type: int
  cycle:
    description: Seconds between two decisions of O(policy). By default it decides on each sample.
    type: float
  baselines:
    description:
      - Policies to compare with, which have the same members, and the bounds of O(policy) without its schedule.
      - V(hpa) is the rule of Kubernetes' HorizontalPodAutoscaler, version 2, with its defaults.
      - V(target_tracking) is like that of AWS Auto Scaling, as far as it is published.
    type: list
    elements: str
    choices: [hpa, target_tracking]
    default: [hpa, target_tracking]
  baseline_metric:
    description: What the baselines keep at O(baseline_target).
    type: str
    choices: [cpu, requests]
    default: cpu
  baseline_target:
    description: The mean over the members that the baselines aim at.
    type: float
    default: 70
  plot:
    description:
      - File to write a picture to. With C(.svg) it is the picture alone, with C(.html) a page that has the table too.
      - Its directory has to be there.
    type: path
  title:
    description: Title of the picture.
    type: str
    default: Members needed, and members that serve
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.scaling_decision
"""

EXAMPLES = r"""
- name: Try two rules on a week with a daily wave
  scaleout.platform.scaling_replay:
    policy:
      min: 2
      max: 12
      interval: 60
      rules:
        - {metric: cpu, threshold: 70, up: {step: 1, cooldown: 300}, down: {step: 1, cooldown: 600}}
        - {metric: requests, threshold: 200, up: {step: 2, cooldown: 180}, down: {step: 1, cooldown: 600}}
    trace: {kind: wave, hours: 168, low: 150, peak: 1500}
    member: {capacity: 250, starts_in: 90}
    plot: /tmp/week.html
  delegate_to: localhost
  register: tried

- name: Show what became of it
  ansible.builtin.debug:
    msg: "{{ tried.told + tried.table }}"

- name: Refuse a policy that would have had too few members for more than ten minutes yesterday
  scaleout.platform.scaling_replay:
    policy: "{{ shop_policy }}"
    trace: {path: /srv/metrics/yesterday.csv}
    member: {capacity: 250}
    baselines: []
  delegate_to: localhost
  register: yesterday
  failed_when: yesterday is failed or yesterday.runs[0].scores.longest_breach > 600
"""

RETURN = r"""
told:
  description: What became of O(policy), in sentences.
  returned: success
  type: list
  elements: str
  sample:
    - "policy: 176 actions in 192 h, 2 to 13 members, 517.5 member-hours."
    - It had too few members 8 times, 7.667 h in all, at most 9 too few; 12.28 % of the requests were refused.
    - "Of that time, too few samples since the last action: 2.4 h; in a cooldown: 3.6 h; growing: 80 min."
    - It doubles a pool of 10 in 58 min.
    - "Worse than hpa: time with too few members 7.667 h against 42 min; actions 176 against 162."
table:
  description: The scores of all policies, as lines with aligned columns, for a debug task.
  returned: success
  type: list
  elements: str
  sample:
    - policy  too few  longest  refused  member-hours  actions  flaps       doubles
    - policy  7.667 h   58 min  12.28 %         517.5      176      8  10 in 58 min
    - hpa      42 min    6 min   0.19 %         536.7      162      8   10 in 4 min
    - ""
    - policy  theta_U  theta_O  tau_U   tau_O  upsilon
    - policy    1.7 %  107.2 %  4.0 %  95.9 %    4.0 %
    - hpa       0.1 %   94.5 %  0.4 %  98.2 %    3.5 %
runs:
  description: What became of each policy; O(policy) comes first, as V(policy), then the O(baselines).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: V(policy), V(hpa) or V(target_tracking).
      type: str
      sample: policy
    scores:
      description:
        - C(under) and C(over) are the mean numbers of members that were missing and that were too many. C(theta_u) and
          C(theta_o) are the same in per cent of what was needed, C(tau_u) and C(tau_o) the per cent of the time, and
          C(upsilon) the per cent of the time in which demand and supply did not move alike.
        - C(member_hours), C(actions), and C(flaps), which are actions that turned back the one before within an hour.
        - C(breaches) is how often there were too few members, C(longest_breach) the seconds of the longest, C(refused)
          the per cent of the requests for which there was no room.
      type: dict
      sample:
        under: 0.14
        over: 1.9
        theta_u: 1.7
        theta_o: 107.2
        tau_u: 4.0
        tau_o: 95.9
        upsilon: 4.0
        member_hours: 517.5
        actions: 176
        flaps: 8
        breaches: 8
        longest_breach: 3480.0
        refused: 12.28
    doubling:
      description:
        - The seconds from twice the load to twice the members, of the smallest pool and of half the largest. Null if
          that takes more than a day.
      type: list
      elements: dict
      sample: [{from: 2, to: 4, seconds: 600.0}, {from: 10, to: 20, seconds: 3480.0}]
    actions:
      description: The first 500 actions, as a history has them; of O(policy) also C(by) and C(why).
      type: list
      elements: dict
      sample:
        - direction: up
          from: 2
          to: 3
          started: 1767250800.0
          finished: 1767250860.0
          outcome: succeeded
          by: rule cpu > 70
          why: cpu 84 % a server (80 % to 84 % in 120 s; 6 samples of 2 of 2 members), threshold > 70
    breaches:
      description:
        - The first 500 stretches of time with too few members, with the seconds and the most members that were missing.
        - C(because) has seconds by what held O(policy) then. V(calm) is that no rule was met for long enough,
          V(unproven) that windows had started again after an action, V(grows) and V(running) that an action was on its
          way, V(waits) that no decision was due. The others are codes of
          RV(scaleout.platform.scaling_decision#module:reasons).
      type: list
      elements: dict
      sample:
        - {start: 1767250800.0, seconds: 360.0, missing: 3, because: {calm: 60.0, grows: 60.0, unproven: 240.0}}
    capacity:
      description: The members that serve and all that there are, at the first 500 times at which either changed.
      type: list
      elements: dict
      sample: [{at: 1767225600.0, serving: 2, ordered: 2}]
worse:
  description: Where O(policy) is worse than a baseline in C(tau_u), C(member_hours) or C(actions).
  returned: success
  type: list
  elements: dict
  sample: [{than: hpa, score: actions, ours: 176, theirs: 162}]
trace:
  description: The demand that was replayed, in requests per second.
  returned: success
  type: dict
  sample: {start: 1767225600.0, interval: 60.0, hours: 192.0, lowest: 142.6, mean: 245.4, highest: 3148.9}
plot:
  description: The file of the picture; null without one.
  returned: success
  type: str
  sample: /tmp/week.html
code:
  description:
    - V(invalid_input) if the options cannot be, V(unreadable) or V(write_failed) if O(plot) cannot be read or written.
  returned: failure
  type: str
  sample: invalid_input
option:
  description: The first option that cannot be.
  returned: failure
  type: str
  sample: policy.interval
problems:
  description: Everything that is wrong with the options, each with its C(option) and a C(text).
  returned: failure
  type: list
  elements: dict
  sample:
    - option: policy.interval
      text: is required.
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import module
from ansible_collections.scaleout.platform.plugins.module_utils.operations.replay_scaling import ReplayScaling

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "policy": {"type": "dict", "required": True},
    "trace": {
        "type": "dict",
        "required": True,
        "options": {
            "path": {"type": "path"},
            "kind": {"type": "str", "choices": ["wave", "flash", "step", "saw"]},
            "seed": {"type": "int"},
            "low": {"type": "float"},
            "peak": {"type": "float"},
            "hours": {"type": "float"},
            "period_hours": {"type": "float"},
            "interval": {"type": "float"},
            "noise": {"type": "float"},
            "start": {"type": "float"},
        },
    },
    "member": {
        "type": "dict",
        "required": True,
        "options": {
            "capacity": {"type": "float", "required": True},
            "starts_in": {"type": "float"},
            "memory": {"type": "float"},
            "memory_total": {"type": "float"},
            "request_bytes": {"type": "float"},
        },
    },
    "initial": {"type": "int"},
    "cycle": {"type": "float"},
    "baselines": {
        "type": "list",
        "elements": "str",
        "choices": ["hpa", "target_tracking"],
        "default": ["hpa", "target_tracking"],
    },
    "baseline_metric": {"type": "str", "choices": ["cpu", "requests"], "default": "cpu"},
    "baseline_target": {"type": "float", "default": 70},
    "plot": {"type": "path"},
    "title": {"type": "str", "default": "Members needed, and members that serve"},
}


def main() -> None:
    module.run(lambda asked: ReplayScaling(asked.params), ARGUMENTS)


if __name__ == "__main__":
    main()
