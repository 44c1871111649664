# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The firewall of a host: which of its ports answer to whom; pure.

A port that a service opens for other hosts answers to those that use it, and to no others. Sites answer to everywhere,
since nothing says who their clients are.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import (
    consul,
    control,
    nginx,
    patroni,
    pgbackrest,
    pgbackrest_conf,
    pgbouncer,
    postgres,
    rabbitmq,
    redis,
    table,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_loopback, is_port

#: Nothing of the host decides. How this run came in by SSH is a variable of the task, :data:`SESSION`.
STATE_MODULE = None

#: What ``SSH_CONNECTION`` says on the host: the client's address and port, and the server's. It may be empty.
SESSION = "_firewall_session"
#: VMs that are not the platform's yet, or not any more.
_STRANGERS = ("fleet_spare", "fleet_released")
_JOINING = "scale_joining"
#: Says that those that leave in this run have left, so that nothing answers to them any more.
CLOSES = "scale_closes"
_MONITORING = "monitoring"

_Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Rule(t.NamedTuple):
    """Ports that answer.

    :param what: answers there, for a person.
    :param sources: addresses and networks; None for everywhere.
    """

    what: str
    ports: tuple[int, ...]
    sources: tuple[str, ...] | None
    protocols: tuple[str, ...] = ("tcp",)


def is_on(platform: Platform, host: str) -> bool:
    """Whether the host is to have the firewall."""
    return platform.is_on(host, "firewall_enabled")


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the host cannot have the firewall that the inventory describes."""
    if not is_on(platform, host):
        return []
    found = [*_of_values(platform, host), *_of_addresses(platform), *_of_ports(platform, host)]
    if not found:
        found = [*_of_controllers(platform, host), *_of_session(platform, host)]
    return [Problem(code, host, text) for code, text in found]


def listens(platform: Platform, host: str) -> list[Listen]:
    """Nothing listens."""
    return []


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """Its health is its driver's to judge, which asks the kernel."""
    return []


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return the rules as the role's template takes them: what answers, and nftables' words for it."""
    if not is_on(platform, host):
        return {"rules": []}
    return {"rules": [{"what": rule.what, "lines": lines(rule)} for rule in rules(platform, host)]}


def rules(platform: Platform, host: str) -> list[Rule]:
    """Return what the host answers to, and to whom; what no host uses is left out."""
    platform = _after_leaving(platform, host)
    found = [Rule("SSH", tuple(_ssh_ports(platform, host)), _controllers(platform, host) or None)]
    for service in table.here(platform, host):
        found += _OF[service](platform, host) if service in _OF else []
    found += _of_applications(platform, host)
    return [rule for rule in found if rule.ports and rule.sources != ()]


def lines(rule: Rule) -> list[str]:
    """Return a rule in nftables' words: one line for each protocol and family of addresses."""
    ports = _several(sorted(set(rule.ports)))
    if rule.sources is None:
        return [f"{protocol} dport {ports} accept" for protocol in rule.protocols]
    networks = [ipaddress.ip_network(source) for source in rule.sources]
    # A set of nftables takes no network that lies within another one.
    families: dict[str, list[_Network]] = {
        "ip": [*ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv4Network))],
        "ip6": [*ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv6Network))],
    }
    return [
        f"{family} saddr {_several([_shown(one) for one in of_family])} {protocol} dport {ports} accept"
        for protocol in rule.protocols
        for family, of_family in families.items()
        if of_family
    ]


def _several(values: t.Sequence[t.Any]) -> str:
    return str(values[0]) if len(values) == 1 else f"{{ {', '.join(map(str, values))} }}"


def _shown(network: _Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


# Who uses what


def _of_postgres(platform: Platform, host: str) -> list[Rule]:
    cluster = platform.cluster_of(host)
    members = [server.name for server in cluster.members] if cluster else []
    return [
        Rule("PostgreSQL", (postgres.PORT,), _clients(platform, host, "postgres_allowed_networks")),
        # Who may tell it something else proves that with a login.
        Rule("Patroni", (patroni.PORT,), _addresses(platform, [*members, *platform.members(_MONITORING)])),
    ]


def _of_pgbouncer(platform: Platform, host: str) -> list[Rule]:
    ports = tuple(one.port for one in pgbouncer.listens(platform, host))
    variables = ("pgbouncer_allowed_networks", "postgres_allowed_networks")
    return [Rule("PgBouncer", ports, _clients(platform, host, *variables))]


def _of_pgbackrest(platform: Platform, host: str) -> list[Rule]:
    """The repository's host and the servers of its clusters come to each other, and no one else to any."""
    repository = pgbackrest_conf.repository_of(platform)
    servers = [server.name for cluster in platform.clusters.values() for server in cluster.members]
    users = servers if host == repository else [repository] if repository else []
    ports = tuple(one.port for one in pgbackrest.listens(platform, host))
    return [Rule("pgBackRest", ports, _addresses(platform, [one for one in users if one != host]))]


def _clients(platform: Platform, host: str, *variables: str) -> tuple[str, ...]:
    """Return the application servers and the cluster's members, and the networks that its access rules admit."""
    cluster = platform.cluster_of(host)
    members = [server.name for server in cluster.members] if cluster else []
    admitted = next((given for given in (_texts(platform, host, name) for name in variables) if given), [])
    return _from(platform, host, [*_application_hosts(platform), *members], admitted)


def _of_redis(platform: Platform, host: str) -> list[Rule]:
    """An application's caches, and the store that a host of the monitoring fills and reads."""
    users = [*_application_hosts(platform), *platform.members(_MONITORING)]
    ports = [one.port for one in redis.listens(platform, host) if not is_loopback(one.address)]
    return [Rule("Redis", tuple(dict.fromkeys(ports)), _from(platform, host, users))]


def _of_rabbitmq(platform: Platform, host: str) -> list[Rule]:
    """Metrics are for the monitoring alone: they tell names of queues and of users."""
    open_for_others = [one for one in rabbitmq.listens(platform, host) if not is_loopback(one.address)]
    metrics = [one.port for one in open_for_others if one.variable == rabbitmq.METRICS]
    others = [one.port for one in open_for_others if one.variable != rabbitmq.METRICS]
    return [
        Rule("RabbitMQ", tuple(others), _from(platform, host, _application_hosts(platform))),
        Rule("RabbitMQ's metrics", tuple(metrics), _addresses(platform, platform.members(_MONITORING))),
    ]


def _of_consul(platform: Platform, host: str) -> list[Rule]:
    """All members gossip with each other; HTTP is for those who read it from elsewhere, by a token."""
    ports = consul.ports_of(platform, host)
    gossip = tuple(ports[name] for name in consul.gossip_of(platform, host) if ports[name] > 0)
    ours = _hosts(platform)
    found = [Rule("Consul", gossip, _from(platform, host, ours), ("tcp", "udp"))]
    if consul.is_asked(platform, host):
        http = (ports["http"],) if ports["http"] > 0 else ()
        found.append(Rule("Consul's HTTP", http, _from(platform, host, ours, _controllers(platform, host))))
    return found


def _of_nginx(platform: Platform, host: str) -> list[Rule]:
    ports = [one.port for one in nginx.listens(platform, host) if not is_loopback(one.address)]
    return [Rule("sites", tuple(dict.fromkeys(ports)), None)]


def _of_applications(platform: Platform, host: str) -> list[Rule]:
    """The load balancers send requests, and the monitoring reads metrics."""
    users = [one for group in (*table.GROUPS["nginx"], _MONITORING) for one in platform.members(group)]
    return [
        Rule(one.name, (one.port,), _from(platform, host, users))
        for one in platform.applications.values()
        if one.port and host in platform.groups.get(one.group, ())
    ]


_OF: dict[str, t.Callable[[Platform, str], list[Rule]]] = {
    "consul": _of_consul,
    "postgres": _of_postgres,
    "pgbackrest": _of_pgbackrest,
    "pgbouncer": _of_pgbouncer,
    "redis": _of_redis,
    "rabbitmq": _of_rabbitmq,
    "nginx": _of_nginx,
}


def _after_leaving(platform: Platform, host: str) -> Platform:
    """Return the platform as the next run finds it, where the play says that those that leave have left by now.

    One that could not be taken off, or was not reached, is still admitted: it may still serve.
    """
    if not platform.is_on(host, CLOSES):
        return platform
    groups = {name: list(members) for name, members in platform.groups.items()}
    left = set(groups.get("scale_leaving", ())) & set(groups.get("platform_reached", ()))
    left -= {*groups.get("scale_staying", ()), *groups.get("platform_failed", ())}
    for name in left:
        for application in platform.value(name, "scale_applications", ()):
            pool = platform.applications[application].group
            groups[pool] = [one for one in groups.get(pool, ()) if one != name]
    unneeded = left & set(groups.get("scale_unneeded", ()))
    groups["fleet_released"] = [*groups.get("fleet_released", ()), *unneeded]
    return dataclasses.replace(platform, groups=groups)


def _hosts(platform: Platform) -> list[str]:
    strangers = {host for group in _STRANGERS for host in platform.groups.get(group, ())}
    strangers -= set(platform.groups.get(_JOINING, ()))
    return [host for host in platform.hosts if host not in strangers]


def _application_hosts(platform: Platform) -> list[str]:
    return [host for group in platform.pools for host in platform.members(group)]


def _from(platform: Platform, host: str, hosts: t.Iterable[str], networks: t.Sequence[str] = ()) -> tuple[str, ...]:
    """Return the addresses of hosts, with the networks where hosts may come and go."""
    return tuple(dict.fromkeys([*_addresses(platform, hosts), *_texts(platform, host, "firewall_networks"), *networks]))


def _addresses(platform: Platform, hosts: t.Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(platform.address(host) for host in hosts))


def _controllers(platform: Platform, host: str) -> tuple[str, ...]:
    """Return whom SSH answers to, with the hosts that run playbooks; nothing where it answers to everywhere."""
    given = _texts(platform, host, "firewall_ssh_from")
    return tuple(dict.fromkeys([*given, *_addresses(platform, platform.members(control.GROUP))])) if given else ()


def _ssh_ports(platform: Platform, host: str) -> list[int]:
    given = platform.value(host, "firewall_ssh_ports", [22])
    return [int(port) for port in given if is_port(port)] if isinstance(given, (list, tuple)) else []


def _texts(platform: Platform, host: str, variable: str) -> list[str]:
    value = platform.value(host, variable, [])
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else []


# What cannot be


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _of_values(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    ports = platform.value(host, "firewall_ssh_ports", [22])
    if not isinstance(ports, (list, tuple)) or not ports or not all(map(is_port, ports)):
        yield "bad_port", f"firewall_ssh_ports is {ports!r}; it must be a list of ports, such as [22]"
    for variable in ("firewall_ssh_from", "firewall_networks"):
        value = platform.value(host, variable, [])
        wrong = [value] if not isinstance(value, (list, tuple)) else [one for one in value if not _is_network(str(one))]
        if wrong:
            text = f"{variable} has {wrong[0]!r}, which is no network such as 192.0.2.0/24 or 2001:db8::/64"
            yield "bad_network", text
    for variable in ("postgres_allowed_networks", "pgbouncer_allowed_networks"):
        names = [one for one in _texts(platform, host, variable) if not _is_network(one)]
        if names:
            yield "bad_network", f"{variable} has {names[0]!r}, and a firewall admits addresses and networks only"


def _of_addresses(platform: Platform) -> t.Iterator[tuple[str, str]]:
    for one in _hosts(platform):
        if not _is_network(platform.address(one)):
            text = f"a firewall admits hosts by IP addresses, and {one} has {platform.address(one)!r}"
            yield "bad_network", f"{text}; set its platform_address"


def _of_ports(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    for one in platform.applications.values():
        if one.port is None and host in platform.groups.get(one.group, ()):
            text = f"applications: {one.name} has no port, and the firewall has to know it"
            yield "bad_port", f"{text}; set port in its entry"


def _of_controllers(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    if consul.is_asked(platform, host) and not _controllers(platform, host):
        text = "consul_http_addresses lets controllers ask Consul, and nothing says where they are"
        yield "no_controllers", f"{text}; name their networks in firewall_ssh_from"


def _of_session(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    """The rules must admit whoever brings them."""
    words = str(platform.value(host, SESSION, "")).split()
    if len(words) != 4:
        return
    address, port = _plain(words[0]), words[3]
    if port not in map(str, _ssh_ports(platform, host)):
        text = f"this run comes in by SSH on port {port}, which firewall_ssh_ports does not have"
        yield "locked_out", f"{text}; the host would not let it in again"
    admitted = [ipaddress.ip_network(one) for one in _controllers(platform, host)]
    if admitted and not any(address in network for network in admitted):
        text = f"this run comes in by SSH from {address}, which firewall_ssh_from does not have"
        yield "locked_out", f"{text}; the host would not let it in again"


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address without its zone; one of IPv4 that came by a socket of IPv6 as what it is."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return (isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped) or found
