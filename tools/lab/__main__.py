"""`python3 -m tools.lab VERB`: what `make` calls. Standard library only, since it runs before anything is installed."""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
import time

from . import engine, environment, image, phases, secrets
from .paths import LAB, MEMBERS, PHASES, ROOT
from .shell import NeedsHelp, as_root, run, succeeds

SUBNET = "172.29.84.0/24"
NETWORK = "scaleout-lab"


def prepare(release: str = "bookworm") -> None:
    """Everything that must be there before Ansible runs."""
    if not succeeds("docker", "version") or image.needs_root(release):
        as_root()  # say what is needed before anything is made
    # Neither of the two needs the other, and each keeps one core busy.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made = pool.submit(phases.timed, "environment", environment.ensure)
        phases.timed("engine", engine.ensure)
        phases.timed("image", lambda: image.ensure(release))
        made.result()
    secrets.ensure()
    engine.free_subnet(SUBNET, NETWORK)


def up() -> int:
    """The lab, from nothing or from whatever is there."""
    started = time.monotonic()
    PHASES.unlink(missing_ok=True)
    prepare()
    if not succeeds("docker", "inspect", f"{NETWORK}-consul1"):
        # The record of the pool's members is gone with the server that held it.
        MEMBERS.unlink(missing_ok=True)
    status = environment.ansible(
        "ansible-playbook",
        "playbooks/fleet.yml",
        "playbooks/site.yml",
        ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "tools/lab/callback_plugins"),
        ANSIBLE_CALLBACKS_ENABLED="phases",
        LAB_PHASES_FILE=str(PHASES),
    )
    print(f"\n{phases.table(time.monotonic() - started)}")
    return status


def down() -> int:
    """Remove the lab's VMs and their network; the environment, the image and the secrets stay."""
    if not succeeds("docker", "version"):
        print("No Docker engine runs, so no VM does.")
        return 0
    found = run("docker", "ps", "-aq", "--filter", "label=scaleout.fleet").stdout.split()
    if found:
        run("docker", "rm", "-f", "-v", *found)
    networks = run("docker", "network", "ls", "-q", "--filter", "label=scaleout.fleet").stdout.split()
    if networks:
        run("docker", "network", "rm", *networks)
    (LAB / "known_hosts").unlink(missing_ok=True)
    MEMBERS.unlink(missing_ok=True)
    print("The lab's VMs and networks are gone; `make up` makes them anew.")
    return 0


def env() -> int:
    """Only the environment, for lint and unit tests."""
    phases.timed("environment", environment.ensure)
    return 0


def main() -> int:
    """Run one verb; a person's problem is one sentence and status 2."""
    parser = argparse.ArgumentParser(prog="tools.lab", description=__doc__)
    parser.add_argument("verb", choices=["up", "down", "env", "prepare"])
    parser.add_argument("release", nargs="?", default="bookworm", help="the Debian release of the image")
    options = parser.parse_args()
    try:
        if options.verb == "prepare":
            prepare(options.release)
            return 0
        return {"up": up, "down": down, "env": env}[options.verb]()
    except NeedsHelp as problem:
        print(f"\nCannot go on: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
