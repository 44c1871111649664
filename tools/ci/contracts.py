# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind of contract that import-linter lacks; pyproject.toml puts it to use.

It covers a file that is added later without a word in the configuration.
"""

from __future__ import annotations

from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules


class AllowList(Contract):
    """The modules import what is allowed and nothing else, each direct import by itself.

    ``modules``, ``edges`` and ``allowed`` are import-linter's module expressions (``package.**``). An edge is exempt
    itself and may not be imported by the others, so that none of them does through it what they may not do.
    """

    modules = fields.ListField(subfield=fields.ModuleExpressionField())
    edges = fields.ListField(subfield=fields.ModuleExpressionField(), default=[])
    allowed = fields.ListField(subfield=fields.ModuleExpressionField())

    def check(self, graph, verbose: bool) -> ContractCheck:  # noqa: ARG002 (the interface)
        """Collect the refused imports with the lines that hold them."""
        broken = [
            (importer, detail["line_number"], imported)
            for importer, imported in self.refused(graph)
            for detail in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": sorted(broken)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a line for each refused import."""
        for importer, line, imported in check.metadata["broken"]:
            output.print_error(f"{importer}:{line} imports {imported}", bold=False)

    def refused(self, graph) -> list[tuple[str, str]]:
        """Return the imports that are not on the list, or that are edges."""

        def names(expressions) -> set[str]:
            return {module.name for module in module_expressions_to_modules(graph, expressions, as_packages=False)}

        edges = names(self.edges)
        allowed = names(self.allowed) - edges
        return [
            (importer, imported)
            for importer in names(self.modules) - edges
            for imported in graph.find_modules_directly_imported_by(importer) - allowed
        ]
