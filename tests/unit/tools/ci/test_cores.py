# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""K1, K2: the supported versions of ansible-core stand in one file, and whatever repeats them says the same."""

from __future__ import annotations

import pathlib

import cores
import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[4]
OLDEST = cores.cores()["oldest"]["version"]
SERIES = OLDEST.rpartition(".")[0]


def read(name):
    return (ROOT / name).read_text()


def test_the_pinned_core_is_the_oldest():
    assert cores.pinned(read("requirements.txt"), ("ansible-core",)) == [f"ansible-core=={OLDEST}"]


def test_the_collection_requires_the_oldest():
    assert yaml.safe_load(read("meta/runtime.yml"))["requires_ansible"] == f">={SERIES}.0"


@pytest.mark.parametrize("path", sorted(ROOT.glob("roles/*/meta/main.yml")), ids=lambda path: path.parts[-3])
def test_roles_require_the_oldest(path):
    assert yaml.safe_load(path.read_text())["galaxy_info"]["min_ansible_version"] == SERIES


def test_the_readme_names_the_oldest():
    assert f"ansible-core {SERIES} and later" in read("README.md")


def test_the_newest_is_newer():
    series = [[int(part) for part in cores.cores()[name]["version"].split(".")] for name in ("oldest", "newest")]
    assert series[0] < series[1]


def test_a_package_that_is_not_pinned():
    with pytest.raises(ValueError, match="does not pin b, c"):
        cores.pinned("# b==1\na==1\n", ("a", "b", "c"))


def test_what_the_tests_import_comes_along(tmp_path):
    (tmp_path / "tests/unit").mkdir(parents=True)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "tests/unit/test_a.py").write_text("import json, ansible\nfrom prometheus_client import parser\n")
    (tmp_path / "plugins/b.py").write_text("try:\n    import psycopg2\nexcept ImportError:\n    pass\n")
    assert cores.needed(read("requirements.txt"), tmp_path) == (
        "ansible-runner",
        "docker",
        "import-linter",
        "jmespath",
        "prometheus-client",
        "psycopg2-binary",
        "pytest",
    )


def test_an_interpreter_that_does_not_start_is_none(tmp_path, monkeypatch):
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert cores.interpreter("3.12") is None
    works = tmp_path / "versions/3.13.0/bin/python"
    works.parent.mkdir(parents=True)
    works.write_text("#!/bin/sh\n")
    works.chmod(0o755)
    assert cores.interpreter("3.12") == str(works)
