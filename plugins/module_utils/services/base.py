# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every host has before its services: a system that is known, packages, a clock; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import table
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen

#: Tells the system and its packages.
STATE_MODULE = "scaleout.platform.packages_info"

#: The systems that the platform is made for and tested on, by what /etc/os-release calls them.
SYSTEMS = {("debian", "12"): "Debian 12", ("debian", "13"): "Debian 13"}


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of the module that reads the host."""
    return {}


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the platform cannot live on this host."""
    if state is None or (state["system"], state["release"]) in SYSTEMS:
        return []
    text = f"{state['system_name'] or 'its system'} is not supported; supported are {' and '.join(SYSTEMS.values())}"
    return [Problem("unsupported_system", host, text)]


def listens(platform: Platform, host: str) -> list[Listen]:
    """Nothing listens; by default chrony answers no other host."""
    return []


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """There is no service to be healthy."""
    return []


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what is missing, whether the package index is too old, and what only a run may upgrade and restart."""
    packages = [str(package) for package in platform.value(host, "base_packages", [])]
    if platform.is_on(host, "base_time_sync", True):
        packages.append("chrony")
    present = set(state["packages"]) if state else set()
    age = state["index_age"] if state else None
    return {
        "missing": [package for package in packages if package not in present],
        "stale_index": age is None or age > int(platform.value(host, "base_apt_cache_valid_time", 3600)),
        "kept_packages": table.kept_packages(platform, host),
        "kept_units": table.kept_units(platform, host),
    }
