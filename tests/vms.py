# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""VMs of a test's own, beside those of the lab and the trio: how they are reached, and how nothing of them is left."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.lab import engine, known_hosts, secrets
from tools.lab.paths import KNOWN_HOSTS, LAB, ROOT


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

    @contextlib.contextmanager
    def for_a_while(self) -> Iterator[None]:
        """There are none before the block, and none after it."""
        self.remove()
        try:
            yield
        finally:
            self.remove()


def rewrite(path: Path, replaced: Mapping[str, str]) -> None:
    """Replace texts in a file, such as the addresses of other VMs."""
    text = path.read_text()
    for theirs, ours in replaced.items():
        text = text.replace(theirs, ours)
    path.write_text(text)


class OwnTrio:
    """The trio's inventory for VMs of a test's own, with more applications.

    :param folder: where it is copied to, as ``inventories/name``.
    :param pools: the groups of those applications, each with its hosts.
    :param replaced: what else of the trio is otherwise.
    :param given: more secrets.
    """

    HOSTS = ("vm1", "vm2", "vm3")

    def __init__(
        self,
        folder: Path,
        name: str,
        vms: Vms,
        pools: Mapping[str, tuple[str, ...]],
        replaced: Mapping[str, str] | None = None,
        **given: str,
    ) -> None:
        self.folder = folder
        self.vms = vms
        self.inventory = folder / "inventories" / name
        shutil.copytree(ROOT / "inventories/trio", self.inventory, ignore=shutil.ignore_patterns("secrets.yml"))
        (folder / ".lab").mkdir()
        for path in ("group_vars/all/main.yml", "hosts.yml"):
            theirs = {"scaleout-trio\n": f"{vms.fleet}\n", "172.29.85.": vms.prefix}
            rewrite(self.inventory / path, {**theirs, **(replaced or {})})
        hosts = self.read("hosts.yml")
        hosts["all"]["children"].update({group: {"hosts": dict.fromkeys(names)} for group, names in pools.items()})
        self.write("hosts.yml", hosts)
        self.write("members.yml", {**self.read("members.yml"), "groups": ["api", *pools]})
        self.secrets = {**secrets.make(), **given}
        self.write("group_vars/all/secrets.yml", self.secrets)

    def read(self, path: str) -> dict[str, Any]:
        """Read a file of the inventory."""
        return yaml.safe_load((self.inventory / path).read_text())

    def write(self, path: str, document: Mapping[str, Any]) -> None:
        """Write a file of the inventory."""
        (self.inventory / path).write_text(yaml.safe_dump(dict(document), sort_keys=False))

    def address(self, host: str) -> str:
        """Where a host is."""
        return self.vms.prefix + str(10 + int(host[-1]))

    @property
    def balancers(self) -> list[str]:
        """Where the load balancers are."""
        return [self.address(host) for host in self.HOSTS]

    def ssh(self, host: str, command: str) -> str:
        """Run a shell command as root, and return what it printed."""
        return self.vms.ssh(self.address(host), command)
