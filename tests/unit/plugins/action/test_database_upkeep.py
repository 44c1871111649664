# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``database_upkeep``; what the modules do on a host is played here."""

from __future__ import annotations

from unittest import mock

from ansible.module_utils._internal import _messages

from ansible_collections.scaleout.platform.plugins.action import database_upkeep

DATABASE = {"database": "shop", "partition_sets": [{"table": "orders"}], "summaries": [], "materialized_views": []}


def test_a_warning_of_a_module_keeps_its_words_and_gets_its_place(tmp_path):
    answers = {
        "scaleout.platform.partition_set": {
            "changed": False,
            "sets": [],
            "warnings": [_messages.WarningSummary(event=_messages.Event(msg="Mind the step.")), "It is late."],
        },
        "scaleout.platform.table_upkeep": {"changed": False},
    }
    task = mock.MagicMock(async_val=0, check_mode=False, args={"databases": [DATABASE]}, action="database_upkeep")
    action = database_upkeep.ActionModule(task, mock.MagicMock(), mock.MagicMock(check_mode=False), None, None, None)
    with (
        mock.patch.object(database_upkeep.run, "FOLDER", str(tmp_path)),
        mock.patch.object(action, "_execute_module", side_effect=lambda module_name, **_: dict(answers[module_name])),
    ):
        told = action.run(task_vars={"inventory_hostname": "pg1"})
    assert told["warnings"] == ["shop: partition sets: Mind the step.", "shop: partition sets: It is late."]
