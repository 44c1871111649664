# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""VMs of a test's own, beside those of the lab and the trio: how they are reached, and how nothing of them is left."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.lab import engine, known_hosts
from tools.lab.paths import KNOWN_HOSTS, LAB


@dataclass(frozen=True)
class Vms:
    """A fleet of containers that behave as VMs.

    :param fleet: the name that it has for the engine.
    :param subnet: its network, which no other fleet has.
    """

    fleet: str
    subnet: str

    @property
    def prefix(self) -> str:
        """What its addresses begin with."""
        return self.subnet.removesuffix("0/24")

    def ssh(self, address: str, command: str) -> str:
        """Run a shell command as root, and return what it printed."""
        options = ["-i", LAB / "id_ed25519", "-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "BatchMode=yes"]
        login = ["ssh", *options, f"ops@{address}", f"sudo sh -c {shlex.quote(command)}"]
        done = subprocess.run(login, stdin=subprocess.DEVNULL, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{address}: {command}: {done.stderr or done.stdout}"
        return done.stdout.strip()

    def remove(self) -> None:
        """Remove what an earlier test left, and what this one made."""
        engine.remove_fleet(self.fleet)
        if KNOWN_HOSTS.exists():
            KNOWN_HOSTS.write_text(known_hosts.without(KNOWN_HOSTS.read_text(), [self.subnet]))


def rewrite(path: Path, replaced: Mapping[str, str]) -> None:
    """Replace texts in a file, such as the addresses of other VMs."""
    text = path.read_text()
    for theirs, ours in replaced.items():
        text = text.replace(theirs, ours)
    path.write_text(text)
