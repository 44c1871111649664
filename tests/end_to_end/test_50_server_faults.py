# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An API server stopped, hung, its VM paused: no client is told anything wrong, and it comes back by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.end_to_end import lab, load

#: Seconds in which a server that does not serve must be gone from the upstream: three checks, 5 s apart, 1 s each.
LEAVES_WITHIN = 20
#: Seconds in which it must be back: two checks, and the application's own start.
RETURNS_WITHIN = 40
BITES_WITHIN = 3


@dataclass(frozen=True)
class Fault:
    """A way for a server to stop serving.

    :param bites: whether the fault is there, seen where it was made and not by its effects on requests.
    """

    name: str
    host: str
    strike: Callable[[str], object]
    bites: Callable[[str], bool]
    heal: Callable[[str], object]


def _state(host: str) -> str:
    """The state of the application's main process, as the kernel says: T is stopped by a signal; empty for none."""
    return lab.ssh(host, f"ps -o state= -p $(systemctl show -p MainPID --value {lab.APP})", check=False)


#: On a trio the last one is no VM that the load comes through.
STOPPED, HUNG, PAUSED = lab.hosts("api")[:3]
FAULTS = [
    Fault(
        "stopped",
        STOPPED,
        strike=lambda host: lab.ssh(host, f"systemctl stop {lab.APP}"),
        bites=lambda host: lab.ssh(host, f"systemctl is-active {lab.APP}", check=False) == "inactive",
        heal=lambda host: lab.ssh(host, f"systemctl start {lab.APP}"),
    ),
    Fault(
        "hung",
        HUNG,
        strike=lambda host: lab.ssh(host, f"systemctl kill --signal=SIGSTOP {lab.APP}"),
        bites=lambda host: _state(host).startswith("T"),
        heal=lambda host: lab.ssh(host, f"systemctl kill --signal=SIGCONT {lab.APP}"),
    ),
    Fault(
        "paused",
        PAUSED,
        strike=lambda host: lab.engine("pause", lab.container(host)),
        bites=lambda host: json.loads(lab.engine("inspect", lab.container(host)))[0]["State"]["Paused"],
        heal=lambda host: lab.engine("unpause", lab.container(host)),
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_server_is_lost_and_comes_back(platform, fault):
    host = fault.host
    assert lab.is_listed(host)
    assert lab.healthy(host)
    with load.ledger(fault.name) as ledger:
        time.sleep(3)
        leads = lab.address(host) in lab.consul_leader()
        struck_at, clock = ledger.now, time.time()
        fault.strike(host)
        try:
            assert lab.wait_for(lambda: fault.bites(host), BITES_WITHIN) is not None, "the fault did not bite"
            assert not lab.healthy(host), "the fault did not bite: the server still answers"
            gone = lab.wait_for(lambda: not lab.is_listed(host), LEAVES_WITHIN)
            assert gone is not None, f"{host} is still in the upstream after {LEAVES_WITHIN} s:\n{lab.listed()}"
            left_after = lab.listed_since() - clock
            time.sleep(3)
            assert not lab.healthy(host), "the fault ended before it was healed"
        finally:
            healed_at = ledger.now
            fault.heal(host)
        back = lab.wait_for(lambda: lab.is_listed(host), RETURNS_WITHIN)
        back_at = ledger.now
        assert back is not None, f"{host} is not back in the upstream after {RETURNS_WITHIN} s"
        time.sleep(3)
        told = ledger.report()

    load.tell(f"{host} {fault.name} at {struck_at:.0f} s{', Consul led by it' if leads else ''}", told)
    print(f"  left the upstream after {left_after:.1f} s, back {back_at - healed_at:.1f} s after the fault ended")
    load.assert_right(told)
    assert left_after <= LEAVES_WITHIN
    assert told["failed"]["total"] < 0.3 * told["requests"]
    assert host in {lab.get("/users?limit=1").headers.get("X-Served-By") for _unused in range(30)}
