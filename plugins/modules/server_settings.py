#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: server_settings
short_description: Set any number of PostgreSQL server settings in one task
version_added: 0.1.0
description:
  - Changes settings with C(ALTER SYSTEM), and those of databases and roles, all of them over one connection, then
    reloads the server once and waits until the new values are in force.
  - Values are compared by what they mean to the server. V(4GB) equals V(4096MB), V(5min) equals V(300s), V(on) equals
    V(true), enumerations have no capitals, and lists do not depend on the spaces around their commas.
  - A value is compared with what the next start of the server would use. So a value that is written already
    and waits for a restart is no change, and a value that a configuration file or the default gives already is left
    where it is and not written to C(postgresql.auto.conf).
  - Names that the server does not know and values that it would refuse stop the task before anything is changed,
    with the server's own bounds in the message.
  - The module never restarts a server. It returns which settings need that, and why.
  - With O(patroni_host), O(settings) and O(profile) go to C(postgresql.parameters) of Patroni's dynamic configuration,
    which all members of a cluster share, in one request instead of C(ALTER SYSTEM). The module connects to one server
    all the same. Its bounds are those that values are checked against, as Patroni accepts any value, and it waits until
    that server has the values in force, or they wait for its restart.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.patroni
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
attributes:
  action_group:
    description:
      - Use C(group/scaleout.platform.postgres) and C(group/scaleout.platform.patroni) in C(module_defaults) to set
        defaults for this module.
    support: full
    membership:
      - scaleout.platform.postgres
      - scaleout.platform.patroni
options:
  settings:
    description:
      - Values by the names of the settings.
      - A value is a text, a number or a boolean; for a list setting such as
        C(shared_preload_libraries) it may be a list.
      - V(null) resets the setting, so that the configuration file or the server's default applies again.
      - What is on the server's command line takes precedence over the files. The same value is accepted, another one is
        refused. With O(patroni_host), those that Patroni gives there, such as C(max_connections), are set like others.
      - With O(patroni_host), V(null) removes the name from the dynamic configuration. Those that Patroni gives on the
        command line then have Patroni's own default.
    type: dict
    default: {}
  overrides:
    description:
      - Settings that hold for the sessions in a database, for those of a role, or for those of a role in a database,
        as C(ALTER DATABASE … SET) and C(ALTER ROLE … SET) keep them. A session takes them when it begins.
      - All of them change in one transaction, over the same connection as O(settings).
      - A database or a role that the server does not have stops the task before anything is changed.
      - A standby has those of its primary, so the task fails there if one of them would have to change.
    type: list
    elements: dict
    default: []
    suboptions:
      database:
        description: Name of the database. At least one of database and role is needed.
        type: str
      role:
        description: Name of the role.
        type: str
      settings:
        description:
          - Values by the names of the settings, as in O(settings); V(null) resets one.
          - Only settings that a session may change can be kept so. A name with a dot that no loaded library knows
            is kept as a text, such as V(app.tenant).
        type: dict
        required: true
  profile:
    description:
      - Values for what O(settings) leaves open. What O(settings) names, even as V(null), always counts.
      - With V(computed) they are computed from the memory and the cores of the server's host, by the formulas that
        PGTune publishes (U(https://github.com/le0pard/pgtune), C(configurationSlice.js)), and never ask for more memory
        than there is. The limit of the server's container or systemd unit counts, and so does a quota of processor
        time.
      - With V(seed) they are the fixed values for a host of 16 GB that serves a database alone. Where the server's host
        is known to be smaller than one of them, the task fails.
      - On a standby, limits that would fall below those of the running server are left out, as it would not start.
    type: str
    choices: [none, computed, seed]
    default: none
  workload:
    description:
      - What the server does, for O(profile=computed).
      - V(web) serves a web application, V(oltp) many short transactions, V(dw) is a data warehouse, V(desktop) shares
        its host with a person, V(mixed) is something of all.
    type: str
    choices: [web, oltp, dw, desktop, mixed]
    default: mixed
  storage:
    description: What the data directory lies on, for O(profile=computed).
    type: str
    choices: [ssd, hdd, san, nvme]
    default: ssd
  memory:
    description:
      - The memory that the server may use, such as V(8GB), for O(profile). Never more than there is counts.
      - Without it, it is what the host has. Needed, together with O(cores), where the module does not run on the
        server's host.
    type: str
  cores:
    description: The processor cores that the server may use, likewise.
    type: int
  reload:
    description:
      - Whether values that need no restart are put in force now.
      - With V(false) the values are written only. Patroni always reloads, so it does not go with O(patroni_host).
    type: bool
    default: true
notes:
  - For O(profile=computed), O(settings) may name C(max_connections), C(shared_buffers) and C(max_worker_processes).
    Then C(work_mem) is computed for these. The memory is rounded down to a multiple of 256 MB first, so that a new
    kernel does not ask for a restart of the server. The profile does not know how large the disk is. See to
    C(max_wal_size) where it is small.
  - With O(patroni_host), what C(postgresql.auto.conf) of the server has under a listed name is reset, as it would
    always win. A name that the configuration file of the server's member has with another value is refused, as that
    wins too. Run the task for each member, or keep such lines out.
  - C(ALTER SYSTEM) works on a standby as well, and concerns only that standby. O(overrides) cannot change there.
  - A setting of an extension, such as C(pg_stat_statements.track), is known to the server only when the library is
    loaded. Set C(shared_preload_libraries) first, restart, then set it.
  - Passwords inside a value, as in C(primary_conninfo), are replaced with asterisks in all that the module returns.
    The same holds for the target's journal, where Ansible logs the options.
  - The user needs to be a superuser, or to have C(pg_read_all_settings), C(ALTER SYSTEM) on the settings, C(SELECT) on
    C(pg_file_settings) with C(EXECUTE) on C(pg_show_all_file_settings()), and C(EXECUTE) on C(pg_reload_conf()).
  - For O(overrides), the user needs to own the database, to be the role or to administer it, and to have C(SET) on
    settings that only a superuser may change.
seealso:
  - module: scaleout.platform.cluster_restart
  - module: community.postgresql.postgresql_set
    description: Changes one setting a task.
  - name: ALTER SYSTEM
    description: The command in PostgreSQL's manual.
    link: https://www.postgresql.org/docs/current/sql-altersystem.html
"""

EXAMPLES = r"""
- name: Settings of a primary
  scaleout.platform.server_settings:
    settings:
      wal_level: logical
      max_wal_senders: 10
      max_replication_slots: 10
      shared_buffers: 1GB
      checkpoint_timeout: 15min
      shared_preload_libraries: [pg_stat_statements, auto_explain]
  become: true
  become_user: postgres
  register: settings

- name: Restart where a value needs it
  ansible.builtin.systemd_service:
    name: postgresql
    state: restarted
  become: true
  when: settings.restart_required | length > 0

- name: Values for this host, and one of our own
  scaleout.platform.server_settings:
    profile: computed
    workload: oltp
    settings:
      max_connections: 150
  become: true
  become_user: postgres

- name: Reports may sort in memory and take their time; no one else may
  scaleout.platform.server_settings:
    settings:
      statement_timeout: 30s
    overrides:
      - role: reports
        settings:
          work_mem: 256MB
          statement_timeout: 1h
      - database: app
        settings:
          search_path: [app, public]
      - database: app
        role: batch
        settings:
          lock_timeout: 5s
          synchronous_commit:
  become: true
  become_user: postgres

- name: What waits for a restart, and why
  scaleout.platform.server_settings:
  become: true
  become_user: postgres
  register: settings

- name: Back to what the configuration file or the default says
  scaleout.platform.server_settings:
    settings:
      work_mem:
      log_min_duration_statement:
  become: true
  become_user: postgres

- name: Settings that all members of a Patroni cluster share
  scaleout.platform.server_settings:
    patroni_host: "{{ ansible_facts.default_ipv4.address }}"
    patroni_user: patroni
    patroni_password: "{{ patroni_rest_password }}"
    settings:
      max_connections: 300
      work_mem: 16MB
  become: true
  become_user: postgres
  register: settings

- name: Over the network, with the server's certificate checked
  scaleout.platform.server_settings:
    login_host: pg1.internal
    login_user: admin
    login_password: "{{ postgres_admin_password }}"
    ssl_mode: verify-full
    ca_cert: /etc/ssl/certs/internal.pem
    settings:
      idle_in_transaction_session_timeout: 10min
"""

RETURN = r"""
settings:
  description: The listed settings in the order of their names, the same in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name as the server spells it.
      type: str
      sample: shared_buffers
    before:
      description: What the next start of the server would have used, in the spelling of C(SHOW).
      type: str
      sample: 128MB
    after:
      description: What it will use.
      type: str
      sample: 1GB
    unit:
      description: The unit in which the server counts.
      type: str
      sample: 8kB
    context:
      description: When a change counts; V(postmaster) means at the next start.
      type: str
      sample: postmaster
  sample:
    - name: shared_buffers
      before: 128MB
      after: 1GB
      unit: 8kB
      context: postmaster
restart_required:
  description:
    - Names of the listed settings whose value is written and waits for a restart, from this run or an earlier one.
  returned: success
  type: list
  elements: str
  sample: [shared_buffers]
restart_reasons:
  description: Why, by the names in RV(restart_required).
  returned: success
  type: dict
  sample:
    shared_buffers: >-
      shared_buffers is read only when the server starts: 1GB is set now and 128MB is still in force
pending_restart_elsewhere:
  description: Names of settings that are not listed and wait for a restart as well.
  returned: success
  type: list
  elements: str
  sample: [max_connections]
pending_restart_reasons:
  description: Why, by the names in RV(pending_restart_elsewhere).
  returned: success
  type: dict
  sample:
    max_connections: >-
      max_connections is read only when the server starts: 200 was set earlier and 100 is still in force
overrides:
  description: The listed settings of databases and roles, the same in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    database:
      description: The database, or null for all.
      type: str
      sample: app
    role:
      description: The role, or null for all.
      type: str
      sample: batch
    name:
      description: The name as the server spells it.
      type: str
      sample: lock_timeout
    before:
      description: What was kept for them, or null.
      type: str
      sample: null
    after:
      description: What is kept now.
      type: str
      sample: 5s
    unit:
      description: The unit in which the server counts.
      type: str
      sample: ms
    context:
      description: Who may change the setting.
      type: str
      sample: user
profile:
  description: What O(profile) came to.
  returned: success
  type: dict
  contains:
    name:
      description: The value of O(profile).
      type: str
      sample: computed
    memory:
      description: The memory that it counted with; null when it is not known.
      type: str
      sample: 8GB
    cores:
      description: The processor cores that it counted with; null when they are not known.
      type: int
      sample: 4
    workload:
      description: The value of O(workload), with O(profile=computed).
      type: str
      sample: oltp
    storage:
      description: The value of O(storage), with O(profile=computed).
      type: str
      sample: ssd
    settings:
      description: All its values by the names of the settings.
      type: dict
      sample: {shared_buffers: 2GB, max_connections: "150"}
    left_out:
      description:
        - Names of those that did not count, because O(settings) has them or a standby would not start with them.
      type: list
      elements: str
      sample: [max_connections]
reloaded:
  description: Whether the server's configuration was reloaded, or would be in check mode.
  returned: success
  type: bool
  sample: true
written_to:
  description:
    - Where O(settings) and O(profile) are written; V(auto_conf) is the server's C(postgresql.auto.conf),
      V(dynamic_configuration) is Patroni's.
  returned: success
  type: str
  sample: dynamic_configuration
reset_in_auto_conf:
  description: With O(patroni_host), the listed settings that were taken out of the server's C(postgresql.auto.conf).
  returned: success
  type: list
  elements: str
  sample: [work_mem]
take_back:
  description:
    - With O(patroni_host), what the dynamic configuration had under the names that changed, null where it had nothing.
      Values with a secret in them are left out.
    - It is what O(scaleout.platform.cluster_restart#module:take_back) takes.
  returned: success
  type: dict
  sample: {max_connections: 200, work_mem: null}
"""

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_settings import (
    AlterSettings,
    secrets_in,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import profile


def main() -> None:
    run(
        lambda module: AlterSettings.of(module.params),
        dict(
            connection.ARGUMENT_SPEC,
            **patroni.ARGUMENTS,
            settings={"type": "dict", "default": {}},
            overrides={
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "database": {"type": "str"},
                    "role": {"type": "str"},
                    "settings": {"type": "dict", "required": True},
                },
            },
            profile={"type": "str", "choices": ["none", "computed", "seed"], "default": "none"},
            workload={"type": "str", "choices": list(profile.WORKLOADS), "default": "mixed"},
            storage={"type": "str", "choices": list(profile.STORAGE), "default": "ssd"},
            memory={"type": "str"},
            cores={"type": "int"},
            reload={"type": "bool", "default": True},
        ),
        secrets_in=secrets_in,
    )


if __name__ == "__main__":
    main()
