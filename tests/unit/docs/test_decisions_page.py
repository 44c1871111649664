# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/scaling-decisions.md says that each of its sentences has a test, by its id; so has each."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

from .pages import text_of

TESTS = pathlib.Path(__file__).parents[1]
PAGE = "docs/scaling-decisions.md"
IDS = re.findall(r"^- \*\*([A-Z]\d+)\*\* ", text_of(PAGE), re.MULTILINE)
ID = re.compile(r"(?<![A-Za-z0-9])[A-Z]\d+(?![A-Za-z0-9])")


def named(module):
    """Yield the ids that the tests of a module are named by, in names, docstrings and the ids of rows."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield from (word.upper() for word in node.name.split("_")[1:] if re.fullmatch(r"[a-z]\d+", word))
            yield from ID.findall(ast.get_docstring(node) or "")
        elif isinstance(node, ast.keyword) and node.arg == "id":
            yield from (found for text in ast.walk(node.value) for found in ids_in(text))


def ids_in(node):
    """The ids in a literal; those of an f-string are in its parts."""
    return ID.findall(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def where():
    """Where the tests are that judge what the page says: of the room, of the operations, and of who carries it out."""
    found = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if {"scaling", "metrics", "operations", "action", "plugin_utils"} & set(path.relative_to(TESTS).parts):
            for each in named(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(each, set()).add(path.name)
    return found


BY_ID = where()


def test_the_page_has_sentences_of_all_kinds():
    assert {each[0] for each in IDS} == set("JBWAPR")
    assert len(IDS) == len(set(IDS)) >= 27


@pytest.mark.parametrize("sentence", IDS)
def test_each_sentence_has_a_test_by_its_id(sentence):
    assert sentence in BY_ID, f"{PAGE} has {sentence}, and no test is named by it"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def test_w3_a_guard(): ...", ["W3"]),
        ("def test_it():\n    'B1, B6: it counts.'", ["B1", "B6"]),
        ("case(id='A1-W3-no-guard')", ["A1", "W3"]),
        ("case(id=f'J1-{name}')", ["J1"]),
        # What is only told of is no test.
        ("# W9 is tested elsewhere\nX = 'W9'\ndef w9(): ...", []),
    ],
)
def test_how_a_test_is_named_by_an_id(code, expected):
    assert list(named(ast.parse(code))) == expected
