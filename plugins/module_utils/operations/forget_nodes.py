# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have Consul forget hosts that are gone: their tokens, services, checks, and that they were ever members."""

from __future__ import annotations

import time
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.health import known
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_tokens import carry_out, read, read_held
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_tokens as tokens

#: The state in which a host is not only out of the catalog, but no member any more.
ABSENT = "absent"
_PAUSE = 0.5


class ForgetNodes(Task):
    """Takes hosts out of the catalog, and waits until they are gone there.

    With ``absent`` they are no members any more either, and lose their tokens first: an agent that comes back registers
    nothing.

    :param sleep: waits.
    """

    def __init__(
        self,
        consul: Consul,
        names: t.Sequence[str],
        state: str,
        timeout: float,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._consul = consul
        self._names = names
        self._state = state
        self._timeout = timeout
        self._sleep = sleep

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> ForgetNodes:
        """The task that the options of the module ``consul_member`` describe."""
        return cls(Consul.from_options(params), params["names"], params["state"], params["forget_timeout"])

    def plan(self) -> Plan:
        there = self._there()
        revoked = self._revoked()
        holders = sorted({action.subject for action in revoked})
        return Plan(
            before="".join(f"{name}\n" for name in sorted(there)) + "".join(f"token of {name}\n" for name in holders),
            after="",
            actions=(*revoked, *sorted(there)),
            result={"forgotten": sorted(there), "revoked": holders},
        )

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        carry_out(self._consul, [action for action in plan.actions if isinstance(action, tokens.Action)])
        for name in plan.result["forgotten"]:
            if self._state == ABSENT and name in self._members():
                # Without "prune", a host that left stays among the members for three days, and a lost one forever.
                self._consul.tell(f"/v1/agent/force-leave/{urllib.parse.quote(name, safe='')}?prune=true")
            self._consul.tell("/v1/catalog/deregister", {"Node": name})
        self._wait()
        return {"revoked": sorted({*plan.result["revoked"], *self._retire()})}

    def _revoked(self) -> tuple[tokens.Action, ...]:
        present = read_held(self._consul) if self._state == ABSENT else None
        return tokens.revoke(self._names, present) if present else ()

    def _retire(self) -> list[str]:
        """Remove the token that all hosts shared once nothing uses it: a host that is gone may have been the last."""
        present = read(self._consul) if self._state == ABSENT else None
        actions = tokens.decide("", (), present).actions if present else ()
        carry_out(self._consul, actions)
        return [action.subject for action in actions]

    def _wait(self) -> None:
        waited = 0.0
        while self._there():
            if waited >= self._timeout:
                left = ", ".join(sorted(self._there()))
                raise Refused(
                    f"Consul still knows {left} after {self._timeout:g} s: an agent of that name is alive and comes "
                    "back. Stop it there, or take the host's power away.",
                    code="still_known",
                )
            self._sleep(_PAUSE)
            waited += _PAUSE

    def close(self) -> None:
        self._consul.close()

    def _members(self) -> list[str]:
        return [str(member["Name"]) for member in self._consul.ask("/v1/agent/members")]

    def _there(self) -> set[str]:
        nodes = self._consul.ask("/v1/catalog/nodes")
        members = self._consul.ask("/v1/agent/members") if self._state == ABSENT else []
        return set(known(members, nodes)).intersection(self._names)
