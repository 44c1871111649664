# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until a service and its workers are healthy."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.health.server import Service, Worker
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task


class AwaitHealth(Task):
    """Looks until the service and its workers are ready, or cannot become so.

    :param params: the options of the module ``health_gate``.
    :raises InvalidInput: an option that can never work.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        if not 1 <= params["port"] <= 65535:
            raise InvalidInput("port", params["port"], "must be between 1 and 65535")
        if not params["path"].startswith("/"):
            raise InvalidInput("path", params["path"], "must begin with a slash")
        self._params = params
        self._service = Service(params["unit"], params["port"], params["path"])
        self._workers = [Worker(unit, params["steady_time"]) for unit in params["workers"]]

    def plan(self) -> Plan:
        timeout = self._params["timeout"]
        seen, verdict = self._service.wait(timeout)
        blamed: Service | Worker = self._service
        idle = []
        for worker in self._workers:
            # Those who start together are steady together: only the first one is really waited for.
            looked, judged = worker.wait(timeout if verdict.ready else 0)
            if not looked.runs:
                idle.append(worker.unit)
            if verdict.ready and not judged.ready:
                blamed = worker
                verdict = dataclasses.replace(judged, reason=f"its worker {worker.unit}: {judged.reason}")
        result = {
            "ready": verdict.ready,
            "reason": verdict.reason,
            "active": seen.runs,
            "enabled": seen.enabled,
            "idle_workers": idle,
        }
        if not verdict.ready and timeout > 0:
            raise Refused(
                f"{self._params['unit']} did not become healthy: {verdict.reason}.",
                code="not_healthy",
                journal=blamed.last_words(self._params["journal_lines"]),
                **result,
            )
        return Plan(before={}, after={}, result=result)

    def apply(self, _plan: Plan) -> None:
        """Nothing ever changes."""
