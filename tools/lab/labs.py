"""The labs that this checkout can run: what must be known of each before Ansible can read its inventory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .paths import LAB, ROOT

#: The Debian release of the VMs, unless ``LAB_RELEASE`` names another.
RELEASE = os.environ.get("LAB_RELEASE") or "trixie"


@dataclass(frozen=True)
class Lab:
    """An inventory of containers that behave as VMs.

    :param name: of its folder below ``inventories``.
    :param subnet: the addresses of its network.
    :param consul_servers: the hosts that hold the record of who is in a pool.
    """

    name: str
    subnet: str
    consul_servers: tuple[str, ...]

    @property
    def fleet(self) -> str:
        """The name of its fleet (``fleet_name``), of its network and in front of each container's name."""
        return f"scaleout-{self.name}"

    @property
    def inventory(self) -> Path:
        """Its inventory, a folder."""
        return ROOT / "inventories" / self.name

    @property
    def secrets(self) -> Path:
        """Its passwords and keys; git does not know them."""
        return self.inventory / "group_vars/all/secrets.yml"

    @property
    def members(self) -> Path:
        """What the inventory plugin saw last (members.yml)."""
        return LAB / f"members-{self.name}.json"

    def container(self, host: str) -> str:
        """The container that is a host's VM."""
        return f"{self.fleet}-{host}"


#: By name. tests/unit/tools/lab holds them to what the inventories say.
LABS = {
    lab.name: lab
    for lab in (
        Lab("lab", "172.29.84.0/24", ("consul1", "consul2", "consul3")),
        Lab("trio", "172.29.85.0/24", ("vm1", "vm2", "vm3")),
    )
}
