#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: table_upkeep
short_description: Analyze partitioned PostgreSQL tables, and freeze their closed partitions
version_added: 0.2.0
description:
  - Does for partitioned tables what autovacuum does not do, or does at the wrong moment.
  - Autovacuum analyzes partitions and never the partitioned table, so that the planner knows nothing of the whole.
    This module runs C(ANALYZE) on it when the last one is older than O(analyze_after).
  - A partition whose time is over is vacuumed and frozen once, a few in each run. Otherwise autovacuum freezes all of
    them when their transactions are old, in the middle of whatever else is going on then.
  - No statement waits for a lock or has others wait. A table that another session has locked is left to the next run.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_postgres
  - scaleout.platform.attributes.planned
options:
  tables:
    description:
      - The partitioned tables to look after, each with its schema, such as V(public.tasks).
      - When not given, they are all of the database that the user is an owner of.
    type: list
    elements: str
  analyze_after:
    description: Hours after the last C(ANALYZE) of a partitioned table; V(0) for no C(ANALYZE).
    type: int
    default: 24
  freeze_after:
    description: Hours after the end of a partition's time. No late row is expected after them.
    type: int
    default: 24
  freeze_most:
    description: Partitions to freeze in one run, those with the oldest transactions first; V(0) for none.
    type: int
    default: 4
  freeze_age:
    description:
      - A closed partition that was frozen is frozen again if its oldest transaction is so many transactions old, as it
        may have been written to. What is frozen is passed over, so this costs little where it was not.
    type: int
    default: 50000000
notes:
  - When a table was vacuumed or analyzed is what the server's statistics say. If they are lost, such as by a crash or a
    failover, it is done again.
  - A partition has a time if its table is partitioned by range over one column that is a time or a UUIDv7, or that a
    partition set says is one.
seealso:
  - module: scaleout.platform.partition_set
"""

EXAMPLES = r"""
- name: Look after all partitioned tables of a database
  scaleout.platform.table_upkeep:
    login_db: shard_0
  become: true
  become_user: postgres

- name: Look after one of them, and freeze more at a time
  scaleout.platform.table_upkeep:
    login_db: shard_0
    tables: [public.tasks]
    freeze_most: 20
  become: true
  become_user: postgres
"""

RETURN = r"""
analyzed:
  description: The partitioned tables that were analyzed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [public.tasks]
frozen:
  description: The partitions that were frozen, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    table:
      description: The partition.
      type: str
      sample: public.tasks_y2026m08
    reason:
      description: Why it was due.
      type: str
      sample: it was not vacuumed since it closed
waiting:
  description: How many partitions are due as well and wait for another run.
  returned: success
  type: int
  sample: 0
locked:
  description: What was left to the next run, because another session had a table locked.
  returned: success
  type: list
  elements: str
  sample: [analyze public.tasks]
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_tables import KeepTables
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


def main() -> None:
    run(
        lambda module: KeepTables.of(module.params),
        dict(
            connection.ARGUMENT_SPEC,
            tables={"type": "list", "elements": "str"},
            analyze_after={"type": "int", "default": 24},
            freeze_after={"type": "int", "default": 24},
            freeze_most={"type": "int", "default": 4},
            freeze_age={"type": "int", "default": 50000000},
        ),
        secrets_in=connection.secrets_in,
    )


if __name__ == "__main__":
    main()
