#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: summary_table
short_description: Keep counts, sums, smallest and largest values of PostgreSQL tables exact at each write
version_added: 0.2.0
description:
  - Makes a view with a row for each group of one or more tables, such as one for each user with the number of tasks
    and the best streak. It is right in each transaction that reads it, and nothing has to be refreshed.
  - Triggers append what a write changes to a table that only grows. No writer waits for another one because of it, and
    no deadlock comes of it. The view adds up what was appended. O(state=folded) folds it; run that each minute or so.
  - Partitioned tables count as a whole, whichever partition a statement names. What logical replication applies or
    copies counts too, and so does C(TRUNCATE). The module C(partition_set) tells the summary of partitions that come
    and go, and takes it along when its table becomes a partition set. What is attached or detached by hand is found by
    O(state=verified).
  - The triggers come under a short lock. The rows that are there are counted afterwards, while others write.
  - A summary that is declared in another way, or over columns that have another type by now, is counted again beside
    the one that is there, which readers have until the end.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_postgres
  - scaleout.platform.attributes.planned
options:
  name:
    description:
      - Name of the view, as the server has it and without quotes.
      - Required with O(state=present) and O(state=absent). Without it, O(state=folded) and O(state=verified) are about
        all summaries of O(owner), or else all that belong to the user of the connection, to a superuser or to the owner
        of the database. Those of others are named in a warning.
    type: str
  schema:
    description: Schema of the view and of all that belongs to it, without quotes. No search path is consulted.
    type: str
    default: public
  state:
    description:
      - V(present) makes the summary, changes it, and repairs it where a table or a partition has lost its triggers or
        never had them.
      - V(absent) drops it with its triggers.
      - V(folded) folds what was appended since the last time.
      - V(verified) compares the view with its tables in one snapshot. It changes nothing, and it warns of what differs.
    type: str
    choices: [present, absent, folded, verified]
    default: present
  tables:
    description:
      - The base tables, each with what is kept of it. Required with O(state=present).
      - Each needs the same number of columns in O(tables[].group_by), of the same types. A group that only some of the
        tables have counts 0 for the others.
    type: list
    elements: dict
    suboptions:
      table:
        description:
          - Name of the table, without quotes. It may be partitioned, at any depth.
          - Partitions, tables that inherit, foreign and unlogged tables are refused.
        type: str
        required: true
      schema:
        description: Its schema; O(schema) when not given.
        type: str
      group_by:
        description:
          - The columns that make a group. Null is a group of its own.
          - The view's columns are called as those of the first table, or as O(every.columns).
        type: list
        elements: str
        required: true
      columns:
        description: What is kept.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: Name of the view's column.
            type: str
            required: true
          function:
            description:
              - V(count) counts rows, or with O(tables[].columns[].column) those in which it is not null. It is a
                C(bigint).
              - V(sum) adds up an integer or numeric column. It is C(numeric), and null where there is no value.
              - V(min) and V(max) are the smallest and the largest value, and null where there is none. After a delete
                that may have removed it, the rows of that one group are looked at, so an index that begins with the
                columns of O(tables[].group_by) is needed. A V(sum) of a C(numeric) column needs it too, since C(NaN)
                cannot be subtracted.
            type: str
            choices: [count, sum, min, max]
            required: true
          column:
            description: The base table's column. Only V(count) goes without.
            type: str
          filter:
            description:
              - An SQL condition on columns of the table; only rows for which it is true count.
              - It must be immutable, as the condition of an index must. Another way to write the same condition is no
                change.
            type: str
  every:
    description:
      - A table whose rows make the groups, as a C(LEFT JOIN) from it would. Groups that are not in it are left out, and
        those that have no row elsewhere are there with 0.
      - When not given, the groups are those of O(tables).
    type: dict
    suboptions:
      table:
        description: Name of the table, without quotes.
        type: str
        required: true
      schema:
        description: Its schema; O(schema) when not given.
        type: str
      columns:
        description: The columns that make a group, in the order of O(tables[].group_by). An index on them is advisable.
        type: list
        elements: str
        required: true
  owner:
    description:
      - The role that the view and all that belongs to it belong to, and with whose rights the triggers count. The user
        of the connection when not given.
      - It has to own the base tables and to see all of their rows. If row security hides some from it, the summary is
        refused.
      - To name a role is to trust it. Whoever may make a view or a trigger can have code of their own run by those who
        read and write there, so a summary of a role that is not named is not touched.
    type: str
  readers:
    description:
      - Roles that may read the view. The right of others is not taken away.
      - Row security of the base tables does not apply to the view, whose readers see all groups.
    type: list
    elements: str
  reseed:
    description: Count again although nothing differs, as after O(state=verified) found something.
    type: bool
    default: false
  lock_timeout:
    description:
      - Milliseconds that one attempt waits for a lock, 10 to 10000.
      - Others who come later wait behind such an attempt. Less than the server's C(deadlock_timeout) means that no
        application gets an error because of a deadlock with it.
    type: int
    default: 500
  lock_patience:
    description: Seconds for all attempts of one step.
    type: float
    default: 60
seealso:
  - module: scaleout.platform.partition_set
"""

EXAMPLES = r"""
- name: Statistics of each user that are always right
  scaleout.platform.summary_table:
    login_db: shard_0
    name: user_stats
    every: {table: users, columns: [id]}
    tables:
      - table: tasks
        group_by: [user_id]
        columns:
          - {name: total_tasks, function: count}
          - {name: completed_tasks, function: count, filter: "status = 'completed'"}
      - table: habits
        group_by: [user_id]
        columns:
          - {name: total_habits, function: count}
          - {name: best_streak, function: max, column: best_streak}
  become: true
  become_user: postgres

- name: Fold all summaries of a database, each minute or so
  scaleout.platform.summary_table:
    login_db: shard_0
    state: folded
  become: true
  become_user: postgres

- name: Compare them with their tables
  scaleout.platform.summary_table:
    login_db: shard_0
    state: verified
  become: true
  become_user: postgres
  register: summaries
  failed_when: not summaries.exact

- name: A summary no longer
  scaleout.platform.summary_table:
    login_db: shard_0
    name: user_stats
    state: absent
  become: true
  become_user: postgres
"""

RETURN = r"""
outcome:
  description:
    - V(created), V(changed), V(repaired) (triggers were missing, or where none should be, so it was counted again),
      V(reseeded), V(granted) (of O(readers) only), V(cleaned) (of what a task that was broken off had left), V(dropped)
      or V(none).
    - V(folded) or V(none) with O(state=folded); V(exact) or V(drifted) with O(state=verified).
  returned: success
  type: str
  sample: created
summary:
  description: The summary after the task, the same in check mode; V(null) when there is none.
  returned: with O(state=present) and O(state=absent)
  type: dict
  contains:
    schema:
      description: Schema of the view.
      type: str
      sample: public
    name:
      description: Name of the view.
      type: str
      sample: user_stats
    owner:
      description: Whom it belongs to.
      type: str
      sample: reference_api
    readers:
      description: The other roles that may read it.
      type: list
      elements: str
      sample: [reports]
    tables:
      description: The base tables as in O(tables).
      type: list
      elements: dict
      contains:
        schema:
          description: Schema of the table.
          type: str
          sample: public
        table:
          description: Name of the table.
          type: str
          sample: tasks
        group_by:
          description: The columns that make a group.
          type: list
          elements: str
          sample: [user_id]
        columns:
          description: What is kept, as in O(tables[].columns).
          type: list
          elements: dict
          sample: [{name: total_tasks, function: count, column: null, filter: null}]
    every:
      description: The table that makes the groups, as in O(every); V(null) for none.
      type: dict
      sample: {schema: public, table: users, columns: [id]}
without_triggers:
  description: Tables and partitions that lacked triggers and have them now, or would have them.
  returned: with O(state=present) and O(state=absent)
  type: list
  elements: str
  sample: [public.tasks_y2026m11]
stray_triggers:
  description: Tables that are no longer partitions, and had triggers that went on counting; they lose them.
  returned: with O(state=present) and O(state=absent)
  type: list
  elements: str
  sample: [public.tasks_y2020m01]
folded:
  description: How many appended rows were folded; in check mode, how many there are.
  returned: with O(state=folded)
  type: int
  sample: 1200
exact:
  description: Whether each summary is equal to what its tables have.
  returned: with O(state=verified)
  type: bool
  sample: true
verified:
  description: What was compared.
  returned: with O(state=verified)
  type: list
  elements: dict
  contains:
    summary:
      description: Schema and name of the view.
      type: str
      sample: public.user_stats
    exact:
      description: Whether it is equal to what its tables have.
      type: bool
      sample: false
    drifted:
      description: How many groups differ.
      type: int
      sample: 1
    drift:
      description: Up to 20 of them.
      type: list
      elements: dict
      contains:
        kept:
          description: The line of the view; V(null) for none.
          type: dict
          sample: {user_id: 7, total_tasks: 4}
        counted:
          description: The line that the tables give; V(null) for none.
          type: dict
          sample: {user_id: 7, total_tasks: 5}
    altered:
      description: What was renamed of its tables, so that it could not be compared.
      type: list
      elements: str
      sample: []
attempts:
  description: How many attempts at a lock failed.
  returned: when something was changed
  type: int
  sample: 0
waited:
  description: Seconds that went by with them.
  returned: when something was changed
  type: float
  sample: 0.0
holders:
  description:
    - Who held a lock that was in the way, with C(pid), C(user), C(application), C(state), C(seconds), C(mode) and
      C(relation).
  returned: when something was changed
  type: list
  elements: dict
  sample: []
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations import keep_summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection

COLUMN_SPEC = {
    "name": {"type": "str", "required": True},
    "function": {"type": "str", "required": True, "choices": ["count", "sum", "min", "max"]},
    "column": {"type": "str"},
    "filter": {"type": "str"},
}

TABLE_SPEC = {
    "table": {"type": "str", "required": True},
    "schema": {"type": "str"},
    "group_by": {"type": "list", "elements": "str", "required": True},
    "columns": {"type": "list", "elements": "dict", "required": True, "options": COLUMN_SPEC},
}


def main() -> None:
    run(
        lambda module: keep_summary.task(module.params),
        dict(
            connection.ARGUMENT_SPEC,
            name={"type": "str"},
            schema={"type": "str", "default": "public"},
            state={"type": "str", "choices": ["present", "absent", "folded", "verified"], "default": "present"},
            tables={"type": "list", "elements": "dict", "options": TABLE_SPEC},
            every={
                "type": "dict",
                "options": {
                    "table": {"type": "str", "required": True},
                    "schema": {"type": "str"},
                    "columns": {"type": "list", "elements": "str", "required": True},
                },
            },
            owner={"type": "str"},
            readers={"type": "list", "elements": "str"},
            reseed={"type": "bool", "default": False},
            lock_timeout={"type": "int", "default": 500},
            lock_patience={"type": "float", "default": 60},
        ),
        secrets_in=connection.secrets_in,
        required_if=[("state", "present", ("name", "tables")), ("state", "absent", ("name",))],
    )


if __name__ == "__main__":
    main()
