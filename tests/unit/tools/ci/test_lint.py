# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `make lint` looks at, and what the collection asks Galaxy for."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[4]


def steps():
    loader = importlib.machinery.SourceFileLoader("lint", str(ROOT / "tools" / "ci" / "lint"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("lint", loader))
    loader.exec_module(module)
    return module.STEPS


def test_k5_the_documentation_of_plugins_and_roles_is_linted():
    assert steps()["docs"][:2] == ["antsibull-docs", "lint-collection-docs"]
    assert "argument-specs" in steps()


@pytest.mark.parametrize("collection", sorted(yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]))
def test_k6_each_collection_that_is_asked_for_is_used(collection):
    used = [*(ROOT / "roles").rglob("*.yml"), *(ROOT / "playbooks").rglob("*.yml")]
    assert any(f"{collection}." in path.read_text() for path in used)
