# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the variables and groups of an inventory to a platform, and to the problems that keep it from being one."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem, Unevaluated
from ansible_collections.scaleout.platform.plugins.module_utils.topology import applications, databases
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import (
    CONSUL_SERVER,
    VARIABLES,
    together,
)


def parse(
    hosts: t.Mapping[str, t.Mapping[str, t.Any]], groups: t.Mapping[str, t.Sequence[str]]
) -> tuple[Platform, list[Problem]]:
    """Return the platform that an inventory describes, and what is wrong with the description.

    :param hosts: the variables of each host, in the order of the inventory; :data:`inventory.VARIABLES` are read.
    :param groups: the names of each group's hosts.
    """
    platform = Platform(hosts, groups)
    clusters, problems = databases.read(platform)
    platform = dataclasses.replace(platform, clusters=clusters)
    declared, more = applications.read(platform)
    clusters = databases.with_applications(clusters, declared.values())
    return dataclasses.replace(platform, clusters=clusters, applications=declared), problems + more


def problems(
    platform: Platform,
    secrets: t.Mapping[str, t.Sequence[str]] | None = None,
    providers: t.Sequence[str] = names.FLEET_PROVIDERS,
) -> list[Problem]:
    """Return what is wrong with the platform beside its databases and applications.

    :param secrets: variables that must have a value, which is never told, and the hosts on which.
    :param providers: the fleet providers that exist.
    """
    return [
        *_names(platform),
        *_addresses(platform),
        *_groups(platform),
        *_unevaluated(platform, secrets or ()),
        *_providers(platform, providers),
        *_secrets(platform, secrets or {}),
    ]


def _names(platform: Platform) -> t.Iterator[Problem]:
    for host in platform.hosts:
        fault = names.fault_of_host(host)
        if fault:
            yield Problem("invalid_name", "", f"the inventory name {host!r} {fault}")


def _addresses(platform: Platform) -> t.Iterator[Problem]:
    taken: dict[str, str] = {}
    reached: dict[tuple[str, str], str] = {}
    for host in platform.hosts:
        wrong = False
        for variable in ("platform_address", "ansible_host"):
            address = platform.value(host, variable)
            fault = None if address is None else names.fault_of_address(address)
            if fault:
                yield Problem("invalid_address", host, f"{variable} is {address!r}, which {fault}")
                wrong = True
        if wrong:
            continue
        other = taken.setdefault(_same(platform.address(host)), host)
        if other != host:
            text = f"the address of {other} and {host} is the same: {platform.address(host)}"
            yield Problem("address_taken", "", text)
            continue
        login = platform.value(host, "ansible_host")
        if login is None:
            continue
        # Behind one address several hosts may be, each with a port of its own.
        other = reached.setdefault((_same(login), str(platform.value(host, "ansible_port", ""))), host)
        if other != host:
            text = f"ansible_host of {other} and {host} is the same: {login}; they would be one machine"
            yield Problem("address_taken", "", text)


def _same(address: str) -> str:
    """Return the one way to write an IP address; names in lower case."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower()


def _groups(platform: Platform) -> t.Iterator[Problem]:
    if not platform.members(CONSUL_SERVER):
        yield Problem("empty_group", "", f"the group {CONSUL_SERVER} has no host; Consul needs at least one server")


def _unevaluated(platform: Platform, secrets: t.Container[str]) -> t.Iterator[Problem]:
    for variable in VARIABLES:
        reasons: dict[str, list[str]] = {}
        for host, variables in platform.hosts.items():
            value = variables.get(variable)
            if isinstance(value, Unevaluated) and variable not in secrets:
                reasons.setdefault(value.reason, []).append(host)
        for reason, hosts in reasons.items():
            yield _of_hosts("not_evaluated", hosts, f"{variable} {reason}")


def _providers(platform: Platform, providers: t.Sequence[str]) -> t.Iterator[Problem]:
    unknown: dict[str, list[str]] = {}
    for host in platform.hosts:
        provider = platform.value(host, "fleet_provider")
        if provider is not None and provider not in providers:
            unknown.setdefault(repr(provider), []).append(host)
    for provider, hosts in unknown.items():
        text = f"fleet_provider is {provider}, which is not a provider; choose {' or '.join(providers)}"
        yield _of_hosts("unknown_provider", hosts, text)


def _secrets(platform: Platform, secrets: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[Problem]:
    """Name missing secrets by host. Nothing of a value is told, not even its length."""
    for secret, wanted_on in secrets.items():
        reasons: dict[str, list[str]] = {}
        for host in wanted_on:
            variables = platform.hosts[host]
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
            yield _of_hosts("missing_secret", hosts, f"the secret {secret} {reason}")


def _of_hosts(code: str, hosts: t.Sequence[str], text: str) -> Problem:
    """One problem of one or several hosts."""
    return Problem(code, hosts[0], text) if len(hosts) == 1 else Problem(code, "", f"{together(hosts)}: {text}")
