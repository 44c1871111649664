#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Keep an application's releases side by side on a host
version_added: 0.1.0
description:
  - Keeps C(releases/VERSION) side by side under O(path), with a link C(current) to the one in force, and beside them
    the files that systemd reads, which are an environment, secrets and a unit.
  - Going from one release to the next is a small transaction. O(state=staged) brings everything onto the host and
    leaves what is in force alone. O(state=active) exchanges the files and the link, after writing down what was in
    force before. O(state=confirmed) ends the transaction and O(state=reverted) rolls it back. The next run notices one
    that broke off in between.
  - Unless O(run) is set, it starts and stops nothing. The role P(scaleout.platform.app#role) takes the hosts through
    the states one after another.
options:
  name:
    description: Name of the application; the defaults of the paths follow from it.
    type: str
    required: true
  state:
    description:
      - With V(shown) nothing is changed; RV(releases) are those that are there.
      - With V(staged) the release is unpacked when it is missing, and files that differ are laid beside those in
        force. RV(pending) tells whether V(active) and a restart have to follow.
      - With V(prepared) O(command) is run as the process itself would be, unless that has succeeded before for this
        release on this host. Of the hosts of a run that need it, one runs it and is changed, and the others note that
        it was run.
      - With V(active) what was staged is put in force.
      - With V(confirmed) the transaction ends, and surplus releases are removed.
      - With V(reverted) what was in force before V(active) is put back.
      - With V(absent) releases, link, environment, secrets and unit are removed.
    type: str
    choices: [shown, staged, prepared, active, confirmed, reverted, absent]
    default: staged
  version:
    description:
      - Name of the release, which becomes a directory's.
      - A release never changes. The same version with another O(digest) is refused; one whose files were edited on
        the host is unpacked again.
    type: str
  digest:
    description: What the release must contain, as M(scaleout.platform.release_archive) returns it.
    type: str
  archive:
    description:
      - Archive of M(scaleout.platform.release_archive) on the controller. It is transferred only to hosts that lack
        it.
    type: path
  exclude:
    description:
      - What M(scaleout.platform.release_archive) left out of the archive. Files that match may appear below a release
        without making it count as edited.
    type: list
    elements: str
    default:
      [.git, .hg, .svn, .venv, __pycache__, '*.pyc', .mypy_cache, .pytest_cache, .ruff_cache, .DS_Store]
  environment:
    description: Environment variables, as text, numbers or booleans. Each value arrives as it is, or is refused.
    type: dict
    default: {}
  default_environment:
    description: As O(environment), for what neither O(environment) nor O(secrets) has, such as an image's own.
    type: dict
    default: {}
  secrets:
    description: Environment variables that no one else may see; they have a file of their own that only root can read.
    type: dict
    default: {}
  schema_serves:
    description:
      - The oldest version whose schema the release's own still serves, as dotted numbers such as V(1.4). It is noted
        with the release, and a version that is older cannot be gone back to.
      - A release that makes its own way back impossible is staged with a warning.
    type: str
    default: ""
  facts:
    description: What else is to be known of the release once only its directory is there, such as how an image is run.
    type: dict
    default: {}
  registration:
    description:
      - File in which Consul's agent reads the service. V(active) keeps what it says, V(reverted) puts that back and has
        the agent read it.
    type: path
  unit:
    description: Text of the systemd unit. C(systemd-analyze verify) checks it before it is staged.
    type: str
  limits:
    description:
      - What the process may use, in the terms of container engines; written into the unit in systemd's terms.
      - C(memory_min), C(memory_max) and C(memory_swap_max) in bytes, or with K, M, G or T. C(memory_swap_max) is swap
        alone, not the sum with memory.
      - C(cpu_shares), of which a process without any has 1024, become C(CPUWeight) (100).
      - C(cpu_quota) in microseconds of each 100000.
      - C(open_files), files and connections together.
    type: dict
    default: {}
  workers:
    description:
      - Processes of the same release beside the one of O(unit), each with a unit C(NAME-WORKER.service) and a file
        C(WORKER.environment) under O(config_path). Those of a worker that is not listed are removed with V(active).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the worker.
        type: str
        required: true
      unit:
        description: As O(unit).
        type: str
        required: true
      environment:
        description: As O(environment), for the worker alone.
        type: dict
        default: {}
      limits:
        description: As O(limits).
        type: dict
        default: {}
  health:
    description: Read the state of the application once, with V(staged) or V(shown); see RV(health) and RV(turn).
    type: dict
    suboptions:
      port:
        description: Port on which it listens.
        type: int
        required: true
      path:
        description: Path that answers 2xx when it is healthy.
        type: str
        default: /healthz
      host:
        description: The C(Host) header of the request, for an application that answers to its own name only.
        type: str
        default: ""
      check_timeout:
        description: Seconds that one answer of the path may take.
        type: float
        default: 5.0
      steady_time:
        description: Seconds that a worker has to run.
        type: float
        default: 3.0
  run:
    description:
      - Start or restart the units with V(active), enable the application's, and stop those of workers that are no
        longer desired. With V(reverted) run what ran before, and with V(absent) stop all.
      - A process that does not start is no error here; M(scaleout.platform.health_gate) says why it did not.
    type: bool
    default: false
  command:
    description:
      - What V(prepared) runs. A first word with a slash, but not in front, is the release's own.
      - Its environment and secrets are those that were staged, or else those in force.
    type: list
    elements: str
    default: []
  user:
    description: Account that O(command) runs as; without it O(name).
    type: str
  working_directory:
    description: Where O(command) runs; without it in the release.
    type: str
  root:
    description: Whether the release is a root directory of its own, as that of an image is.
    type: bool
    default: false
  timeout:
    description: Seconds that O(command) may take.
    type: int
    default: 600
  keep:
    description:
      - How many releases to keep. The one in force counts, and it and the one before it are always kept.
    type: int
    default: 5
  path:
    description: Directory of the releases; without it C(/srv/NAME).
    type: path
  config_path:
    description: Directory of environment and secrets; without it C(/etc/NAME).
    type: path
  unit_path:
    description: File of the unit; without it C(/etc/systemd/system/NAME.service).
    type: path
  state_path:
    description: Directory that the application writes, home of its account; without it C(/var/lib/NAME).
    type: path
  account:
    description:
      - Whether the application has an account of its own, named like it.
      - An account, a state directory or a unit of that name that belong to something else are a reason to refuse the
        name, as are files in O(config_path) that this module does not write.
    type: bool
    default: true
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
  - scaleout.platform.attributes.action
notes:
  - Diff mode shows environment and unit, and of secrets only that they differ.
author:
  - The scaleout.platform team (@scaleout)
seealso:
  - module: scaleout.platform.release_archive
  - module: community.general.deploy_helper
    description: Keeps releases and the link as well; it leaves unpacking, files, the way back and the checks to
      others.
"""

EXAMPLES = r"""
- name: Bring the release onto the host
  scaleout.platform.release:
    name: shop
    version: "{{ shop.version }}"
    digest: "{{ shop.digest }}"
    archive: "{{ shop.path }}"
    environment:
      PORT: 8000
    secrets:
      DATABASE_PASSWORD: "{{ shop_database_password }}"
    unit: "{{ lookup('ansible.builtin.template', 'shop.service.j2') }}"
  register: release

- name: Put it in force
  scaleout.platform.release:
    name: shop
    version: "{{ shop.version }}"
    state: active
  when: release.pending
"""

RETURN = r"""
releases:
  description: The releases that are there, each with its C(digest), when it was C(noted), and what was noted of it.
  returned: O(state=shown)
  type: dict
  sample: {"1.4": {"digest": "8f434346648f6b96", "noted": 1764385200.0, "schema_serves": "1.3"}}
unconfirmed:
  description: Whether a change is neither confirmed nor reverted. RV(fallback) is what it goes back to.
  returned: O(state=shown)
  type: bool
pending:
  description: Whether what is in force, or what a run that was cut short left behind, is not yet what is wanted.
  returned: O(state=staged)
  type: bool
missing:
  description: Whether the archive is needed to get there.
  returned: O(state=staged)
  type: bool
fallback:
  description: The version that V(reverted) would go back to after V(active), or none.
  returned: O(state=staged), O(state=shown) or O(state=reverted)
  type: str
  sample: 0e5751c026e5
fallback_workers:
  description: The workers that belong to RV(fallback).
  returned: O(state=staged)
  type: list
  elements: str
surplus_workers:
  description:
    - The workers that may be running and are not wanted; with O(state=absent) all that may be running. To stop them is
      the caller's.
  returned: O(state=staged) or O(state=absent)
  type: list
  elements: str
account_missing:
  description: Whether O(account) is set and the account is not there.
  returned: O(state=staged)
  type: bool
restored:
  description: Whether there was anything to put back.
  returned: O(state=reverted)
  type: bool
prepared:
  description: Whether the release has been prepared on this host.
  returned: O(state=staged) or O(state=prepared)
  type: bool
current:
  description: The version that C(current) points at once the task is done, or none.
  returned: success
  type: str
  sample: 8f434346648f
previous:
  description: The version that was in force before it, or none.
  returned: success
  type: str
  sample: 0e5751c026e5
path:
  description: Directory of the release O(version).
  returned: O(state=staged)
  type: str
  sample: /srv/shop/releases/8f434346648f
health:
  description: How the application is, as M(scaleout.platform.health_gate) returns it.
  returned: O(state=staged) or O(state=shown) with O(health)
  type: dict
  sample: {active: true, enabled: true, idle_workers: [], ready: true, reason: ""}
turn:
  description:
    - Which part the host takes in the rollout. V(drain) means that it serves and has to leave the load balancers before
      it changes, V(start) that it can start at once.
  returned: O(state=staged) with O(health)
  type: str
  sample: none
held:
  description: Whether the host stays as it is, because the command failed on another one; RV(broken_by) names it.
  returned: O(state=prepared)
  type: bool
broken_by:
  description: The host that failed.
  returned: when RV(held)
  type: str
fallback_units:
  description: The units of the workers that belong to RV(fallback).
  returned: O(state=reverted)
  type: list
  elements: str
code:
  description: Why the task failed or the host is held, such as C(prepare_failed), C(held) or C(refused).
  returned: failure, or when held
  type: str
  sample: prepare_failed
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_releases import STATES, task_of
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import JUNK


def main() -> None:
    run(
        lambda module: task_of(module.params),
        {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES), "default": "staged"},
            "version": {"type": "str"},
            "digest": {"type": "str"},
            "archive": {"type": "path"},
            "exclude": {"type": "list", "elements": "str", "default": list(JUNK)},
            "environment": {"type": "dict", "default": {}},
            "default_environment": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "schema_serves": {"type": "str", "default": ""},
            "facts": {"type": "dict", "default": {}},
            "registration": {"type": "path"},
            "unit": {"type": "str"},
            "limits": {"type": "dict", "default": {}},
            "workers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "unit": {"type": "str", "required": True},
                    "environment": {"type": "dict", "default": {}},
                    "limits": {"type": "dict", "default": {}},
                },
            },
            "health": {
                "type": "dict",
                "options": {
                    "port": {"type": "int", "required": True},
                    "path": {"type": "str", "default": "/healthz"},
                    "host": {"type": "str", "default": ""},
                    "check_timeout": {"type": "float", "default": 5.0},
                    "steady_time": {"type": "float", "default": 3.0},
                },
            },
            "run": {"type": "bool", "default": False},
            "command": {"type": "list", "elements": "str", "default": []},
            "user": {"type": "str"},
            "working_directory": {"type": "str"},
            "root": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 600},
            "keep": {"type": "int", "default": 5, "no_log": False},
            "path": {"type": "path"},
            "config_path": {"type": "path"},
            "unit_path": {"type": "path"},
            "state_path": {"type": "path"},
            "account": {"type": "bool", "default": True},
        },
        required_if=[
            ("state", "staged", ("version", "digest", "unit")),
            ("state", "active", ("version",)),
            ("state", "prepared", ("version",)),
        ],
    )


if __name__ == "__main__":
    main()
