# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pack a directory, an archive or an image into the archive of a release."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.releases import engine, files, sources
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import (
    FILE,
    VERSION_LENGTH,
    digest,
)


class PackRelease(Task):
    """Reads the source, and packs it where the archive holds anything else.

    :param params: the options of the module ``release_archive``.
    :param run: runs a command.
    :raises InvalidInput: an option that can never work.
    """

    def __init__(self, params: t.Mapping[str, t.Any], run: engine.Run) -> None:
        self._params = params
        self._run = run
        self._dest: str = os.path.abspath(self._params["dest"])
        self._open = contextlib.ExitStack()
        if os.path.isdir(self._dest):
            raise InvalidInput("dest", self._dest, "is a directory; name the file to write")
        if self._params["strip_components"] < 0:
            raise InvalidInput("strip_components", self._params["strip_components"], "must not be below 0")

    def plan(self) -> Plan:
        self._source = self._read()
        command, programs = self._commands(self._source)
        wanted, found = digest(self._source.entries), self._digest_of_dest()
        return Plan(
            before={"path": self._dest, "digest": found},
            after={"path": self._dest, "digest": wanted},
            actions=() if found == wanted else ("pack",),
            result={
                "digest": wanted,
                "version": wanted[:VERSION_LENGTH],
                "path": self._dest,
                "files": sum(entry.kind == FILE for entry in self._source.entries),
                "command": command,
                "programs": programs,
                "image": self._source.image,
                "release": self._source.release,
            },
        )

    def _read(self) -> sources.Source:
        path, kind, exclude = self._params["src"], self._params["kind"], self._params["exclude"]
        if kind == "directory":
            return sources.directory(path, exclude)
        if kind == "release":
            return sources.release(path, exclude)
        if kind == "archive":
            return sources.archive(path, exclude, self._params["strip_components"], self._open)
        if kind == "reference":
            path = engine.save(path, self._params["engine"], self._run, self._open)
        return sources.image(path, self._params["mounts"], self._open)

    def _commands(self, source: sources.Source) -> tuple[list[str], dict[str, str]]:
        """Return the command to run, and what the first words of all commands stand for."""
        command = self._params["command"] or (source.image or {}).get("command", [])
        if source.image and not command:
            raise Refused(f"{source.name} has no command of its own, and none was given.", code="unfit_source")
        words = {*command[:1], *self._params["programs"]}
        return command, {word: source.program(word) for word in sorted(words)}

    def _digest_of_dest(self) -> str | None:
        """Return the digest of what is there; an archive that cannot be read is as good as none."""
        if not os.path.exists(self._dest):
            return None
        try:
            return digest(files.entries_of(self._dest))
        except Refused:
            return None

    def apply(self, _plan: Plan) -> None:
        files.pack(self._source.read, self._source.entries, self._dest)

    def close(self) -> None:
        self._open.close()
