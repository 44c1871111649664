#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: replication_slot
short_description: Create and drop any number of PostgreSQL replication slots in one task
version_added: 0.1.0
description:
  - Creates and drops physical and logical replication slots, all of them over one connection; logical slots in another
    database than O(login_db) need one more connection for each such database.
  - All slots are checked before the first one is touched. A slot that exists with another type, plugin or database,
    or that has lost its WAL, cannot be altered. It is an error and left alone, or with O(recreate) dropped and created
    anew.
  - Says before anything is created when C(max_replication_slots) or C(wal_level) is too low, or when a plugin is not
    installed or not allowed, and what is needed.
  - Physical slots can be created and dropped on a standby as well. Logical slots can be created there from
    PostgreSQL 16 on.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
options:
  name:
    description:
      - Name of one slot, 1 to 63 lower-case letters, digits and underscores.
      - One of O(name) and O(slots) is required.
    type: str
  slot_type:
    description: Type of the slot O(name); V(physical) when not given.
    type: str
    choices: [physical, logical]
  plugin:
    description: Output plugin of a logical slot, which needs one.
    type: str
  database:
    description: Database of a logical slot, which needs one.
    type: str
  reserve_wal:
    description:
      - Whether a physical slot keeps WAL from its creation on.
      - When not given it keeps WAL from the first connection of its standby on.
      - It counts at creation only and is not compared with a slot that exists.
    type: bool
  two_phase:
    description:
      - Whether a logical slot decodes transactions when they are prepared and not only when they are committed.
      - When not given, a new slot does not, and one that exists is as it may.
    type: bool
  failover:
    description:
      - Whether a logical slot is synchronized to the standbys, so that its consumer can go on after a failover.
      - Needs PostgreSQL 17 on a primary.
      - When not given, a new slot is not, and one that exists is as it may.
    type: bool
  state:
    description: Whether the slot O(name) shall exist; V(present) when not given.
    type: str
    choices: [present, absent]
  force:
    description:
      - Whether a slot is dropped even while a standby or a subscriber uses it.
      - The process that uses it is ended, and a warning names it.
      - Beside O(slots) it counts for those that do not say it themselves.
    type: bool
  recreate:
    description:
      - Whether a slot that exists with another type, plugin, database, O(two_phase) or O(failover), or that is lost, is
        dropped and created anew.
      - Its consumer has to be set up anew then, as what changed between the two slots is in neither.
      - Each slot is created right after it was dropped, before the next one is touched; so never more than one is
        missing, and the error names it.
      - One that is in use needs O(force) as well.
      - Beside O(slots) it counts for those that do not say it themselves.
    type: bool
  slots:
    description: Any number of slots; excludes the options that describe one slot.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the slot, 1 to 63 lower-case letters, digits and underscores.
        type: str
        required: true
      slot_type:
        description: Type of the slot; V(physical) when not given.
        type: str
        choices: [physical, logical]
      plugin:
        description: Output plugin of a logical slot, which needs one.
        type: str
      database:
        description: Database of a logical slot, which needs one.
        type: str
      reserve_wal:
        description: Whether a physical slot keeps WAL from its creation on, as in O(reserve_wal).
        type: bool
      two_phase:
        description: Whether a logical slot decodes prepared transactions, as in O(two_phase).
        type: bool
      failover:
        description: Whether a logical slot is synchronized to the standbys, as in O(failover).
        type: bool
      state:
        description: Whether the slot shall exist; V(present) when not given.
        type: str
        choices: [present, absent]
      force:
        description: Whether the slot is dropped even while it is used, as in O(force).
        type: bool
      recreate:
        description: Whether a slot that exists otherwise is dropped and created anew, as in O(recreate).
        type: bool
  timeout:
    description:
      - Seconds that the creation of one slot may take, V(0) for no limit.
      - A logical slot begins at a moment when no transaction is open, so its creation waits for those that are.
    type: int
    default: 60
notes:
  - The user needs to be a superuser or to have the C(REPLICATION) attribute; to end the process that uses a slot it
    needs C(pg_signal_backend) as well.
  - A slot that nobody reads keeps WAL until the disk is full. Set C(max_slot_wal_keep_size) to bound that.
seealso:
  - module: community.postgresql.postgresql_slot
    description: Creates or drops one slot a task.
  - module: scaleout.platform.server_settings
    description: Sets C(max_replication_slots), C(wal_level) and C(max_slot_wal_keep_size).
"""

EXAMPLES = r"""
- name: A slot for a standby
  scaleout.platform.replication_slot:
    name: replica_1_slot
    reserve_wal: true
  become: true
  become_user: postgres

- name: Slots for two standbys and a subscriber
  scaleout.platform.replication_slot:
    slots:
      - name: replica_1_slot
      - name: replica_2_slot
      - name: reports
        slot_type: logical
        plugin: pgoutput
        database: shard_0
  become: true
  become_user: postgres

- name: A slot whose consumer is set up anew, whatever has become of the old one
  scaleout.platform.replication_slot:
    name: reports
    slot_type: logical
    plugin: pgoutput
    database: shard_0
    two_phase: true
    recreate: true
  become: true
  become_user: postgres

- name: No slot for a standby that is gone, even if it still clings to it
  scaleout.platform.replication_slot:
    name: replica_2_slot
    state: absent
    force: true
  become: true
  become_user: postgres
"""

RETURN = r"""
slots:
  description:
    - The listed slots in the order given.
    - For a slot that check mode would create, the values that only the server knows are V(null); for a dropped one they
      are the last ones.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the slot.
      type: str
      sample: replica_1_slot
    slot_type:
      description: V(physical) or V(logical).
      type: str
      sample: physical
    plugin:
      description: Output plugin of a logical slot.
      type: str
      sample: pgoutput
    database:
      description: Database of a logical slot.
      type: str
      sample: shard_0
    active:
      description: Whether a process uses the slot.
      type: bool
      sample: true
    restart_lsn:
      description: The oldest WAL that the slot keeps; V(null) while it keeps none.
      type: str
      sample: 0/3000060
    wal_status:
      description: V(reserved), V(extended), V(unreserved) or V(lost), as in C(pg_replication_slots).
      type: str
      sample: reserved
    safe_wal_size:
      description: Bytes that can be written before the slot may lose WAL; V(null) when there is no bound.
      type: int
      sample: 1073741824
    action:
      description: What the task did, or would do in check mode; V(created), V(dropped), V(recreated) or V(none).
      type: str
      sample: created
    before:
      description: The slot before the task; V(null) when there was none.
      type: dict
      contains:
        slot_type:
          description: V(physical) or V(logical).
          type: str
          sample: logical
        plugin:
          description: Output plugin of a logical slot.
          type: str
          sample: pgoutput
        database:
          description: Database of a logical slot.
          type: str
          sample: shard_0
        two_phase:
          description: Whether prepared transactions are decoded.
          type: bool
          sample: false
        failover:
          description: Whether the slot is synchronized to the standbys.
          type: bool
          sample: false
        active:
          description: Whether a process uses the slot.
          type: bool
          sample: true
        active_pid:
          description: That process.
          type: int
          sample: 4711
        inactive_since:
          description: Since when nobody uses the slot, in UTC; V(null) before PostgreSQL 17 and while it is used.
          type: str
          sample: "2026-11-25T14:20:59Z"
        restart_lsn:
          description: The oldest WAL that the slot keeps; V(null) while it keeps none.
          type: str
          sample: 0/3000060
        confirmed_flush_lsn:
          description: Up to where the consumer of a logical slot has confirmed.
          type: str
          sample: 0/3000098
        wal_status:
          description: V(reserved), V(extended), V(unreserved) or V(lost), as in C(pg_replication_slots).
          type: str
          sample: reserved
        safe_wal_size:
          description: Bytes that can be written before the slot may lose WAL; V(null) when there is no bound.
          type: int
          sample: 1073741824
        retained_bytes:
          description: WAL that the slot keeps; V(null) for none.
          type: int
          sample: 16777216
        invalidation_reason:
          description: Why the slot is lost, as far as the server says; V(null) before PostgreSQL 16.
          type: str
          sample: wal_removed
    after:
      description:
        - The slot after the task, with the fields of RV(slots[].before); V(null) when it was dropped.
        - Check mode predicts it; what only the server knows is V(null) then.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scaleout.platform.plugins.module_utils.module import Task, run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import server

# Without defaults here: an option that was given must be told from one that was not. Wish has the defaults.
SLOT_SPEC = {
    "name": {"type": "str"},
    "slot_type": {"type": "str", "choices": ["physical", "logical"]},
    "plugin": {"type": "str"},
    "database": {"type": "str"},
    "reserve_wal": {"type": "bool"},
    "two_phase": {"type": "bool"},
    "failover": {"type": "bool"},
    "state": {"type": "str", "choices": ["present", "absent"]},
    "force": {"type": "bool"},
    "recreate": {"type": "bool"},
}

# These count for all of the slots that do not say otherwise.
FOR_ALL = ("force", "recreate")


class ReplicationSlots(Task):
    def __init__(self, endpoint: connection.Endpoint, wishes: tuple, timeout: int) -> None:
        self.wishes = wishes
        self.timeout = timeout
        self.session = connection.Session(endpoint)
        self.choices: tuple = ()

    def plan(self) -> Plan:
        self.choices = planner.choose(self.wishes, server.read(self.session, self.wishes))
        return planner.plan(self.choices)

    def apply(self, plan: Plan) -> dict:
        server.apply(self.session, plan.actions, self.timeout)
        return {"slots": planner.result(self.choices, server.read_slots(self.session))}

    def close(self) -> None:
        self.session.close()


def build(module: AnsibleModule) -> ReplicationSlots:
    params = module.params
    one = {option: params[option] for option in SLOT_SPEC}
    slots = [one] if params["slots"] is None else params["slots"]
    for_all = {option: params[option] for option in FOR_ALL}
    slots = [{**slot, **{key: value for key, value in for_all.items() if slot[key] is None}} for slot in slots]
    return ReplicationSlots(connection.Endpoint.of(params), planner.wishes_of(slots), params["timeout"])


def main() -> None:
    run(
        build,
        dict(
            connection.ARGUMENT_SPEC,
            **SLOT_SPEC,
            timeout={"type": "int", "default": 60},
            slots={
                "type": "list",
                "elements": "dict",
                "options": dict(SLOT_SPEC, name={"type": "str", "required": True}),
            },
        ),
        required_one_of=[("name", "slots")],
        mutually_exclusive=[(option, "slots") for option in SLOT_SPEC if option not in FOR_ALL],
    )


if __name__ == "__main__":
    main()
