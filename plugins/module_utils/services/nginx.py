# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx: which sites it may have, and what its configuration is made of; pure."""

from __future__ import annotations

import datetime
import fnmatch
import posixpath
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import certificates
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_port

#: Nothing of the host decides.
STATE_MODULE = None

CERTIFICATES = "/etc/nginx/certificates"
WATCH = "/usr/local/sbin/nginx-upstream-watch"
#: What the watch imports; Python finds it beside the program.
WATCH_MODULE = "/usr/local/sbin/nginx_upstream.py"
_LOGS = re.compile(r"^\s*(?:access_log|error_log)\s+\"?(/[^\s;\"]+)", re.MULTILINE)
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-]")
_EXCERPT = 200
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_ROTATED = "/var/log/nginx/*.log"
_Sites = t.Sequence[t.Mapping[str, t.Any]]
_PORT = re.compile(r"(?:^|:)([0-9]+)$")


def sites_of(platform: Platform, host: str) -> list[dict[str, t.Any]]:
    """Return the sites of applications, and then those that ``nginx_sites`` adds; one by hand wins over its namesake.

    The first of a port answers requests for any name, and a site that is added must not take that from an application.
    """
    given = platform.value(host, "nginx_sites", [])
    by_hand = [dict(site) for site in given if isinstance(site, t.Mapping)] if isinstance(given, (list, tuple)) else []
    named = {str(site.get("name")): site for site in by_hand}
    found = []
    for one in platform.applications.values():
        if one.site:
            names_and_ports = {"server_name": list(one.site.server_name), "listen": list(one.site.listen)}
            derived = {"name": one.name, "service": one.service, **names_and_ports, **one.site.options}
            found.append(named.get(one.name, derived))
    return found + [site for site in by_hand if site not in found]


def seeds(platform: Platform, host: str, watched: t.Sequence[str]) -> dict[str, list[str]]:
    """Return the first servers of each upstream: those that ``nginx_seed_servers`` has, else the application's."""
    given = platform.value(host, "nginx_seed_servers", {})
    found = {service: [str(server) for server in given.get(service, [])] for service in watched}
    for one in platform.applications.values():
        if one.port and one.service in found and one.service not in given:
            members = [
                name for name in platform.members(one.group) if name not in platform.groups.get("fleet_idle", ())
            ]
            found[one.service] = [f"{bracketed(platform.address(name))}:{one.port}" for name in members]
    return found


def listened(of_sites: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return what the sites listen on, as nginx's ``listen`` takes it, each once and in order."""
    found: list[str] = []
    for site in of_sites:
        found += [one for one in _listen(site) if one not in found]
    return found


def _listen(site: t.Mapping[str, t.Any]) -> list[str]:
    return _several(site.get("listen", "443 ssl" if _tls(site) else 80))


def _several(value: t.Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)]


def port_of(listen: str) -> int | None:
    """Return the port of what ``listen`` takes, such as ``80``, ``[::]:80`` or ``443 ssl``; None for a socket."""
    words = listen.split()
    match = _PORT.search(words[0]) if words else None
    return int(match.group(1)) if match else None


def _tls(site: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """Return what a site says of its certificate; empty where it has none."""
    given = site.get("tls")
    return given if isinstance(given, t.Mapping) else {}


def redirect_of(site: t.Mapping[str, t.Any]) -> str:
    """Return where plain requests to a site are sent; empty where it has no certificate, or serves port 80 itself."""
    wanted = _tls(site) and str(_tls(site).get("redirect", True)).lower() not in ("false", "no", "0")
    on = listened([site])
    port = next((port_of(one) for one in on if "ssl" in one.split()), None)
    if not wanted or port is None or 80 in map(port_of, on):
        return ""
    return "https://$host$request_uri" if port == 443 else f"https://$host:{port}$request_uri"


class Question(t.NamedTuple):
    """What a client of a site would ask.

    :param url: by address, on the host itself.
    :param host: the name that the client would use, with its port where it is not the scheme's own; empty for a site
        without a name.
    """

    site: str
    url: str
    host: str


def questions(platform: Platform, host: str) -> list[Question]:
    """Return one question for each site and each of its ports; none where it listens for other things than clients."""
    found = []
    for site in sites_of(platform, host):
        name = name_of(site)
        for one in listened([site]):
            words, port = one.split(), port_of(one)
            if port is None or {"proxy_protocol", "quic"} & set(words):
                continue
            scheme, usual = ("https", 443) if "ssl" in words else ("http", 80)
            address = words[0].rpartition(":")[0]
            asked = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(address, address)
            full = name if port == usual or not name else f"{name}:{port}"
            found.append(Question(str(site.get("name", "")), f"{scheme}://{asked}:{port}/", full))
        if redirect_of(site):
            found.append(Question(str(site.get("name", "")), "http://127.0.0.1:80/", name))
    return found


def _server_names(site: t.Mapping[str, t.Any]) -> list[str]:
    return " ".join(_several(site.get("server_name", "_"))).split()


def name_of(site: t.Mapping[str, t.Any]) -> str:
    """Return a name that a client could use; empty where the site has none, or only an expression."""
    for name in _server_names(site):
        if name in ("", "_", '""') or name.startswith("~"):
            continue
        if name.startswith("*."):
            return f"www{name[1:]}"
        return f"{name[:-2]}.test" if name.endswith(".*") else name.lstrip(".")
    return ""


def fault_of_answer(question: Question, status: int, text: str) -> str:
    """Say why a site does not serve, as a clause; empty when it does. Whatever an application says to / will do.

    :param status: of the answer; 0 for no answer.
    :param text: the answer, or why there was none.
    """
    asked = f"the site {question.site} at {question.url}" + (f" (Host: {question.host})" if question.host else "")
    if not status:
        return f"{asked} did not answer ({text})"
    if status >= 500:
        said = " ".join(text.split())[:_EXCERPT]
        return f"{asked} answered {status}" + (f" ({said})" if said and "<" not in said else "")
    return ""


def services(platform: Platform, host: str) -> list[str]:
    """Return the services that the sites send requests to, each once, sorted."""
    return sorted({str(site.get("service", "")) for site in sites_of(platform, host)})


def logs(platform: Platform, host: str) -> list[str]:
    """Return the log files that the configuration names, each once, sorted."""
    texts = [f"access_log {platform.value(host, 'nginx_access_log', '')}"]
    texts += [f"error_log {platform.value(host, 'nginx_error_log', '')}"]
    texts += [str(platform.value(host, "nginx_http_extra", "") or "")]
    texts += [str(site.get("extra") or "") for site in sites_of(platform, host)]
    return sorted({path for text in texts for path in _LOGS.findall(text) if not path.startswith("/dev/")})


def internal_paths(site: t.Mapping[str, t.Any], default: t.Any) -> list[str]:
    """Return the paths of a site that are not published, each once and in order."""
    given = site.get("internal_paths", default)
    return list(dict.fromkeys(str(path) for path in (given if isinstance(given, (list, tuple)) else [given]) if path))


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the role cannot configure this host."""
    sites = sites_of(platform, host)
    found = [*_names(platform, host, sites), *_listens(sites), *_paths(platform, host, sites)]
    now = datetime.datetime.now(datetime.timezone.utc)
    found += [*_of_services(platform, host, sites), *_of_names(sites), *_of_tls(sites, now)]
    if not is_port(platform.value(host, "nginx_status_port", 8081)):
        value = platform.value(host, "nginx_status_port")
        found.append(("bad_port", f"nginx_status_port is {value}; a port is between 1 and 65535"))
    return [Problem(code, host, text) for code, text in found]


def _names(platform: Platform, host: str, sites: _Sites) -> t.Iterator[tuple[str, str]]:
    for service in services(platform, host):
        if not _SERVICE.fullmatch(service):
            yield (
                "bad_name",
                f'nginx_sites has the service "{service}"; its name must be letters, digits, - and _, at most 63, '
                "and begin with a letter or a digit",
            )
    names = [str(site.get("name", "")) for site in sites]
    default = platform.value(host, "nginx_default_site", "")
    if default and default not in names:
        yield "unknown_site", f'nginx_default_site names "{default}", which is no site'
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "duplicate", f'nginx_sites has the site "{name}" twice'


def _listens(sites: _Sites) -> t.Iterator[tuple[str, str]]:
    for one in listened(sites):
        if not one.startswith("unix:") and not is_port(port_of(one)):
            yield "bad_port", f'nginx_sites listens on "{one}", which is not a port'


def _paths(platform: Platform, host: str, sites: _Sites) -> t.Iterator[tuple[str, str]]:
    for site in sites:
        for path in internal_paths(site, platform.value(host, "nginx_internal_paths", [])):
            if not _PATH.fullmatch(path):
                yield (
                    "bad_path",
                    f'the site "{site.get("name")}" has the internal path "{path}"; it must begin with a slash, be '
                    "more than that, and have letters, digits and . _ ~ / - only",
                )


def _of_services(platform: Platform, host: str, sites: _Sites) -> t.Iterator[tuple[str, str]]:
    """Refuse a site whose requests would go nowhere. Without Consul, or without applications, who knows who serves."""
    known = [one.service for one in platform.applications.values()]
    if not known or not platform.is_on(host, "nginx_consul", True):
        return
    for site in sites:
        service = str(site.get("service", ""))
        if service not in known and not site.get("external"):
            text = (
                f'nginx_sites has the service "{service}", which no application runs (they run {", ".join(known)}); '
                "correct it, or say external: true where something else registers it"
            )
            yield "unknown_service", text


def _of_names(sites: _Sites) -> t.Iterator[tuple[str, str]]:
    """Refuse two sites of one name on one port: nginx would only ever ask the first."""
    taken: dict[tuple[str, str], str] = {}
    for site in sites:
        name = str(site.get("name", ""))
        for listen in [*_listen(site), *(["80"] if redirect_of(site) else [])]:
            where = listen.split()[0] if listen.split() else ""
            for server_name in _server_names(site):
                other = taken.setdefault((where, server_name.lower()), name)
                if other != name:
                    text = f'the sites "{other}" and "{name}" both have the server_name {server_name} on {where}'
                    yield "site_taken", f"{text}; give each its own, or another port"


def _of_tls(sites: _Sites, now: datetime.datetime) -> t.Iterator[tuple[str, str]]:
    for site in sites:
        tls, name = _tls(site), str(site.get("name", ""))
        encrypted = [one for one in listened([site]) if "ssl" in one.split()]
        if not tls:
            # A directive of one's own may name the files.
            if encrypted and "ssl_certificate" not in str(site.get("extra") or ""):
                yield "no_certificate", f'the site "{name}" listens on "{encrypted[0]}" and has no tls'
            continue
        if not encrypted:
            yield "no_certificate", f'the site "{name}" has tls and listens on no port with "ssl"'
        if not _FILE.fullmatch(name):
            yield "bad_name", f'the site "{name}" has tls; its name becomes a file, so use letters, digits, ., - and _'
        given = [bool(tls.get(part)) for part in ("certificate", "key")]
        if given[0] != given[1]:
            yield "half_of_tls", f'the site "{name}" has a certificate or a key alone; they go together'
        elif given[0] == bool(tls.get("self_signed")):
            yield "no_certificate", f'the site "{name}" needs either a certificate with its key, or self_signed'
        elif given[0]:
            fault = certificates.fault(str(tls["certificate"]), str(tls["key"]), now)
            if fault:
                yield fault.code, f'the site "{name}" {fault.text}'


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the ports that nginx takes."""
    sites = sites_of(platform, host)
    ports = [port for port in map(port_of, listened(sites)) if port is not None]
    if any(map(redirect_of, sites)) and 80 not in ports:
        ports.append(80)
    found = [Listen("nginx_sites", port, "") for port in ports]
    return [*found, Listen("nginx_status_port", int(platform.value(host, "nginx_status_port", 8081)), "127.0.0.1")]


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """Nginx's own health is its driver's to judge, since the answer holds what it runs."""
    return []


def both_families(listens: t.Sequence[str]) -> list[str]:
    """Return what to listen on where clients come by IPv6 as well: to nginx, a bare port is one of IPv4."""
    stated = {port_of(one) for one in listens if one.startswith("[")}
    bare = [one for one in listens if one.split()[:1] and one.split()[0].isdigit() and port_of(one) not in stated]
    return [*listens, *(f"[::]:{one}" for one in bare)]


def _facts(site: t.Mapping[str, t.Any], internal: t.Any, ipv6: bool) -> dict[str, t.Any]:
    """Return a site as the templates read it, without the texts of its certificate and key."""
    tls, name = _tls(site), str(site.get("name", ""))
    files = {"certificate": f"{CERTIFICATES}/{name}.pem", "key": f"{CERTIFICATES}/{name}.key"} if tls else {}
    return {
        **{key: value for key, value in site.items() if key != "tls"},
        "server_name": _server_names(site),
        "listen": both_families(_listen(site)) if ipv6 else _listen(site),
        "internal_paths": internal_paths(site, internal),
        "redirect": redirect_of(site),
        "redirect_listen": both_families(["80"]) if ipv6 else ["80"],
        # A certificate that the host makes has a name to be made for.
        "tls": {**files, "self_signed": (name_of(site) or name) if tls.get("self_signed") else ""} if tls else {},
    }


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here."""
    sites = sites_of(platform, host)
    listens_on = listened(sites)
    watched = services(platform, host)
    options = [
        *("--max-fails", str(platform.value(host, "nginx_max_fails", 3))),
        *("--fail-timeout", str(platform.value(host, "nginx_fail_timeout", "30s"))),
        *("--keepalive", str(platform.value(host, "nginx_keepalive", 32))),
        *("--keepalive-timeout", str(platform.value(host, "nginx_keepalive_timeout", "4s"))),
        *(f"--pool={one.service}={one.group}" for one in platform.applications.values() if one.service in watched),
    ]
    follows = platform.is_on(host, "nginx_consul", True)
    names = [str(site.get("name", "")) for site in sites]
    # A kernel without IPv6 refuses such a port, so it takes a host that has an address of it.
    internal, ipv6 = platform.value(host, "nginx_internal_paths", []), ":" in platform.address(host)
    files = logs(platform, host)
    return {
        "sites": [_facts(site, internal, ipv6) for site in sites],
        "default_site": platform.value(host, "nginx_default_site", names[0] if names else ""),
        "listens": listens_on,
        "port": next((port for port in map(port_of, listens_on) if port), 80),
        "watch": WATCH,
        "watch_module": WATCH_MODULE,
        "watch_options": options,
        "log_folders": sorted({posixpath.dirname(path) for path in files}),
        # Debian's own configuration rotates the others.
        "rotated": [path for path in files if not fnmatch.fnmatch(path, _ROTATED) and "$" not in path],
        "watched": watched if follows else [],
        "units": [f"nginx-upstream@{service}.service" for service in watched] if follows else [],
        "seeds": seeds(platform, host, watched),
    }
