# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket of a key against what PostgreSQL computed (tests/vectors), and what is no key."""

from __future__ import annotations

import ast
import json
import pathlib
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.sharding import hashing

VECTORS = json.loads((pathlib.Path(__file__).parents[4] / "vectors" / "buckets.json").read_text(encoding="utf-8"))


def key_of(vector: dict):
    return int(vector["key"]) if vector["kind"] == "bigint" else vector["key"]


def signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: f"{vector['kind']}-{vector['key'][:40]!a}")
def test_bucket_is_the_one_of_postgresql(vector):
    assert hashing.bucket_of(key_of(vector), vector["kind"]) == vector["bucket"]


@pytest.mark.parametrize("kind", hashing.KINDS)
def test_hashes_are_those_of_postgresql_bit_by_bit(kind):
    assert int(VECTORS["seed"]) == hashing.PARTITION_SEED
    of = {
        "uuid": lambda key: hashing.hash_bytes(uuid.UUID(key).bytes),
        "text": lambda key: hashing.hash_bytes(key.encode()),
        "bigint": hashing.hash_int64,
    }[kind]
    mine = [signed(of(key_of(vector))) for vector in VECTORS["vectors"] if vector["kind"] == kind]
    assert len(mine) >= 100
    assert mine == [int(vector["hash"]) for vector in VECTORS["vectors"] if vector["kind"] == kind]


@pytest.mark.parametrize(
    ("key", "seed", "expected"),
    [
        # SELECT hashtextextended(key, seed)
        ("", 0, -6939563903564495251),
        ("abcdefghijklm", 0, 8871624171452417744),
        ("abcdefghijklm", 1, 3808842878744369845),
        ("abcdefghijklm", 1 << 63, -8758644972904818305),
    ],
)
def test_any_seed(key, seed, expected):
    assert signed(hashing.hash_bytes(key.encode(), seed)) == expected


@given(st.uuids())
def test_the_unrolled_uuid_path_equals_the_general_one(key):
    general = (hashing.hash_bytes(key.bytes) % 4096 + 2275) % 4096
    assert hashing.bucket_of(key) == hashing.bucket_of(str(key)) == general
    assert hashing.bucket_of(key.hex.upper()) == general


@given(st.sampled_from([1, 2, 3, 1000, 4096, 65536]), st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_bucket_is_always_in_range(buckets, key):
    assert 0 <= hashing.bucket_of(key, "bigint", buckets) < buckets


def test_keys_spread_evenly():
    counts = [0] * 8
    for number in range(8000):
        counts[hashing.bucket_of(uuid.UUID(int=number), buckets=8)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


@pytest.mark.parametrize(
    ("key", "kind", "error", "says"),
    [
        ("", "uuid", ValueError, "'' is not a uuid"),
        ("6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a", "uuid", ValueError, "is not a uuid"),
        ("6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5ag", "uuid", ValueError, "is not a uuid"),
        ("6b1bbd048-ee8-4f0a-b7d4-b1a8d4e1f5a7", "uuid", ValueError, "is not a uuid"),
        ("6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1 5a7", "uuid", ValueError, "is not a uuid"),
        (" 6b1bbd048ee84f0ab7d4b1a8d4e1f5a7", "uuid", ValueError, "is not a uuid"),
        ("6b1bbd04 8ee84f0ab7d4b1a8d4e1f5a", "uuid", ValueError, "is not a uuid"),
        ("6b1bbd048ee84f0ab7d4b1a8d4e1f5a\N{FULLWIDTH DIGIT SEVEN}", "uuid", ValueError, "is not a uuid"),
        (7, "uuid", TypeError, "not int"),
        (None, "uuid", TypeError, "not NoneType"),
        (7, "text", TypeError, "not int"),
        (b"bytes", "text", TypeError, "not bytes"),
        ("a\0b", "text", ValueError, "U\\+0000"),
        ("\ud800", "text", ValueError, "surrogate"),
        ("7", "bigint", TypeError, "not str"),
        (True, "bigint", TypeError, "not bool"),
        (7.0, "bigint", TypeError, "not float"),
        (1 << 63, "bigint", ValueError, "out of range"),
        (-(1 << 63) - 1, "bigint", ValueError, "out of range"),
        ("key", "varchar", ValueError, "choose one of uuid, text, bigint"),
        ("key", ["text"], ValueError, "is not a kind of key"),
    ],
)
def test_what_is_no_key_is_refused(key, kind, error, says):
    with pytest.raises(error, match=says):
        hashing.bucket_of(key, kind)


def test_no_buckets_are_refused():
    with pytest.raises(ValueError, match="0 is not a number of buckets"):
        hashing.bucket_of(7, "bigint", 0)


def test_the_file_can_be_copied_beside_any_application():
    tree = ast.parse(pathlib.Path(hashing.__file__).read_text(encoding="utf-8"))
    modules = {
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert modules <= {"__future__", *sys.stdlib_module_names}
