# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give each host its token of Consul, remove those that nothing uses any more, or take hosts their tokens away."""

from __future__ import annotations

import dataclasses
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    PartlyApplied,
    Refused,
    ScaleoutError,
    Stranger,
)
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_tokens as tokens

PRESENT, ABSENT = "present", "absent"
#: What a Consul answers that has no ACLs.
_NO_ACLS = 401


def secrets_in(params: t.Mapping[str, t.Any]) -> set[str]:
    """Return the secrets of all tokens that a task is about; its options have the one that they follow from."""
    shared, hosts = params["agent_token"], params["hosts"]
    return {tokens.secret_of(shared, host["name"]) for host in hosts if "name" in host} if shared else set()


class KeepTokens(Task):
    """Gives hosts their tokens.

    :param shared: what the tokens follow from, ``consul_agent_token``.
    """

    def __init__(self, consul: Consul, shared: str, hosts: t.Sequence[tokens.Host]) -> None:
        self._consul = consul
        self._shared = shared
        self._hosts = hosts

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Task:
        """The task that the options of the module ``consul_tokens`` describe."""
        consul = Consul.from_options(params)
        if params["state"] == ABSENT:
            return RevokeTokens(consul, [host["name"] for host in params["hosts"]])
        hosts = [
            tokens.Host(
                one["name"],
                one["name"] if one["node"] is None else one["node"],
                tuple(one["services"]),
                tuple(one["keys"]),
            )
            for one in params["hosts"]
        ]
        return cls(consul, params["agent_token"], hosts)

    def plan(self) -> Plan:
        present = read(self._consul, {tokens.policy_of(host.name) for host in self._hosts})
        if present is None:
            raise Refused(f"Consul at {self._consul.place} has no ACLs, so no host can have a token.", code="no_acls")
        decision = tokens.decide(self._shared, self._hosts, present)
        kept = {subject: list(users) for subject, users in decision.kept.items()}
        return shown(decision.actions, present, {"in_use": kept})

    def apply(self, plan: Plan) -> None:
        carry_out(self._consul, plan.actions, self._shared)

    def close(self) -> None:
        self._consul.close()


class RevokeTokens(Task):
    """Takes hosts their tokens away; what is registered with one stays in the catalog until it is taken out there."""

    def __init__(self, consul: Consul, names: t.Sequence[str]) -> None:
        self._consul = consul
        self._names = names

    def plan(self) -> Plan:
        present = read_held(self._consul, {tokens.policy_of(name) for name in self._names}) or tokens.Present()
        return shown(tokens.revoke(self._names, present), present, {"in_use": {}})

    def apply(self, plan: Plan) -> None:
        carry_out(self._consul, plan.actions)

    def close(self) -> None:
        self._consul.close()


def read(consul: Consul, policies: t.Collection[str] = ()) -> tokens.Present | None:
    """Read tokens, policies and what is registered; None where Consul has no ACLs.

    :param policies: names of those whose rules are read, too.
    """
    held = read_held(consul, policies)
    if held is None:
        return None
    try:
        services = [str(name) for name in consul.ask("/v1/catalog/services")]
        instances = [
            one for name in services for one in consul.ask(f"/v1/catalog/service/{urllib.parse.quote(name, safe='')}")
        ]
        return dataclasses.replace(held, registered=tokens.read_registered(consul.ask("/v1/catalog/nodes"), instances))
    except (TypeError, KeyError, AttributeError):
        raise _stranger(consul) from None


def read_held(consul: Consul, policies: t.Collection[str] = ()) -> tokens.Present | None:
    """Read tokens and policies only, which is all that it takes to revoke them; None where Consul has no ACLs.

    :param policies: names of those whose rules are read, too.
    """
    listed = consul.ask("/v1/acl/tokens", nothing=(_NO_ACLS,))
    if listed is None:
        return None
    known = consul.ask("/v1/acl/policies")
    try:
        found = [
            consul.ask(f"/v1/acl/policy/{one['ID']}") if one["Name"] in policies else {**one, "Rules": ""}
            for one in known
        ]
        return tokens.Present(tokens.read_tokens(listed), tokens.read_policies(found))
    except (TypeError, KeyError, AttributeError):
        raise _stranger(consul) from None


def _stranger(consul: Consul) -> Stranger:
    return Stranger("Consul", consul.host, consul.port, "what answers there is not Consul")


def shown(actions: t.Sequence[tokens.Action], present: tokens.Present, result: dict[str, t.Any]) -> Plan:
    """Return the plan of some actions. Policies are shown with their rules, and tokens without their secrets."""
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    for action in actions:
        what = action.kind.rpartition("_")[2]
        key = f"policy of {action.subject}" if what == "policy" else f"token {action.id[:8]} of {action.subject}"
        if what == "policy":
            was = present.policy(action.name)
            before[key] = was.rules if was else None
        else:
            before[key] = next((one.description for one in present.tokens if one.accessor == action.id), None)
        after[key] = None if action.kind.startswith("drop") else action.text
    return Plan(before, after, tuple(actions), {"actions": [str(action) for action in actions], **result})


def carry_out(consul: Consul, actions: t.Sequence[tokens.Action], shared: str = "") -> None:
    """Carry actions out, in their order.

    :raises PartlyApplied: the first error, once something was done.
    """
    for number, action in enumerate(actions):
        try:
            _carry_out(consul, action, shared)
        except ScaleoutError as error:
            done, left = [str(one) for one in actions[:number]], [str(one) for one in actions[number:]]
            raise PartlyApplied.stopped_by(error, done, left) from error


def _carry_out(consul: Consul, action: tokens.Action, shared: str) -> None:
    if action.kind == "drop_token":
        consul.remove(f"/v1/acl/token/{action.id}")
    elif action.kind == "drop_policy":
        consul.remove(f"/v1/acl/policy/{action.id}")
    elif action.kind == "policy":
        policy = {"Name": action.name, "Description": f"What the host {action.subject} may do", "Rules": action.text}
        if action.new:
            consul.tell("/v1/acl/policy", policy)
        else:
            consul.tell(f"/v1/acl/policy/{action.id}", {"ID": action.id, **policy})
    else:
        token = {"AccessorID": action.id, "Description": action.text, "Policies": [{"Name": action.name}]}
        if action.new:
            consul.tell("/v1/acl/token", {**token, "SecretID": tokens.secret_of(shared, action.subject)})
        else:
            consul.tell(f"/v1/acl/token/{action.id}", token)
