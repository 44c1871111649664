# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until a service and its workers are healthy."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.health.server import Service, Worker, examine, watch
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
        if params["healthy_for"] < 0:
            raise InvalidInput("healthy_for", params["healthy_for"], "is less than 0")
        self._params = params
        self._service = Service(params["unit"], params["port"], params["path"], params["host"], params["check_timeout"])
        self._workers = [Worker(unit, params["steady_time"]) for unit in params["workers"]]

    def plan(self) -> Plan:
        timeout = self._params["timeout"]
        seen = examine(self._service, self._workers, timeout)
        if not seen.facts["ready"] and timeout > 0:
            raise Refused(
                f"{self._params['unit']} did not become healthy: {seen.facts['reason']}.",
                code="not_healthy",
                journal=seen.blamed.last_words(self._params["journal_lines"]),
                **seen.facts,
            )
        seconds = self._params["healthy_for"]
        reason, blamed = watch(self._service, self._workers, seconds) if seconds > 0 else ("", self._service)
        if reason:
            raise Refused(
                f"{self._params['unit']} did not stay healthy for {seconds:g} s: {reason}.",
                code="not_steady",
                journal=blamed.last_words(self._params["journal_lines"]),
                **{**seen.facts, "ready": False, "reason": reason},
            )
        return Plan(before={}, after={}, result=seen.facts)

    def apply(self, _plan: Plan) -> None:
        """Nothing ever changes."""
