"""`python3 -m tools.lab VERB`: what `make` calls. Standard library only, since it runs before anything is installed."""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
import time

from . import engine, environment, image, kernel, known_hosts, loop, phases, secrets
from .labs import LABS, RELEASE, Lab
from .paths import KNOWN_HOSTS, LAB, PHASES, ROOT
from .shell import NeedsHelp, as_root, succeeds


def prepare(release: str) -> None:
    """Everything that must be there before Ansible runs."""
    if not succeeds("docker", "version") or image.needs_root(release):
        as_root()  # say what is needed before anything is made
    # Neither of the two needs the other, and each keeps one core busy.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made = pool.submit(phases.timed, "environment", environment.ensure)
        phases.timed("engine", engine.ensure)
        phases.timed("kernel", kernel.ensure)
        phases.timed("image", lambda: image.ensure(release))
        made.result()
    secrets.ensure()


def up(lab: Lab) -> int:
    """A lab, from nothing or from whatever is there."""
    started = time.monotonic()
    PHASES.unlink(missing_ok=True)
    prepare(RELEASE)
    engine.free_subnet(lab.subnet, lab.fleet)
    if not any(succeeds("docker", "inspect", lab.container(host)) for host in lab.consul_servers):
        # The record of the pool's members is gone with the servers that held it.
        lab.members.unlink(missing_ok=True)
    status = environment.ansible(
        "ansible-playbook",
        f"--inventory={lab.inventory.relative_to(ROOT)}",
        "playbooks/fleet.yml",
        "playbooks/site.yml",
        # ansible-core of Debian 12 is too old for a control node.
        *(["playbooks/control.yml"] if RELEASE != "bookworm" else []),
        ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "tools/lab/callback_plugins"),
        ANSIBLE_CALLBACKS_ENABLED="phases",
        LAB_PHASES_FILE=str(PHASES),
    )
    print(f"\n{phases.table(time.monotonic() - started)}")
    return status


def down(labs: list[Lab]) -> int:
    """Remove the VMs of labs and their networks; the environment, the image and the secrets stay."""
    if not succeeds("docker", "version"):
        print("No Docker engine runs, so no VM does.")
        return 0
    for lab in labs:
        engine.remove_fleet(lab.fleet)
        lab.members.unlink(missing_ok=True)
    if len(labs) == len(LABS):
        # Copies of their inventories have a file each, and no VM any more.
        for kept in LAB.glob("members-*.json"):
            kept.unlink()
    if KNOWN_HOSTS.exists():
        KNOWN_HOSTS.write_text(known_hosts.without(KNOWN_HOSTS.read_text(), [lab.subnet for lab in labs]))
    print(f"The VMs and networks of {' and '.join(lab.name for lab in labs)} are gone; `make up` creates them again.")
    return 0


def main() -> int:
    """Run one verb; a person's problem is one sentence and status 2."""
    parser = argparse.ArgumentParser(prog="tools.lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("env", help="only the environment, for lint and unit tests")
    prepared = verbs.add_parser("prepare", help="environment, engine, image and secrets")
    prepared.add_argument("release", nargs="?", default=RELEASE, help="the Debian release of the image")
    verbs.add_parser("up", help="a lab").add_argument("lab", choices=LABS, default="lab", nargs="?")
    verbs.add_parser("down", help="remove a lab, else all").add_argument("lab", choices=LABS, nargs="?")
    autoscale = verbs.add_parser("autoscale", help="the control loop in the foreground")
    autoscale.add_argument("lab", choices=LABS, default="lab", nargs="?")
    autoscale.add_argument("interval", type=float, default=30.0, nargs="?", help="seconds from one cycle to the next")
    options = parser.parse_args()
    try:
        if options.verb == "env":
            phases.timed("environment", environment.ensure)
        elif options.verb == "prepare":
            prepare(options.release)
        elif options.verb == "autoscale":
            return loop.run(LABS[options.lab], options.interval)
        elif options.verb == "up":
            return up(LABS[options.lab])
        else:
            return down([LABS[options.lab]] if options.lab else list(LABS.values()))
    except NeedsHelp as problem:
        print(f"\nCannot go on: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
