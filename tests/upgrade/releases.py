# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Release 0.1.0 and this one, each with an inventory of the same five VMs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.end_to_end import playbooks
from tests.vms import Vms, rewrite
from tools.lab.paths import COLLECTION_LINK, LAB, ROOT

#: The last commit of 0.1.0, an ancestor of every later one.
COMMIT = "81c933887d27886cf9a6e47d37f39b9d9f9bc635"
VMS = Vms("scaleout-upgrade", "172.29.90.0/24")
HERE = Path(__file__).parent
#: What of its lab's variables is about other VMs.
REPLACED = {"scaleout-lab\n": f"{VMS.fleet}\n", "172.29.84.": VMS.prefix}


def export(folder: Path) -> None:
    """Lay 0.1.0 out; a shallow clone gets its commit first."""
    if subprocess.run(["git", "cat-file", "-e", COMMIT], cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode:
        subprocess.run(["git", "fetch", "--quiet", "--depth=1", "origin", COMMIT], cwd=ROOT, check=True)
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)


class Release:
    """A release with its inventory, in a folder of its own.

    :param folder: its checkout, from where its playbooks are run.
    :param inventory: its lab's folder, about the five VMs.
    """

    def __init__(self, folder: Path, inventory: Path, hosts: str) -> None:
        self.folder = folder
        self.inventory = inventory
        shutil.copyfile(HERE / hosts, inventory / "hosts.yml")
        rewrite(inventory / "group_vars/all/main.yml", REPLACED)

    def run(self, playbook: str, *arguments: str, log: str) -> playbooks.Run:
        """Run one of the release's playbooks."""
        config = str(self.folder / "ansible.cfg")
        command = ["ansible-playbook", "-i", str(self.inventory), f"playbooks/{playbook}", *arguments]
        made = playbooks.run(*command, log=f"upgrade-{log}", folder=self.folder, ANSIBLE_CONFIG=config)
        print(f"\n{playbook} {' '.join(arguments)}: {made.seconds:.0f} s, {len(made.changed)} changed", flush=True)
        return made


def earlier(folder: Path, made: dict[str, str]) -> Release:
    """Release 0.1.0, with secrets."""
    folder.mkdir()
    export(folder)
    (folder / ".lab").symlink_to(LAB)
    link = folder / COLLECTION_LINK.relative_to(ROOT)
    link.parent.mkdir(parents=True)
    link.symlink_to(folder)
    (folder / "inventories/lab/group_vars/all/secrets.yml").write_text(yaml.safe_dump(made))
    return Release(folder, folder / "inventories/lab", "hosts-0.1.0.yml")


def ours(folder: Path, made: dict[str, str]) -> Release:
    """This release, with the same secrets."""
    inventory = folder / "inventories/lab"
    shutil.copytree(ROOT / "inventories/lab", inventory, ignore=shutil.ignore_patterns("secrets.yml"))
    (folder / ".lab").mkdir()
    (inventory / "group_vars/all/secrets.yml").write_text(yaml.safe_dump(made))
    clusters = {"pg1": {"shards": [0, 1, 2, 3]}, "analytics": {"databases": ["analytics"], "workload": "dw"}}
    (inventory / "group_vars/all/zz.yml").write_text(yaml.safe_dump({"postgres_clusters": clusters}))
    return Release(ROOT, inventory, "hosts.yml")
