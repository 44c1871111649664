# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of the collection promises about check mode, diff mode and a second run."""

from __future__ import annotations


class ModuleDocFragment:
    # What each of the words means; a module adds one of the variants below to say how far it goes.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode with the same arguments, the second run changes nothing.
      - This assumes that nothing else changed the target in between.
"""

    # A module that plans first: check mode returns the very plan that a real run carries out.
    PLANNED = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - The plan is made before anything is changed; check mode returns it and stops.
  diff_mode:
    support: full
    details:
      - The difference shown is the plan's, not a second reading of the target.
  idempotent:
    support: full
"""

    # A module that only reads.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    support: full
    details:
      - This module does not change anything.
"""

    # A module with an action plugin before it.
    ACTION = r"""
options: {}
attributes:
  action:
    description: Has a part that runs on the controller.
    support: full
"""

    # A module that takes the options which say how to reach PostgreSQL.
    ACTION_GROUP_POSTGRES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/scaleout.platform.postgres) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - scaleout.platform.postgres
"""

    # A module that takes the options which say how to reach Patroni.
    ACTION_GROUP_PATRONI = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/scaleout.platform.patroni) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - scaleout.platform.patroni
"""

    # A module that takes the options which say how to reach Consul.
    ACTION_GROUP_CONSUL = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/scaleout.platform.consul) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - scaleout.platform.consul
"""
