# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the command that prepares a release is run: as the process itself would be; pure."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t


@dataclasses.dataclass(frozen=True)
class Preparation:
    """A command of a release.

    :param name: of the application.
    :param user: the account that it runs as.
    :param command: its words. The first one is absolute, looked up in the system's path, or below the release.
    :param timeout: seconds after which systemd ends it.
    :param root: whether the release is a root directory of its own, as that of an image is.
    :param directory: its working directory; empty for the release's own.
    """

    name: str
    user: str
    command: t.Sequence[str]
    timeout: int
    root: bool = False
    directory: str = ""


def argv(wanted: Preparation, path: str, environment_files: t.Sequence[str]) -> list[str]:
    """Return the command line for systemd: the process's user, environment, secrets and sandbox, and the new release.

    :param path: the release.
    :param environment_files: read by systemd, so that no secret is on the command line.
    """
    words = list(wanted.command)
    if "/" in words[0] and not words[0].startswith("/"):
        words[0] = posixpath.join(path, words[0])
    options = [
        "--quiet",
        "--pipe",
        "--wait",
        "--collect",
        "--service-type=exec",
        f"--unit={wanted.name}-prepare",
        f"--uid={wanted.user}",
        f"--working-directory={wanted.directory or path}",
    ]
    properties = [
        f"RuntimeMaxSec={wanted.timeout}",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        f"StateDirectory={wanted.name}",
    ]
    if wanted.root:
        properties += [f"RootDirectory={path}", "MountAPIVFS=yes", "BindReadOnlyPaths=-/etc/resolv.conf -/etc/hosts"]
    properties += [f"EnvironmentFile={file}" for file in environment_files]
    return ["systemd-run", *options, *(f"--property={each}" for each in properties), "--", *words]
