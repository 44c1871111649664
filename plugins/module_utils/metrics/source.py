# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where samples come from: the contract that each store of samples fulfils."""

from __future__ import annotations

import typing as t


class Entries(t.NamedTuple):
    """What a source holds of a service.

    :param entries: a place, for messages, and samples as ``plugin_utils/metric_codec`` packs them.
    :param garbage: what was found and is no entry, a clause each that begins with its place.
    """

    entries: list[tuple[str, bytes]]
    garbage: list[str]


class Source(t.Protocol):
    """Where samples come from: the contract that each store of samples fulfils."""

    def entries(self, service: str, since: float, until: float) -> Entries:
        """Return what is known of all instances of a service.

        The order does not matter, nor do duplicates. Nothing is missing data and never zero.

        :param since: seconds since 1970; samples of this moment are part of it.
        :param until: seconds since 1970; what arrived long after it may be left out.
        :raises ScaleoutError: the source does not answer, or not in time. It has a code.
        """

    def close(self) -> None:
        """End the connection."""
