# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pack what playbooks need on a control node: this collection, an inventory and Ansible's configuration."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import posixpath
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.releases import files
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import (
    DIRECTORY,
    FILE,
    JUNK,
    Entry,
    digest,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import control

#: Left out of an inventory, which Ansible does not read either: a cache, what an editor left behind.
EXCLUDED = (*JUNK, ".*", "*~", "*.retry")
#: What of a collection is run. A checkout has more: tests, environments, keys of its labs.
_FOLDERS = ("meta", "playbooks", "plugins", "roles")
_MANIFESTS = ("MANIFEST.json", "galaxy.yml")
_COLLECTION = "collections/ansible_collections/scaleout/platform"
_INVENTORIES = "inventories"


class Project:
    """Entries, and where each file of them is read.

    :param configuration: the text of ``ansible.cfg``.
    """

    def __init__(self, configuration: str) -> None:
        text = configuration.encode()
        self.entries = [Entry("ansible.cfg", FILE, sha256=hashlib.sha256(text).hexdigest())]
        self._texts = {"ansible.cfg": text}
        self._paths: dict[str, str] = {}

    @property
    def digest(self) -> str:
        """What identifies the project: equal contents have an equal one."""
        return digest(self.entries)

    def folder(self, source: str, place: str, exclude: t.Sequence[str]) -> None:
        """Take a directory in, links followed."""
        self._directory(place)
        for entry in files.scan(source, exclude):
            self.entries.append(dataclasses.replace(entry, path=f"{place}/{entry.path}"))
            self._paths[f"{place}/{entry.path}"] = os.path.join(source, entry.path)

    def file(self, source: str, place: str) -> None:
        """Take one file in."""
        with open(source, "rb") as stream:
            self._texts[place] = stream.read()
        self.entries.append(Entry(place, FILE, sha256=hashlib.sha256(self._texts[place]).hexdigest()))

    def _directory(self, place: str) -> None:
        """Add the directory and those above it, each once."""
        if not place or any(entry.path == place for entry in self.entries):
            return
        self._directory(posixpath.dirname(place))
        self.entries.append(Entry(place, DIRECTORY))

    def write(self, archive: str) -> None:
        """Write the archive."""
        files.pack(self._read, self.entries, archive)

    def _read(self, path: str) -> tuple[t.BinaryIO, int]:
        if path in self._texts:
            return io.BytesIO(self._texts[path]), len(self._texts[path])
        stream = open(self._paths[path], "rb")  # noqa: SIM115 (whoever reads closes it)
        return stream, os.fstat(stream.fileno()).st_size


def gather(collection: str, inventory: str, home: str, has_vault: bool) -> Project:
    """Read a project.

    :param collection: the folder of the collection, installed or checked out.
    :param inventory: the folder of the inventory.
    :param home: where the control node keeps it.
    :param has_vault: whether the inventory has a vault whose password is there as well.
    :raises InvalidInput: there is no such inventory.
    :raises Refused: something of it cannot be read.
    """
    inventory = os.path.abspath(inventory)
    if not os.path.isdir(inventory):
        raise InvalidInput("inventory", inventory, "is not a folder")
    place = f"{_INVENTORIES}/{os.path.basename(inventory)}"
    found = Project(control.configuration(home, place, has_vault))
    for name in _FOLDERS:
        found.folder(os.path.join(collection, name), f"{_COLLECTION}/{name}", (*JUNK, ".*"))
    for name in _MANIFESTS:
        if os.path.exists(os.path.join(collection, name)):
            found.file(os.path.join(collection, name), f"{_COLLECTION}/{name}")
    found.folder(inventory, place, EXCLUDED)
    return found
