# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/control_node.py``: reads the collection and the inventory on the controller."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations.pack_project import Project, gather
from ansible_collections.scaleout.platform.plugins.module_utils.services.control import host_keys, variables_file
from ansible_collections.scaleout.platform.plugins.plugin_utils.look_first import LooksFirst

#: Of this collection, wherever it is.
_COLLECTION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ActionModule(LooksFirst):
    """Packs the project and transfers it where it is missing."""

    MODULE = "scaleout.platform.control_node"

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            variables = arguments.get("variables")
            if not isinstance(variables, dict):
                raise InvalidInput("variables", type(variables).__name__, "is not a dictionary")
            arguments["variables"] = variables_file(variables)
            arguments["host_keys"] = self._host_keys(arguments.get("opened") or [], task_vars or {})
            home, inventory = (str(arguments.get(name) or "") for name in ("path", "inventory"))
            project = gather(_COLLECTION, inventory, home, bool(arguments.get("vault_password")))
            arguments["digest"] = project.digest
            looked = self._look(arguments, task_vars)
            if looked.get("failed") or self._task.check_mode or not looked.get("changed"):
                return {**result, **looked}
            if looked["missing"]:
                arguments["archive"] = self._transfer_project(project)
        except ScaleoutError as error:
            return {**result, "failed": True, **error.result()}
        return {**result, **self._carry_out(arguments, task_vars)}

    @staticmethod
    def _host_keys(hosts: list[str], task_vars: dict[str, t.Any]) -> dict[str, list[str]]:
        """Return what this run has read of the hosts themselves; of one that did not answer, nothing."""
        known = task_vars.get("hostvars") or {}
        return {host: host_keys(known[host].get("ansible_facts") or {}) for host in hosts if host in known}

    def _transfer_project(self, project: Project) -> str:
        # Others cannot look into this run's own folder: an inventory may hold secrets.
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as folder:
            local = os.path.join(folder, "project.tar.gz")
            project.write(local)
            return self._transfer(local, "project.tar.gz")
