# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What variables of an inventory say."""

from __future__ import annotations

import pytest
from ansible.module_utils.parsing.convert_bool import BOOLEANS_FALSE, BOOLEANS_TRUE

from ansible_collections.scaleout.platform.plugins.module_utils.platform import truth


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((*BOOLEANS_TRUE, "1", "Yes", " TRUE "), True),
        ((*BOOLEANS_FALSE, "0", "No", "False\n"), False),
        (("", "maybe", "10", 2, None, [], {}, "truefalse"), None),
    ],
)
def test_truth_is_read_as_ansible_reads_it(values, expected):
    assert [truth(value) for value in values] == [expected] * len(values)
