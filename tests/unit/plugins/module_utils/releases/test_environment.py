# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is written for systemd is what systemd reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.releases.environment import environment_file

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\"\\`$#'=; "), max_size=20)


def systemd_reads(text: str) -> dict[str, str]:
    """Read an environment file as systemd does (load_env_file in env-file.c), for what is all in double quotes."""
    read, position = {}, 0
    while position < len(text):
        equals = text.index("=", position)
        name, value, position = text[position:equals], "", equals + 1
        assert text[position] == '"'
        position += 1
        while text[position] != '"':
            if text[position] == "\\":
                position += 1
                # Before anything else a backslash stands for itself; before a newline both are dropped.
                value += "" if text[position] in '"\\`$\n' else "\\"
                if text[position] == "\n":
                    position += 1
                    continue
            value += text[position]
            position += 1
        assert text[position : position + 2] == '"\n'
        position += 2
        read[name] = value
    return read


@given(st.dictionaries(names, values))
def test_each_value_arrives(variables):
    assert systemd_reads(environment_file("environment", variables)) == variables


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain", 'A="plain"\n'),
        ("", 'A=""\n'),
        (True, 'A="true"\n'),
        (False, 'A="false"\n'),
        (8000, 'A="8000"\n'),
        (0.5, 'A="0.5"\n'),
        ('say "hi" to $USER', 'A="say \\"hi\\" to \\$USER"\n'),
    ],
)
def test_a_line(value, line):
    assert environment_file("environment", {"A": value}) == line


def test_the_order_is_fixed():
    assert environment_file("environment", {"B": 1, "A": 2}) == 'A="2"\nB="1"\n'


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "É", "A\n", 7])
def test_names_that_are_none(name):
    with pytest.raises(Refused, match="is not a name for an environment variable"):
        environment_file("environment", {name: "x"})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\rb", "control character"),
        ("a\0b", "control character"),
        ("\x1b[31m", "control character"),
        ("x" * 131072, "128 KiB"),
        ("é" * 65536, "128 KiB"),
        ("\udc80", "not valid Unicode"),
        (None, "must be text, a number or a boolean, not NoneType"),
        (["a"], "not list"),
        ({}, "not dict"),
    ],
)
def test_values_that_would_not_arrive(value, reason):
    with pytest.raises(Refused) as error:
        environment_file("secrets", {"PASSWORD": value})
    assert reason in error.value.message
    assert error.value.message.startswith("secrets: the value of PASSWORD")
    if value and isinstance(value, str):
        assert value not in error.value.message
