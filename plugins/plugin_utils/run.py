# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which run of ``ansible-playbook`` this is, and whether another one on this machine still lives."""

from __future__ import annotations

import getpass
import os
import socket
import typing as t

from ansible import constants, context

from ansible_collections.scaleout.platform.plugins.plugin_utils.watchdog import started

#: What all forks of one run share and no other run does.
FOLDER: str = constants.DEFAULT_LOCAL_TMP
#: The name of this run, as its lease has it.
ID: str = os.path.basename(FOLDER)


def machine() -> str:
    """Identify the kernel's boot and the namespace that ids of processes are of: containers may share a kernel."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        boot = stream.read().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def is_dead(holder: t.Mapping[str, t.Any]) -> bool:
    """Whether the process of a lease's holder ran on this very machine and has ended."""
    if (holder.get("host"), holder.get("machine")) != (socket.gethostname(), machine()):
        return False
    pid = holder.get("pid")
    # Who wrote something else there is not known to be dead.
    return isinstance(pid, int) and started(pid) != holder.get("started")


def holder() -> dict[str, t.Any]:
    """Describe this run as the holder of a lease, from an action plugin: a fork of the run's own process."""
    pid = os.getppid()
    playbooks: t.Sequence[str] = context.CLIARGS.get("args") or ()
    return {
        "run": ID,
        "playbook": " ".join(os.path.basename(path) for path in playbooks) or "ansible-playbook",
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "machine": machine(),
        "pid": pid,
        "started": started(pid) or "",
    }
