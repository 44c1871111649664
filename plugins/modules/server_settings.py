#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: server_settings
short_description: Set any number of PostgreSQL server settings in one task
version_added: 0.1.0
description:
  - Changes settings with C(ALTER SYSTEM), all of them over one connection, then reloads the server once
    and waits until the new values are in force.
  - Values are compared by what they mean to the server. V(4GB) equals V(4096MB), V(5min) equals V(300s), V(on) equals
    V(true), enumerations have no capitals, and lists do not depend on the spaces around their commas.
  - A value is compared with what the next start of the server would use. So a value that is written already
    and waits for a restart is no change, and a value that a configuration file or the default gives already is left
    where it is and not written to C(postgresql.auto.conf).
  - Names that the server does not know and values that it would refuse stop the task before anything is changed,
    with the server's own bounds in the message.
  - The module never restarts a server. It returns which settings need that, and why.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.postgres
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
options:
  settings:
    description:
      - Values by the names of the settings.
      - A value is a text, a number or a boolean; for a list setting such as
        C(shared_preload_libraries) it may be a list.
      - V(null) resets the setting, so that the configuration file or the server's default counts again.
    type: dict
    required: true
  reload:
    description:
      - Whether values that need no restart are put in force now.
      - With V(false) the values are written only.
    type: bool
    default: true
notes:
  - A setting of an extension, such as C(pg_stat_statements.track), is known to the server only when the library is
    loaded. Set C(shared_preload_libraries) first, restart, then set it.
  - Passwords inside a value, as in C(primary_conninfo), are replaced with asterisks in all that the module returns.
    The same holds for the target's journal, where Ansible logs the options.
  - The user needs to be a superuser, or to have C(pg_read_all_settings), C(ALTER SYSTEM) on the settings, C(SELECT) on
    C(pg_file_settings) with C(EXECUTE) on C(pg_show_all_file_settings()), and C(EXECUTE) on C(pg_reload_conf()).
seealso:
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

- name: Back to what the configuration file or the default says
  scaleout.platform.server_settings:
    settings:
      work_mem:
      log_min_duration_statement:
  become: true
  become_user: postgres

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
reloaded:
  description: Whether the server's configuration was reloaded, or would be in check mode.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scaleout.platform.plugins.module_utils.module import Task, run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import secrets, server


class ServerSettings(Task):
    def __init__(self, endpoint: connection.Endpoint, settings: dict, reload: bool) -> None:
        planner.check_names(settings)
        self.settings = settings
        self.reload = reload
        self.session = connection.Session(endpoint)

    def plan(self) -> Plan:
        return planner.plan(self.settings, server.read(self.session, self.settings), self.reload)

    def apply(self, plan: Plan) -> None:
        server.apply(self.session, plan.actions)

    def close(self) -> None:
        self.session.close()


def build(module: AnsibleModule) -> ServerSettings:
    params = module.params
    return ServerSettings(connection.Endpoint.of(params), params["settings"], params["reload"])


def secrets_in(params: dict) -> set[str]:
    """The passwords inside values, such as that of ``primary_conninfo``."""
    settings = params["settings"].items()
    return {secret for name, value in settings for secret in secrets.found_in(str(name), str(value))}


def main() -> None:
    run(
        build,
        dict(
            connection.ARGUMENT_SPEC,
            settings={"type": "dict", "required": True},
            reload={"type": "bool", "default": True},
        ),
        secrets_in=secrets_in,
    )


if __name__ == "__main__":
    main()
