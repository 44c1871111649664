# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After all faults and repairs, the lab is what the inventory says, and a check finds nothing to do."""

from __future__ import annotations

from tests.end_to_end import playbooks


def test_a_check_of_the_running_lab_is_silent(platform):
    check = playbooks.playbook("site.yml", "--check", "--diff", log="90-check").succeeded()
    print(f"\ncheck of the running lab: {check.seconds:.0f} s")
    assert not check.changes, "\n".join(map(str, check.changes))
