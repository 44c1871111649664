# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contracts bite: each forbidden kind of import is refused, and what the house allows is not."""

from __future__ import annotations

import contracts
import grimp
import pytest

UTILS = "house.module_utils"


def graph_of(*imports):
    """Return a graph with a small house and the given imports (importer, imported)."""
    graph = grimp.ImportGraph()
    rooms = ("", ".errors", ".a", ".a.shared", ".a.x", ".a.x.plan", ".a.x.server", ".a.y", ".a.y.plan", ".b", ".b.plan")
    for module in ["house", "house.modules", "house.modules.thing", *(UTILS + room for room in rooms)]:
        graph.add_module(module)
    for external in ("json", "socket"):
        graph.add_module(external, is_squashed=True)
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported, line_number=1, line_contents="")
    return graph


def is_kept(contract_type, options, *imports):
    return contract_type("rule", {}, options).check(graph_of(*imports), verbose=False).kept


@pytest.mark.parametrize(
    ("importer", "imported", "kept"),
    [
        (f"{UTILS}.a.x.plan", "json", True),
        (f"{UTILS}.a.x.plan", f"{UTILS}.errors", True),
        (f"{UTILS}.a.x.server", "socket", True),
        (f"{UTILS}.a.x.server", f"{UTILS}.a.x.plan", True),
        (f"{UTILS}.a.x.plan", "socket", False),
        (f"{UTILS}.a.x.plan", f"{UTILS}.a.x.server", False),
    ],
)
def test_allow_list(importer, imported, kept):
    options = {"modules": [f"{UTILS}.**"], "edges": [f"{UTILS}.**.server"], "allowed": [f"{UTILS}.**", "json"]}
    assert is_kept(contracts.AllowList, options, (importer, imported)) is kept


@pytest.mark.parametrize(
    ("importer", "imported", "kept"),
    [
        (f"{UTILS}.a.x.plan", f"{UTILS}.a.shared", True),
        (f"{UTILS}.a.x.plan", f"{UTILS}.errors", True),
        (f"{UTILS}.a.x.server", f"{UTILS}.a.x.plan", True),
        (f"{UTILS}.a.x.plan", "socket", True),
        (f"{UTILS}.a.x.plan", f"{UTILS}.a.y.plan", False),
        (f"{UTILS}.a.x.plan", f"{UTILS}.b.plan", False),
        (f"{UTILS}.a.shared", f"{UTILS}.a.x.plan", False),
        (f"{UTILS}.errors", f"{UTILS}.b.plan", False),
        (f"{UTILS}.b.plan", "house.modules.thing", False),
    ],
)
def test_inward(importer, imported, kept):
    assert is_kept(contracts.Inward, {"root": UTILS, "project": "house"}, (importer, imported)) is kept
