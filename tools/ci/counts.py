# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the logic that stands in YAML, Jinja and shell instead of Python, and fails when there is more than before.

``counts.toml`` holds the budget. ``--write`` lowers it to today's counts and never raises it: whoever needs more
edits the file by hand and says why in the commit. ``--root DIR`` counts another checkout, to compare with.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import re
import sys
import tomllib
from collections import defaultdict
from typing import TYPE_CHECKING

import jinja2
import yaml
from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUDGET = pathlib.Path(__file__).with_name("counts.toml")

MANY_FILTERS = 3
LONG_VARS = 40
# What these keys of a task hold is an expression without braces.
CONDITIONS = {"when", "until", "failed_when", "changed_when", "that", "break_when"}
LISTS_OF_TASKS = {"tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"}
# Parts of a result that hold sentences and output for people.
MESSAGES = {
    "msg",
    "message",
    "reason",
    "exception",
    "content",
    "stdout",
    "stdout_lines",
    "stderr",
    "stderr_lines",
    "module_stdout",
    "module_stderr",
}
# After these there are no words any more: data, a number, or a mere "is there anything".
READERS = {"from_json", "from_yaml", "int", "float", "length", "count", "bool"}
SEARCHES = {"regex_search", "regex_findall", "select", "reject", "selectattr", "rejectattr"}
METHODS = {"startswith", "endswith", "find", "index", "count"}
# Tests that ask about the result and not about its text.
STATES = {"defined", "undefined", "none", "mapping", "iterable", "sequence", "string", "number", "truthy", "falsy"}

ENVIRONMENT = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])


@dataclasses.dataclass(frozen=True)
class Text:
    """A string of a YAML file that Ansible evaluates."""

    line: int
    value: str
    is_condition: bool
    lines: int = 1


# --- Jinja -----------------------------------------------------------------------------------------------------------


def expressions(source: str) -> list[nodes.Expr]:
    """Return the expressions of a template: what it prints, what it decides by, loops over and assigns.

    :raises jinja2.TemplateSyntaxError: for a template that is none.
    """
    tree = ENVIRONMENT.parse(source)
    found: list[nodes.Expr] = []
    for output in tree.find_all(nodes.Output):
        found += [part for part in output.nodes if not isinstance(part, nodes.TemplateData)]
    found += [branch.test for branch in tree.find_all(nodes.If)]
    found += [loop.iter for loop in tree.find_all(nodes.For)]
    found += [assignment.node for assignment in tree.find_all(nodes.Assign)]
    found += [statement.node for statement in tree.find_all(nodes.ExprStmt)]
    return found


def parsed(text: Text) -> list[nodes.Expr]:
    """Return the expressions of a string in YAML; a condition may stand there without braces."""
    bare = text.is_condition and not re.search(r"{[{%]", text.value)
    return expressions("{{ (" + text.value + ") }}" if bare else text.value)


def filters(expression: nodes.Expr) -> int:
    """Count the filters of an expression, those within its parentheses and arguments too."""
    return isinstance(expression, nodes.Filter) + len(list(expression.find_all(nodes.Filter)))


def names(expression: nodes.Expr) -> set[str]:
    """Return the variables that an expression reads."""
    return {name.name for name in [expression, *expression.find_all(nodes.Name)] if isinstance(name, nodes.Name)}


def reads_words(expression: nodes.Node) -> bool:
    """Tell whether the text of a message stands in an expression as text, not read as data before."""
    if isinstance(expression, nodes.Filter) and expression.name.rpartition(".")[2] in READERS:
        return False
    if isinstance(expression, nodes.Getattr):
        part = expression.attr
    elif isinstance(expression, nodes.Getitem) and isinstance(expression.arg, nodes.Const):
        part = expression.arg.value
    else:
        part = None
    if part in MESSAGES:
        return True
    return any(reads_words(child) for child in expression.iter_child_nodes())


def is_words(expression: nodes.Node) -> bool:
    """Tell whether an expression is a text that is written down here and not empty."""
    return isinstance(expression, nodes.Const) and isinstance(expression.value, str) and bool(expression.value)


def judges_words(expression: nodes.Expr) -> bool:
    """Tell whether an expression compares or searches the text of a message."""
    return any(map(_judges_words, [expression, *expression.find_all(nodes.Node)]))


def _judges_words(node: nodes.Node) -> bool:
    """Do the same for one node, without what stands below it."""
    if isinstance(node, nodes.Compare):
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        searched = any(operand.op in ("in", "notin") for operand in node.ops)
        return any(map(reads_words, sides)) and (searched or any(map(is_words, sides)))
    if isinstance(node, nodes.Test):
        return node.name.rpartition(".")[2] not in STATES and reads_words(node.node)
    if isinstance(node, nodes.Filter):
        return node.name.rpartition(".")[2] in SEARCHES and node.node is not None and reads_words(node.node)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        return node.node.attr in METHODS and reads_words(node.node.node)
    return False


# --- YAML ------------------------------------------------------------------------------------------------------------


def texts(document: yaml.Node | None) -> Iterator[Text]:
    """Yield the strings below a node that Ansible evaluates."""

    def walk(node: yaml.Node, is_condition: bool) -> Iterator[Text]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield from walk(value, isinstance(key, yaml.ScalarNode) and key.value in CONDITIONS)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from walk(item, is_condition and not isinstance(item, yaml.MappingNode))
        elif node.tag.endswith(":str") and (is_condition or re.search(r"{[{%]", node.value)):
            lines = max(1, node.end_mark.line - node.start_mark.line)
            yield Text(node.start_mark.line + 1, node.value, is_condition, lines)

    if document is not None:
        yield from walk(document, False)


def tasks(document: yaml.Node | None, is_list_of_tasks: bool) -> Iterator[int]:
    """Yield the line of each task; a block is none itself.

    :param is_list_of_tasks: the document is a role's file of tasks, else a playbook.
    """
    if not isinstance(document, yaml.SequenceNode):
        return
    for item in document.value:
        if not isinstance(item, yaml.MappingNode):
            continue
        keys = {key.value: value for key, value in item.value}
        if is_list_of_tasks and "block" not in keys:
            yield item.start_mark.line + 1
        for key in LISTS_OF_TASKS & keys.keys():
            yield from tasks(keys[key], True)


def variables(document: yaml.Node | None, is_file_of_vars: bool) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the variables that a file defines, each with the node of its value; ``vars`` of plays and tasks too."""
    if isinstance(document, yaml.SequenceNode):
        for item in document.value:
            yield from variables(item, False)
    elif isinstance(document, yaml.MappingNode):
        for key, value in document.value:
            if is_file_of_vars:
                yield key.value, value
            elif key.value in LISTS_OF_TASKS | {"vars", "ansible.builtin.set_fact"}:
                yield from variables(value, key.value not in LISTS_OF_TASKS)


# --- The house -------------------------------------------------------------------------------------------------------


class House:
    """What a checkout holds; each count maps a file to its places (lines), or to a number of lines."""

    def __init__(self, root: pathlib.Path) -> None:
        """Read roles and playbooks below ``root``."""
        self.root = root
        self.counts: dict[str, dict[str, list[int] | int]] = defaultdict(dict)
        self.faults: list[str] = []
        # By role, or for all playbooks: what a variable reads, and whether it judges by the words of a message.
        self._reads: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._judges: dict[str, set[str]] = defaultdict(set)
        for path in self._files("roles/*/vars/**/*", "playbooks/vars/**/*"):
            lines = len(self._lines(path))
            self._add("vars_lines", path, lines)
            if lines > LONG_VARS:
                self._add("long_vars_files", path, [lines])
        for path in self._files("roles/*/files/**/*"):
            if path.relative_to(root).parts[1] != "reference_api" and path.suffix != ".pyc":
                self._add("copied_lines", path, len(self._lines(path)))
        for path in self._files("roles/**/*.j2", "playbooks/**/*.j2"):
            self._add("template_lines", path, len(self._lines(path)))
            self._judge_template(path)
        documents = {
            path: yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
            for path in self._files("roles/**/*.yml", "playbooks/**/*.yml")
            if path.parent.name != "meta" and "files" not in path.relative_to(root).parts
        }
        for path, document in documents.items():
            self._learn(path, document)
        for path, document in documents.items():
            self._judge_yaml(path, document)

    def _files(self, *patterns: str) -> list[pathlib.Path]:
        return sorted({path for pattern in patterns for path in self.root.glob(pattern) if path.is_file()})

    @staticmethod
    def _lines(path: pathlib.Path) -> list[str]:
        return path.read_text(encoding="utf-8").splitlines()

    def _add(self, count: str, path: pathlib.Path, places: list[int] | int) -> None:
        if places:
            self.counts[count][str(path.relative_to(self.root))] = places

    def _judge_template(self, path: pathlib.Path) -> None:
        try:
            found = expressions(path.read_text(encoding="utf-8"))
        except jinja2.TemplateSyntaxError as error:
            self.faults.append(f"{path.relative_to(self.root)}:{error.lineno}: {error.message}")
            return
        self._add("deep_in_templates", path, sorted(e.lineno for e in found if filters(e) >= MANY_FILTERS))

    def _scope(self, path: pathlib.Path) -> str:
        """Return where a file's variables are seen: its role, or the playbooks."""
        part = path.relative_to(self.root).parts
        return part[1] if part[0] == "roles" else part[0]

    def _learn(self, path: pathlib.Path, document: yaml.Node | None) -> None:
        """Note what a file's variables read."""
        scope = self._scope(path)
        is_file_of_vars = bool({"vars", "defaults"} & set(path.relative_to(self.root).parts))
        for name, value in variables(document, is_file_of_vars):
            for text in texts(value):
                try:
                    found = parsed(text)
                except jinja2.TemplateSyntaxError:
                    continue  # reported where the file is judged
                self._reads[scope][name].update(*map(names, found))
                if any(map(judges_words, found)):
                    self._judges[scope].add(name)

    def _asks_words(self, path: pathlib.Path, found: list[nodes.Expr]) -> bool:
        """Tell whether a condition judges by words, itself or through the variables that it names."""
        if any(map(judges_words, found)):
            return True
        scope = self._scope(path)
        seen: set[str] = set()
        todo = set().union(*map(names, found))
        while todo:
            seen |= todo
            todo = set().union(*(self._reads[scope].get(name, set()) for name in todo)) - seen
        return bool(seen & self._judges[scope])

    def _judge_yaml(self, path: pathlib.Path, document: yaml.Node | None) -> None:
        part = path.relative_to(self.root).parts
        in_role = part[0] == "roles"
        if not in_role or part[2] in ("tasks", "handlers"):
            is_list = in_role or "tasks" in part[1:-1]
            self._add("tasks", path, sorted(tasks(document, is_list)))
            self._add("task_lines", path, len(self._lines(path)))
        deep: list[int] = []
        words: list[int] = []
        jinja = 0
        for text in texts(document):
            jinja += text.lines
            try:
                found = parsed(text)
            except jinja2.TemplateSyntaxError as error:
                self.faults.append(f"{path.relative_to(self.root)}:{text.line}: {error.message}")
                continue
            deep += [text.line for expression in found if filters(expression) >= MANY_FILTERS]
            words += [text.line] * (text.is_condition and self._asks_words(path, found))
        self._add("deep_in_yaml", path, deep)
        self._add("conditions_on_words", path, words)
        self._add("jinja_lines", path, jinja)

    def totals(self) -> dict[str, int]:
        """Return each count's number."""
        return {
            name: sum(len(places) if isinstance(places, list) else places for places in files.values())
            for name, files in sorted(self.counts.items())
        }

    def where(self, count: str) -> Iterator[str]:
        """Yield a line for each file that adds to a count."""
        for file, places in sorted(self.counts[count].items()):
            yield f"  {file}: {'line ' + ', '.join(map(str, places)) if isinstance(places, list) else places}"


def over(totals: dict[str, int], budget: dict[str, int]) -> list[str]:
    """Return the names of the counts that are above their budget."""
    return [name for name, most in budget.items() if totals.get(name, 0) > most]


def lowered(text: str, totals: dict[str, int]) -> str:
    """Return the budget's text with each number that can be lower lowered, and its comments kept."""

    def line(match: re.Match[str]) -> str:
        return f"{match[1]} = {min(int(match[2]), totals.get(match[1], 0))}"

    return re.sub(r"(?m)^(\w+) = (\d+)$", line, text)


def report(totals: dict[str, int], budget: dict[str, int]) -> Iterable[str]:
    """Yield the table that people read."""
    for name in sorted({*totals, *budget}):
        note = f"budget {budget[name]}" if name in budget else ""
        yield f"{name:<20} {totals.get(name, 0):6} {note}".rstrip()


def main(arguments: list[str]) -> int:
    """Count and compare; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="lower the budget to today's counts")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="the checkout to count")
    parser.add_argument("--where", metavar="COUNT", help="also print which files add to a count")
    options = parser.parse_args(arguments)
    house = House(options.root.resolve())
    totals = house.totals()
    budget = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
    print(*report(totals, budget), sep="\n")
    if options.where:
        print(*house.where(options.where), sep="\n")
    for fault in house.faults:
        print(f"Jinja cannot read {fault}")
    exceeded = over(totals, budget)
    for name in exceeded:
        print(f"{name} is {totals[name]}, and its budget in tools/ci/counts.toml is {budget[name]}:")
        print(*house.where(name), sep="\n")
    if options.write:
        BUDGET.write_text(lowered(BUDGET.read_text(encoding="utf-8"), totals), encoding="utf-8")
    return 1 if exceeded or house.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
