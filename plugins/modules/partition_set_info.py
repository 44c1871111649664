#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: partition_set_info
short_description: Say how far ahead partitions are made, and what is wrong with them
version_added: 0.2.0
description:
  - Reads the partitioned tables of a PostgreSQL database, whether M(scaleout.platform.partition_set) keeps them or not,
    in one round of queries.
  - Reads a standby as well as a primary.
  - RV(exposition) has the figures as a monitoring system reads them.
  - A set of which something cannot be known, such as one with a foreign partition whose server does not answer, is
    described as far as that goes, and a warning says why. The others are described whole.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_postgres
  - scaleout.platform.attributes.info
options:
  schema:
    description: Schema to look in; all but the system's own when not given.
    type: str
  tables:
    description:
      - Names of the tables to look at, without quotes; all partitioned ones when not given.
      - One that is not partitioned is refused with the code C(missing), as nothing would watch it.
    type: list
    elements: str
seealso:
  - module: scaleout.platform.partition_set
    description: Keeps tables partitioned.
"""

EXAMPLES = r"""
- name: Look at all partitioned tables of a database
  scaleout.platform.partition_set_info:
    login_db: shard_0
  become: true
  become_user: postgres
  register: partitioned

- name: Fail where a table has no partitions for the next two weeks
  ansible.builtin.assert:
    that: item.days_ahead is none or item.days_ahead >= 14
    fail_msg: "{{ item.table }} has partitions until {{ item.covered_until }}"
    quiet: true
  loop: "{{ partitioned.sets }}"
  loop_control:
    label: "{{ item.table }}"

- name: Let Prometheus's node exporter read the figures
  ansible.builtin.copy:
    content: "{{ partitioned.exposition }}"
    dest: /var/lib/prometheus/node-exporter/partition_sets.prom
    mode: "0644"
  become: true
"""

RETURN = r"""
sets:
  description: The partitioned tables, in the order of their schemas and names.
  returned: success
  type: list
  elements: dict
  contains:
    schema:
      description: Schema of the table.
      type: str
      sample: public
    table:
      description: Its name.
      type: str
      sample: tasks
    managed:
      description: Whether M(scaleout.platform.partition_set) has stored with it how it is divided.
      type: bool
      sample: true
    by:
      description: V(range), V(hash) or V(list).
      type: str
      sample: range
    column:
      description: The column that it is partitioned by; V(null) for an expression or several columns.
      type: str
      sample: id
    kind:
      description:
        - What the column's values are, as in O(scaleout.platform.partition_set#module:kind).
        - V(null) where that is not known.
      type: str
      sample: uuidv7
    interval:
      description: What one partition holds, as it is stored with the set; V(null) where nothing is.
      type: str
      sample: month
    time_zone:
      description: The time zone that is stored with the set; V(null) where none is.
      type: str
      sample: UTC
    partitions:
      description: Its partitions, in the order of what they hold.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the partition.
          type: str
          sample: tasks_y2024m01
        schema:
          description: Its schema.
          type: str
          sample: public
        bounds:
          description: What it holds; times in UTC.
          type: str
          sample: FROM 2024-01-01 00:00:00+00 TO 2024-02-01 00:00:00+00
        bytes:
          description: Its size with its indexes, and with its own partitions.
          type: int
          sample: 8388608
        rows:
          description: How many rows it has, as the statistics estimate; V(null) before it was analyzed.
          type: int
          sample: 120000
        divided:
          description: Whether it is partitioned in turn.
          type: bool
          sample: false
        pending:
          description: Whether its detaching was interrupted.
          type: bool
          sample: false
    partition_count:
      description: How many partitions there are.
      type: int
      sample: 28
    bytes:
      description: The sum of their sizes.
      type: int
      sample: 234881024
    last_bound:
      description: The upper bound of the last partition of a range; V(null) where there is none.
      type: str
      sample: "2024-05-01 00:00:00+00"
    covered_until:
      description:
        - The bound up to which each value from the present one on has a partition.
        - V(null) where the present value has none, or of a hash or a list.
      type: str
      sample: "2024-05-01 00:00:00+00"
    covered_until_seconds:
      description:
        - The same as a Unix time, in seconds; the server's present time where that has no partition.
        - V(null) where there is no end, and of a set that is not by time.
      type: int
      sample: 1714521600
    days_ahead:
      description:
        - Days from the server's present time until RV(sets[].covered_until). V(0) where the present time has no
          partition.
        - V(null) where there is no end, and of a set that is not by time.
      type: float
      sample: 92.4
    numbers_ahead:
      description:
        - The same of a set by numbers, counted from its largest number.
        - V(null) of another one, and where its rows cannot be read.
      type: int
      sample: 1500000
    gaps:
      description: Ranges between partitions that no partition holds.
      type: list
      elements: str
      sample: []
    default:
      description: The default partition; V(null) for none.
      type: str
      sample: tasks_default
    default_rows:
      description: Rows in it, counted up to 1000000; V(null) for none, or when it cannot be read.
      type: int
      sample: 0
    pending:
      description: Partitions whose detaching was interrupted.
      type: list
      elements: str
      sample: []
    leftovers:
      description: Tables that were detached to be dropped or moved, and were not yet.
      type: list
      elements: str
      sample: []
    failed:
      description:
        - Whether something of the set could not be known. What that would have been is V(null).
        - That this user may not read its rows is no failure.
      type: bool
      sample: false
    code:
      description: Why, as docs/codes.md has it; V(null) where all is known.
      type: str
      sample: null
    msg:
      description: Why, in a sentence; V(null) where all is known.
      type: str
      sample: null
exposition:
  description: The figures in Prometheus's text format.
  returned: success
  type: str
  sample: |
    # HELP scaleout_partition_set_gaps Ranges between partitions that no partition holds.
    # TYPE scaleout_partition_set_gaps gauge
    scaleout_partition_set_gaps{schema="public",table="tasks"} 0
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.show_partitions import ShowPartitions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


def main() -> None:
    run(
        lambda module: ShowPartitions.of(module.params),
        dict(
            connection.ARGUMENT_SPEC,
            schema={"type": "str"},
            tables={"type": "list", "elements": "str"},
        ),
        secrets_in=connection.secrets_in,
    )


if __name__ == "__main__":
    main()
