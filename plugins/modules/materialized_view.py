#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: materialized_view
short_description: Create, change, refresh and drop PostgreSQL materialized views
version_added: 0.2.0
description:
  - Keeps any number of materialized views of a database as declared, over one connection.
  - The definition is compared by its meaning. PostgreSQL itself writes down what O(query) comes to, in a transaction
    that is rolled back, and that is compared to the definition of the view. Formatting is no change, and neither is
    what a dump makes of a definition.
  - A view whose definition changes is built beside the old one, with its rows and indexes, and exchanged at the end.
    Readers wait for the exchange alone. Owner, privileges, comments, indexes, storage parameters and tablespace are
    kept, and so are the views that read it. What cannot be kept is named, and nothing is changed.
  - Each action is one transaction. An interrupted task leaves nothing half done.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_postgres
options:
  name:
    description:
      - Name of one view as PostgreSQL stores it, without quotes and in its own case.
      - One of O(name) and O(views) is required.
    type: str
  schema:
    description: Schema of the view; V(public) when not given.
    type: str
  state:
    description:
      - V(present), the default, has the view as described. It is not refreshed, unless it has no rows and O(populate)
        wants them.
      - V(refreshed) does the same, and refreshes the view now, or with O(max_age) when that is due. Without O(query)
        the view has to exist and is left as it is otherwise.
      - V(absent) drops it. Views and others that depend on it are a reason to refuse.
    type: str
    choices: [present, refreshed, absent]
  query:
    description:
      - The SELECT of the view. It is required for O(state=present).
      - Names without a schema are found in O(schema) and in C(pg_catalog) and nowhere else, whatever the user's
        C(search_path) is.
      - The functions that it calls have to name the schemas of what they read, as PostgreSQL 17 demands it anyway.
    type: str
  unique_index:
    description:
      - Columns of a unique index, in their order. A concurrent refresh needs one.
      - A unique index of these columns alone and without a condition counts, whatever its name. If there is none, one
        is created and named after the view, with C(_scaleout_key) at the end. When the columns change, the index of
        this name is replaced.
      - When not given, the indexes are left as they are.
    type: list
    elements: str
  owner:
    description:
      - Role that is to own the view. Its privileges count when the query runs.
      - When not given, a new view belongs to the user of the task, and one that exists keeps its owner.
    type: str
  populate:
    description:
      - Whether the view has its rows at once; V(true) when not given. A view that has rows keeps them with V(false).
    type: bool
  max_age:
    description:
      - Minutes. With O(state=refreshed), the view is refreshed if its last refresh is at least so long ago.
      - Something has to run the task. What readers see gets as old as this and the time between two runs together, so
        a run each five minutes is for V(10) where nothing is to be older than 15.
      - When that was is kept in the table C(scaleout_refreshes) of the view's schema. A refresh by other means is not
        known there.
      - The server's clock counts, not the controller's.
    type: int
  concurrently:
    description:
      - Whether readers can go on while the view is refreshed.
      - V(when_possible), the default, does so if the view has rows and a unique index that fits. V(always) fails if
        there is no such index. V(never) has readers wait, and is faster if most of the rows change.
      - A view that is new or has no rows cannot be read yet, so it gets them plainly.
    type: str
    choices: [when_possible, always, never]
  views:
    description:
      - Any number of views in the order in which they are created and refreshed; excludes the options that describe one
        view. A later one may read an earlier one.
      - What can be told beforehand of one of them, such as a column that is misspelled in its O(views[].query), fails
        the task before any of them is changed. If one fails while it is made or refreshed, the others are done all the
        same, and the task fails at the end.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the view.
        type: str
        required: true
      schema:
        description: Schema of the view; V(public) when not given.
        type: str
      state:
        description: Whether the view is to exist or to be refreshed, as in O(state).
        type: str
        choices: [present, refreshed, absent]
      query:
        description: The SELECT of the view, as in O(query).
        type: str
      unique_index:
        description: Columns of a unique index, as in O(unique_index).
        type: list
        elements: str
      owner:
        description: Role that is to own the view, as in O(owner).
        type: str
      populate:
        description: Whether the view has its rows at once, as in O(populate).
        type: bool
      max_age:
        description: Minutes after which it is refreshed, as in O(max_age).
        type: int
      concurrently:
        description: Whether readers can go on meanwhile, as in O(concurrently).
        type: str
        choices: [when_possible, always, never]
  lock_timeout:
    description:
      - Milliseconds that a statement waits for a lock. As others queue behind it meanwhile, it is short and tried
        again.
    type: int
    default: 500
  lock_patience:
    description:
      - Seconds for all attempts together, with pauses in between that grow up to two seconds; V(0) for a single
        attempt.
      - Then the task fails with the code C(locked), names who held the lock, and nothing of that view is changed.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    details:
      - The plan is made before anything is changed; check mode returns it and stops.
      - To learn what a query comes to, it creates a view in a transaction that it rolls back. So it needs the same
        privileges as the change.
  diff_mode:
    support: full
    details:
      - The difference shown is the plan's, not a second reading of the target.
  idempotent:
    support: partial
    details:
      - With O(state=refreshed) and without O(max_age) each run refreshes the view.
notes:
  - The user needs no superuser. It has to be a member of the role that owns the view and may need C(CREATE) in its
    schema. To keep the views that read it over another definition, it has to be a member of their owners as well.
  - A concurrent refresh fails if the unique index finds two equal rows.
seealso:
  - module: community.postgresql.postgresql_query
    description: Runs any statement.
"""

EXAMPLES = r"""
- name: Statistics of the users, refreshed when they are 15 minutes old
  scaleout.platform.materialized_view:
    name: user_stats
    query: |
      SELECT user_id, count(*) AS total_tasks, count(*) FILTER (WHERE completed) AS completed_tasks
      FROM tasks GROUP BY user_id
    unique_index: [user_id]
    state: refreshed
    max_age: 15
    login_db: shard_0
  become: true
  become_user: postgres

- name: Refresh it now
  scaleout.platform.materialized_view:
    name: user_stats
    state: refreshed
    login_db: shard_0
  become: true
  become_user: postgres

- name: Two views in a schema of their own, the second of which reads the first
  scaleout.platform.materialized_view:
    views:
      - name: Sales by Day
        schema: reports
        query: SELECT created_at::date AS day, sum(amount) AS amount FROM public.sales GROUP BY 1
        unique_index: [day]
        owner: reporting
      - name: Sales by Month
        schema: reports
        query: SELECT date_trunc('month', day) AS month, sum(amount) AS amount FROM "Sales by Day" GROUP BY 1
        owner: reporting
    login_db: shop
  become: true
  become_user: postgres

- name: No such view
  scaleout.platform.materialized_view:
    name: user_stats
    state: absent
    login_db: shard_0
  become: true
  become_user: postgres
"""

RETURN = r"""
views:
  description: The views in the order given. Check mode predicts them.
  returned: success
  type: list
  elements: dict
  contains:
    schema:
      description: Schema of the view.
      type: str
      sample: public
    name:
      description: Name of the view.
      type: str
      sample: user_stats
    action:
      description:
        - What the task did, or would do in check mode; V(created), V(replaced), V(altered), V(refreshed), V(dropped) or
          V(none). V(replaced) is said of a view with another definition, V(altered) of one with another owner or unique
          index.
      type: str
      sample: refreshed
    refreshed:
      description: Whether its rows were computed again.
      type: bool
      sample: true
    concurrently:
      description: Whether readers could go on meanwhile.
      type: bool
      sample: true
    reason:
      description: Why it was refreshed, or with O(max_age) when that is due; V(null) for neither.
      type: str
      sample: its last refresh was 17 minutes ago, and max_age is 15
    populated:
      description: Whether it has rows and can be read.
      type: bool
      sample: true
    owner:
      description: Who owns it; V(null) where it is gone or does not exist yet.
      type: str
      sample: app
    last_refresh:
      description: When it was refreshed by this module, in UTC, as far as that is known.
      type: str
      sample: "2026-11-29T12:20:59Z"
    age:
      description: How many seconds ago that was by the server's clock.
      type: int
      sample: 3
    dependents:
      description: The views that read it.
      type: list
      elements: str
      sample: [public.user_stats_today]
    attempts:
      description: How often a lock was not had in time.
      type: int
      sample: 0
    waited:
      description: Seconds that this took.
      type: float
      sample: 0.0
    holders:
      description: Who held the lock, with C(pid), C(user), C(application), C(state), C(seconds), C(mode) and
        C(relation).
      type: list
      elements: dict
      sample: []
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_matviews import AlterMatviews
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews import spec

# Without defaults here: an option that was given must be told from one that was not. Desired has the defaults.
VIEW_SPEC = {
    "name": {"type": "str"},
    "schema": {"type": "str"},
    "state": {"type": "str", "choices": list(spec.STATES)},
    "query": {"type": "str"},
    "unique_index": {"type": "list", "elements": "str"},
    "owner": {"type": "str"},
    "populate": {"type": "bool"},
    "max_age": {"type": "int"},
    "concurrently": {"type": "str", "choices": list(spec.CONCURRENTLY)},
}


def main() -> None:
    run(
        lambda module: AlterMatviews.of(module.params),
        dict(
            connection.ARGUMENT_SPEC,
            **VIEW_SPEC,
            views={
                "type": "list",
                "elements": "dict",
                "options": dict(VIEW_SPEC, name={"type": "str", "required": True}),
            },
            lock_timeout={"type": "int", "default": 500},
            lock_patience={"type": "int", "default": 60},
        ),
        secrets_in=connection.secrets_in,
        required_one_of=[("name", "views")],
        required_by={option: ("name",) for option in VIEW_SPEC if option != "name"},
        mutually_exclusive=[(option, "views") for option in VIEW_SPEC],
    )


if __name__ == "__main__":
    main()
