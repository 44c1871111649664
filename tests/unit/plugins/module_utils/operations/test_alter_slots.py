# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the module replication_slot that can never work, refused before a server is asked."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.operations import alter_slots
from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_slots import AlterSlots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.plan import Register
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.registry import Entry

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


class Busy:
    """Stands for Patroni whose configuration others change: each refusal comes with another matcher of theirs."""

    def __init__(self, refusals):
        self.refusals, self.told = refusals, []
        self.matchers = []

    def settings(self):
        return {"ignore_slots": self.matchers}

    def change_settings(self, changes):
        self.told.append(changes)
        if self.refusals:
            self.refusals -= 1
            self.matchers = [*self.matchers, {"name": f"theirs_{self.refusals}"}]
            raise Conflict("Patroni refused, as another change was made.")


@pytest.mark.parametrize(("refusals", "kept"), [(0, []), (2, ["theirs_1", "theirs_0"])])
def test_patroni_is_told_beside_what_others_tell_it(monkeypatch, refusals, kept):
    monkeypatch.setattr(alter_slots, "SETTLE", 0)
    task = object.__new__(AlterSlots)
    task.patroni = Busy(refusals)
    task._register(Register((Entry("ours", "ignored"),)))
    assert [matcher["name"] for matcher in task.patroni.told[-1]["ignore_slots"]] == [*kept, "ours"]


def test_patroni_is_not_told_for_ever(monkeypatch):
    monkeypatch.setattr(alter_slots, "SETTLE", 0)
    task = object.__new__(AlterSlots)
    task.patroni = Busy(100)
    with pytest.raises(Conflict):
        task._register(Register((Entry("ours", "ignored"),)))
    assert len(task.patroni.told) == alter_slots.ATTEMPTS
