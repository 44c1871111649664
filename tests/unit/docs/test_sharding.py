# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The code of docs/sharding.md against the buckets that PostgreSQL computed; SQL in the integration tests."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sharding.md").read_text(encoding="utf-8")
VECTORS = json.loads((ROOT / "tests" / "vectors" / "buckets.json").read_text(encoding="utf-8"))["vectors"]
CHECK = ROOT / "tests" / "vectors" / "check.mjs"


def code_of(language):
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return code


def test_python():
    page = {}
    exec(code_of("python"), page)  # noqa: S102 (our own page)
    assert len(VECTORS) >= 300
    for vector in VECTORS:
        key = int(vector["key"]) if vector["kind"] == "bigint" else vector["key"]
        assert page["bucket_of"](key, vector["kind"]) == vector["bucket"], vector
    shard_map = {"shards": {"0": "zero", "7": "seven"}, "ranges": [[0, 313, "0"], [314, 314, "7"], [315, 4095, "0"]]}
    found = [page["shard_of"](shard_map, bucket) for bucket in (0, 313, 314, 315, 4095)]
    assert found == ["zero", "zero", "seven", "zero", "zero"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_javascript(tmp_path):
    def node(*arguments):
        return subprocess.run(["node", CHECK, *arguments], check=False, capture_output=True, text=True, timeout=60)

    answer = node()
    assert (answer.returncode, answer.stdout) == (0, f"{len(VECTORS)} of {len(VECTORS)} vectors agree\n"), answer.stderr

    (tmp_path / "page.md").write_text(PAGE.replace("(b + 2275) & 4095;", "(b + 2276) & 4095;"), encoding="utf-8")
    answer = node(tmp_path / "page.md")
    assert (answer.returncode, answer.stdout) == (1, f"0 of {len(VECTORS)} vectors agree\n")


def test_sql_is_what_the_role_installs():
    assert code_of("sql") in (ROOT / "roles" / "postgres" / "files" / "bucket_of.sql").read_text(encoding="utf-8")
