# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx: which sites it may have, and what its configuration is made of; pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_port

#: Nothing of the host decides.
STATE_MODULE = None

WATCH = "/usr/local/sbin/nginx-upstream-watch"
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_PORT = re.compile(r"(?:^|:)([0-9]+)$")


def _sites(platform: Platform, host: str) -> list[dict[str, t.Any]]:
    sites = platform.value(host, "nginx_sites", [])
    return [dict(site) for site in sites if isinstance(site, t.Mapping)] if isinstance(sites, (list, tuple)) else []


def listened(sites: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return what the sites listen on, as nginx's ``listen`` takes it, each once and in order."""
    found: list[str] = []
    for site in sites:
        given = site.get("listen", [80])
        for one in given if isinstance(given, (list, tuple)) else [given]:
            if str(one) not in found:
                found.append(str(one))
    return found


def port_of(listen: str) -> int | None:
    """Return the port of what ``listen`` takes, such as ``80``, ``[::]:80`` or ``443 ssl``; None for a socket."""
    words = listen.split()
    match = _PORT.search(words[0]) if words else None
    return int(match.group(1)) if match else None


def services(platform: Platform, host: str) -> list[str]:
    """Return the services that the sites send requests to, each once, sorted."""
    return sorted({str(site.get("service", "")) for site in _sites(platform, host)})


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the role cannot configure this host."""
    found = []
    for service in services(platform, host):
        if not _SERVICE.fullmatch(service):
            text = (
                f'nginx_sites has the service "{service}"; its name must be letters, digits, - and _, at most 63, '
                "and begin with a letter or a digit"
            )
            found.append(Problem("bad_name", host, text))
    sites = _sites(platform, host)
    names = [str(site.get("name", "")) for site in sites]
    default = platform.value(host, "nginx_default_site", "")
    if default and default not in names:
        found.append(Problem("unknown_site", host, f'nginx_default_site names "{default}", which is no site'))
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.append(Problem("duplicate", host, f'nginx_sites has the site "{name}" twice'))
    for one in listened(sites):
        port = port_of(one)
        if not one.startswith("unix:") and not is_port(port):
            found.append(Problem("bad_port", host, f'nginx_sites listens on "{one}", which names no port'))
    if not is_port(platform.value(host, "nginx_status_port", 8081)):
        value = platform.value(host, "nginx_status_port")
        found.append(Problem("bad_port", host, f"nginx_status_port is {value}; a port is between 1 and 65535"))
    return found


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the ports that nginx takes."""
    found = [
        Listen("nginx_sites", port, "") for port in map(port_of, listened(_sites(platform, host))) if port is not None
    ]
    return [*found, Listen("nginx_status_port", int(platform.value(host, "nginx_status_port", 8081)), "127.0.0.1")]


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """Nginx's own health is its driver's to judge, since the answer holds what it runs."""
    return []


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here."""
    sites = _sites(platform, host)
    listens_on = listened(sites)
    watched = services(platform, host)
    seeds = platform.value(host, "nginx_seed_servers", {})
    options = [
        *("--max-fails", str(platform.value(host, "nginx_max_fails", 3))),
        *("--fail-timeout", str(platform.value(host, "nginx_fail_timeout", "30s"))),
        *("--keepalive", str(platform.value(host, "nginx_keepalive", 32))),
        *("--keepalive-timeout", str(platform.value(host, "nginx_keepalive_timeout", "4s"))),
    ]
    follows = bool(platform.value(host, "nginx_consul", True))
    names = [str(site.get("name", "")) for site in sites]
    return {
        "default_site": platform.value(host, "nginx_default_site", names[0] if names else ""),
        "listens": listens_on,
        "port": next((port for port in map(port_of, listens_on) if port), 80),
        "watch": WATCH,
        "watch_options": options,
        "units": [f"nginx-upstream@{service}.service" for service in watched] if follows else [],
        "seeds": {service: [str(server) for server in seeds.get(service, [])] for service in watched},
    }
