# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of ``partition_set`` that describe one set; ``doc_fragments/partition_set.py`` explains them."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import KINDS

# Without defaults here: an option that was given must be told from one that was not. PartitionSet has the defaults.
ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "table": {"type": "str"},
    "schema": {"type": "str"},
    "by": {"type": "str", "choices": ["range", "hash", "list"]},
    "column": {"type": "str"},
    "kind": {"type": "str", "choices": list(KINDS)},
    "interval": {"type": "str"},
    "time_zone": {"type": "str"},
    "premake": {"type": "int"},
    "past": {"type": "int"},
    "retention": {"type": "str"},
    "retention_action": {"type": "str", "choices": ["keep", "detach", "drop", "move"]},
    "move_to": {"type": "str"},
    "confirm": {"type": "str"},
    "name": {"type": "str"},
    "modulus": {"type": "int"},
    "values": {"type": "dict"},
    "default": {"type": "bool"},
    "fill_gaps": {"type": "bool"},
    "sub_partitions": {
        "type": "dict",
        "options": {
            "column": {"type": "str", "required": True},
            "modulus": {"type": "int", "required": True},
            "name": {"type": "str"},
        },
    },
    "convert": {"type": "bool"},
    "convert_old": {"type": "str", "choices": ["one_partition", "split"]},
    "definition": {"type": "list", "elements": "str"},
    "state": {"type": "str", "choices": ["present", "absent"]},
}
