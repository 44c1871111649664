# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The poolers that hold requests while the lead of a cluster changes hands: ``module_utils/operations/poolers.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  poolers:
    description:
      - The PgBouncers that send clients to the leader. While the lead changes hands they hold requests (C(PAUSE)), so
        that clients wait instead of getting an error.
      - One that does not answer holds nothing, and a warning says so.
      - Each has to follow the leader by itself, as those of the role P(scaleout.platform.pgbouncer#role) do.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of its host, for messages.
        type: str
        required: true
      host:
        description: Name or address, as the host that runs the module reaches it.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        default: 6432
  pooler_user:
    description: A user that may give commands on its console, one of C(admin_users).
    type: str
    default: pgbouncer
  pooler_password:
    description: Password of O(pooler_user).
    type: str
    default: ''
  databases:
    description: Names of the databases of each pooler that follow the leader. Others are not held.
    type: list
    elements: str
    default: []
  drain:
    description:
      - Seconds that open transactions may take to end, once new requests wait.
      - Those that are left are cut off when the former leader stops. Their clients get an error.
    type: float
    default: 0.5
  hold:
    description:
      - Seconds after which the poolers let go in any case, O(drain) among them; at most 15.
      - PgBouncer's own limits on a wait, C(query_wait_timeout) and C(client_login_timeout), are raised to this and
        3 s more for as long as it lasts, where they are lower.
    type: float
    default: 10.0
"""
