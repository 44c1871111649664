# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that follow from the memory and the cores of the server's host; pure.

The formulas are those of PGTune, https://pgtune.leopard.in.ua (MIT licence),
as published for Linux in ``src/features/configuration/configurationSlice.js``
of https://github.com/le0pard/pgtune at commit 01bb644. We depart from them
where they could ask for more than the host has, or harm a server that others
depend on:

* The memory is first rounded down to a multiple of 256 MiB. A new kernel
  reports a few MiB more or less, and no server is to be restarted for that.
* PGTune never gives less than 4 MB of ``work_mem``. With many connections
  that is more than there is, so it is not done here.
* ``autovacuum_max_workers`` rises with the cores only where the memory that
  autovacuum may then take is there.
* PGTune turns ``wal_level`` to ``minimal`` for a desktop. That would cut off
  standbys and slots, so it is left as it is.
* ``lz4`` needs a server that was built with it; another compresses WAL with ``pglz``.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import units
from ansible_collections.scaleout.platform.plugins.module_utils.host import Host

MB = 1024
GB = 1024 * MB
"""Sizes are counted in kB, as most settings do."""

STEP = 256 * MB
LEAST_MEMORY = 256 * MB
LEAST_WORK_MEM = 64
"""The server's own bound."""

WORKLOADS = ("web", "oltp", "dw", "desktop", "mixed")
STORAGE = ("ssd", "hdd", "san", "nvme")

SEED: dict[str, t.Any] = {
    "shared_buffers": "4GB",
    "effective_cache_size": "12GB",
    "maintenance_work_mem": "1GB",
    "work_mem": "32MB",
    "max_worker_processes": 8,
    "max_parallel_workers_per_gather": 4,
    "random_page_cost": 1.1,
    "effective_io_concurrency": 200,
}
"""Fixed values for a host of 16 GB that serves a database alone."""

_CONNECTIONS = {"web": 200, "oltp": 300, "dw": 40, "desktop": 20, "mixed": 100}
_WAL_SIZES = {
    "web": (1 * GB, 4 * GB),
    "oltp": (2 * GB, 8 * GB),
    "dw": (4 * GB, 16 * GB),
    "desktop": (100 * MB, 2 * GB),
    "mixed": (1 * GB, 4 * GB),
}
_WORK_MEM_SHARE = {"web": 1, "oltp": 1, "dw": 2, "desktop": 6, "mixed": 2}
_IO_CONCURRENCY = {"ssd": 200, "hdd": 2, "san": 300, "nvme": 1000}

_DEFAULT_WORKERS = 8
_DEFAULT_AUTOVACUUM_WORKERS = 3

COMPUTED_NAMES = frozenset(
    {
        "autovacuum_max_workers",
        "autovacuum_work_mem",
        "checkpoint_completion_target",
        "default_statistics_target",
        "effective_cache_size",
        "effective_io_concurrency",
        "huge_pages",
        "jit",
        "maintenance_work_mem",
        "max_connections",
        "max_parallel_maintenance_workers",
        "max_parallel_workers",
        "max_parallel_workers_per_gather",
        "max_wal_size",
        "max_worker_processes",
        "min_wal_size",
        "random_page_cost",
        "shared_buffers",
        "wal_buffers",
        "wal_compression",
        "work_mem",
    }
)
"""All that :func:`compute` may set; which of them it does depends on the host."""

_MEMORY_NAMES = ("shared_buffers", "effective_cache_size", "maintenance_work_mem", "work_mem")


class BadProfile(ValueError):
    """A profile that does not fit the host; the text is the reason."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a task asks for.

    :param name: ``none``, ``seed`` or ``computed``.
    :param memory: in kB; ``None`` for what the host has.
    :param cores: likewise.
    """

    name: str = "none"
    workload: str = "mixed"
    storage: str = "ssd"
    memory: int | None = None
    cores: int | None = None

    @property
    def names(self) -> frozenset[str]:
        """The settings that it may touch."""
        return {"computed": COMPUTED_NAMES, "seed": frozenset(SEED)}.get(self.name, frozenset())


@dataclasses.dataclass(frozen=True)
class Profile:
    """The values of a profile, and what they were computed from.

    :param settings: values by name, as a task would give them.
    :param facts: what the module returns beside them.
    """

    name: str
    settings: t.Mapping[str, t.Any]
    facts: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


def read_memory(text: str | None) -> int | None:
    """An amount of memory, such as ``8GB``, in kB.

    :raises BadProfile: it is none.
    """
    if text is None:
        return None
    try:
        size = int(units.parse_real(text, "kB"))
    except units.BadNumber as error:
        raise BadProfile(str(error)) from None
    if text.strip()[-1:].isdigit():
        raise BadProfile("has no unit, such as MB or GB")
    if size < LEAST_MEMORY:
        raise BadProfile(f"is less than {units.show(LEAST_MEMORY, 'kB')}")
    return size


def choose(choice: Choice, found: Host | None, given: t.Mapping[str, t.Any], lz4: bool = True) -> Profile | None:
    """The profile that a task asks for, on the host that was found.

    :param found: what the server may use; ``None`` when it does not run where the module does.
    :param given: what the task sets itself, by names in lower case.
    :raises BadProfile: it does not fit the host, or the host is not known.
    """
    if choice.name == "none":
        return None
    host = _limited(choice, found)
    if choice.name == "seed":
        return seed(host, given)
    if host is None:
        raise BadProfile(
            "is computed from the memory and the cores of the server's host, and the module does not run there; "
            "give both as memory and cores"
        )
    return compute(host, choice.workload, choice.storage, given, lz4)


def _limited(choice: Choice, found: Host | None) -> Host | None:
    """The memory and cores to count with: those that the task names, and never more than there are."""
    if found is None:
        return Host(choice.memory, choice.cores) if choice.memory and choice.cores else None
    return Host(min(choice.memory or found.memory, found.memory), min(choice.cores or found.cores, found.cores))


def seed(host: Host | None, given: t.Mapping[str, t.Any]) -> Profile:
    """The fixed values, refused where a host is known to be too small for them.

    :param given: what the task sets itself, by names in lower case; it wins over the profile.
    :raises BadProfile: a value is more than the host's memory.
    """
    values = {name: value for name, value in SEED.items() if name not in given}
    if host is not None:
        sizes = {name: units.parse_integer(values[name], "kB") for name in _MEMORY_NAMES if name in values}
        for name, size in sizes.items():
            if size > host.memory:
                raise BadProfile(
                    f"wants {name} = {values[name]}, and the host has {units.show(host.memory, 'kB')} of memory; "
                    "use profile: computed, or give the value in settings"
                )
    return Profile("seed", dict(SEED), _facts(host))


def compute(
    host: Host,
    workload: str = "mixed",
    storage: str = "ssd",
    given: t.Mapping[str, t.Any] | None = None,
    lz4: bool = True,
) -> Profile:
    """The values for a host, by PGTune's formulas.

    :param workload: one of :data:`WORKLOADS`.
    :param storage: one of :data:`STORAGE`, where the data directory lies.
    :param given: what the task sets itself, by names in lower case. ``max_connections``, ``shared_buffers`` and
        ``max_worker_processes`` of it count in what is computed for ``work_mem``.
    :param lz4: whether the server was built with LZ4.
    :raises BadProfile: there is too little memory.
    """
    given = given or {}
    memory = host.memory // STEP * STEP
    if memory < LEAST_MEMORY:
        raise BadProfile(f"needs {units.show(LEAST_MEMORY, 'kB')} of memory, and there are {host.memory} kB")

    connections = _number(given, "max_connections", None) or _CONNECTIONS[workload]
    shared_buffers = memory // (16 if workload == "desktop" else 4)
    shared_in_use = (_number(given, "shared_buffers", "8kB") or 0) * 8 or shared_buffers
    maintenance = min(memory // (8 if workload == "dw" else 16), 8 * GB)
    workers = host.cores if host.cores >= 4 else _DEFAULT_WORKERS
    backends = connections + (_number(given, "max_worker_processes", None) or workers)
    work_mem = (memory - shared_in_use) // (backends * 3 * _WORK_MEM_SHARE[workload])
    if work_mem < LEAST_WORK_MEM:
        raise BadProfile(
            f"leaves {max(work_mem, 0)} kB of work_mem: {units.show(memory, 'kB')} of memory less "
            f"{units.show(shared_in_use, 'kB')} of shared_buffers is too little for {backends} connections and workers"
        )
    autovacuum = min(maintenance, 2 * GB)
    least_wal, most_wal = _WAL_SIZES[workload]

    sizes = {
        "shared_buffers": shared_buffers,
        "effective_cache_size": memory // 4 * (1 if workload == "desktop" else 3),
        "maintenance_work_mem": maintenance,
        "work_mem": work_mem,
        "wal_buffers": _wal_buffers(shared_in_use),
        "min_wal_size": least_wal,
        "max_wal_size": most_wal,
    }
    if maintenance >= 2 * GB:
        sizes["autovacuum_work_mem"] = autovacuum
    values: dict[str, t.Any] = {name: units.show(size, "kB") for name, size in sizes.items()}
    values.update(
        max_connections=connections,
        checkpoint_completion_target=0.9,
        default_statistics_target=500 if workload == "dw" else 100,
        random_page_cost=4 if storage == "hdd" else 1.1,
        effective_io_concurrency=_IO_CONCURRENCY[storage],
        huge_pages="try" if shared_in_use >= 2 * GB else "off",
        wal_compression="lz4" if lz4 else "pglz",
    )
    if workload in ("web", "oltp", "mixed"):
        values["jit"] = "off"
    values.update(_parallel(host.cores, workload))
    cleaners = 5 if host.cores >= 32 else 4 if host.cores >= 16 else _DEFAULT_AUTOVACUUM_WORKERS
    promised = shared_in_use + backends * work_mem + maintenance
    if cleaners > _DEFAULT_AUTOVACUUM_WORKERS and promised + cleaners * autovacuum <= memory:
        values["autovacuum_max_workers"] = cleaners
    facts = dict(_facts(Host(memory, host.cores)), workload=workload, storage=storage)
    return Profile("computed", dict(sorted(values.items())), facts)


def _wal_buffers(shared_buffers: int) -> int:
    """3 % of ``shared_buffers``, from 32 kB to 16 MB, and no odd size just below that."""
    size = shared_buffers * 3 // 100
    return 16 * MB if size > 14 * MB else max(size, 32)


def _parallel(cores: int, workload: str) -> dict[str, int]:
    if cores < 4:
        return {}
    half = (cores + 1) // 2
    return {
        "max_worker_processes": cores,
        "max_parallel_workers": cores,
        "max_parallel_workers_per_gather": half if workload == "dw" else min(half, 4),
        "max_parallel_maintenance_workers": min(half, 4),
    }


def _number(given: t.Mapping[str, t.Any], name: str, unit: str | None) -> int | None:
    """What the task gives for a setting; ``None`` where it gives nothing, or nothing that the server will take."""
    try:
        value = units.parse_integer(str(given[name]), unit)
    except (KeyError, units.BadNumber):
        return None
    return value if value > 0 else None


def _facts(host: Host | None) -> dict[str, t.Any]:
    if host is None:
        return {"memory": None, "cores": None}
    return {"memory": units.show(host.memory, "kB"), "cores": host.cores}
