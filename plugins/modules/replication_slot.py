#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: replication_slot
short_description: Create, alter and drop any number of PostgreSQL replication slots in one task
version_added: 0.1.0
description:
  - Creates, alters and drops physical and logical replication slots, all of them over one connection; logical slots in
    another database than O(login_db) need one more connection for each such database.
  - All slots are checked before the first one is touched. A slot that exists with another type, plugin, database or
    O(two_phase), or that has lost its WAL, cannot be altered. It is an error and left alone, or with O(recreate)
    dropped and recreated.
  - Guards the disk against slots that have lost their consumer, if limits are set.
  - Says before anything is created when C(max_replication_slots) or C(wal_level) is too low, or when a plugin is not
    installed or not allowed, and what is needed.
  - Physical slots can be created and dropped on a standby as well. Logical slots can be created there from
    PostgreSQL 16 on.
  - With O(patroni_host) it registers with Patroni what it makes, as Patroni drops every slot that it does not know.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.patroni
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_postgres
  - scaleout.platform.attributes.planned
options:
  name:
    description:
      - Name of one slot, 1 to 63 lower-case letters, digits and underscores.
      - One of O(name), O(slots), O(max_retained_bytes) and O(min_free_disk) is required.
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
      - When not given, a new slot does not, and one that exists is left as it is.
    type: bool
  failover:
    description:
      - Whether a logical slot is synchronized to the standbys, so that its consumer can go on after a failover.
      - Needs PostgreSQL 17 on a primary. There, a slot that exists is altered, which needs one more connection, and
        needs that no client uses the slot at that moment.
      - When not given, a new slot is not, and one that exists is left as it is.
    type: bool
  state:
    description: Whether the slot O(name) is to exist; V(present) when not given.
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
      - Whether a slot that exists with another type, plugin, database or O(two_phase), or that is lost, is dropped and
        recreated.
      - Its consumer has to be set up again then, as what changed between the two slots is in neither.
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
        description: Whether the slot is to exist; V(present) when not given.
        type: str
        choices: [present, absent]
      force:
        description: Whether the slot is dropped even while it is used, as in O(force).
        type: bool
      recreate:
        description: Whether a slot that exists otherwise is dropped and recreated, as in O(recreate).
        type: bool
  exclusive:
    description:
      - Whether slots are dropped that are not listed and whose names fit O(pattern).
      - One that is in use is an error unless O(force) is set. Temporary slots, and a standby's copies of its primary's,
        are left alone.
    type: bool
    default: false
  pattern:
    description:
      - Shell pattern of slot names, with C(*), C(?) and C([...]). It is not a regular expression.
      - It bounds what O(exclusive) drops, and what the guard of O(max_retained_bytes) and O(min_free_disk) looks after;
        the guard looks after all slots when it is not given.
      - A subscription that copies its tables has slots of its own, named C(pg_*_sync_*).
    type: str
  max_retained_bytes:
    description:
      - WAL that a slot may keep while no client uses it, such as V(10GB).
      - A guard against slots that were abandoned and fill the disk. It never touches a slot that is in use, however
        much WAL that keeps. RV(guard) has the choice and the reason for each slot.
      - It sees the server only while the task runs. Between two runs C(max_slot_wal_keep_size) alone bounds the WAL; a
        warning says when that is not set, or so low that the server invalidates a slot first.
      - It looks after listed slots too. A listed slot that it drops is recreated at once, and keeps nothing of the
        past then.
    type: str
  min_free_disk:
    description:
      - What is to be free on the volume of the server's WAL, as a size such as V(20GB) or a share such as V(10%).
      - While less is free, slots that no client uses are dropped or reported until enough would be free, those with the
        oldest WAL first. One that would free nothing, as another slot keeps the same WAL, is left alone.
      - Refused where the module does not run on the server's own host, since it cannot see the disk from elsewhere.
    type: str
  guard_action:
    description:
      - Whether the guard warns of slots beyond the limits, or drops them.
      - After it has dropped some it runs a checkpoint, if the user may, so that the server frees the disk at once.
    type: str
    choices: [report, drop]
    default: report
  lost_action:
    description:
      - What happens when a slot that is to exist has lost its WAL, and O(recreate) is not set.
      - V(refuse) fails. V(report) warns and leaves the slot as it is, so that the other slots are provided.
    type: str
    choices: [refuse, report]
    default: refuse
    version_added: 0.2.0
  patroni_slot:
    description:
      - How a slot that is to exist is registered in Patroni's dynamic configuration. It is registered before it is
        created; a slot that exists and is not registered like this is registered, and one that is dropped is
        unregistered first, also by O(exclusive) and the guard. All of it is one request.
      - V(permanent) writes it to C(slots). Patroni keeps the slot on every member, so that its consumer goes on after a
        failover. A physical slot needs O(reserve_wal) then, and a logical one cannot have O(two_phase) or O(failover).
      - V(ignored) writes it to C(ignore_slots). Patroni leaves the slot alone, and it stays on its server, so that it
        is on none that can be written to after a failover.
      - Slots of Patroni's members are left to Patroni. A task that names one is refused, O(exclusive) leaves them
        alone, and so does the guard, with a warning. Physical slots that are not registered may be those of members
        that are away, so only a task that names one drops it.
      - Needs O(patroni_host).
    type: str
    choices: [permanent, ignored]
    default: permanent
    version_added: 0.2.0
  timeout:
    description:
      - Seconds that the creation of one slot may take, from V(0), for no limit, to V(2147483).
      - A logical slot begins at a moment when no transaction is open, so its creation waits for those that are.
    type: int
    default: 60
notes:
  - The user needs to be a superuser or to have the C(REPLICATION) attribute; to end the process that uses a slot it
    needs C(pg_signal_backend) as well.
  - A slot without a consumer keeps WAL until the disk is full. Set C(max_slot_wal_keep_size) to bound that, and run
    the guard of this module regularly.
  - On a server that Patroni has started, slots are neither created nor dropped without O(patroni_host). One that
    Patroni took over while it ran cannot be told from another until its next restart.
  - Patroni copies a permanent logical slot to each replica, and restarts PostgreSQL there once to do so. A warning says
    so.
seealso:
  - module: scaleout.platform.replication_slot_info
    description: Reads the slots of a server.
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

- name: A slot whose consumer is set up again, whatever has become of the old one
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

- name: Only these slots for standbys
  scaleout.platform.replication_slot:
    slots:
      - name: replica_1_slot
      - name: replica_2_slot
    exclusive: true
    pattern: replica_*_slot
  become: true
  become_user: postgres

- name: Slots that survive a failover, on the leader of a cluster of Patroni's
  scaleout.platform.replication_slot:
    slots:
      - name: archive
        reserve_wal: true
      - name: reports
        slot_type: logical
        plugin: pgoutput
        database: shard_0
    patroni_host: 127.0.0.1
    patroni_user: patroni
    patroni_password: "{{ patroni_rest_password }}"
  become: true
  become_user: postgres

- name: No abandoned slot that keeps more than 20 GB, or fills the disk
  scaleout.platform.replication_slot:
    max_retained_bytes: 20GB
    min_free_disk: 10%
    guard_action: drop
  become: true
  become_user: postgres
"""

RETURN = r"""
slots:
  description:
    - The listed slots in the order given, then those that O(exclusive) or the guard drops.
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
      description:
        - What the task did, or would do in check mode; V(created), V(altered), V(dropped), V(recreated) or V(none).
        - Where only Patroni is told of the slot, V(registered) or V(unregistered).
      type: str
      sample: created
    patroni:
      description: How Patroni knows the slot after the task, V(permanent) or V(ignored); V(null) where it does not.
      returned: when O(patroni_host) is set
      type: str
      sample: permanent
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
          description: Since when no client uses the slot, in UTC; V(null) before PostgreSQL 17 and while it is used.
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
guard:
  description: What the guard chose, the same in check mode.
  returned: when O(max_retained_bytes) or O(min_free_disk) is set
  type: dict
  contains:
    action:
      description: V(report) or V(drop), as in O(guard_action).
      type: str
      sample: drop
    free_bytes:
      description: What was free on the volume of the WAL when the task began; V(null) without O(min_free_disk).
      type: int
      sample: 21474836480
    total_bytes:
      description: What that volume has; V(null) without O(min_free_disk).
      type: int
      sample: 107374182400
    slots:
      description: All slots of the server that the task does not drop anyway, in the order of their names.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the slot.
          type: str
          sample: replica_2_slot
        choice:
          description: V(kept), V(reported) or V(dropped).
          type: str
          sample: dropped
        reason:
          description: Why.
          type: str
          sample: no client uses it and it keeps 21.4GB of WAL, more than max_retained_bytes 20GB
        retained_bytes:
          description: WAL that the slot kept.
          type: int
          sample: 22978075033
"""

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_slots import FOR_ALL, KINDS, AlterSlots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection

# Without defaults here: an option that was given must be told from one that was not. Desired has the defaults.
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


def main() -> None:
    run(
        lambda module: AlterSlots.of(module.params),
        dict(
            connection.ARGUMENT_SPEC,
            **patroni.ARGUMENTS,
            **SLOT_SPEC,
            patroni_slot={"type": "str", "choices": list(KINDS), "default": KINDS[0]},
            exclusive={"type": "bool", "default": False},
            pattern={"type": "str"},
            max_retained_bytes={"type": "str"},
            min_free_disk={"type": "str"},
            guard_action={"type": "str", "choices": ["report", "drop"], "default": "report"},
            lost_action={"type": "str", "choices": ["refuse", "report"], "default": "refuse"},
            timeout={"type": "int", "default": 60},
            slots={
                "type": "list",
                "elements": "dict",
                "options": dict(SLOT_SPEC, name={"type": "str", "required": True}),
            },
        ),
        secrets_in=connection.secrets_in,
        required_one_of=[("name", "slots", "max_retained_bytes", "min_free_disk")],
        required_if=[("exclusive", True, ("pattern",)), ("exclusive", True, ("name", "slots"), True)],
        required_by={option: ("name",) for option in SLOT_SPEC if option not in ("name", *FOR_ALL)},
        mutually_exclusive=[(option, "slots") for option in SLOT_SPEC if option not in FOR_ALL],
    )


if __name__ == "__main__":
    main()
