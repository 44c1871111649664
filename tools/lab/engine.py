"""A Docker engine: the one that runs, or Debian's, installed and started."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from .paths import LAB
from .shell import NeedsHelp, as_root, install, run, succeeds

START_TIMEOUT_SECONDS = 60
PID_FILE = Path("/var/run/docker.pid")


def ensure() -> str:
    """See that an engine answers.

    :returns: what was done, in a few words.
    """
    if succeeds("docker", "version"):
        return "runs"
    if os.environ.get("DOCKER_HOST"):
        raise NeedsHelp(f"DOCKER_HOST is {os.environ['DOCKER_HOST']}, and no engine answers there.")
    root = as_root()
    missing = [
        package
        for package, program in (("docker.io", "dockerd"), ("iptables", "iptables"))
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None
    ]
    if missing:
        install(*missing)
    if Path("/run/systemd/system").is_dir():
        run(*root, "systemctl", "enable", "--now", "docker")
    else:
        _start_in_background(root)
    _wait()
    return "installed and started" if missing else "started"


def _start_in_background(root) -> None:
    """Start dockerd where there is no systemd, over whatever an engine that died left behind."""
    if PID_FILE.exists() and not _is_engine(PID_FILE.read_text().strip()):
        run(*root, "rm", "-f", str(PID_FILE))
    LAB.mkdir(exist_ok=True)
    with open(LAB / "dockerd.log", "ab") as log:
        subprocess.Popen(
            [*root, "dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )


def _is_engine(pid: str) -> bool:
    """Whether a process id, as a pid file names it, belongs to a living engine and not to a stranger."""
    try:
        return Path(f"/proc/{int(pid)}/comm").read_text().strip() == "dockerd"
    except (OSError, ValueError):
        return False


def _wait() -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if succeeds("docker", "version"):
            return
        time.sleep(0.5)
    log = LAB / "dockerd.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else ""
    raise NeedsHelp(f"the Docker engine did not answer within {START_TIMEOUT_SECONDS} s.\n{tail}".rstrip())


def free_subnet(subnet: str, network: str) -> None:
    """Make room for the lab's network where an earlier lab left one of another name on its addresses.

    :raises NeedsHelp: when the addresses belong to another network.
    """
    wanted = ipaddress.ip_network(subnet)
    names = run("docker", "network", "ls", "--format", "{{.Name}}").stdout.split()
    for found in json.loads(run("docker", "network", "inspect", *names).stdout):
        subnets = [ipaddress.ip_network(config["Subnet"]) for config in found["IPAM"]["Config"] or []]
        if not any(wanted.overlaps(other) for other in subnets if other.version == wanted.version):
            continue
        ours = "scaleout.fleet" in (found["Labels"] or {}) or found["Name"] == network
        if found["Name"] == network and wanted in subnets:
            continue
        if not ours:
            raise NeedsHelp(
                f"the network '{found['Name']}' uses addresses of the lab's {subnet}: remove it, or give the lab "
                "another subnet in its inventory."
            )
        attached = run(
            "docker", "ps", "-aq", "--filter", f"network={found['Name']}", "--filter", "label=scaleout.fleet"
        ).stdout.split()
        if attached:
            run("docker", "rm", "-f", *attached)
        run("docker", "network", "rm", found["Name"])


def remove_fleet(fleet: str) -> None:
    """Remove the containers and networks of a fleet, whoever made them; those of other fleets stay."""
    label = f"label=scaleout.fleet={fleet}"
    containers = run("docker", "ps", "-aq", "--filter", label).stdout.split()
    if containers:
        run("docker", "rm", "-f", "-v", *containers)
    networks = run("docker", "network", "ls", "-q", "--filter", label).stdout.split()
    if networks:
        run("docker", "network", "rm", *networks)
