# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role's documentation against its defaults: each way to disagree is told."""

from __future__ import annotations

import argument_specs
import pytest


@pytest.mark.parametrize(
    ("option", "defaults", "told"),
    [
        ({"default": 1}, {"v": 1}, None),
        ({"required": True}, {}, None),
        ({}, {}, None),
        ({}, {"v": None}, None),
        ({"default": 1}, {}, "documented with 1"),
        ({"default": 1}, {"v": 2}, "its default is 2"),
        ({"default": 1}, {"v": True}, "its default is True"),
        ({}, {"v": 1}, "its default is 1"),
        ({"required": True}, {"v": 1}, "is required"),
        ({}, {"w": 1}, "no documentation"),
        # A template is described, not quoted.
        ({"description": "By default a."}, {"v": "{{ a }}"}, None),
        ({"description": ["x", "y, by default a"]}, {"v": ["b", "{{ a }}"]}, None),
        ({"description": "A."}, {"v": "{{ a }}"}, "lacks 'by default'"),
        ({"description": "By default a.", "default": "a"}, {"v": "{{ a }}"}, "its default is a template"),
        ({"description": "By default a.", "default": "{{ a }}"}, {"v": "{{ a }}"}, "documented with a template"),
        ({"default": {"k": "{{ a }}"}}, {}, "documented with a template"),
    ],
)
def test_faults(option, defaults, told):
    found = argument_specs.faults({"main": {"options": {"v": option}}}, defaults, {"main"})
    assert (told in found[0]) if told else not found


def test_entry_point_without_tasks():
    assert "no tasks/service.yml" in argument_specs.faults({"service": {}}, {}, {"main"})[0]
