# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The production example on VMs of its own: a copy of its folder, with other addresses and with secrets."""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.end_to_end import playbooks
from tests.vms import Vms, rewrite
from tools.lab.paths import KNOWN_HOSTS, LAB, ROOT

VMS = Vms("scaleout-production", "172.29.89.0/24")
#: The addresses that the example has, and those of this fleet.
DOCUMENTED, OURS = "192.0.2.", VMS.prefix

#: What is so because the VMs are containers, and how they are reached. The rest is the example's.
SURROUNDINGS = {
    "ansible_ssh_private_key_file": str(LAB / "id_ed25519"),
    "ansible_ssh_common_args": f"-o UserKnownHostsFile='{KNOWN_HOSTS}' -o StrictHostKeyChecking=yes",
    "base_time_sync": False,
    "consul_repository": "none",
}


def make_secrets() -> dict[str, str]:
    """Make the secrets that the example's main.yml names."""
    named = re.findall(r"^#   (\w+)", (ROOT / "inventories/production/group_vars/all/main.yml").read_text(), re.M)
    makers = {"key": lambda: base64.b64encode(secrets.token_bytes(32)).decode(), "token": lambda: str(uuid.uuid4())}
    return {name: makers.get(name.rsplit("_", 1)[1], lambda: secrets.token_urlsafe(24))() for name in named}


class Example:
    """The example as an operator has made it their own.

    :param folder: where it is copied to.
    """

    def __init__(self, folder: Path) -> None:
        self.inventory = folder / "inventories/production"
        shutil.copytree(ROOT / "inventories/production", self.inventory)
        hosts = self.inventory / "hosts.yml"
        rewrite(hosts, {DOCUMENTED: OURS})
        self.secrets = make_secrets()
        self._write("group_vars/all/secrets.yml", self.secrets)
        self._write("../surroundings.yml", SURROUNDINGS)
        listed = subprocess.run(
            ["ansible-inventory", "-i", str(hosts), "--list"], cwd=ROOT, capture_output=True, check=True
        )
        self._listed = json.loads(listed.stdout)

    def _write(self, path: str, document: Mapping[str, object]) -> None:
        (self.inventory / path).write_text(yaml.safe_dump(dict(document)))

    def hosts(self, group: str) -> list[str]:
        """The hosts that the inventory has in a group."""
        return list(self._listed[group]["hosts"])

    def address(self, host: str) -> str:
        """Where a host is."""
        return self._listed["_meta"]["hostvars"][host]["ansible_host"]

    @property
    def addresses(self) -> dict[str, str]:
        """Where each host is, the spare ones among them."""
        return {name: variables["ansible_host"] for name, variables in self._listed["_meta"]["hostvars"].items()}

    def run(self, playbook: str, *arguments: str, log: str, **environment: str) -> playbooks.Run:
        """Run a playbook of the collection on it, as the pages say, once there is a Consul."""
        token = {"CONSUL_HTTP_TOKEN": self.secrets["consul_reader_token"], **environment}
        here = ["-i", str(self.inventory), "-e", f"@{self.inventory / '../surroundings.yml'}"]
        made = playbooks.playbook(playbook, *here, *arguments, log=f"production-{log}", **token)
        print(f"\n{playbook} {' '.join(arguments)}: {made.seconds:.0f} s, {len(made.changed)} changed", flush=True)
        return made

    def ssh(self, host: str, command: str) -> str:
        """Run a shell command as root, and return what it printed."""
        return VMS.ssh(self.address(host), command)

    def registered(self) -> str:
        """What Consul's catalog says of the shop's instances."""
        token = self.secrets["consul_reader_token"]
        server = self.hosts("consul_server")[0]
        return self.ssh(server, f"CONSUL_HTTP_TOKEN={token} consul catalog nodes -service=shop")

    def known(self) -> str:
        """What Consul's catalog says of all hosts."""
        token = self.secrets["consul_reader_token"]
        return self.ssh(self.hosts("consul_server")[0], f"CONSUL_HTTP_TOKEN={token} consul catalog nodes")

    def without(self, host: str) -> None:
        """Take a host that is gone for good out of hosts.yml."""
        hosts = self.inventory / "hosts.yml"
        lines = hosts.read_text().splitlines(keepends=True)
        hosts.write_text("".join(line for line in lines if f" {host}:" not in line))

    def make_vms(self, folder: Path) -> None:
        """Make the VMs, bare."""
        wanted = [
            {"name": name, "address": address, "provider": "docker", "memory": "1g"}
            for name, address in self.addresses.items()
        ]
        variables = {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "fleet_name": VMS.fleet,
            "fleet_docker_subnet": VMS.subnet,
            "fleet_ssh_public_key_file": str(LAB / "id_ed25519.pub"),
            "fleet_known_hosts_file": str(KNOWN_HOSTS),
            "fleet_hosts": wanted,
        }
        play = {
            "hosts": "localhost",
            "connection": "local",
            "vars": variables,
            "roles": [{"role": "scaleout.platform.fleet"}],
        }
        (folder / "vms.yml").write_text(yaml.safe_dump([play]))
        playbooks.playbook(str(folder / "vms.yml"), "-i", "localhost,", log="production-vms").succeeded()
