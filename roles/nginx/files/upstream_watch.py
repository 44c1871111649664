# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings nginx's upstream of one service to the instances that pass Consul's checks.

``consul watch`` runs this on each change and writes the passing instances to
its standard input. A new file is put in place, tested together with the rest
of nginx's configuration, and taken back when the test fails. No instance at
all means that Consul or the checks are in trouble, rarely that every server
is: then the last servers stay, and nginx's own passive checks decide.

With ``--seed`` it only writes the first file, from servers that are named on
the command line, and leaves a file that is already there alone.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing as t

UPSTREAMS = pathlib.Path("/etc/nginx/upstreams")

#: nginx refuses an upstream without servers; with this one it starts, and answers 502.
PLACEHOLDER = "server 127.0.0.1:1 down;"

#: Seconds to pause after a failure. The watch ends with it and systemd starts it again: not every second for hours.
PAUSE_SECONDS = 5

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", re.I | re.ASCII)
_ALL_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_SERVER_LINE = re.compile(r"^\s*server (\S+) max_fails=", re.M)


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


def instances(answer: t.Any) -> tuple[list[Server], list[str]]:
    """Read the servers from what Consul's health endpoint answers for a service.

    :param answer: the decoded JSON: a list of entries with ``Node`` and ``Service``, or None for no entries.
    :returns: the servers and, for each instance that is refused, the reason.
    :raises Refused: when the answer is no such list.
    """
    if not isinstance(answer, (list, type(None))):
        raise Refused("the answer is not a list of instances")
    servers, reasons = [], []
    for entry in answer or []:
        try:
            node, service = entry["Node"], entry["Service"]
            servers.append(server(service.get("Address") or node["Address"], service["Port"]))
        except Refused as reason:
            reasons.append(str(reason))
        except (KeyError, TypeError, AttributeError):
            reasons.append("an instance without an address")
    return servers, reasons


def render(name: str, servers: t.Iterable[Server], options: Options) -> str:
    """Write the upstream; the same servers give the same text, in whatever order and how often they come.

    :param name: the service, which is also the upstream's name.
    """
    ordered = sorted(set(servers), key=_place)
    lines = [f"server {each} max_fails={options.max_fails} fail_timeout={options.fail_timeout};" for each in ordered]
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


def _place(each: Server) -> tuple:
    """Numeric order for addresses, then names."""
    try:
        address = ipaddress.ip_address(each.host)
    except ValueError:
        return (9, 0, each.host, each.port)
    return (address.version, int(address), "", each.port)


class Nginx:
    """The one nginx of this host; each method returns what went wrong, or nothing."""

    def test(self) -> str:
        """Test the whole configuration on disk."""
        return self._run("nginx", "-t", "-q")

    def reload(self) -> str:
        """Take up the configuration. A stopped nginx stays stopped and takes it up when it starts."""
        return self._run("systemctl", "try-reload-or-restart", "nginx.service")

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        return (done.stderr.strip() or f"{' '.join(command)} failed") if done.returncode else ""


def replace(path: pathlib.Path, text: str) -> None:
    """Write a file so that a reader, or the next boot, finds the old text or the new one and nothing between."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.chmod(0o644)
    new.replace(path)


def follow(path: pathlib.Path, servers: t.Sequence[Server], options: Options, nginx: t.Any) -> str:
    """Bring the upstream's file and the running nginx to these servers.

    :param nginx: has ``test`` and ``reload`` as :class:`Nginx` has.
    :returns: a line for the journal, empty when there was nothing to do.
    :raises Refused: when nginx does not take the new file; the old one is in place again.
    """
    name = path.stem
    before = path.read_text(encoding="utf-8") if path.exists() else None
    after = render(name, servers or [parse(each) for each in listed(before or "")], options)
    if after == before:
        return "" if servers else "no instance passes its checks, the last servers stay"
    replace(path, after)
    problem = nginx.test() or nginx.reload()
    if problem:
        if before is None:
            path.unlink()
        else:
            replace(path, before)
        raise Refused(f"nginx does not take the new upstream, the old one is back: {problem}")
    return describe(before or "", after)


def seed(path: pathlib.Path, servers: list[Server], options: Options) -> None:
    """Write the first file of an upstream, so that nginx can start before the watch has spoken."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not path.exists():
        replace(path, render(path.stem, servers, options))


def service_name(text: str) -> str:
    """A service's name that may be an upstream's and a file's too."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no name for an upstream")
    return text


def arguments() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("service", type=service_name)
    parser.add_argument("--seed", nargs="*", metavar="HOST:PORT", help="write the first file and do nothing else")
    parser.add_argument("--max-fails", type=int, default=default.max_fails)
    parser.add_argument("--fail-timeout", default=default.fail_timeout)
    parser.add_argument("--keepalive", type=int, default=default.keepalive)
    parser.add_argument("--keepalive-timeout", default=default.keepalive_timeout)
    return parser


def main() -> None:
    given = arguments().parse_args()
    path = UPSTREAMS / f"{given.service}.conf"
    options = Options(given.max_fails, given.fail_timeout, given.keepalive, given.keepalive_timeout)
    try:
        if given.seed is not None:
            seed(path, [parse(each) for each in given.seed], options)
            return
        servers, notes = instances(json.load(sys.stdin))
        notes.append(follow(path, servers, options, Nginx()))
    except (OSError, ValueError) as error:
        print(f"{given.service}: {error}", file=sys.stderr, flush=True)
        if given.seed is None:
            time.sleep(PAUSE_SECONDS)
        sys.exit(1)
    for note in filter(None, notes):
        print(f"{given.service}: {note}")


if __name__ == "__main__":
    main()
