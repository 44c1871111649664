# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values for a host: PGTune's own answers, and properties that hold for every host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils import units
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import profile
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.profile import (
    GB,
    MB,
    BadProfile,
    Choice,
    Host,
)

HOSTS = st.builds(Host, st.integers(512 * MB, 2048 * GB), st.integers(1, 256))
WORKLOADS = st.sampled_from(profile.WORKLOADS)
STORAGE = st.sampled_from(profile.STORAGE)


def sizes(settings):
    return {
        name: units.parse_integer(value, "kB")
        for name, value in settings.items()
        if str(value)[-1:] == "B" and name != "wal_compression"
    }


@pytest.mark.parametrize(
    ("memory", "cores", "workload", "storage", "expected"),
    [
        (
            16 * GB,
            8,
            "web",
            "ssd",
            {
                "max_connections": 200,
                "shared_buffers": "4GB",
                "effective_cache_size": "12GB",
                "maintenance_work_mem": "1GB",
                "checkpoint_completion_target": 0.9,
                "wal_buffers": "16MB",
                "default_statistics_target": 100,
                "random_page_cost": 1.1,
                "effective_io_concurrency": 200,
                "work_mem": "20164kB",  # (16 GB - 4 GB) / ((200 + 8) * 3)
                "huge_pages": "try",
                "min_wal_size": "1GB",
                "max_wal_size": "4GB",
                "max_worker_processes": 8,
                "max_parallel_workers_per_gather": 4,
                "max_parallel_workers": 8,
                "max_parallel_maintenance_workers": 4,
                "jit": "off",
                "wal_compression": "lz4",
            },
        ),
        (
            4 * GB,
            2,
            "oltp",
            "san",
            {
                "max_connections": 300,
                "shared_buffers": "1GB",
                "effective_cache_size": "3GB",
                "maintenance_work_mem": "256MB",
                "checkpoint_completion_target": 0.9,
                "wal_buffers": "16MB",
                "default_statistics_target": 100,
                "random_page_cost": 1.1,
                "effective_io_concurrency": 300,
                "work_mem": "3404kB",
                "huge_pages": "off",
                "min_wal_size": "2GB",
                "max_wal_size": "8GB",
                "jit": "off",
                "wal_compression": "lz4",
            },
        ),
        (
            128 * GB,
            31,
            "dw",
            "nvme",
            {
                "max_connections": 40,
                "shared_buffers": "32GB",
                "effective_cache_size": "96GB",
                "maintenance_work_mem": "8GB",
                "autovacuum_work_mem": "2GB",
                "autovacuum_max_workers": 4,
                "checkpoint_completion_target": 0.9,
                "wal_buffers": "16MB",
                "default_statistics_target": 500,
                "random_page_cost": 1.1,
                "effective_io_concurrency": 1000,
                "work_mem": "236298kB",
                "huge_pages": "try",
                "min_wal_size": "4GB",
                "max_wal_size": "16GB",
                "max_worker_processes": 31,
                "max_parallel_workers_per_gather": 16,
                "max_parallel_workers": 31,
                "max_parallel_maintenance_workers": 4,
                "wal_compression": "lz4",
            },
        ),
        (
            2 * GB,
            4,
            "desktop",
            "hdd",
            {
                "max_connections": 20,
                "shared_buffers": "128MB",
                "effective_cache_size": "512MB",
                "maintenance_work_mem": "128MB",
                "checkpoint_completion_target": 0.9,
                "wal_buffers": "3932kB",
                "default_statistics_target": 100,
                "random_page_cost": 4,
                "effective_io_concurrency": 2,
                "work_mem": "4551kB",
                "huge_pages": "off",
                "min_wal_size": "100MB",
                "max_wal_size": "2GB",
                "max_worker_processes": 4,
                "max_parallel_workers_per_gather": 2,
                "max_parallel_workers": 4,
                "max_parallel_maintenance_workers": 2,
                "wal_compression": "lz4",
            },
        ),
    ],
)
def test_computed(memory, cores, workload, storage, expected):
    assert profile.compute(Host(memory, cores), workload, storage).settings == expected


@given(host=HOSTS, workload=WORKLOADS, storage=STORAGE, connections=st.integers(1, 5000))
def test_never_more_than_there_is(host, workload, storage, connections):
    try:
        settings = profile.compute(host, workload, storage, {"max_connections": connections}).settings
    except BadProfile:
        return
    assert set(settings) <= profile.COMPUTED_NAMES
    size = sizes(settings)
    for name in ("shared_buffers", "effective_cache_size", "maintenance_work_mem", "work_mem", "wal_buffers"):
        assert size[name] <= host.memory
    workers = settings.get("max_worker_processes", 8)
    # PGTune's own bound: three times work_mem for each connection and worker, beside the shared memory.
    assert size["shared_buffers"] + (connections + workers) * 3 * size["work_mem"] <= host.memory
    # All at once: every connection sorts, every autovacuum worker vacuums, and an index is built.
    autovacuum = size.get("autovacuum_work_mem", size["maintenance_work_mem"])
    cleaners = settings.get("autovacuum_max_workers", 3)
    at_once = size["shared_buffers"] + (connections + workers) * size["work_mem"]
    assert at_once + size["maintenance_work_mem"] + cleaners * autovacuum <= host.memory
    assert settings.get("max_parallel_workers", 0) <= host.cores


@given(first=HOSTS, more=st.integers(0, 512 * GB), workload=WORKLOADS, storage=STORAGE)
def test_more_memory_never_gives_less(first, more, workload, storage):
    less, much = (
        sizes(profile.compute(Host(memory, first.cores), workload, storage).settings)
        for memory in (first.memory, first.memory + more)
    )
    assert all(size <= much[name] for name, size in less.items())


@given(host=HOSTS, workload=WORKLOADS, less=st.integers(0, 16))
def test_a_few_pages_of_the_kernels_change_nothing(host, workload, less):
    memory = host.memory // profile.STEP * profile.STEP + 32 * MB
    first, second = (profile.compute(Host(size, host.cores), workload) for size in (memory, memory - less * MB))
    assert first == second


@pytest.mark.parametrize(
    ("given", "work_mem"),
    [
        ({}, "20164kB"),
        ({"max_connections": 100}, "38836kB"),
        ({"max_connections": "0x64"}, "38836kB"),
        ({"shared_buffers": "8GB"}, "13443kB"),
        ({"shared_buffers": 1048576}, "13443kB"),  # pages of 8 kB
        ({"max_worker_processes": 108}, "13617kB"),
        # A reset, or what the server will refuse by itself.
        ({"max_connections": None, "shared_buffers": "much"}, "20164kB"),
    ],
)
def test_what_the_task_gives_counts_in_what_is_computed(given, work_mem):
    assert profile.compute(Host(16 * GB, 8), "web", "ssd", given).settings["work_mem"] == work_mem


@pytest.mark.parametrize(
    ("choice", "found", "given", "reason"),
    [
        (Choice("computed"), Host(255 * MB, 1), {}, "needs 256MB of memory, and there are 261120 kB"),
        (Choice("computed"), Host(256 * MB, 1), {"max_connections": 5000}, "leaves 6 kB of work_mem"),
        (
            Choice("computed"),
            Host(GB, 1),
            {"shared_buffers": "900GB"},
            "leaves 0 kB of work_mem: 1GB of memory less 900",
        ),
        (Choice("computed"), None, {}, "give both as memory and cores"),
        (Choice("computed", memory=GB), None, {}, "give both as memory and cores"),
        (Choice("seed"), Host(2 * GB, 1), {}, "wants shared_buffers = 4GB, and the host has 2GB"),
        (Choice("seed"), Host(8 * GB, 1), {}, "wants effective_cache_size = 12GB, and the host has 8GB"),
        (Choice("seed", memory=GB), Host(64 * GB, 1), {}, "wants shared_buffers = 4GB, and the host has 1GB"),
    ],
)
def test_a_profile_that_does_not_fit(choice, found, given, reason):
    with pytest.raises(BadProfile, match=reason):
        profile.choose(choice, found, given)


@pytest.mark.parametrize(
    ("choice", "found", "memory", "cores"),
    [
        (Choice("computed"), Host(8 * GB, 4), "8GB", 4),
        # Less than there is, and never more.
        (Choice("computed", memory=2 * GB), Host(8 * GB, 4), "2GB", 4),
        (Choice("computed", memory=64 * GB, cores=64), Host(8 * GB, 4), "8GB", 4),
        (Choice("computed", memory=64 * GB, cores=64), None, "64GB", 64),
        (Choice("seed"), Host(16 * GB, 4), "16GB", 4),
        (Choice("seed"), None, None, None),
    ],
)
def test_the_host_that_counts(choice, found, memory, cores):
    facts = profile.choose(choice, found, {}).facts
    assert (facts["memory"], facts["cores"]) == (memory, cores)


def test_no_profile():
    assert profile.choose(Choice(), Host(GB, 1), {}) is None
    assert Choice().names == frozenset()


def test_the_seed_with_values_of_the_tasks_own():
    given = {"shared_buffers": "512MB", "effective_cache_size": "1GB", "maintenance_work_mem": "64MB"}
    found = profile.choose(Choice("seed"), Host(2 * GB, 2), given)
    assert found.settings == profile.SEED
    assert len(found.settings) == 8
    assert Choice("seed").names == set(profile.SEED)


def test_a_server_without_lz4():
    assert profile.compute(Host(GB, 1), lz4=False).settings["wal_compression"] == "pglz"


@pytest.mark.parametrize(("text", "kb"), [(None, None), ("8GB", 8 * GB), ("0.5TB", 512 * GB), ("4TB", 4096 * GB)])
def test_memory_as_text(text, kb):
    assert profile.read_memory(text) == kb


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8192", "has no unit"),
        ("8gb", "valid units are B, kB"),
        ("much", "is not a number"),
        ("-1GB", "is less than 256MB"),
        ("16kB", "is less"),
        ("", "is not a number"),
    ],
)
def test_memory_that_is_none(text, reason):
    with pytest.raises(BadProfile, match=reason):
        profile.read_memory(text)
