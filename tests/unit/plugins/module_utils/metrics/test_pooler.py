# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long clients wait, out of what PgBouncer 1.18 answered while one client held the only connection of a pool."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.metrics.pooler import NoWait, longest_wait

HEAD = (
    "database|user|cl_active|cl_waiting|cl_active_cancel_req|cl_waiting_cancel_req|sv_active|sv_active_cancel|"
    "sv_being_canceled|sv_idle|sv_used|sv_tested|sv_login|maxwait|maxwait_us|pool_mode"
)
ANALYTICS = "analytics|shop|0|0|0|0|0|0|0|1|0|0|0|0|0|transaction"
CONSOLE = "pgbouncer|pgbouncer|1|0|0|0|0|0|0|0|0|0|0|0|0|statement"
WAITS = "shop|shop|1|1|0|0|1|0|0|0|0|0|0|1|411985|transaction"
#: Of another version, which has more columns, and other ones between them.
NEWER = "database|user|cl_active|cl_waiting|sv_idle|maxwait|maxwait_us|pool_mode|load_balance_hosts"


def rows(*lines):
    return [line.split("|") for line in lines]


@pytest.mark.parametrize(
    ("lines", "databases", "expected"),
    [
        ((HEAD, ANALYTICS, CONSOLE, WAITS), ["shop"], 1.411985),
        ((HEAD, ANALYTICS, CONSOLE, WAITS), [], 1.411985),
        # Who waits for the database of another application does not wait for ours.
        ((HEAD, ANALYTICS, CONSOLE, WAITS), ["analytics"], 0),
        # No client has come yet, so PgBouncer has made no pool.
        ((HEAD, CONSOLE), ["shop"], 0),
        ((HEAD, WAITS, WAITS.replace("|1|411985", "|0|999999")), ["shop"], 1.411985),
        ((NEWER, "shop|shop|1|1|0|2|5|transaction|"), ["shop"], 2.000005),
    ],
)
def test_w3_the_client_that_has_waited_longest_counts(lines, databases, expected):
    assert longest_wait(rows(*lines), databases) == pytest.approx(expected)


@pytest.mark.parametrize(
    "lines",
    [(), ("database|user|maxwait", "shop|shop|1"), (HEAD, WAITS.replace("|1|411985", "|-1|0")), (HEAD, "shop|shop|1")],
)
def test_b4_what_is_no_such_answer_is_no_wait_of_zero(lines):
    with pytest.raises(NoWait, match="SHOW POOLS"):
        longest_wait(rows(*lines), ["shop"])
