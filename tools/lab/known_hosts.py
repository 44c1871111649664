"""The host keys of VMs that are gone, in a file that knows others' too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def without(text: str, subnets: Iterable[str]) -> str:
    """Leave out the lines about addresses of some networks; pure.

    :param text: of a known_hosts file whose hosts are not hashed.
    """
    networks = [ipaddress.ip_network(subnet) for subnet in subnets]
    return "".join(
        line for line in text.splitlines(keepends=True) if not any(_is_in(line, network) for network in networks)
    )


def _is_in(line: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(line.split(" ", 1)[0]) in network
    except ValueError:
        return False
