# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A trio of its own with the reference API and two applications: the shop is a folder, the till is an image."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from tests.end_to_end import lab, playbooks
from tests.vms import OwnTrio, Vms
from tools.lab.paths import ROOT

VMS = Vms("scaleout-rolling", "172.29.93.0/24")
HERE = Path(__file__).parent
HOSTS = OwnTrio.HOSTS
#: Ways in which a release can be broken.
BROKEN = ("does not start", "answers 500", "dies", "leaks")
#: Seconds, shorter than the defaults; what dies does so after three.
TIMES = ("-e", "batch_delay=3", "-e", "minimum_healthy_time=8")

COMMON = {"health": {"timeout": 20}, "limits": {"memory_max": "128M"}, "drain_timeout": 10}
SHOP = {
    **COMMON,
    "group": "shop",
    "command": ["/usr/bin/python3", "server.py"],
    "port": 9300,
    "site": {"server_name": "shop.example"},
}
TILL = {
    **COMMON,
    "group": "till",
    "port": 9310,
    "health": {"timeout": 20, "path": "/cgi-bin/health"},
    "site": {"server_name": "till.example"},
}
#: What the image has of BusyBox.
APPLETS = ("sh", "httpd", "mkdir", "chmod", "cat", "sleep", "head", "tr")


class Trio(OwnTrio):
    """The inventory: the trio's, with other addresses and two more applications."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "rolling", VMS, {"shop": HOSTS, "till": HOSTS})
        shutil.copytree(HERE / "shop", folder / "shop")
        self._entries = self.read("group_vars/all/applications.yml")["applications"]

    def declare(self, name: str, mode: str, **more: Any) -> None:
        """Make a release of an application, sound or broken, and say in its entry what else it has."""
        if name == "shop":
            (self.folder / "shop/mode").write_text(mode)
            self._entries["shop"] = {**SHOP, "source": str(self.folder / "shop"), **more}
        else:
            path = self.folder / "till.tar"
            path.write_bytes(image((self.folder / "busybox").read_bytes(), mode))
            self._entries["till"] = {**TILL, "image_archive": str(path), **more}
        self.write("group_vars/all/applications.yml", {"applications": self._entries})

    def fetch_busybox(self) -> None:
        """Fetch a static BusyBox, which is to be had as a package of Debian's."""
        command = "apt-get -qq update >&2; apt-get -qq install -y busybox-static >&2; base64 -w0 /bin/busybox"
        (self.folder / "busybox").write_bytes(base64.b64decode(self.ssh("vm1", command)))

    def run(self, playbook: str, *arguments: str, log: str, as_json: bool = True) -> playbooks.Run:
        """Run a playbook of the collection on it."""
        command = ["ansible-playbook", f"playbooks/{playbook}", "-i", str(self.inventory), *arguments]
        made = playbooks.run(*command, log=f"rolling-{log}", as_json=as_json)
        print(f"\n{playbook} {' '.join(arguments)}: {made.seconds:.0f} s, status {made.status}", flush=True)
        for line in made.failures:
            print(f"  {line}", flush=True)
        return made

    def start(self, playbook: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a run that goes on by itself, in a process group of its own."""
        lab.LOGS.mkdir(parents=True, exist_ok=True)
        with (lab.LOGS / "rolling-killed.log").open("w") as output:
            return subprocess.Popen(
                [
                    *playbooks.POLITELY,
                    "ansible-playbook",
                    f"playbooks/{playbook}",
                    "-i",
                    str(self.inventory),
                    *arguments,
                ],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            )

    def current(self, name: str) -> list[str]:
        """The release that each host has in force."""
        return [self.ssh(host, f"basename $(readlink /srv/{name}/current)") for host in HOSTS]

    def unconfirmed(self, name: str) -> list[str]:
        """The hosts that still have a journal."""
        look = f"ls /var/lib/scaleout/transactions/app-{name}/journal.json 2>/dev/null; true"
        return [host for host in HOSTS if self.ssh(host, look)]


def image(busybox: bytes, mode: str) -> bytes:
    """Make what `docker save` would write of an image."""
    layer = _tar(
        ("bin", None),
        ("bin/busybox", busybox),
        *((f"bin/{applet}", "busybox") for applet in APPLETS),
        ("serve", (HERE / "till/serve").read_bytes()),
    )
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Env": ["PATH=/bin", f"MODE={mode}"], "Cmd": ["/serve"], "WorkingDir": "/"},
        # The mode is in the layer too, or two images would be the same release.
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    own = _tar(("mode", mode.encode()))
    config["rootfs"]["diff_ids"] = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (layer, own)]
    manifest = [{"Config": "config.json", "RepoTags": ["till:1"], "Layers": ["0.tar", "1.tar"]}]
    return _tar(
        ("config.json", json.dumps(config).encode()),
        ("0.tar", layer),
        ("1.tar", own),
        ("manifest.json", json.dumps(manifest).encode()),
    )


def _tar(*members: tuple[str, bytes | str | None]) -> bytes:
    """Make a tar of names with their contents; a directory has none, and a link has a text."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, contents in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if contents is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(contents, str):
                info.type, info.linkname = tarfile.SYMTYPE, contents
            else:
                info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents) if isinstance(contents, bytes) else None)
    return stream.getvalue()
