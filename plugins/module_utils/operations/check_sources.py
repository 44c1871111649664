# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what a run deploys is on the controller, before any host is touched; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_platform import chosen
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem

DIRECTORY = "directory"
FILE = "file"
#: What each key of an entry has to name, as ``release_archive`` reads it.
KINDS = {"source": DIRECTORY, "archive": FILE, "image_archive": FILE}


def problems(
    platform: Platform,
    hosts: t.Iterable[str],
    tags: t.Collection[str],
    skipped: t.Collection[str],
    folder: str,
    look: t.Callable[[str], str],
) -> list[Problem]:
    """Name each source of an application that is not there, or is something else, with the path that is looked for.

    :param hosts: those that the run is about.
    :param tags: of the run, as :func:`check_platform.chosen` takes them; without its applications nothing is deployed.
    :param folder: of the controller, where relative paths begin.
    :param look: returns what is at a path: :data:`DIRECTORY`, :data:`FILE`, or an empty text.
    """
    found: dict[tuple[str, str, str], Problem] = {}
    for host in hosts:
        for name, settings in chosen(platform, host, tags, skipped, folder)["settings"].items():
            for key, kind in KINDS.items():
                path = settings[key]
                if not isinstance(path, str) or not path or (name, key, path) in found:
                    continue
                there = look(path)
                if there != kind:
                    fault = f"which is no {kind}" if there else "which does not exist on the controller"
                    text = f"applications: {name}: {key} is {path}, {fault}"
                    if path.startswith(f"{folder}/"):
                        text += f"; a relative path begins in {folder}, where ansible-playbook was started"
                    found[name, key, path] = Problem("missing_source", "", text)
    return list(found.values())
