#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_upkeep
short_description: Keep the partitions, summaries and materialized views of several databases of a server
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Runs M(scaleout.platform.partition_set), M(scaleout.platform.summary_table),
    M(scaleout.platform.materialized_view) and M(scaleout.platform.table_upkeep) in each database, in this order. What
    fails in one step or database stops no other one, and the task fails at the end.
  - The lines that say what was done are also in the summary of the run.
options:
  databases:
    description:
      - The databases, each with what is kept in it. M(scaleout.platform.preflight) has them for each host.
    type: list
    elements: dict
    required: true
  verify:
    description: Whether the summaries are compared with what their tables have. That reads all rows.
    type: bool
    default: false
  login:
    description: Options of the modules that say how to reach the server, such as C(login_port).
    type: dict
    default: {}
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.partition_set
  - module: scaleout.platform.summary_table
  - module: scaleout.platform.materialized_view
  - module: scaleout.platform.table_upkeep
"""

EXAMPLES = r"""
- name: Keep what the inventory wants in the databases of this server
  scaleout.platform.database_upkeep:
    databases:
      - database: shop
        partition_sets: [{table: orders, column: placed_at, interval: month}]
        summaries: []
        materialized_views: []
  become: true
  become_user: postgres
"""

RETURN = r"""
lines:
  description: What was done, a line each. What was right already has none.
  returned: always
  type: list
  elements: str
  sample: ["shop: partition sets: orders: orders_y2026m12 created"]
failures:
  description: What failed, each with its C(database), C(label), C(code) and C(msg).
  returned: always
  type: list
  elements: dict
  sample: []
code:
  description: The code of what failed; V(incomplete) where there are several.
  returned: failure
  type: str
  sample: locked
"""
