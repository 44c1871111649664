#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Pack an application into an archive that is the same each time
version_added: 0.1.0
description:
  - Packs a directory, another archive or the image of a container into a C(tar.gz) whose bytes depend on nothing but
    what is in it. Names are sorted, owner and time are fixed, modes are C(0755) for directories and executable files
    and C(0644) for the rest.
  - In a directory, links are followed, wherever they lead, so that the archive stands alone. In archives and images
    links stay what they are.
  - An image's layers are laid one over another, with what they hide. Owners, devices and special bits of modes are no
    part of a release. No engine is needed, but for O(kind=reference).
  - The digest tells what is in it. It does not change with the time of packing, the owner of the files or the
    compression, and its first digits make a good version for a release.
  - Run it on the controller, with C(delegate_to=localhost). Check mode computes the digest and writes nothing.
options:
  src:
    description:
      - Directory or file to pack, or with O(kind=reference) the name of an image, such as V(registry.example/shop:1.4).
      - In a directory, a broken link, a file that cannot be read, or a socket is an error. In an archive, it is an
        entry or a link that leads out of it, or what is neither file, directory nor link.
    type: path
    required: true
  kind:
    description:
      - What O(src) is. An V(archive) is a tar, packed by gzip, bzip2 or xz or not at all, or a zip. An V(image) is what
        C(docker save) or C(podman save) writes, or an OCI layout in a tar.
      - With V(reference), O(engine) on this machine saves the image, and first pulls one that it has not.
      - A V(release) is what M(scaleout.platform.release) has put in force on the host that this runs on; O(src) is the
        directory of the releases, such as C(/srv/shop).
    type: str
    choices: [directory, archive, image, reference, release]
    default: directory
  strip_components:
    description: How many leading directories of each path in an V(archive) to drop.
    type: int
    default: 0
  engine:
    description: What saves an image that is named; V(auto) is the first of the two that is installed.
    type: str
    choices: [auto, docker, podman]
    default: auto
  command:
    description: The command to be run; without one, that of the image.
    type: list
    elements: str
    default: []
  programs:
    description:
      - First words of other commands to be run. That of a path below the release, such as C(bin/serve), must be there
        and executable. In an image, that is so of all; they are looked up by its C(PATH).
    type: list
    elements: str
    default: []
  mounts:
    description:
      - Absolute paths that something will be mounted over, so that they have to be in an image's release. C(/proc) and
        the like are made in any case.
    type: list
    elements: str
    default: []
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
    src: shop
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
command:
  description: O(command), or that of the image.
  returned: success
  type: list
  elements: str
programs:
  description: What the first word of each command stands for, which in an image is an absolute path in it.
  returned: success
  type: dict
  sample: {httpd: /usr/sbin/httpd}
image:
  description:
    - What an image asks for besides its files, which is C(command), C(environment), C(working_directory), C(user) and
      C(volumes); or none.
  returned: success
  type: dict
release:
  description: The name of the release in force, with O(kind=release); otherwise empty.
  returned: success
  type: str
  sample: 8f434346648f
files:
  description: How many files the archive holds.
  returned: success
  type: int
  sample: 21
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.pack_release import PackRelease
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import JUNK

KINDS = ["directory", "archive", "image", "reference", "release"]


def main() -> None:
    run(
        lambda module: PackRelease(module.params, module.run_command),
        {
            "src": {"type": "path", "required": True},
            "kind": {"type": "str", "choices": KINDS, "default": "directory"},
            "dest": {"type": "path", "required": True},
            "exclude": {"type": "list", "elements": "str", "default": list(JUNK)},
            "strip_components": {"type": "int", "default": 0},
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "command": {"type": "list", "elements": "str", "default": []},
            "programs": {"type": "list", "elements": "str", "default": []},
            "mounts": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
