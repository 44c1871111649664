#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: partition_set
short_description: Keep PostgreSQL tables partitioned, with partitions made ahead and old ones put away
version_added: 0.2.0
description:
  - Declares how a table is partitioned, and keeps it so each time the task runs. Many tables go in one task and over
    one connection, with O(sets).
  - Creation and retention are separate transactions with separate results. Creation comes first, and nothing that
    happens in retention undoes it. A set that cannot be done does not stop the other sets; the task fails at its end
    and says what became of each.
  - A partition is made as a table apart and then attached, which lets reads and writes of the table go on. No lock is
    waited for longer than O(lock_timeout); what could not be locked is tried again, and the result says who held it.
  - The time zone in which a day begins is stored with the set, as the last line of the comment of its table. What the
    session or the server has for a time zone does not matter.
  - The present time is the server's. A server whose clock is more than a day from that of the controller is refused.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_postgres
  - scaleout.platform.attributes.planned
  - scaleout.platform.attributes.action
  - scaleout.platform.partition_set
  - scaleout.platform.partition_set.pauses
options:
  lock_timeout:
    description:
      - Milliseconds that one attempt waits for a lock, from V(10) to V(10000).
      - What the application sends behind it waits as long at the most. It is to be less than the server's
        C(deadlock_timeout), so that in a deadlock it is always this task that gives way.
    type: int
    default: 500
  lock_patience:
    description: Seconds that a set's locks are tried for, again and again with pauses; V(0) for a single attempt.
    type: int
    default: 60
  batch_rows:
    description:
      - How many rows one transaction copies at the most, out of a default partition.
      - It is also the most rows that are moved out of one without a primary key, in one transaction.
    type: int
    default: 10000
  controller_time:
    description:
      - Seconds since 1970, by the controller's clock. The task supplies it by itself.
      - Where the module runs without its action plugin, the clock of the host where it runs serves.
    type: float
notes:
  - The user needs to own the table, or to be a superuser, and to have C(CREATE) on its schema. With
    O(retention_action=move) also on O(move_to).
  - With several hosts in O(login_host), with commas between them, the one that takes writes is used.
  - New partitions have the indexes, constraints, defaults, generated columns, storage, statistics, tablespace, owner,
    replica identity and row security of their table, as far as the server does not take these from the table anyway.
  - The order of locks is the same in each run. It is documented in docs/partitions.md.
seealso:
  - module: scaleout.platform.partition_set_info
    description: Says how far ahead partitions are made, and what is wrong with them.
  - module: community.postgresql.postgresql_table
    description: Creates plain tables.
"""

EXAMPLES = r"""
- name: Tasks by month of their UUIDv7 id, two years of them, the older ones put away as tables of their own
  scaleout.platform.partition_set:
    login_db: shard_0
    table: tasks
    column: id
    interval: month
    premake: 3
    past: 1
    retention: 24 months
  become: true
  become_user: postgres

- name: A table that does not exist yet, by day in Berlin
  scaleout.platform.partition_set:
    login_db: shard_0
    table: visits
    column: seen_at
    interval: day
    time_zone: Europe/Berlin
    premake: 14
    definition:
      - id bigint GENERATED ALWAYS AS IDENTITY
      - seen_at timestamptz NOT NULL
      - path text NOT NULL
  become: true
  become_user: postgres

- name: A plain table with rows, which becomes one partition while the application goes on
  scaleout.platform.partition_set:
    login_db: shard_0
    table: messages
    column: sent_at
    interval: month
    convert: true
    pauses:
      replica_lag: 64MB
  become: true
  become_user: postgres

- name: All sets of a database over one connection
  scaleout.platform.partition_set:
    login_db: shard_0
    sets:
      - table: tasks
        column: id
        interval: month
      - table: visits
        column: seen_at
        interval: day
        retention: 90 days
        retention_action: drop
      - table: notes
        by: hash
        column: user_id
        modulus: 8
      - table: orders
        by: list
        column: country
        values:
          eu: [DE, FR]
          us: US
  become: true
  become_user: postgres
"""

RETURN = r"""
sets:
  description: What became of each set, in the order given; what check mode would do, there.
  returned: always, once the options were right
  type: list
  elements: dict
  contains:
    table:
      description: Name of the table.
      type: str
      sample: tasks
    schema:
      description: Its schema.
      type: str
      sample: public
    outcome:
      description:
        - V(unchanged), V(changed) or V(failed). A set that failed may have been changed before; RV(sets[].created) and
          the others say what was done.
      type: str
      sample: changed
    code:
      description: Why it failed, as in docs/codes.md; V(null) otherwise.
      type: str
      sample: locked
    msg:
      description: The same in a sentence; V(null) otherwise.
      type: str
    converted:
      description: What a plain table has become; V(null) where there was none, or none was converted.
      type: dict
      contains:
        name:
          description: What it is called.
          type: str
          sample: messages_converted
        bounds:
          description: What it holds as a partition, in UTC; V(null) where its rows were moved.
          type: str
          sample: FROM MINVALUE TO 2024-02-01 00:00:00+00
    validated:
      description: Foreign keys of other tables that lead to the set since it was converted, and were validated.
      type: list
      elements: str
      sample: [public.attachments.attachments_message_fkey]
    paused:
      description: How long a move of rows or a conversion waited for O(pauses); V(null) where it did not.
      type: dict
      contains:
        seconds:
          description: So long.
          type: float
          sample: 12.0
        reasons:
          description: Why.
          type: list
          elements: str
          sample: ["the replica db2 4711 is 310MB behind, more than replica_lag 256MB"]
    created:
      description: Partitions that were created and attached.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the partition.
          type: str
          sample: tasks_y2024m01
        bounds:
          description: What it holds, in UTC.
          type: str
          sample: FROM 2024-01-01 00:00:00+00 TO 2024-02-01 00:00:00+00
    retired:
      description: Partitions that are older than O(retention).
      type: list
      elements: dict
      contains:
        name:
          description: Name of the partition.
          type: str
          sample: tasks_y2022m01
        action:
          description: V(detached), V(dropped), V(moved), V(finalized) for one whose detaching was finished, or V(kept).
          type: str
          sample: detached
        bounds:
          description: What it holds, in UTC.
          type: str
          sample: FROM 2022-01-01 00:00:00+00 TO 2022-02-01 00:00:00+00
    moved:
      description:
        - Rows that were moved out of the default partition, or into partitions with O(convert_old=split).
        - Check mode says V(0).
      type: int
      sample: 0
    gaps:
      description: Ranges between partitions that no partition holds, after the task.
      type: list
      elements: str
      sample: []
    partitions:
      description: How many partitions there are after the task.
      type: int
      sample: 28
    last_bound:
      description: The upper bound of the last partition after the task; V(null) where there is none.
      type: str
      sample: "2024-05-01 00:00:00+00"
    time_zone:
      description: The time zone of the set; V(null) of one that is not by time.
      type: str
      sample: UTC
    attempts:
      description: How many times a lock was asked for, beside the first time.
      type: int
      sample: 0
    waited:
      description: Seconds that were spent waiting for locks, pauses included.
      type: float
      sample: 0.0
    holders:
      description: Who held a lock that was waited for.
      type: list
      elements: dict
      contains:
        pid:
          description: Process of the server.
          type: int
          sample: 4711
        user:
          description: Name of its role.
          type: str
          sample: reports
        application:
          description: What it calls itself.
          type: str
          sample: psql
        state:
          description: As in C(pg_stat_activity); V(null) where this user may not see it.
          type: str
          sample: idle in transaction
        seconds:
          description: How long its transaction has been open; V(null) where this user may not see it.
          type: float
          sample: 12.5
        mode:
          description: The lock that it held.
          type: str
          sample: AccessShareLock
        relation:
          description: On what.
          type: str
          sample: public.tasks
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_partitions import KeepPartitions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import options, pauses


def main() -> None:
    run(
        lambda module: KeepPartitions.of(module.params, module.check_mode),
        dict(
            connection.ARGUMENT_SPEC,
            **options.ARGUMENT_SPEC,
            sets={
                "type": "list",
                "elements": "dict",
                "options": dict(options.ARGUMENT_SPEC, table={"type": "str", "required": True}),
            },
            lock_timeout={"type": "int", "default": 500},
            lock_patience={"type": "int", "default": 60},
            batch_rows={"type": "int", "default": 10000},
            **pauses.ARGUMENT_SPEC,
            controller_time={"type": "float"},
        ),
        secrets_in=connection.secrets_in,
        required_one_of=[("table", "sets")],
        required_by={option: ("table",) for option in options.ARGUMENT_SPEC if option != "table"},
        mutually_exclusive=[(option, "sets") for option in options.ARGUMENT_SPEC],
    )


if __name__ == "__main__":
    main()
