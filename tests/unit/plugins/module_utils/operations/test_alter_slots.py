# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the module replication_slot that can never work, refused before a server is asked."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_slots import AlterSlots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection

OPTIONS = {
    **{name: option.get("default") for name, option in connection.ARGUMENT_SPEC.items()},
    "slots": [],
    "name": None,
    "pattern": None,
    "exclusive": False,
    "force": None,
    "recreate": None,
    "max_retained_bytes": None,
    "min_free_disk": None,
    "guard_action": "report",
    "lost_action": "refuse",
    "timeout": 60,
    **{name: option.get("default") for name, option in patroni.ARGUMENTS.items()},
    "patroni_slot": "permanent",
}


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"timeout": -1}, "timeout"),
        ({"timeout": 2147484}, "timeout"),
        ({"pattern": "a*"}, "pattern"),
        ({"guard_action": "drop"}, "guard_action"),
        ({"login_port": 0}, "login_port"),
        ({"patroni_slot": "ignored"}, "patroni_slot"),
        ({"patroni_host": "127.0.0.1", "patroni_port": 0}, "patroni_port"),
    ],
)
def test_m9_numbers_and_combinations_that_are_none(options, option):
    with pytest.raises(InvalidInput) as refused:
        AlterSlots.of({**OPTIONS, **options})
    assert refused.value.facts["option"] == option
