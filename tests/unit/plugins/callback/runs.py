# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs of ansible-playbook with the callback, on this machine alone."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import textwrap
import time
import typing as t

from tests.unit.redis_server import PASSWORD, ROOT

#: This collection, and those that the pinned package ``ansible`` brings; tools/ci/cores.py says where they are.
COLLECTIONS = os.environ.get("ANSIBLE_COLLECTIONS_PATH", f"{ROOT}/.ansible/collections:{sysconfig.get_path('purelib')}")

#: Something that takes samples, as service_metrics_info does, without a host to look at.
TAKE_SAMPLE = """
from ansible.plugins.action import ActionBase
import time

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        args = self._task.args
        host = task_vars["inventory_hostname"]
        result["sample"] = {
            "timestamp": time.time(),
            "service": args.get("service", "shop"),
            "instance": f"{host}{args.get('suffix', '')}",
            "metrics": {"cpu": {"usage": 12.5}, "note": args.get("note", "")},
        }
        result["payload"] = "x" * int(args.get("size", 0))
        if args.get("fail"):
            result.update(failed=True, msg=args["fail"], code=args.get("code", "no_such"))
        return result
"""


class Run(t.NamedTuple):
    """What a run did.

    :param said: all that it printed, on one line.
    :param warnings: its warnings that are ours.
    """

    status: int
    said: str
    warnings: list[str]
    seconds: float


class Project:
    """A folder with a playbook, an inventory and what takes samples.

    :param port: of the store; none for a run without one.
    :param hosts: how many there are, all of them this machine.
    """

    def __init__(self, folder: pathlib.Path, port: int | None = None, hosts: int = 2):
        self.folder = folder
        (folder / "action_plugins").mkdir(parents=True)
        (folder / "action_plugins/take_sample.py").write_text(TAKE_SAMPLE, encoding="utf-8")
        names = "\n".join(f"shop{number}" for number in range(1, hosts + 1))
        python = f"ansible_python_interpreter={sys.executable}"
        self.inventory = folder / "hosts"
        self.inventory.write_text(f"[shop]\n{names}\n[all:vars]\nansible_connection=local\n{python}\n")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SCALEOUT_"))}
        self.environment = {
            **kept,
            "HOME": str(folder),
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACKS_ENABLED": "scaleout.platform.push_metrics",
            "COLUMNS": "1000",
            "SCALEOUT_STORE_PASSWORD": PASSWORD,
        }
        if port:
            self.environment |= {"SCALEOUT_STORE_HOST": "127.0.0.1", "SCALEOUT_STORE_PORT": str(port)}

    def play(self, text: str, *words: str, name: str = "collect.yml", **environment: str) -> Run:
        """Run a playbook.

        :param words: more of the command line.
        :param environment: more of the environment.
        """
        (self.folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
        began = time.monotonic()
        done = subprocess.run(
            ["ansible-playbook", "-i", str(self.inventory), name, *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        seconds = time.monotonic() - began
        said = re.sub(r"\s+", " ", done.stdout + done.stderr)
        warnings = re.findall(r"\[WARNING\]: push_metrics: ([^\n]*)", done.stderr)
        return Run(done.returncode, said, warnings, seconds)


#: The least that takes a sample of each host.
COLLECT = """
- name: Collect
  hosts: all
  gather_facts: false
  tasks:
    - name: Take a sample
      take_sample:
"""
