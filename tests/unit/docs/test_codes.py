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


def codes(source):
    """The codes that a file gives to failures: attributes CODE, tables _CODES and arguments code."""
    found = set()
    for node in ast.walk(ast.parse(source)):
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
    ],
)
def test_codes_are_found_wherever_they_are_given(source, found):
    assert codes(source) == found


def test_the_page_has_each_code_once_in_order_and_no_other():
    used = set().union(*(codes(file.read_text()) for file in (ROOT / "plugins").rglob("*.py")))
    assert [code for code, _meaning, _advice in ROWS] == sorted(used)


def test_each_row_is_made_of_sentences():
    assert [row for row in ROWS if not (row[1].endswith(".") and row[2].endswith("."))] == []
