# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take one sample of a service on the host where it runs."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import pooler, rates, spec
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.look import NotMeasured, Pools
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.reader import Reader
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import render
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import pgbouncer


class SampleService(Task):
    """Looks twice at the host and at the application, or once.

    :param params: the options of the module ``service_metrics_info``.
    :raises ScaleoutError: code ``invalid_input``, an option that can never work.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._spec = spec.read(params)
        self._required = bool(params["application_required"])

    def plan(self) -> Plan:
        started = time.monotonic()
        reader = Reader(self._spec, pools)
        first = reader.look() if self._spec.look else None
        time.sleep(max(self._spec.look - (time.monotonic() - started), 0.0))
        seen = reader.look()
        before = first.sample if first else None
        sample = rates.looked(before, seen.sample) if before else seen.sample
        result = {
            "sample": render(sample),
            "reading": rates.reading(before, sample),
            "problems": [{"code": problem.code, "text": problem.message} for problem in seen.problems],
            "seconds": round(time.monotonic() - started, 4),
        }
        if self._required and seen.failed:
            raise ScaleoutError(seen.failed[0].message, code=seen.failed[0].code, **result)
        return Plan(before={}, after={}, result=result)

    def apply(self, _plan: Plan) -> None:
        """Nothing ever changes."""


def pools(port: int) -> Pools:
    """Return the pools of this host's PgBouncer, the names of the columns first; or why it does not say."""
    answer = pgbouncer.console(port, pooler.COMMAND, header=True)
    return NotMeasured(f"PgBouncer at port {port} does not answer: {answer.reason}.") if answer.reason else answer.rows
