# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul's tokens: each host has one of its own, which may register that host and what it runs, and no other; pure.

A host's secret follows from ``consul_agent_token`` and the host's name, so none is kept anywhere: whoever has the
variable can compute all of them, and no host can compute another's. A token's accessor follows from its secret. Members
and services publish the accessor of the token that registers them, so that Consul's catalog tells which tokens are in
use.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import re
import typing as t
import uuid

#: The policy, and the description, of the one token that all hosts had before each got its own.
SHARED = "scaleout-agent"
#: How the names of the hosts' policies begin.
PREFIX = "scaleout-host-"
#: A fact of this name of a member or of a service has the accessor of the token that registers it.
FACT = "scaleout-token"

#: The servers register it by themselves.
_SERVERS_OWN = "consul"
_PLAIN = re.compile(r"[a-z0-9.-]+")
_OTHER = re.compile(r"[^a-z0-9-]")
_LONGEST_NAME = 128


# Secrets


def _uuid(key: str, message: str) -> str:
    digest = hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def secret_of(shared: str, host: str) -> str:
    """Return the secret of a host's token, a UUID.

    :param shared: ``consul_agent_token``, a UUID; its case means nothing.
    :param host: the host's name in the inventory.
    """
    return _uuid(shared.lower(), f"scaleout.platform consul host {host}")


def accessor_of(secret: str) -> str:
    """Return the accessor of the token with a secret: its name, which tells nothing of the secret."""
    return _uuid(secret.lower(), "scaleout.platform consul accessor")


# What a host may do


@dataclasses.dataclass(frozen=True)
class Host:
    """A host that is to have a token.

    :param name: in the inventory.
    :param node: in Consul; empty for a program that runs on several hosts and registers none, such as Patroni.
    :param services: those that it may register.
    :param keys: prefixes of the keys that it may write.
    """

    name: str
    node: str
    services: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def policy_of(host: str) -> str:
    """Return the name of a host's policy; no two hosts have the same.

    Consul takes few characters there and does not tell large letters from small ones.
    """
    name = PREFIX + _OTHER.sub("_", host.lower())
    if _PLAIN.fullmatch(host) and len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}_{hashlib.sha256(host.encode()).hexdigest()[:16]}"


def rules_of(node: str, services: t.Iterable[str], keys: t.Iterable[str] = ()) -> str:
    """Return the rules of a host's policy, as Consul reads them.

    It writes itself and its services; it reads all, as whoever drains a server has to see the others. A program writes
    its keys, under a lock of its own.
    """
    write, read = {"policy": "write"}, {"policy": "read"}
    if not node:
        kept = {"key_prefix": dict.fromkeys(sorted(keys), write), "session_prefix": {"": write}}
        return json.dumps({**kept, **{part: {"": read} for part in ("agent_prefix", "node_prefix")}}, sort_keys=True)
    rules = {"agent": {node: write}, "node": {node: write}, "node_prefix": {"": read}, "service_prefix": {"": read}}
    named = dict.fromkeys(sorted(set(services)), write)
    return json.dumps({**rules, **({"service": named} if named else {})}, sort_keys=True)


def description_of(host: str, services: t.Iterable[str]) -> str:
    """Return a token's description, by which its holder sees what it may register."""
    return f"{host}: {', '.join(sorted(set(services)))}"


def described(description: str) -> set[str]:
    """Return the services that a token's description names."""
    return set(description.rpartition(": ")[2].split(", ")) - {""}


# What Consul has


@dataclasses.dataclass(frozen=True)
class Token:
    """A token as Consul lists it.

    :param policies: their names.
    """

    accessor: str
    description: str = ""
    policies: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Policy:
    """A policy as Consul has it; the rules of those that were not read are empty."""

    id: str
    name: str
    rules: str = ""


@dataclasses.dataclass(frozen=True)
class Registered:
    """A member or a service in the catalog.

    :param service: empty for the member itself.
    :param accessor: of the token that registers it, as it says; empty where it does not.
    """

    node: str
    service: str = ""
    accessor: str = ""


@dataclasses.dataclass(frozen=True)
class Present:
    """What Consul has."""

    tokens: tuple[Token, ...] = ()
    policies: tuple[Policy, ...] = ()
    registered: tuple[Registered, ...] = ()

    def policy(self, name: str) -> Policy | None:
        """Return a policy by its name."""
        return next((one for one in self.policies if one.name == name), None)


def read_tokens(listed: t.Any) -> tuple[Token, ...]:
    """Read Consul's list of tokens."""
    return tuple(
        Token(
            str(one["AccessorID"]),
            str(one.get("Description") or ""),
            tuple(str(link.get("Name", "")) for link in one.get("Policies") or ()),
        )
        for one in listed or ()
    )


def read_policies(listed: t.Any) -> tuple[Policy, ...]:
    """Read Consul's list of policies, or policies that were read one by one."""
    return tuple(Policy(str(one["ID"]), str(one["Name"]), str(one.get("Rules") or "")) for one in listed or ())


def read_registered(nodes: t.Any, instances: t.Iterable[t.Any]) -> tuple[Registered, ...]:
    """Read the catalog's nodes, and the instances of its services."""
    found = [Registered(str(one["Node"]), "", str((one.get("Meta") or {}).get(FACT, ""))) for one in nodes or ()]
    for one in instances:
        accessor = str((one.get("ServiceMeta") or {}).get(FACT, ""))
        found.append(Registered(str(one["Node"]), str(one["ServiceName"]), accessor))
    return tuple(one for one in found if one.service != _SERVERS_OWN)


# What is to be done


@dataclasses.dataclass(frozen=True)
class Action:
    """A change.

    :param kind: ``policy`` and ``token`` create or change one, ``drop_token`` and ``drop_policy`` remove one.
    :param subject: the host, or what else it is about, for a person.
    :param id: the policy's, or the token's accessor; empty for a policy that is to be made.
    :param new: whether it is to be made.
    :param name: the policy's; a token's only one.
    :param text: a policy's rules, a token's description.
    """

    kind: str
    subject: str
    id: str
    new: bool = False
    name: str = ""
    text: str = ""

    def __str__(self) -> str:
        if self.kind.startswith("drop"):
            return f"remove the {self.kind[len('drop_') :]} of {self.subject}"
        return f"{'create' if self.new else 'change'} the {self.kind} of {self.subject}"


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is to be done, in this order.

    :param kept: tokens of an earlier secret that are in use, and by whom: hosts of Consul.
    """

    actions: tuple[Action, ...] = ()
    kept: t.Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def decide(shared: str, hosts: t.Sequence[Host], present: Present) -> Decision:
    """Decide how each host comes by its token, and which tokens nothing uses any more.

    A host keeps the right to what it has registered, as it could not take it out of the catalog otherwise.

    :param shared: ``consul_agent_token``.
    """
    actions: list[Action] = []
    for host in hosts:
        own = {one.service for one in present.registered if host.node and one.node.lower() == host.node.lower()} - {""}
        actions += _of_host(host, sorted({*host.services, *own}), secret_of(shared, host.name), present)
    retired, kept = _retired({policy_of(host.name): secret_of(shared, host.name) for host in hosts}, present)
    return Decision((*actions, *retired), kept)


def _of_host(host: Host, services: t.Sequence[str], secret: str, present: Present) -> t.Iterator[Action]:
    name, rules = policy_of(host.name), rules_of(host.node, services, host.keys)
    policy = present.policy(name)
    if policy is None or policy.rules != rules:
        yield Action("policy", host.name, policy.id if policy else "", policy is None, name, rules)
    accessor, description = accessor_of(secret), description_of(host.name, services)
    token = next((one for one in present.tokens if one.accessor == accessor), None)
    if token is None or token.description != description or token.policies != (name,):
        yield Action("token", host.name, accessor, token is None, name, description)


def _retired(own: t.Mapping[str, str], present: Present) -> tuple[list[Action], dict[str, tuple[str, ...]]]:
    """Return how tokens go that nothing uses, and those that are superseded and in use.

    What does not say by which token it is registered counts as a user of the one that all hosts shared.
    """
    actions: list[Action] = []
    kept: dict[str, tuple[str, ...]] = {}
    current = {name: accessor_of(secret) for name, secret in own.items()}
    shared = [one for one in present.tokens if one.description == SHARED and one.policies == (SHARED,)]
    for token in present.tokens:
        policy = token.policies[0] if len(token.policies) == 1 else ""
        if token in shared:
            users = _users(present, "")
        elif policy in current and token.accessor != current[policy]:
            users = _users(present, token.accessor)
        else:
            continue
        subject = SHARED if token in shared else token.description.rpartition(": ")[0]
        if users:
            kept[subject] = users
        else:
            actions.append(Action("drop_token", subject, token.accessor, name=policy))
    unneeded = present.policy(SHARED)
    dropped = {action.id for action in actions}
    if unneeded and all(one.accessor in dropped or SHARED not in one.policies for one in present.tokens):
        actions.append(Action("drop_policy", SHARED, unneeded.id, name=SHARED))
    return actions, kept


def _users(present: Present, accessor: str) -> tuple[str, ...]:
    return tuple(sorted({one.node for one in present.registered if one.accessor == accessor}))


def revoke(names: t.Iterable[str], present: Present) -> tuple[Action, ...]:
    """Return how hosts lose their tokens, those of an earlier secret too, and their policies."""
    actions: list[Action] = []
    for host in names:
        name = policy_of(host)
        actions += [
            Action("drop_token", host, token.accessor, name=name)
            for token in present.tokens
            if token.policies == (name,)
        ]
        policy = present.policy(name)
        actions += [Action("drop_policy", host, policy.id, name=name)] if policy else []
    return tuple(actions)
