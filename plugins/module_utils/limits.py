# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns the limits of a process, in the terms of container engines, into settings of its systemd unit."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused

#: What engines call the processor's time that a quota is a part of, microseconds; also the kernel's default.
PERIOD = 100_000
#: The least quota that the kernel takes, microseconds.
_LEAST_QUOTA = 1_000
#: What systemd.resource-control(5) takes as a weight, and what it gives who asks for nothing.
_WEIGHTS = (1, 10_000)
_USUAL_WEIGHT = 100
#: What engines and cgroup v1 give who asks for nothing.
_USUAL_SHARES = 1_024
_SHARES = (2, _WEIGHTS[1] * _USUAL_SHARES // _USUAL_WEIGHT)

#: What fits any process, and what the kernel takes without being told otherwise (fs.nr_open).
_FILES = (64, 1_048_576)

_SIZE = re.compile(r"(\d+)([KMGT]?)\Z")
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

_MEMORY = {"memory_min": "MemoryMin", "memory_max": "MemoryMax", "memory_swap_max": "MemorySwapMax"}
KEYS = (*_MEMORY, "cpu_shares", "cpu_quota", "open_files")


def settings(option: str, limits: t.Mapping[str, t.Any], memory: int | None = None) -> list[str]:
    """Return the lines of a unit's section ``[Service]`` for these limits.

    Shares become a weight in the proportion by which systemd itself turns weights into the shares of cgroup v1, so
    1024 shares are the default weight of 100, there and on v2.

    :param option: where the limits came from, for the message of an error.
    :param limits: some of :data:`KEYS`. Memory in bytes or with K, M, G or T (of 1024); ``cpu_quota`` in microseconds
        of each :data:`PERIOD`, so that 150000 is one and a half processors. ``open_files`` counts connections, too.
    :param memory: bytes that the host has, when known.
    :raises Refused: a limit is not one, or contradicts another or the host.
    """
    unknown = sorted(str(key) for key in limits if key not in KEYS)
    if unknown:
        raise Refused(
            f"{option}: {unknown[0]} is not a limit; there are {', '.join(KEYS)}.", code="invalid_input", option=option
        )
    sizes = {key: _size(option, key, limits[key]) for key in _MEMORY if key in limits}
    _refuse_contradictions(option, limits, sizes, memory)
    lines = [f"{setting}={sizes[key]}" for key, setting in _MEMORY.items() if key in sizes]
    if "cpu_shares" in limits:
        lines.append(f"CPUWeight={_weight(option, limits['cpu_shares'])}")
    if "cpu_quota" in limits:
        quota = _number(option, "cpu_quota", limits["cpu_quota"])
        if quota < _LEAST_QUOTA:
            reason = f"must be at least {_LEAST_QUOTA} microseconds of each {PERIOD}"
            raise Refused(
                f"{option}: cpu_quota is {limits['cpu_quota']} and {reason}.", code="invalid_input", option=option
            )
        # systemd counts in hundredths of a percent.
        lines.append(f"CPUQuota={quota * 100 / PERIOD:.2f}%")
    if "open_files" in limits:
        lines.append(f"LimitNOFILE={_between(option, 'open_files', limits['open_files'], _FILES)}")
    return lines


def _refuse_contradictions(
    option: str, limits: t.Mapping[str, t.Any], sizes: t.Mapping[str, int], memory: int | None
) -> None:
    least, most = sizes.get("memory_min", 0), sizes.get("memory_max")
    if most == 0:
        raise Refused(f"{option}: memory_max is 0, with which nothing can run.", code="invalid_input", option=option)
    if most is not None and least > most:
        raise Refused(
            f"{option}: memory_min is {limits['memory_min']}, above memory_max, which is {limits['memory_max']}.",
            code="invalid_input",
            option=option,
        )
    for key in ("memory_max", "memory_min"):
        if memory is not None and sizes.get(key, 0) > memory:
            raise Refused(
                f"{option}: {key} is {limits[key]}, more than the {memory >> 20}M that this host has.",
                code="invalid_input",
                option=option,
            )


def _weight(option: str, value: t.Any) -> int:
    shares = _between(option, "cpu_shares", value, _SHARES)
    return max(_WEIGHTS[0], round(shares * _USUAL_WEIGHT / _USUAL_SHARES))


def _between(option: str, key: str, value: t.Any, bounds: tuple[int, int]) -> int:
    number = _number(option, key, value)
    if not bounds[0] <= number <= bounds[1]:
        raise Refused(
            f"{option}: {key} is {value} and must be between {bounds[0]} and {bounds[1]}.",
            code="invalid_input",
            option=option,
        )
    return number


def _size(option: str, key: str, value: t.Any) -> int:
    match = None if isinstance(value, bool) else _SIZE.match(str(value))
    if match is None:
        raise Refused(
            f"{option}: {key} is {value!r} and must be a number of bytes, such as 536870912 or 512M.",
            code="invalid_input",
            option=option,
        )
    return int(match.group(1)) * _FACTORS[match.group(2)]


def _number(option: str, key: str, value: t.Any) -> int:
    if isinstance(value, (bool, float)) or not re.match(r"-?\d+\Z", str(value)):
        raise Refused(f"{option}: {key} is {value!r} and must be a whole number.", code="invalid_input", option=option)
    return int(value)


def fault(limits_by_name: t.Mapping[str, t.Any], size: t.Any = None) -> str:
    """Return the first thing that is wrong with limits, as a clause; empty when nothing is.

    :param limits_by_name: limits by the name of what holds them, such as a variable's.
    :param size: the memory that the host is going to be made with, as container engines take it; None when the host
        is not ours to make, or says nothing.
    """
    match = _SIZE.match(str(size).upper())
    memory = int(match.group(1)) * _FACTORS[match.group(2)] if match else None
    for name, limits in limits_by_name.items():
        if not isinstance(limits, t.Mapping):
            return f"{name} is {limits!r} and must be a dictionary of limits"
        try:
            settings(name, limits, memory)
        except Refused as error:
            return error.message.rstrip(".")
    return ""
