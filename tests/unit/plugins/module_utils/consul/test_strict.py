# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is JSON here, and what is not although Python would read it."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul import strict


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "é\U0001f600", [], {}, {"b": [1, {"a": None}], "a": ""}])
def test_what_is_rendered_is_read(value):
    assert strict.parse(strict.render(value)) == value
    assert strict.parse(strict.render(value).decode()) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "It is not JSON."),
        (b"hello", "It is not JSON."),
        (b'{"a": 1}x', "It is not JSON."),
        (b"\xff", "It is not JSON."),
        (b"\xef\xbb\xbf{}", "It is not JSON."),
        ('{"a": 1}'.encode("utf-16"), "It is not JSON."),
        (b"NaN", "It is not JSON."),
        (b"[-Infinity]", "It is not JSON."),
        (b"1e999", "It is not JSON."),
        (rb'"\ud800"', "It is not JSON."),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "It has the name 'b' twice in one object."),
        (b"[" * 100000, "It is nested too deeply."),
    ],
)
def test_what_is_not_json(text, says):
    with pytest.raises(strict.NotJson) as raised:
        strict.parse(text)
    assert (raised.value.message, raised.value.code) == (says, "not_json")


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"why": "\udcff"}, {"\ud800": 1}])
def test_what_could_not_be_read_is_not_written(value):
    with pytest.raises(strict.NotJson, match="What is to be written"):
        strict.render(value)
