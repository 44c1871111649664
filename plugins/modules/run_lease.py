#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lease
short_description: Allow one run at a time to change the platform
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Takes, renews or gives back a lease in Consul's KV. It names the playbook, the user, the controller, its process,
    and when it began.
  - When another run holds it, the task fails with C(code=held) and names that run. A lease whose process is dead on
    this very controller is taken over at once, one of another controller an hour after its last renewal.
  - In check mode nothing is taken, since such a run changes nothing. If another run holds the lease, RV(holder) and
    RV(said) name it, and the task does not fail.
  - A lease that ends much later than it can is respected, and the message says so. One that cannot be read is left
    alone, and the task fails.
options:
  state:
    description: Whether to take or renew the lease, or to give it back.
    type: str
    choices: [held, released]
    default: held
  optional:
    description:
      - Whether to continue if Consul cannot be asked, such as before the first run.
      - RV(mode) says which of the two it was.
    type: bool
    default: false
  expires:
    description: For how many seconds the lease counts after this task, from 1 to 3600.
    type: float
    default: 3600
  watched:
    description:
      - Whether this run is ended if it has not renewed the lease in time, such as because it was paused. A process on
        the controller sends SIGTERM, and SIGKILL after 5 s, to C(ansible-playbook) and what descends from it, at most
        10 s before the lease expires. The run's output says why, and so does the next run that takes the lease.
      - A task that takes longer than the lease is ended with it. Renew the lease before.
    type: bool
    default: false
  holder:
    description: Who this run is. The action plugin of the same name sets it.
    type: dict
    default: {}
  gone:
    description: The run whose process is known to be dead. The action plugin of the same name sets it.
    type: str
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
  - scaleout.platform.attributes.action_group_consul
  - scaleout.platform.attributes.action
"""

EXAMPLES = r"""
- name: Take the lease of this run
  scaleout.platform.run_lease:
    consul_token: "{{ consul_management_token }}"
"""

RETURN = r"""
mode:
  description:
    - V(held) when this run has the lease, V(released) when it gave it back, V(check) in check mode.
    - With O(optional), V(bare) where no Consul answers, and V(no_quorum) where Consul has no leader.
  returned: success
  type: str
  sample: held
run:
  description: This run, as O(holder) names it. Those who write for the run name it.
  returned: always
  type: str
  sample: ansible-local-4711abcdefgh
taken_over_from:
  description: The run whose lease was taken over, because its process was dead or it had not renewed it for an hour.
  returned: when V(held)
  type: dict
  sample: {}
holder:
  description: Who the other run is.
  returned: when another run holds it
  type: dict
  sample: {user: ops, host: ctl1, pid: 4711, playbook: site.yml}
expires:
  description: O(expires).
  returned: when V(held)
  type: float
  sample: 3600.0
ansible_facts:
  description: In C(postgres_leaders), the leader of each PostgreSQL cluster that has one, for the rest of the run.
  returned: success
  type: dict
  sample: {postgres_leaders: {pg1: vm2}}
said:
  description: What a run that is no dry run would fail with.
  returned: in check mode, when it would
  type: str
  sample: >-
    Another run changes this platform: site.yml of ops on ctl1 (process 4711), since 2026-03-01 12:00:00 UTC. Wait for
    its end, or stop it there.
code:
  description: V(held) when another run holds the lease, or why Consul could not be asked.
  returned: failure
  type: str
  sample: held
"""

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS, Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.module import Task, run
from ansible_collections.scaleout.platform.plugins.module_utils.operations import leaders, lease
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class KeepLease(Task):
    """Takes or gives back the lease. It is no part of what the platform is, so it is no change."""

    def __init__(self, params: t.Mapping[str, t.Any], acts: bool) -> None:
        self._params = params
        if not 1 <= params["expires"] <= lease.EXPIRES:
            raise InvalidInput(
                "expires", params["expires"], f"is not a number of seconds from 1 to {lease.EXPIRES:.0f}"
            )
        self._acts = acts
        self._consul = Consul.from_options(params)

    def plan(self) -> Plan:
        holder = self._params["holder"]
        if not self._acts:
            looked = self._look() if self._params["state"] == "held" else {}
            return Plan(None, None, result={"mode": "check", **looked})
        if self._params["state"] == "released":
            lease.release(self._consul, holder)
            return Plan(None, None, result={"mode": "released"})
        expires = self._params["expires"]
        taken = lease.take(self._consul, holder, self._params["gone"], time.time(), expires)
        found = dict(taken) if taken else {}
        known = leaders.facts(leaders.read(self._consul))
        return Plan(None, None, result={"mode": "held", "taken_over_from": found, "expires": expires, **known})

    def _look(self) -> dict[str, t.Any]:
        known: dict[str, t.Any] = {}
        try:
            known = leaders.facts(leaders.read(self._consul))
            lease.look(self._consul, self._params["holder"], self._params["gone"], time.time())
        except Unreachable:
            return known  # as before the first run, of which a dry run is all the more of use
        except ScaleoutError as error:
            return {"said": error.message, **{name: error.facts[name] for name in ("holder",) if name in error.facts}}
        return known

    def apply(self, plan: Plan) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        self._consul.close()


def build(module: AnsibleModule) -> KeepLease:
    return KeepLease(module.params, acts=not module.check_mode)


def main() -> None:
    run(
        build,
        {
            **ARGUMENTS,
            "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
            "optional": {"type": "bool", "default": False},
            "holder": {"type": "dict", "default": {}},
            "expires": {"type": "float", "default": lease.EXPIRES},
            "watched": {"type": "bool", "default": False},
            "gone": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
