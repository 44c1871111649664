# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node has what the upkeep needs: its timer waits, and its service runs the upkeep from the VM itself."""

from __future__ import annotations

import re
import time

from tests.end_to_end import lab

HOME = "/srv/scaleout-control"
SERVICE = "scaleout-maintain.service"


def upkeep(node: str) -> list[dict[str, int]]:
    """Run the upkeep as the timer would, and return each host's line of the recap."""
    begin = time.monotonic()
    lab.ssh(node, f"systemctl start {SERVICE}")
    run = lab.ssh(node, f"systemctl show --property InvocationID --value {SERVICE}")
    said = lab.ssh(node, f"journalctl -o cat --no-pager _SYSTEMD_INVOCATION_ID={run}")
    print(f"\nupkeep from {node}: {time.monotonic() - begin:.0f} s")
    recap = re.findall(r"^\S+\s+: (ok=\d+ .*)$", said, re.M)
    assert recap, said
    return [{name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)} for line in recap]


def test_its_timer_waits(platform):
    (node,) = lab.hosts("control")
    assert lab.ssh(node, "systemctl is-active scaleout-maintain.timer") == "active"
    assert lab.ssh(node, "systemctl is-enabled scaleout-maintain.timer") == "enabled"
    assert "scaleout-maintain.timer" in lab.ssh(node, "systemctl list-timers --no-legend")


def test_its_service_runs_the_upkeep_and_the_next_one_changes_nothing(platform):
    (node,) = lab.hosts("control")
    hosts = {*lab.hosts("postgres"), *lab.hosts("analytics"), *lab.hosts("consul_server")}
    # On the lab this is the first upkeep.
    assert len(upkeep(node)) == len(hosts)
    again = upkeep(node)
    assert [(line["changed"], line["failed"], line["unreachable"]) for line in again] == [(0, 0, 0)] * len(hosts)


def test_no_other_account_reads_what_it_has_and_no_unit_holds_a_secret(platform):
    (node,) = lab.hosts("control")
    assert not lab.ssh(node, f"find {HOME} ! -type l -perm /077")
    units = lab.ssh(node, "systemctl cat scaleout-maintain.service scaleout-maintain.timer")
    secrets = re.findall(r'^\w+: "(.+)"$', lab.CHOSEN.secrets.read_text(), re.M)
    assert len(secrets) > 5
    assert not [secret for secret in secrets if secret in units]
