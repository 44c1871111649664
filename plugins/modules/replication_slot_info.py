#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: replication_slot_info
short_description: Read the replication slots of a PostgreSQL server and the WAL that they keep
version_added: 0.1.0
description:
  - Reads all slots of a primary or of a standby over one connection, with two queries.
  - With O(patroni_host) it asks Patroni as well, and says for each slot whose it is.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.patroni
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_postgres
  - scaleout.platform.attributes.info
options:
  pattern:
    description:
      - Shell pattern of the names to return, with C(*), C(?) and C([...]).
      - It is not a regular expression.
    type: str
    default: '*'
notes:
  - Any role may use this module. One that is a member of C(pg_monitor) is also told who uses a slot.
seealso:
  - module: scaleout.platform.replication_slot
    description: Creates and drops slots, and guards the disk against those without a consumer.
"""

EXAMPLES = r"""
- name: Look at the slots
  scaleout.platform.replication_slot_info:
  become: true
  become_user: postgres
  register: slots

- name: Say which slots have no consumer
  ansible.builtin.debug:
    msg: "{{ item.name }} keeps {{ item.retained_bytes | default(0, true) | human_readable }}"
  loop: "{{ slots.slots | rejectattr('active') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Find slots that Patroni does not know
  scaleout.platform.replication_slot_info:
    patroni_host: 127.0.0.1
  become: true
  become_user: postgres
  register: slots
  failed_when: slots.slots | rejectattr('patroni') | length > 0

- name: Ask a standby as a role that only monitors
  scaleout.platform.replication_slot_info:
    login_host: pg1r.internal
    login_user: monitor
    login_password: "{{ postgres_monitor_password }}"
    pattern: reports_*
"""

RETURN = r"""
slots:
  description: The slots whose names fit the pattern, in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the slot.
      type: str
      sample: reports
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
    temporary:
      description: Whether the slot goes with the session that made it.
      type: bool
      sample: false
    two_phase:
      description: Whether prepared transactions are decoded.
      type: bool
      sample: false
    failover:
      description: Whether the slot is synchronized to the standbys.
      type: bool
      sample: false
    synced:
      description: Whether the slot is a standby's copy of its primary's.
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
    user:
      description: Who that is, as far as the role may know; V(null) when no client uses the slot.
      type: str
      sample: walsender pg1r (pid 4711, from 10.0.0.12)
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
    patroni:
      description:
        - Whose the slot is to Patroni. V(member), for a member's own; V(permanent), in C(slots); V(ignored), when a
          matcher of C(ignore_slots) fits.
        - V(null) for any other. Patroni drops it, unless it is that of a member that is away.
      returned: when O(patroni_host) is set
      type: str
      sample: permanent
in_recovery:
  description: Whether the server is a standby.
  returned: success
  type: bool
  sample: false
wal_level:
  description: The server's C(wal_level).
  returned: success
  type: str
  sample: logical
max_replication_slots:
  description: How many slots the server can have.
  returned: success
  type: int
  sample: 10
used:
  description: How many it has, whatever their names.
  returned: success
  type: int
  sample: 3
max_slot_wal_keep_size:
  description: Bytes of WAL that a slot may keep before the server invalidates it; V(null) for no bound.
  returned: success
  type: int
  sample: 10737418240
"""

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.show_slots import ShowSlots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


def main() -> None:
    run(
        lambda module: ShowSlots.of(module.params),
        dict(connection.ARGUMENT_SPEC, **patroni.ARGUMENTS, pattern={"type": "str", "default": "*"}),
        secrets_in=connection.secrets_in,
    )


if __name__ == "__main__":
    main()
