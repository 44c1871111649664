# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul: who may be a member, what its configuration is made of, and how services are registered; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.transaction import DIGEST_MARK

API = "http://127.0.0.1:8500"
FOLDER = "/etc/consul.d"

#: A service's fact of this name says which file the agent read.
SERVICE_DIGEST = "scaleout-digest"

#: Checks that have no interval: the service reports itself, or the check follows another one.
_UNTIMED = ("ttl", "alias_service", "alias_node")


def service_file(instance: str) -> str:
    """Return the file that registers an instance."""
    return f"{FOLDER}/service_{instance}.json"


def definition(service: t.Mapping[str, t.Any], defaults: t.Mapping[str, t.Any], token: str) -> dict[str, t.Any]:
    """Return the definition of a service as Consul reads it.

    :param service: with Consul's own names.
    :param defaults: what its checks have unless they say otherwise; those without an interval take none of it.
    """
    checks = [
        dict(check) if any(kind in check for kind in _UNTIMED) else {**defaults, **check}
        for check in service.get("checks") or []
    ]
    facts = {str(name): str(value) for name, value in (service.get("meta") or {}).items()}
    given = {name: value for name, value in service.items() if value is not None}
    # The name of a port in a template makes text of it.
    ports = {"port": int(given["port"])} if "port" in given else {}
    return {**given, **ports, "token": token, "checks": checks, "meta": {**facts, SERVICE_DIGEST: DIGEST_MARK}}


def fault_of_registration(wanted: t.Mapping[str, t.Any] | None, status: int, known: t.Any) -> str:
    """Say how the agent has a service otherwise than its file does, as a clause; empty when it does not.

    :param wanted: what the file holds; None where there is none.
    :param status: of the agent's answer to the question for this instance; 0 for no answer.
    :param known: the answer.
    """
    if not status:
        return "the agent does not answer" if wanted is not None else ""
    if status == 403:
        return "the agent does not accept consul_agent_token"
    if status == 404:
        return "" if wanted is None else "the agent does not have the service"
    if status != 200:
        return f"the agent answers {status}"
    if wanted is None:
        return "the agent still has the service"
    digest = _digest_of(wanted.get("service"), "meta")
    return "" if digest and digest == _digest_of(known, "Meta") else "the agent has another definition of the service"


def _digest_of(entry: t.Any, meta: str) -> str:
    facts = entry.get(meta) if isinstance(entry, t.Mapping) else None
    return str(facts.get(SERVICE_DIGEST, "")) if isinstance(facts, t.Mapping) else ""
