# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From an inventory to the platform's topology, or to the faults that keep it from being one."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.topology import databases
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import (
    VARIABLES,
    Inventory,
    Unevaluated,
    together,
)


class InvalidInventory(ScaleoutError):
    """An inventory that no platform can be made of; the message is the first of its faults, ``faults`` are all."""

    def __init__(self, faults: t.Sequence[str]) -> None:
        super().__init__(faults[0], faults=list(faults))


def read(inventory: Inventory) -> databases.Topology:
    """Return the topology that an inventory describes.

    :raises InvalidInventory: whatever would fail later, half way through, or set up something else than was meant.
    """
    topology, database_faults = databases.read(inventory)
    faults = [
        *_names(inventory),
        *_groups(inventory),
        *_unevaluated(inventory),
        *_providers(inventory),
        *_secrets(inventory),
        *database_faults,
    ]
    if faults:
        raise InvalidInventory(faults)
    return topology


def _names(inventory: Inventory) -> t.Iterator[str]:
    for host in inventory.hosts:
        fault = names.fault_of_host(host)
        if fault:
            yield f"The inventory name {host!r} {fault}."
        for variable in ("platform_address", "ansible_host"):
            address = inventory.value(host, variable)
            fault = None if address is None else names.fault_of_address(address)
            if fault:
                yield f"{variable} of {host}: {address!r} {fault}."


def _groups(inventory: Inventory) -> t.Iterator[str]:
    named = inventory.names
    if not inventory.members(named.consul_server):
        yield f"The group {named.consul_server} has no host: Consul needs at least one server."
    if inventory.members(named.api) and not inventory.members(named.loadbalancer):
        yield f"The group {named.loadbalancer} has no host, but the group {named.api} has some to put behind it."


def _unevaluated(inventory: Inventory) -> t.Iterator[str]:
    for variable in VARIABLES:
        reasons: dict[str, list[str]] = {}
        for host, variables in inventory.hosts.items():
            value = variables.get(variable)
            if isinstance(value, Unevaluated) and variable not in inventory.secrets:
                reasons.setdefault(value.reason, []).append(host)
        for reason, hosts in reasons.items():
            yield f"{variable} of {together(hosts)} {reason}."


def _providers(inventory: Inventory) -> t.Iterator[str]:
    unknown: dict[str, list[str]] = {}
    for host in inventory.hosts:
        provider = inventory.value(host, "fleet_provider")
        if provider is not None and provider not in inventory.providers:
            unknown.setdefault(repr(provider), []).append(host)
    for provider, hosts in unknown.items():
        known = " or ".join(inventory.providers)
        yield f"fleet_provider of {together(hosts)}: {provider} is not a provider; choose {known}."


def _secrets(inventory: Inventory) -> t.Iterator[str]:
    """Name missing secrets by host. Nothing of a value is told, not even its length."""
    for secret in inventory.secrets:
        reasons: dict[str, list[str]] = {}
        for host, variables in inventory.hosts.items():
            value = variables.get(secret)
            if secret not in variables:
                reason = "is not set"
            elif isinstance(value, Unevaluated):
                reason = value.reason
            elif value is None or not str(value).strip():
                reason = "is empty"
            else:
                continue
            reasons.setdefault(reason, []).append(host)
        for reason, hosts in reasons.items():
            yield f"The secret {secret} of {together(hosts)} {reason}."
