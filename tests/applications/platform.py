# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A trio of its own, behind firewalls, with three applications: the reference API, Kinto from PyPI, and one of Node."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.end_to_end import playbooks
from tests.vms import OwnTrio, Vms

VMS = Vms("scaleout-applications", "172.29.91.0/24")
HERE = Path(__file__).parent
HOSTS = OwnTrio.HOSTS
#: The Python of the VMs' Debian, which is not the controller's.
PYTHON = "3.13"

KINTO = {
    "group": "kinto",
    "command": ["/usr/bin/python3", "site/bin/kinto", "start", "--ini", "kinto.ini", "--port", "9100"],
    "prepare_command": ["/usr/bin/python3", "site/bin/kinto", "migrate", "--ini", "kinto.ini"],
    "port": 9100,
    "health": {"path": "/v1/__lbheartbeat__"},
    "environment": {"PYTHONPATH": "site"},
    "secrets": {"KINTO_USERID_HMAC_SECRET": "{{ kinto_hmac_secret }}"},
    "limits": {"memory_max": "384M"},
    "database": {"cluster": "pg1", "password": "{{ kinto_database_password }}"},
    "site": {"server_name": "kinto.example"},
    "pool": {"min": 2, "max": 4},
}
NOTES = {
    "group": "notes",
    "source": str(HERE / "notes"),
    "command": ["/usr/bin/node", "server.js"],
    "packages": ["nodejs"],
    "port": 9200,
    "health": {"timeout": 20},
    "environment": {"EDITION": "first"},
    "site": {"server_name": "notes.example"},
    "pool": {"min": 2, "max": 4},
}
#: The controller is the first address of the network, and VMs need the right to change their own rules.
FIREWALL = {
    "firewall_enabled": True,
    "firewall_ssh_from": [f"{VMS.prefix}1/32"],
    "fleet_docker_capabilities": ["SYS_ADMIN", "NET_ADMIN"],
}
#: The address of the database comes from libpq's variables. What is not said is Kinto's default.
INI = """
[app:main]
use = egg:kinto
kinto.project_name = {edition}
kinto.storage_backend = {storage}
kinto.storage_url = postgresql://
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = postgresql://
kinto.cache_backend = kinto.core.cache.memory
# The process that prepares a release and the one that serves have the same settings.
multiauth.policies = basicauth
kinto.bucket_create_principals = system.Authenticated

[server:main]
use = egg:waitress#main
host = 0.0.0.0
port = 9100
channel_timeout = 120

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(name)s %(message)s
"""
STORAGE = "kinto.core.storage.postgresql"


class Trio(OwnTrio):
    """The inventory: the trio's, with other addresses and two more applications."""

    def __init__(self, folder: Path) -> None:
        pools = {"kinto": HOSTS[:2], "notes": HOSTS[1:]}
        own = {"kinto_hmac_secret": "only-of-this-test", "kinto_database_password": "only 'of' this %test"}
        super().__init__(folder, "trio", VMS, pools, {"scale_minimum: 3": "scale_minimum: 2"}, **own)
        self.write("group_vars/all/firewall.yml", FIREWALL)
        self.kinto = folder / "kinto"

    def fetch_kinto(self) -> None:
        """Fetch Kinto and what it needs for the VMs' Python, as a release carries it."""
        where = ["--target", str(self.kinto / "site"), "--python-version", PYTHON, "--only-binary=:all:"]
        command = [sys.executable, "-m", "pip", "install", "--quiet", *where, "--platform", "manylinux2014_x86_64"]
        subprocess.run([*command, "--no-compile", "kinto[postgresql]", "waitress", "legacy-cgi"], check=True)

    def declare(self, kinto: Mapping[str, Any] | None, notes: Mapping[str, Any] | None) -> None:
        """Say in the one place what runs; None is an application that is not there."""
        entries = self.read("group_vars/all/applications.yml")["applications"]
        wanted = {"reference_api": entries["reference_api"]}
        if kinto is not None:
            wanted["kinto"] = {**kinto, "source": str(self.kinto)}
        if notes is not None:
            wanted["notes"] = dict(notes)
        self.write("group_vars/all/applications.yml", {"applications": wanted})

    def configure_kinto(self, edition: str, storage: str = STORAGE) -> None:
        """Make another release of Kinto: it says its edition, or does not start when there is no such storage."""
        (self.kinto / "kinto.ini").write_text(INI.format(edition=edition, storage=storage))

    def run(self, playbook: str, *arguments: str, log: str) -> playbooks.Run:
        """Run a playbook of the collection on it, or any by its path."""
        made = playbooks.playbook(playbook, "-i", str(self.inventory), *arguments, log=f"applications-{log}")
        shown = f"{playbook.rsplit('/', 1)[-1]} {' '.join(arguments)}"
        print(f"\n{shown}: {made.seconds:.0f} s, {len(made.changed)} changed", flush=True)
        return made

    def services(self) -> list[str]:
        """The services that Consul knows."""
        return self.ssh(
            "vm1", f"CONSUL_HTTP_TOKEN={self.secrets['consul_reader_token']} consul catalog services"
        ).split()


def basic(user: str, password: str) -> str:
    """The header by which Kinto knows a user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
