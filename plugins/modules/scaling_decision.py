#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: scaling_decision
short_description: Decide whether a pool should grow, shrink or stay
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Decides from a policy, from what was measured of the members, from the pool's state and from its past actions. It
    asks no server and changes nothing.
  - The result explains itself. It says who asked for what, with which numbers, what held it back, and when the next
    action is possible.
  - What each rule means is in C(docs/scaling-decisions.md) of the collection.
options:
  policy:
    description:
      - What is wanted of the pool. V(min), V(max) and V(interval) are required; all other keys have defaults. All times
        are seconds.
      - V(min) and V(max) are the bounds of the pool. V(interval) is the expected distance of samples.
      - V(rules) grow the pool above a V(threshold) of a V(metric), and shrink it where the load would stay below that
        on fewer members. V(up) and V(down) are V(false), or have a V(step) and a V(cooldown). V(duration) is 60 unless
        given. With V(scope=total) the sum over the members is judged.
      - V(triggers) have a V(metric), a V(condition) (V(gt), V(lt) or V(eq)), a V(threshold), a V(duration) and an
        V(action) (V(scale_up), V(scale_down) or V(alert)); further V(step), V(cooldown), V(scope) and V(follows_load).
      - V(targets) keep a V(metric) near a V(target) for each server, within a V(tolerance) in per cent.
      - V(alerts) name members that meet a condition. V(guards) hold growth while an instance meets one.
      - V(schedule) is a list of windows with bounds of their own. Each has V(from), V(to), V(time_zone), V(min) or
        V(max), and may have V(days).
      - Further V(warm_up), V(stabilization), V(dead_after), V(action_timeout), V(max_step) and V(enforce_maximum).
      - Without V(rules), V(triggers) and V(targets), the pool grows above 70 per cent of CPU or 1000 requests per
        second and server, and by the triggers on CPU, memory and requests.
      - Everything that is wrong is reported at once.
    type: dict
    required: true
  pool:
    description:
      - The pool as it is. V(desired) is the size that the record asks for.
      - V(members) has a V(name) for each member, and whether it is V(healthy), V(in_rotation), V(protected), declared
        V(failed) by Consul and V(reached) by the load balancer; and V(since), when it began to serve. What is not said
        is false.
      - V(paused) has V(until) and V(why), and may have V(by) and V(since). V(running) has V(started), and is an action
        that has not ended.
    type: dict
    required: true
  readings:
    description:
      - What was measured, in any order. Each has an V(instance), a time V(at), and V(values) of V(cpu) and V(memory)
        (per cent), V(memory_free) (MB), V(requests), V(application) and V(errors) (per second), V(network) (bytes per
        second) and V(latency) (ms). A value that is missing is not known; it is never zero.
      - Guards may name V(pooler_wait) (s) and V(shard_errors) (per second) as well, of any instance.
      - They should go back RV(horizon) seconds. Older ones change nothing.
    type: list
    elements: raw
    default: []
  history:
    description:
      - The past actions, in any order. Each has a V(direction), V(from), V(to), V(started), V(finished) and an
        V(outcome) (V(succeeded), V(failed) or V(called_off)); and may have V(by), V(why) and V(replaced).
      - An entry that cannot be, or that is from the future, holds the pool and is named. One with nothing but V(fault)
        says what M(scaleout.platform.scaling_journal) found wrong.
    type: list
    elements: raw
    default: []
  known_alerts:
    description: Keys of the alerts that were sent before, so that each is sent once until it has cleared.
    type: list
    elements: str
    default: []
  now:
    description: The time of the decision, in seconds since the epoch. By default that of the host's clock.
    type: float
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.scaling
  - module: scaleout.platform.scaling_journal
  - module: scaleout.platform.members
"""

EXAMPLES = r"""
- name: Decide whether the shop needs another server
  scaleout.platform.scaling_decision:
    policy:
      min: 2
      max: 6
      interval: 15
      rules:
        - {metric: cpu, threshold: 70, up: {step: 1, cooldown: 300}, down: {step: 1, cooldown: 600}}
    pool:
      desired: 2
      members:
        - {name: shop1, healthy: true, in_rotation: true, reached: true}
        - {name: shop2, healthy: true, in_rotation: true, reached: true}
    readings:
      - {instance: shop1, at: 1767225540, values: {cpu: 78}}
      - {instance: shop2, at: 1767225540, values: {cpu: 82}}
      - {instance: shop1, at: 1767225555, values: {cpu: 80}}
      - {instance: shop2, at: 1767225555, values: {cpu: 84}}
      - {instance: shop1, at: 1767225570, values: {cpu: 81}}
      - {instance: shop2, at: 1767225570, values: {cpu: 83}}
      - {instance: shop1, at: 1767225585, values: {cpu: 82}}
      - {instance: shop2, at: 1767225585, values: {cpu: 86}}
      - {instance: shop1, at: 1767225600, values: {cpu: 83}}
      - {instance: shop2, at: 1767225600, values: {cpu: 85}}
    now: 1767225600
  register: decision

- name: Show why
  ansible.builtin.debug:
    var: decision.told
"""

RETURN = r"""
outcome:
  description:
    - V(scale) if the pool is to be changed, V(hold) if someone asked and was held, V(none) if no one asked.
  returned: success
  type: str
  sample: scale
direction:
  description: V(up) or V(down), also of what is held; empty if no one asked.
  returned: success
  type: str
  sample: up
from:
  description: The desired size now.
  returned: success
  type: int
  sample: 2
to:
  description: The desired size to have. The same, unless RV(outcome) is V(scale), or dead members are replaced.
  returned: success
  type: int
  sample: 3
join:
  description: How many members to add.
  returned: success
  type: int
  sample: 1
replaced:
  description: Dead members whose places those take.
  returned: success
  type: list
  elements: str
  sample: []
leave:
  description: How many members to remove.
  returned: success
  type: int
  sample: 0
leave_first:
  description: Dead members, which are the first to remove.
  returned: success
  type: list
  elements: str
  sample: []
winner:
  description:
    - Who asked for it, with what it saw. Null if no one asked. RV(ignore:winner.window) has the numbers, their age in
      seconds and how many samples they are from. It is null for a bound.
  returned: success
  type: dict
  sample:
    kind: rule
    name: cpu > 70
    asks: up
    to: 3
    why: cpu 84 % a server (80 % to 84 % in 60 s; 10 samples of 2 of 2 members), threshold > 70
    window:
      metric: cpu
      condition: gt
      threshold: 70.0
      seconds: 60.0
      members: 2
      reporting: 2
      lacking: {}
      samples: 10
      instants: 5
      newest: 84.0
      lowest: 80.0
      highest: 84.0
      age: 0.0
losers:
  description: The others, in the same form, each with what it saw.
  returned: success
  type: list
  elements: dict
  sample: []
reasons:
  description:
    - What holds the pool, each with a C(code) and a C(text). The codes are V(history), V(running), V(paused),
      V(maximum), V(minimum), V(cooldown), V(back_off), V(guard), V(flapping), V(warm_up), V(missing_data),
      V(protected) and V(projection).
  returned: success
  type: list
  elements: dict
  sample: []
bounds:
  description: The bounds now, and the windows of the schedule that are open.
  returned: success
  type: dict
  sample: {min: 2, max: 6, windows: []}
members:
  description: Who counts, who warms up, whose silence is an alert, and who is dead.
  returned: success
  type: dict
  sample: {eligible: [shop1, shop2], warming: [], silent: [], dead: []}
paused:
  description: The pause that is in force; null without one.
  returned: success
  type: dict
  sample: null
running_since:
  description: When the action that runs has started, in seconds since the epoch; null if none runs.
  returned: success
  type: float
  sample: null
alerts:
  description:
    - What is wrong now. Each has a C(key), a C(kind), the C(member) that it is about, a C(text), and for a metric its
      C(metric), C(value) and C(age) in seconds.
  returned: success
  type: list
  elements: dict
  sample: []
alerts_new:
  description: Keys of the alerts that are not in O(known_alerts).
  returned: success
  type: list
  elements: str
  sample: []
alerts_cleared:
  description: The keys of O(known_alerts) that have cleared. One whose data are missing has not.
  returned: success
  type: list
  elements: str
  sample: []
next_up:
  description:
    - The earliest time at which the pool can grow, in seconds since the epoch. Null while an action runs, and where it
      cannot grow.
  returned: success
  type: float
  sample: 1767225600.0
next_down:
  description: The same for shrinking.
  returned: success
  type: float
  sample: null
history:
  description: The last ten actions with their outcomes.
  returned: success
  type: list
  elements: dict
  sample: []
horizon:
  description: How many seconds of readings the policy looks at.
  returned: success
  type: float
  sample: 1845.0
decided_at:
  description: The time of the decision, in seconds since the epoch.
  returned: success
  type: float
  sample: 1767225600.0
told:
  description: The decision in lines for a person.
  returned: success
  type: list
  elements: str
  sample:
    - Scale up from 2 to 3 (1 join), asked by rule cpu > 70.
    - >-2
        * rule cpu > 70 asks up: cpu 84 % a server (80 % to 84 % in 60 s; 10 samples of 2 of 2 members), threshold > 70
    - "  The size is 2, between 2 and 6."
    - "  Next: up now, down not possible."
code:
  description: V(invalid_policy) if the options cannot be.
  returned: failure
  type: str
  sample: invalid_policy
problems:
  description: Everything that is wrong with O(policy), O(pool) and O(now), each with its C(option) and a C(text).
  returned: failure
  type: list
  elements: dict
  sample:
    - option: policy.interval
      text: is required.
"""

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import module
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import decide_on, read

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "policy": {"type": "dict", "required": True},
    "pool": {"type": "dict", "required": True},
    "readings": {"type": "list", "elements": "raw", "default": []},
    "history": {"type": "list", "elements": "raw", "default": []},
    "known_alerts": {"type": "list", "elements": "str", "default": []},
    "now": {"type": "float"},
}


class Decide(Task):
    """A task that has nothing to carry out."""

    def __init__(self, options: dict[str, t.Any]) -> None:
        self._options = options
        self._now = time.time() if options["now"] is None else options["now"]
        self._policy, self._pool = read(options["policy"], options["pool"], self._now)

    def plan(self) -> Plan:
        options = self._options
        decision = decide_on(
            self._policy, Readings(options["readings"]), self._pool, History(options["history"]), self._now
        )
        result = decision.document(options["known_alerts"])
        return Plan(before={}, after={}, result=result, warnings=self._policy.warnings)

    def apply(self, plan: Plan) -> None:
        """There is never anything to carry out."""


def main() -> None:
    module.run(lambda asked: Decide(asked.params), ARGUMENTS)


if __name__ == "__main__":
    main()
