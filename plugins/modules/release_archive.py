#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Pack an application's directory into an archive that is the same each time
version_added: 0.1.0
description:
  - Packs a directory into a C(tar.gz) whose bytes depend on nothing but the files in it. Names are sorted, owner and
    time are fixed, modes are C(0755) for directories and executable files and C(0644) for the rest.
  - Links are followed, wherever they lead, so that the archive stands alone.
  - The digest tells what is in it. It does not change with the time of packing, the owner of the files or the
    compression, and its first digits make a good version for a release.
  - Run it on the controller, with C(delegate_to=localhost). Check mode computes the digest and writes nothing.
options:
  src:
    description:
      - Directory to pack.
      - A broken link, a file that cannot be read, or a socket in it is an error.
    type: path
    required: true
  dest:
    description:
      - File to write. Missing directories above it are made.
      - It is written only when it does not hold the same contents already, and is never there half written.
    type: path
    required: true
  exclude:
    description:
      - Patterns of what to leave out. One with a slash is compared with the whole path below O(src), another one with
        the name alone, at any depth.
    type: list
    elements: str
    default:
      [.git, .hg, .svn, .venv, __pycache__, '*.pyc', .mypy_cache, .pytest_cache, .ruff_cache, .DS_Store]
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
author:
  - The scaleout.platform team (@scaleout)
seealso:
  - module: scaleout.platform.release
"""

EXAMPLES = r"""
- name: Pack the shop once for all hosts
  scaleout.platform.release_archive:
    src: "{{ playbook_dir }}/../shop"
    dest: ~/.cache/scaleout/shop.tar.gz
  delegate_to: localhost
  run_once: true
  register: shop

- name: Show what would be released
  ansible.builtin.debug:
    msg: "Version {{ shop.version }}, {{ shop.files }} files."
"""

RETURN = r"""
digest:
  description: SHA-256 of the contents, as 64 hexadecimal digits.
  returned: success
  type: str
  sample: 8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4
version:
  description: The first 12 digits of RV(digest).
  returned: success
  type: str
  sample: 8f434346648f
path:
  description: The archive, as an absolute path.
  returned: success
  type: str
  sample: /home/ann/.cache/scaleout/shop.tar.gz
files:
  description: How many files the archive holds.
  returned: success
  type: int
  sample: 21
"""

import os
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.module import Task, run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.releases import files
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import (
    FILE,
    JUNK,
    VERSION_LENGTH,
    Entry,
    digest,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class ReleaseArchive(Task):
    def __init__(self, module: AnsibleModule) -> None:
        self._src: str = module.params["src"]
        self._dest: str = os.path.abspath(module.params["dest"])
        self._exclude: list[str] = module.params["exclude"]
        self._entries: list[Entry] = []
        if os.path.isdir(self._dest):
            raise InvalidInput("dest", self._dest, "is a directory; name the file to write")

    def plan(self) -> Plan:
        self._entries = files.scan(self._src, self._exclude)
        wanted, found = digest(self._entries), self._digest_of_dest()
        return Plan(
            before={"path": self._dest, "digest": found},
            after={"path": self._dest, "digest": wanted},
            actions=() if found == wanted else ("pack",),
            result={
                "digest": wanted,
                "version": wanted[:VERSION_LENGTH],
                "path": self._dest,
                "files": sum(entry.kind == FILE for entry in self._entries),
            },
        )

    def _digest_of_dest(self) -> str | None:
        """Return the digest of what is there; an archive that cannot be read is as good as none."""
        if not os.path.exists(self._dest):
            return None
        try:
            return digest(files.entries_of(self._dest))
        except Refused:
            return None

    def apply(self, _plan: Plan) -> None:
        files.pack(self._src, self._entries, self._dest)


def main() -> None:
    run(
        ReleaseArchive,
        {
            "src": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "exclude": {"type": "list", "elements": "str", "default": list(JUNK)},
        },
    )


if __name__ == "__main__":
    main()
