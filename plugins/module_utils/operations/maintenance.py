# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes one instance of a service out of Consul's lists for a while, and brings it back."""

from __future__ import annotations

import json
import time
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.process import LOOK_TIMEOUT
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.consul import Api, in_force

_OK = 200
_UNKNOWN = 404
#: What to do where Consul knows no token of this host.
REFUSE, SKIP = "refuse", "skip"
#: Seconds between two questions.
_PAUSE = 0.5
_EXCERPT = 200


class _Agent(Api):
    """The Consul agent of this host, of which an answer that means nothing is an error."""

    def ask(self, path: str, expected: t.Collection[int] = (_OK,), method: str = "GET") -> tuple[int, str]:
        """Send a request.

        :param expected: the answers that mean something; none for any.
        :raises Refused: ``no_consul``: another answer, or none.
        """
        status, text = self.send(f"/v1/{path}", method)
        if expected and status not in expected:
            said = f"{status} ({' '.join(text.split())[:_EXCERPT]})" if status else f"nothing ({text})"
            raise Refused(f"The Consul agent at {self._url} answered {said}.", code="no_consul", status=status)
        return status, text

    def json(self, path: str) -> t.Any:
        return json.loads(self.ask(path)[1])


class Maintenance(Task):
    """Begins or ends the maintenance of an instance.

    :param params: the module's options.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._params = params
        # What was registered with an earlier token is drained with it.
        self._agent = _Agent(params["token"] or "", *in_force(params["id"]), url=params["url"], timeout=LOOK_TIMEOUT)
        self._id = urllib.parse.quote(params["id"], safe="")

    def plan(self) -> Plan:
        if self._params["when_revoked"] == SKIP and self._agent.revoked():
            return Plan({}, {}, result={"registered": False, "others": [], "maintenance": False})
        registered = self._agent.ask(f"agent/service/{self._id}", (_OK, _UNKNOWN))[0] == _OK
        under = registered and f"_service_maintenance:{self._params['id']}" in self._agent.json("agent/checks")
        begin = self._params["state"] == "present"
        others = self._others() if begin else []
        wanted = begin and registered and bool(others)
        due = wanted and not under if begin else under
        result = {"registered": registered, "others": others, "maintenance": wanted if begin else False}
        # What was begun is waited for by others; what has ended is waited for here.
        actions = (("maintain",) if due else ()) + (("wait",) if due and not begin else ())
        return Plan({"maintenance": under}, {"maintenance": wanted if due else under}, actions, result)

    def _others(self) -> list[str]:
        """Return the addresses of the other instances that pass their checks."""
        service = urllib.parse.quote(self._params["service"] or self._params["id"], safe="")
        passing = self._agent.json(f"health/service/{service}?passing=true")
        addresses = {str(entry["Service"]["Address"] or entry["Node"]["Address"]) for entry in passing}
        return sorted(addresses - {self._params["address"]})

    def apply(self, plan: Plan) -> None:
        begin = self._params["state"] == "present"
        query = urllib.parse.urlencode({"enable": "true" if begin else "false", "reason": "Ansible"})
        self._agent.ask(f"agent/service/maintenance/{self._id}?{query}", method="PUT")
        if "wait" in plan.actions:
            self._wait()

    def _wait(self) -> None:
        """Wait until the agent finds the instance healthy.

        :raises Refused: it does not.
        """
        end, status = time.monotonic() + self._params["timeout"], 0
        while True:
            status = self._agent.ask(f"agent/health/service/id/{self._id}", ())[0]
            if status == _OK:
                return
            if time.monotonic() >= end:
                raise Refused(
                    f"{self._params['id']} is out of maintenance, but Consul does not find it healthy (status "
                    f"{status or 'unknown'}; its check allows one second for an answer).",
                    code="not_passing",
                    status=status,
                )
            time.sleep(_PAUSE)
