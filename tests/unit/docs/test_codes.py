# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/codes.md names each code that a failure can have, and no other."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[3]
ROWS = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", (ROOT / "docs" / "codes.md").read_text(), re.MULTILINE)


def texts(node):
    """The texts that an expression may be."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    if isinstance(node, ast.Dict):
        return set().union(*map(texts, node.values))
    return set()


JUDGES = "from platform import Problem"
# What makes a problem takes its code first.
MAKERS = {"Problem", "problem", "of", "shared", "_of_hosts"}


def is_sentence(node):
    """Whether an expression is written as a sentence: a literal with blanks, a format, a sum, or the name ``text``."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and " " in node.value
    return isinstance(node, (ast.JoinedStr, ast.BinOp)) or getattr(node, "id", "") == "text"


def code_of_problem(node):
    """The expression that is the code of a problem; None for anything else."""
    if isinstance(node, ast.Call) and len(node.args) > 1:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        return node.args[0] if name in MAKERS else None
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and is_sentence(node.elts[1]):
        return node.elts[0]
    return None


def codes(source):
    """The codes that a file gives to failures: attributes CODE, tables _CODES and arguments code; and to problems.

    A problem is made at once, or is a pair of a code and a sentence before a host is known.
    """
    found = set()
    tree = ast.parse(source)
    judges = any(isinstance(node, ast.alias) and node.name == "Problem" for node in ast.walk(tree))
    judges |= any(getattr(node, "attr", "") == "problem" for node in ast.walk(tree))
    for node in ast.walk(tree):
        if judges:
            found |= texts(code_of_problem(node))
        names = [getattr(target, "id", "") for target in getattr(node, "targets", ())]
        names.append(getattr(node, "arg", ""))
        if {"CODE", "_CODES", "code"} & set(names):
            found |= texts(getattr(node, "value", None))
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class A:\n    CODE = 'a'", {"a"}),
        ("_CODES = {1: 'a', 2: 'b'}", {"a", "b"}),
        ("raise A('x', code='a' if full else 'b')", {"a", "b"}),
        ("raise A('x', code=error.code)", set()),
        ("LABEL = 'a'", set()),
        (f"{JUDGES}\nProblem('a' if full else 'b', host, text)", {"a", "b"}),
        ("self.problem('a', '', text)", {"a"}),
        (f"{JUDGES}\nreader.of('a', host, 'variable', text)", {"a"}),
        (f"{JUDGES}\nfound.append(('a', text))", {"a"}),
        (f"{JUDGES}\ndef f():\n    yield 'a', f'{{port}} is no port'", {"a"}),
        (f"{JUDGES}\nyes = ('port', 6432), ('server', 'serf_lan')", set()),
        ("found.append(('a', text))", set()),
    ],
)
def test_codes_are_found_wherever_they_are_given(source, found):
    assert codes(source) == found


def test_the_page_has_each_code_once_in_order_and_no_other():
    used = set().union(*(codes(file.read_text()) for file in (ROOT / "plugins").rglob("*.py")))
    # Sentences that several hosts share are joined as a problem without a code.
    assert [code for code, _meaning, _advice in ROWS] == sorted(used - {""})


def test_each_row_is_made_of_sentences():
    assert [row for row in ROWS if not (row[1].endswith(".") and row[2].endswith("."))] == []
