# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the driver reads from a log; all else of it is tested with a real broker, in molecule/rabbitmq."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.rabbitmq import cause

LOG = """\
2026-11-28 10:11:54.376021+00:00 [info] <0.130.0> Starting RabbitMQ 3.10.8
{}
2026-11-28 10:11:55.376021+00:00 [error] <0.130.0> BOOT FAILED
"""


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("", ""),
        (
            "2026-11-28 10:11:54 [error] <0.130.0> Error preparing configuration in phase validation:\n"
            "2026-11-28 10:11:54 [error] <0.130.0>   - channel_max invalid, must be a number\n"
            "2026-11-28 10:11:54 [error] <0.130.0>   - heartbeat   invalid\n"
            "2026-11-28 10:11:54 [error] <0.130.0>   - a third\n",
            "channel_max invalid, must be a number heartbeat invalid",
        ),
        (
            '{error,{could_not_start_listener,tcp,"10.0.0.9",5672,\n  {{shutdown,{failed_to_start_child,ranch,\n'
            "   {listen_error,{acceptor},eaddrnotavail}}}}}}",
            "10.0.0.9 port 5672: eaddrnotavail",
        ),
        ("+Q: unknown flag +Q", "+Q: unknown flag +Q"),
        (
            "[error] <0.1.0> Error during startup: {error,{cannot_read_enabled_plugins_file,x}}",
            "Error during startup: {error,{cannot_read_enabled_plugins_file,x}}",
        ),
    ],
)
def test_the_cause(said, text):
    assert cause(LOG.format(said)) == text
