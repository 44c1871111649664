# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ports: what a service takes, and who wants the same one; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Problem

_EVERYWHERE = ("", "*", "0.0.0.0", "::")


class Listen(t.NamedTuple):
    """A port that a service takes.

    :param variable: which variable says so.
    :param address: on which address; empty for all of them.
    """

    variable: str
    port: int
    address: str


def is_port(value: t.Any) -> bool:
    """Whether a value is a TCP port; a text of digits counts, since templates make text of numbers."""
    if isinstance(value, bool) or value is None:
        return False
    text = str(value)
    return text.isascii() and text.isdigit() and 1 <= int(text) <= 65535


def is_loopback(address: str) -> bool:
    """Whether an address is reached from its own host only."""
    return address.startswith("127.") or address == "::1"


def fights(host: str, listens: t.Mapping[str, t.Sequence[Listen]]) -> list[Problem]:
    """Say which services of a host want the same port.

    :param listens: by service, what it takes.
    """
    found = []
    taken: list[tuple[str, Listen]] = []
    for service, wanted in listens.items():
        for one in wanted:
            for other, held in taken:
                if other != service and one.port == held.port and _meet(one.address, held.address):
                    text = (
                        f"{one.variable} of {service} and {held.variable} of {other} both want port {one.port}; "
                        "change one of the two"
                    )
                    found.append(Problem("port_taken", host, text))
            taken.append((service, one))
    return found


def _meet(one: str, other: str) -> bool:
    return one == other or one in _EVERYWHERE or other in _EVERYWHERE
