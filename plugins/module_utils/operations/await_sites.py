# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until every site of nginx answers as one that serves."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services import nginx
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import ask

_PAUSE = 1.0
#: Seconds that one answer may take: nginx tries several servers for that long.
_PATIENCE = 20.0


class AwaitSites(Task):
    """Asks each site by its name until all serve, or the time is over.

    :param params: the options of the module ``site_gate``.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._questions = [nginx.Question(**each) for each in params["questions"]]
        self._timeout = params["timeout"]

    def plan(self) -> Plan:
        end = time.monotonic() + self._timeout
        while True:
            answers, faults = [], []
            for question in self._questions:
                status, text = _answer(question)
                answers.append({**question._asdict(), "status": status})
                faults.append(nginx.fault_of_answer(question, status, text))
            said = [fault for fault in faults if fault]
            if not said:
                return Plan(before={}, after={}, result={"answers": answers})
            if time.monotonic() >= end:
                text = "; ".join(said)
                raise Refused(f"{text[0].upper()}{text[1:]}.", code="not_serving", answers=answers)
            time.sleep(_PAUSE)

    def apply(self, _plan: Plan) -> None:
        """Nothing ever changes."""


def _answer(question: nginx.Question) -> tuple[int, str]:
    headers = {"User-Agent": "scaleout.platform site gate", **({"Host": question.host} if question.host else {})}
    return ask(question.url, headers=headers, timeout=_PATIENCE, name=question.host.partition(":")[0])
