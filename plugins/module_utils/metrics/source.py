# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where samples come from: the contract that each store of samples fulfils."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Sample


class Source(t.Protocol):
    """Gives the samples of a service."""

    def read(self, service: str, since: float, until: float) -> list[Sample]:
        """Return what is known of all instances of a service.

        The order does not matter, nor do duplicates. An empty list is missing data and never zero. What cannot be read
        as a sample is left out; who reads counts it and says so.

        :param since: seconds since 1970; samples of this moment are part of it.
        :param until: seconds since 1970; samples of this moment are part of it.
        :raises ScaleoutError: the source does not answer, or not in time. It has a code.
        """
