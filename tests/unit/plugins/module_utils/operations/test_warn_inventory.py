# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight warns of, and where it is silent."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations.warn_inventory import warnings
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform


def said(platform):
    return [str(warning) for warning in warnings(platform)]


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        (None, []),
        ({}, []),
        (
            {"api": ["api9"]},
            [
                "api9 is in the group api of the inventory and is no member of it, because the record in Consul does "
                "not name it; playbooks/scale.yml -e api=<count> makes members of hosts of the inventory first."
            ],
        ),
        (
            {"shop": ["shop8", "shop9"]},
            [
                "shop8 and shop9 are in the group shop of the inventory and are no members of it, because the record "
                "in Consul does not name them; playbooks/scale.yml -e shop=<count> makes members of hosts of the "
                "inventory first."
            ],
        ),
    ],
)
def test_l4_hosts_that_a_run_leaves_out_are_told(left_out, told):
    variables = {"fleet_not_members": left_out}
    assert said(Platform({"lb1": variables, "api1": variables})) == told
