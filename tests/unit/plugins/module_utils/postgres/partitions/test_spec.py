# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked for: parsed, or refused by the name of the option."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import spec
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Amount

TASKS = {"table": "tasks", "column": "id", "interval": "month"}
HASH = {"table": "notes", "by": "hash", "column": "user_id", "modulus": 8}
LIST = {"table": "orders", "by": "list", "column": "country", "values": {"eu": ["DE", "FR"], "other": None}}


def test_a_set_is_parsed():
    one = spec.PartitionSet.of({**TASKS, "retention": "24 months", "kind": "uuidv7", "premake": None})
    assert one == spec.PartitionSet(
        table="tasks",
        column="id",
        axis=Axis("uuidv7"),
        interval=Amount(months=1),
        retention=spec.Retention(Amount(months=24)),
    )
    assert one.template(Axis("uuidv7")).text == "{table}_y{year}m{month}"
    assert spec.PartitionSet.of(LIST).values == (("eu", ("DE", "FR")), ("other", (None,)))
    assert spec.PartitionSet.of(HASH).modulus == 8


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({**TASKS, "table": ""}, "table"),
        ({**TASKS, "table": "t" * 64}, "table"),
        ({**TASKS, "column": None}, "column"),
        ({**TASKS, "interval": None}, "interval"),
        ({**TASKS, "interval": "5 hours"}, "interval"),
        ({**TASKS, "interval": "1000", "kind": "uuidv7"}, "interval"),
        ({**TASKS, "kind": "number"}, "interval"),
        ({**TASKS, "kind": "date", "interval": "hour"}, "interval"),
        ({**TASKS, "kind": "date", "retention": "1000"}, "retention"),
        ({**TASKS, "premake": -1}, "premake"),
        ({**TASKS, "past": 10001}, "past"),
        ({**TASKS, "time_zone": "Nowhere"}, "time_zone"),
        ({**TASKS, "retention": "soon"}, "retention"),
        ({**TASKS, "retention_action": "drop"}, "retention_action"),
        ({**TASKS, "retention": "1 year", "retention_action": "move"}, "retention_action"),
        ({**TASKS, "retention": "1 year", "move_to": "attic"}, "move_to"),
        ({**TASKS, "retention": "1 year", "retention_action": "move", "move_to": "public"}, "move_to"),
        ({**TASKS, "confirm": "yes"}, "confirm"),
        ({**TASKS, "modulus": 4}, "modulus"),
        ({**TASKS, "values": {"a": 1}}, "values"),
        ({**TASKS, "kind": "uuidv7", "name": "{table}_{lower}"}, "name"),
        ({**TASKS, "sub_partitions": {"column": "user_id", "modulus": 0}}, "modulus"),
        ({**TASKS, "sub_partitions": {"column": "user_id", "modulus": 4, "name": "{table}"}}, "sub_partitions"),
        ({**HASH, "modulus": 0}, "modulus"),
        ({**HASH, "default": True}, "default"),
        ({**HASH, "interval": "month"}, "interval"),
        ({**HASH, "retention": "1 month"}, "retention"),
        ({**LIST, "values": {}}, "values"),
        ({**LIST, "values": {"a": ["x"], "b": ["x"]}}, "values"),
        ({**LIST, "values": {"a": []}}, "values"),
        ({**LIST, "name": "{table}_{year}"}, "name"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(options, option):
    with pytest.raises(InvalidInput) as refused:
        spec.PartitionSet.of(options)
    assert refused.value.facts["option"] == option


def test_a_table_that_is_named_twice_is_refused():
    with pytest.raises(InvalidInput, match="named twice"):
        spec.parse_sets([TASKS, HASH, {**TASKS, "schema": "public"}])
    assert len(spec.parse_sets([TASKS, {**TASKS, "schema": "other"}])) == 2


def test_a_set_that_is_to_go_needs_its_name_alone():
    assert spec.PartitionSet.of({"table": "tasks", "state": "absent"}).state == "absent"
