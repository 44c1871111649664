# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes down what the roles give to service_config, without the texts of files and without secrets."""

from __future__ import annotations

import json
import os
import pathlib

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: service_arguments
type: aggregate
short_description: Write down what the roles give to service_config
description: One file of JSON, SCALEOUT_KILLS_ARGUMENTS, with the arguments of each service by its name.
requirements: [enabled in configuration]
"""

_KEYS = ("name", "driver", "units", "options", "timeout")


class CallbackModule(CallbackBase):
    """Collects them, and writes them at the end of the run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "service_arguments"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self._found = {}

    def v2_runner_on_ok(self, result):
        self._note(result)

    def v2_runner_item_on_ok(self, result):
        self._note(result)

    def _note(self, result):
        arguments = (result._result.get("invocation") or {}).get("module_args") or {}
        if result._task.resolved_action != "scaleout.platform.service_config" or arguments.get("state") != "present":
            return
        files = [{key: value for key, value in file.items() if key != "content"} for file in arguments["files"]]
        self._found[arguments["name"]] = {**{key: arguments[key] for key in _KEYS}, "files": files}

    def v2_playbook_on_stats(self, stats):
        pathlib.Path(os.environ["SCALEOUT_KILLS_ARGUMENTS"]).write_text(json.dumps(self._found), encoding="utf-8")
