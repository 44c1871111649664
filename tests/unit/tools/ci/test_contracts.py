# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contracts bite: each forbidden kind of import is refused, and what the house allows is not."""

from __future__ import annotations

import pathlib
import tomllib

import contracts
import grimp
import pytest
from importlinter.contracts.layers import LayersContract

UTILS = "house.module_utils"
PLUGINS = "ansible_collections.scaleout.platform.plugins"
CONFIGURED = tomllib.loads((pathlib.Path(__file__).parents[4] / "pyproject.toml").read_text())["tool"]["importlinter"]


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


def house_keeps(importer, imported):
    """Judge one import by the layers that pyproject.toml configures, in a house that has nothing else in it."""
    graph = grimp.ImportGraph()
    for module in (importer, imported, "module_utils.postgres.connection", "module_utils.postgres.versions"):
        parts = f"{PLUGINS}.{module}".split(".")
        for length in range(1, len(parts) + 1):
            graph.add_module(".".join(parts[:length]))
    graph.add_import(
        importer=f"{PLUGINS}.{importer}", imported=f"{PLUGINS}.{imported}", line_number=1, line_contents=""
    )
    layers = [
        # import-linter itself hands its fields the text of a boolean.
        {name: str(value) if value is True else value for name, value in contract.items()}
        for contract in CONFIGURED["contracts"]
        if contract["type"] == "layers"
    ]
    assert len(layers) == 3
    session = {"root_packages": [PLUGINS]}
    return all(LayersContract("rule", session, options).check(graph, verbose=False).kept for options in layers)


@pytest.mark.parametrize(
    ("importer", "imported", "kept"),
    [
        ("modules.shard_map", "module_utils.operations.publish_map", True),
        ("modules.shard_map", "module_utils.sharding.map", True),
        ("action.preflight", "plugin_utils.turns", True),
        ("module_utils.operations.publish_map", "module_utils.sharding.plan", True),
        ("module_utils.operations.publish_map", "module_utils.consul.documents", True),
        ("module_utils.sharding.map", "module_utils.names", True),
        ("module_utils.postgres.settings.plan", "module_utils.postgres.versions", True),
        ("modules.shard_map", "filter.shard_of", False),
        ("module_utils.operations.publish_map", "modules.shard_map", False),
        ("module_utils.operations.publish_map", "plugin_utils.turns", False),
        ("module_utils.sharding.map", "module_utils.operations.publish_map", False),
        ("module_utils.sharding.map", "module_utils.members.record", False),
        ("module_utils.postgres.settings.plan", "module_utils.postgres.slots.state", False),
        ("module_utils.postgres.versions", "module_utils.postgres.settings.values", False),
        ("module_utils.names", "module_utils.sharding.map", False),
        ("module_utils.consul.documents", "module_utils.members.record", False),
        # What belongs to no floor is not in the house.
        ("module_utils.attic", "module_utils.errors", False),
        ("shed.tool", "module_utils.errors", False),
    ],
)
def test_the_three_floors(importer, imported, kept):
    assert house_keeps(importer, imported) is kept
