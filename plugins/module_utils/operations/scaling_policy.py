# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policies by which pools change their size: an application's ``scaling``, with the bounds of its pool; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.members import asked
from ansible_collections.scaleout.platform.plugins.module_utils.operations import connections, sampling
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import parse
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import Fault, InvalidPolicy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import number

_BOUNDS = ("min", "max")


def policies(platform: Platform) -> dict[str, Policy]:
    """Return the policy of each application that has one, and whose policy is sound, by its name."""
    return {name: policy for name, policy, faults in _read(platform) if not faults}


def problems(platform: Platform) -> list[Problem]:
    """Return what is wrong with the policies, and which of them ask for more than databases take."""
    read = list(_read(platform))
    found = [
        Problem("invalid_policy", "", f"{fault.option}: {fault.text.rstrip('.')}")
        for _name, _policy, faults in read
        for fault in faults
    ]
    sound = {name: policy for name, policy, faults in read if not faults}
    most = {name: largest(policy) for name, policy in sound.items()}
    return found + list(sampling.problems(platform, sound)) + list(connections.problems(platform, most))


def warnings(platform: Platform) -> list[Problem]:
    """Return what is allowed and probably not meant; and pools that a person may make larger than databases take."""
    found = [
        Problem("doubtful_policy", "", f"applications: {name}: scaling: {text.rstrip('.')}")
        for name, policy in policies(platform).items()
        for text in policy.warnings
    ]
    by_hand = {one.name: _stated(platform, one) for one in platform.applications.values() if one.scaling is None}
    return found + list(connections.problems(platform, by_hand))


def largest(policy: Policy) -> int:
    """Return the most members that a policy ever lets a pool have."""
    return max(policy.bounds.maximum, *(window.maximum or 0 for window in policy.schedule), 0)


def _read(platform: Platform, group: str | None = None) -> t.Iterator[tuple[str, Policy, list[Fault]]]:
    """Read the policies of all applications, or of those of a group, each with its faults."""
    for application in platform.applications.values():
        if application.scaling is not None and group in (None, application.group):
            faults: list[Fault] = []
            yield application.name, _parsed(platform, application, faults), faults


def _parsed(platform: Platform, application: Application, faults: list[Fault]) -> Policy:
    place, given = f"applications: {application.name}: scaling", application.scaling
    if not isinstance(given, dict):
        return parse.parse(given, faults, place)
    for bound in _BOUNDS:
        if given.get(bound) is not None:
            faults.append(Fault(f"{place}.{bound}", f"is said by the pool: write it as pool.{bound}."))
    low, high = asked.bounds(platform, application.group)
    if high is None:
        faults.append(Fault(f"applications: {application.name}: pool.max", "is required for a pool with scaling."))
    bounds = {"min": low, "max": low if high is None else high}
    return parse.parse({**{key: given[key] for key in given if key not in _BOUNDS}, **bounds}, faults, place)


def _stated(platform: Platform, application: Application) -> int:
    host = next(iter(platform.members(application.group)), "")
    return application.pool.max or number(platform.value(host, "scale_maximum")) or 0


def of_group(platform: Platform, group: str) -> dict[str, Policy]:
    """Return the policies of the applications on the hosts of a group, in the order of the inventory.

    :raises InvalidPolicy: one of them cannot be.
    """
    found: dict[str, Policy] = {}
    faults: list[Fault] = []
    for name, policy, wrong in _read(platform, group):
        found[name] = policy
        faults += wrong
    if faults:
        raise InvalidPolicy(faults)
    return found
