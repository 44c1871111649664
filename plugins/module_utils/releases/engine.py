# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a container engine on this machine for the files of an image."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused

ENGINES = ("docker", "podman")
#: Not what a command could take for one of its options.
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*\Z")

#: Runs a command; returns its status, what it said and what it complained of. ``AnsibleModule.run_command`` is one.
Run = t.Callable[[list[str]], tuple[int, str, str]]


def save(reference: str, engine: str, run: Run, stack: contextlib.ExitStack) -> str:
    """Have an engine save an image, and return the file.

    :param reference: the image's name. It is pulled when the engine does not have it.
    :param engine: one of :data:`ENGINES`, or ``auto``.
    :param stack: what the file is there for.
    :raises Refused: there is no engine, or it cannot.
    """
    if not _REFERENCE.match(reference):
        raise InvalidInput("src", reference, "is no name of an image")
    chosen = next((name for name in ENGINES if engine in ("auto", name) and shutil.which(name)), None)
    if chosen is None:
        wanted = " nor ".join(ENGINES) if engine == "auto" else engine
        raise Refused(
            f"The image {reference} cannot be saved, for there is no {wanted} on this machine; save it elsewhere and "
            f"name the file instead.",
            code="no_engine",
            reference=reference,
        )
    if run([chosen, "image", "inspect", reference])[0]:
        _do(run, [chosen, "pull", "--quiet", reference], f"{chosen} has no image {reference} and cannot pull it")
    file = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "image.tar")
    _do(run, [chosen, "save", "--output", file, reference], f"{chosen} cannot save the image {reference}")
    return file


def _do(run: Run, command: list[str], otherwise: str) -> None:
    status, said, complained = run(command)
    if status:
        raise Refused(f"{otherwise}: {' '.join((complained or said).split()).rstrip('.')}.", code="engine_failed")
