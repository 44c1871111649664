#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: Read the backups of PostgreSQL clusters, and to which moments each can be restored
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Asks pgBackRest on the host that keeps the backups, and changes nothing. It has to run as root.
  - Finds the segments of WAL that are missing between others, which pgBackRest itself does not report.
  - On a host without pgBackRest it tells that, and does not fail, unless O(archives=true).
options:
  clusters:
    description: The clusters, by the names that pgBackRest has for them. Without any, the repository is not asked.
    type: list
    elements: str
    default: []
  archives:
    description:
      - Whether the archives of WAL are listed as well, which RV(stanzas.windows), RV(stanzas.gaps) and RV(description)
        come from. It takes longer.
      - Without it, a repository that cannot be read is no failure, and RV(reason) says why.
    type: bool
    default: true
  request:
    description: The file of the host's certificate request, of which RV(requested) tells.
    type: path
    default: ""
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
notes:
  - Segments of WAL are taken to be of 16 MB, as PostgreSQL makes them unless it is told otherwise.
seealso:
  - module: scaleout.platform.service_check
"""

EXAMPLES = r"""
- name: Read the backups
  scaleout.platform.backup_info:
    clusters: [pg1]
  become: true
  register: backups

- name: Stop unless the cluster can be restored, without a gap
  ansible.builtin.assert:
    that:
      - backups.stanzas.pg1.windows | length == 1
      - backups.stanzas.pg1.gaps == []
"""

RETURN = r"""
stanzas:
  description: What the repository has of each cluster.
  returned: success
  type: dict
  contains:
    name:
      description: The cluster's name.
      type: str
      sample: pg1
    code:
      description: pgBackRest's status; V(0) where all is well, V(1) and V(3) for a cluster that it does not know, V(2)
        for one without a backup.
      type: int
      sample: 0
    message:
      description: The same in pgBackRest's words.
      type: str
      sample: ok
    running:
      description: Whether a backup is being taken.
      type: bool
      sample: false
    backups:
      description:
        - Each backup with its C(label), C(type), when it C(started) and C(stopped), the C(size) of the database and the
          bytes C(stored) in the repository, whether it is C(broken), as pages of it have wrong checksums, and the
          C(timeline) and the positions in the WAL (C(lsn)) at which it began and ended.
      type: list
      elements: dict
      sample:
        - label: 20261129-010002F
          type: full
          started: "2026-11-29T01:00:02Z"
          stopped: "2026-11-29T01:04:11Z"
          size: 23033334
          stored: 2832368
          broken: false
          timeline: 1
          lsn: [0/5000028, 0/5000138]
    windows:
      description:
        - Spans of time, to each moment of which the cluster can be restored; one, unless WAL is missing. C(lsn) is the
          same as two positions in the WAL.
      type: list
      elements: dict
      sample: [{earliest: "2026-11-29T01:04:11Z", latest: "2026-11-29T21:24:11Z", lsn: [0/5000138, 0/9000000]}]
    histories:
      description:
        - Of each of the newest timelines but the first one, the earlier timelines that lead to it and where each of
          them ended. A promotion and a restore begin another one.
      type: dict
      sample: {"2": {"1": 0/7000060}}
    gaps:
      description:
        - WAL that is missing since the first backup, with the C(first) and the C(last) segment and how many C(segments)
          that are. Moments C(after) which and C(before) which the next backup ended cannot be restored.
      type: list
      elements: dict
      sample:
        - first: "000000010000000000000006"
          last: "000000010000000000000006"
          segments: 1
          after: "2026-11-29T03:00:00Z"
          before: "2026-11-29T03:02:00Z"
    archived:
      description: When the newest segment of WAL came; none without any.
      type: str
      sample: "2026-11-29T21:24:11Z"
    proven:
      description:
        - The newest restore that was proven on this host. When it ended (C(at)), of which C(backup), up to which
          transaction (C(until)), in how many C(seconds), and how many C(checks) it passed; none without any.
      type: dict
      sample:
        at: "2026-11-28T03:09:41Z"
        backup: 20261128-010002F
        until: "2026-11-28T03:08:55Z"
        seconds: 41
        checks: 4
    unproven:
      description: A later try that failed, with its C(at) and C(reason); none without any.
      type: dict
      sample: null
description:
  description: The same in a few lines for a person; empty with O(archives=false).
  returned: success
  type: list
  elements: str
  sample: ["pg1: can be restored to each moment from 2026-11-29 01:04:11 UTC to 2026-11-29 21:24:11 UTC."]
reason:
  description: Why the repository cannot be read; empty where it can be, or was not asked.
  returned: success
  type: str
  sample: ""
program:
  description: The version of pgBackRest; empty where it is not installed.
  returned: success
  type: str
  sample: "2.54.2"
version:
  description: The version of PostgreSQL of the host's Debian release; V(0) where none is known.
  returned: success
  type: int
  sample: 17
configured_before:
  description: Whether C(/etc/pgbackrest.conf) has stanzas of another's and there is no file of this collection.
  returned: success
  type: bool
  sample: false
certificate:
  description: The host's certificate for pgBackRest, as PEM text; empty without one.
  returned: success
  type: str
  sample: ""
authority:
  description: The certificate of the authority that the host trusts for it.
  returned: success
  type: str
  sample: ""
requested:
  description: Whether there is the file O(request).
  returned: success
  type: bool
  sample: true
timers:
  description: The timers of backups and checks that start with the host.
  returned: success
  type: list
  elements: str
  sample: [pgbackrest-full@pg1.timer]
now:
  description: The host's time, in seconds since the epoch.
  returned: success
  type: int
  sample: 1795987451
code:
  description: V(repository_broken) where the repository cannot be read.
  returned: failure
  type: str
  sample: repository_broken
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import pgbackrest

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, dict] = {
    "clusters": {"type": "list", "elements": "str", "default": []},
    "archives": {"type": "bool", "default": True},
    "request": {"type": "path", "default": ""},
}


class Read(Task):
    """Reads, and changes nothing."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._params = params

    def plan(self) -> Plan:
        params = self._params
        return Plan({}, {}, result=pgbackrest.read(params["clusters"], params["archives"], params["request"]))

    def apply(self, _plan: Plan) -> None:
        """Nothing ever changes."""


def build(module: AnsibleModule) -> Read:
    return Read(module.params)


def main() -> None:
    run(build, ARGUMENTS)


if __name__ == "__main__":
    main()
