# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which servers of a service nginx is to send requests to, and how its upstream says it; pure.

It lies beside the watch on the host, and knows nothing but Python. :func:`choose` decides who gets requests: those that
pass their checks, unless so few do that the checks are the likelier culprit. A host that the record of the pool's
members does not have, or has as lost, gets none, whatever Consul's catalog says: it was written off, and came back.
"""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t

#: nginx refuses an upstream without servers; with this one it starts, and answers 502.
PLACEHOLDER = "server 127.0.0.1:1 down;"

#: Seconds that Consul may keep a question when nothing changes.
WAIT_SECONDS = 60

#: Seconds that a server that failed has to pass before it comes back. Consul still has the last state of a check for
#: about two seconds after a lost host has returned.
STEADY_SECONDS = 5

#: Seconds for which those that live stay after most have failed together. Consul takes two checks to let a server pass
#: again, and one that fails once more begins again.
TOGETHER_SECONDS = 15

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", re.I | re.ASCII)
_ALL_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_SERVER_LINE = re.compile(r"^\s*server (\S+) max_fails=\d+ fail_timeout=", re.M)


class Refused(ValueError):
    """A server that must not reach nginx's configuration; the message says why."""


class Server(t.NamedTuple):
    """Where an instance serves; ``host`` is an IP address (IPv6 without brackets) or a host name."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Options(t.NamedTuple):
    """How nginx treats the servers of an upstream; times are nginx's, such as ``30s``."""

    max_fails: int = 3
    fail_timeout: str = "30s"
    keepalive: int = 32
    keepalive_timeout: str = "4s"


def server(host: t.Any, port: t.Any) -> Server:
    """Check an address and a port.

    :raises Refused: when they are not an address that a client can connect to, or hold anything that is not one.
    """
    if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
        raise Refused(f"{host!r} port {port!r} is not an address and a port")
    if not 1 <= port <= 65535:
        raise Refused(f"{host!r} port {port} is no port")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name of digits and dots only is a mistyped IPv4 address, and some resolvers read it as another one.
        if not _HOST_NAME.fullmatch(host) or _ALL_DIGITS_AND_DOTS.fullmatch(host):
            raise Refused(f"{host!r} is neither an IP address nor a host name") from None
        return Server(host.lower(), port)
    if address.is_unspecified or address.is_multicast or (address.version == 6 and address.is_link_local):
        raise Refused(f"{host!r} is no address that another host can connect to")
    return Server(str(address), port)


def parse(text: str) -> Server:
    """Read ``host:port`` or ``[IPv6]:port``.

    :raises Refused: as :func:`server` does.
    """
    host, _colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise Refused(f"{text!r}: an IPv6 address is written in brackets")
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
        raise Refused(f"{text!r} has no port")
    return server(host, int(port))


class Member(t.NamedTuple):
    """An instance of the service, as Consul has it.

    :param alive: whether its host answers the other members of the Consul cluster.
    :param passing: whether all its checks and those of its host pass.
    :param withdrawn: whether it, or its host, was put into maintenance.
    """

    server: Server
    alive: bool = True
    passing: bool = True
    withdrawn: bool = False


class Record:
    """The record of a pool's members, as the collection keeps it in Consul's KV. A pool without one admits any host.

    :raises Refused: it is no such record.
    """

    def __init__(self, text: bytes | None = None) -> None:
        self._lost: dict[str, bool] | None = None
        if text is None:
            return
        self._lost = {}
        try:
            for member in json.loads(text)["members"]:
                for place in (str(member["name"]), str(member["address"])):
                    # An address may have been given to another host since.
                    self._lost[place] = member["state"] == "lost" and self._lost.get(place, True)
        except (ValueError, KeyError, TypeError):
            raise Refused("the record of the pool's members cannot be read") from None

    def admits(self, *places: str) -> bool:
        """Whether a host is in the pool, by its name or one of its addresses."""
        if self._lost is None:
            return True
        known = [self._lost[place] for place in places if place in self._lost]
        return bool(known) and not any(known)

    def divide(self, answer: t.Any) -> tuple[t.Any, list[str]]:
        """Part what Consul answers for a service into the instances of the pool and the names of the other hosts.

        An entry that is not one is left to :func:`members`, which says why.
        """
        if not isinstance(answer, list):
            return answer, []
        kept, others = [], []
        for entry in answer:
            try:
                node, address = entry["Node"], entry["Service"].get("Address")
                places = [str(place) for place in (node["Node"], node["Address"], address) if place]
            except (KeyError, TypeError, AttributeError):
                places = []
            if not places or self.admits(*places):
                kept.append(entry)
            else:
                others.append(places[0])
        return kept, others


def members(answer: t.Any) -> tuple[list[Member], list[str]]:
    """Read the instances from what Consul's health endpoint answers for a service.

    :param answer: the decoded JSON: a list of entries with ``Node``, ``Service`` and ``Checks``, or None for none.
    :returns: the instances and, for each one that is refused, the reason.
    :raises Refused: when the answer is no such list.
    """
    if not isinstance(answer, (list, type(None))):
        raise Refused("the answer is not a list of instances")
    found: dict[Server, Member] = {}
    reasons = []
    for entry in answer or []:
        try:
            node, service = entry["Node"], entry["Service"]
            checks = [(str(check["CheckID"]), check["Status"]) for check in entry.get("Checks") or []]
            each = Member(
                server(service.get("Address") or node["Address"], service["Port"]),
                alive=("serfHealth", "critical") not in checks,
                passing=all(status == "passing" for _name, status in checks),
                withdrawn=any(one[0].startswith(("_node_maintenance", "_service_maintenance")) for one in checks),
            )
            # A host that was replaced may stand there twice for a while.
            found[each.server] = max(each, found.get(each.server, each), key=lambda one: (one.passing, one.alive))
        except Refused as reason:
            reasons.append(str(reason))
        except (KeyError, TypeError, AttributeError):
            reasons.append("an instance without an address")
    return list(found.values()), reasons


class Memory(t.NamedTuple):
    """What the watch keeps between two answers.

    :param good: who has been served since its host came up, and was not withdrawn.
    :param fallen: who failed, and since when it passes again, in seconds of a monotonic clock; None while it fails.
    :param together: when fewer than half passed, last; None for never.
    """

    good: frozenset[Server] = frozenset()
    fallen: t.Mapping[Server, float | None] = {}
    together: float | None = None


class Choice(t.NamedTuple):
    """Who gets requests.

    :param servers: all of them.
    :param last: who is still asked when nginx's own passive checks have ruled out all.
    :param wait: seconds after which to choose again, even if Consul has nothing new.
    :param note: why it is not simply those that pass; empty when it is.
    """

    servers: frozenset[Server]
    last: frozenset[Server]
    wait: float
    memory: Memory
    note: str


def choose(found: t.Sequence[Member], now_in: t.Collection[Server], memory: Memory, now: float) -> Choice:
    """Decide who gets requests.

    - Who passes its checks does. Who failed comes back once it has passed for :data:`STEADY_SECONDS`.
    - When fewer than half of those that served, live and were not withdrawn pass, the checks are the likelier culprit,
      or the load is: all of these get requests, since the few that pass could not bear them. What failed together
      passes again one by one, so those that get requests and live keep them for :data:`TOGETHER_SECONDS` more.
    - When no server passes, none leaves.

    :param found: what Consul has.
    :param now_in: who gets requests now.
    """
    fallen: dict[Server, float | None] = {}
    for each in found:
        known = each.server in memory.fallen
        if each.passing:
            since = (now if memory.fallen[each.server] is None else memory.fallen[each.server]) if known else None
            if since is not None and now < since + STEADY_SECONDS:
                fallen[each.server] = since
        elif not each.withdrawn and (known or each.server in memory.good or each.server in now_in):
            fallen[each.server] = None
    steady = frozenset(each.server for each in found if each.passing and each.server not in fallen)
    live = frozenset(each.server for each in found if each.alive and not each.withdrawn)
    good = steady | ((memory.good | frozenset(now_in)) & live)
    # Who passes and never left has nothing to come back to.
    note, servers = "", steady | frozenset(each.server for each in found if each.passing and each.server in now_in)
    together = memory.together
    if not steady or 2 * len(steady) < len(good):
        together = now
    if not steady:
        servers, note = frozenset(now_in) | good, "no instance passes its checks, the last servers stay"
    elif 2 * len(steady) < len(good):
        servers, note = good, f"only {len(steady)} of {len(good)} pass their checks, those whose hosts live stay"
    elif together is not None and now < together + TOGETHER_SECONDS and frozenset(now_in) & live - servers:
        servers, note = servers | frozenset(now_in) & live, "most failed together, those whose hosts live may recover"
    ends = [since + STEADY_SECONDS - now for since in fallen.values() if since is not None]
    ends += [together + TOGETHER_SECONDS - now] if together is not None and now < together + TOGETHER_SECONDS else []
    return Choice(servers, servers & live, min([WAIT_SECONDS, *ends]), Memory(good, fallen, together), note)


def render(name: str, servers: t.Iterable[Server], options: Options, last: t.Collection[Server] = ()) -> str:
    """Write the upstream; the same servers give the same text, in whatever order and how often they come.

    :param name: the service, which is also the upstream's name.
    :param last: those of the servers that are asked once more when nginx has ruled out all. nginx itself never rules
        out a server that is the only one.
    """
    ordered = sorted(set(servers), key=_place)
    lines = [f"server {each} max_fails={options.max_fails} fail_timeout={options.fail_timeout};" for each in ordered]
    if len(ordered) > 1:
        lines += [f"server {each} max_fails=0 backup;" for each in ordered if each in last]
    body = "\n".join("    " + line for line in lines or [PLACEHOLDER])
    return (
        f"# Owned by nginx-upstream@{name}.service, which follows Consul. Changes by hand are lost.\n"
        f"upstream {name} {{\n"
        "    # Shared by all workers: one count of connections and of failures for each server.\n"
        f"    zone {name} 256k;\n"
        "    least_conn;\n"
        f"{body}\n"
        f"    keepalive {options.keepalive};\n"
        f"    keepalive_timeout {options.keepalive_timeout};\n"
        "}\n"
    )


def listed(text: str) -> set[str]:
    """The servers of an upstream that :func:`render` wrote, as ``host:port``; the placeholder is none."""
    return set(_SERVER_LINE.findall(text))


def describe(before: str, after: str) -> str:
    """One line for the journal: who joined and who left between two texts of an upstream."""
    old, new = listed(before), listed(after)
    parts = [f"{word} {', '.join(sorted(who))}" for word, who in (("joined", new - old), ("left", old - new)) if who]
    return f"{'; '.join(parts) or 'settings changed'} ({len(new)} in all)"


def _place(each: Server) -> tuple[int, int, str, int]:
    """Numeric order for addresses, then names."""
    try:
        address = ipaddress.ip_address(each.host)
    except ValueError:
        return (9, 0, each.host, each.port)
    return (address.version, int(address), "", each.port)
