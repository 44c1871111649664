#!/usr/bin/env python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuses a secret in a task's ``environment`` or on a command line.

Both become part of a command line: that of sudo, which the journal keeps, whatever ``no_log`` says, and that of the
process, which everyone on the host can read. A secret goes by stdin, by a file, or as a module's option.
"""

from __future__ import annotations

import pathlib
import re
import sys
from collections.abc import Iterator

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACES = ("playbooks/**/*.yml", "roles/*/tasks/**/*.yml", "roles/*/handlers/*.yml", "examples/**/*.yml")
#: A name that a secret has, in an environment or among variables.
SECRET = re.compile(
    r"passw|passphrase|secret|token|auth(?!or)|api_?key|private_?key|gossip_?key|credential", re.IGNORECASE
)
#: What names a place or a question, not the secret itself.
HARMLESS = re.compile(r"_?(file|path|dir|url|address|name|user|id|length|_is_set)$", re.IGNORECASE)
COMMANDS = ("command", "shell", "raw", "script", "expect")
TEMPLATE = re.compile(r"{{.*?}}|{%.*?%}", re.DOTALL)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
NAME = re.compile(r"[A-Za-z_]\w*")


def is_secret(name: str) -> bool:
    """Tell whether a variable of this name holds a secret."""
    return bool(SECRET.search(name)) and not HARMLESS.search(name)


def named(text: str) -> list[str]:
    """Return the secret variables that a text's templates name."""
    found = [name for part in TEMPLATE.findall(text) for name in NAME.findall(QUOTED.sub("", part))]
    return [name for name in dict.fromkeys(found) if is_secret(name)]


def faults(node: object) -> Iterator[str]:
    """Find them in plays, blocks and tasks; yields a sentence each."""
    if isinstance(node, list):
        for each in node:
            yield from faults(each)
    if not isinstance(node, dict):
        return
    title = node.get("name", "a task")
    yield from (f"{title!r} has {name} in its environment, which sudo's command line shows" for name in in_env(node))
    yield from (
        f"{title!r} has {name} on a command line, which everyone on the host can read" for name in in_argv(node)
    )
    for part in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
        yield from faults(node.get(part))


def in_env(node: dict) -> Iterator[str]:
    """Find the variables of a task's environment that hold a secret, by their name or by their value."""
    environment = node.get("environment")
    for entry in environment if isinstance(environment, list) else [environment]:
        for name, value in entry.items() if isinstance(entry, dict) else ():
            if is_secret(str(name)) or named(str(value)):
                yield str(name)


def in_argv(node: dict) -> Iterator[str]:
    """Find the secrets on a task's command line."""
    for module, options in node.items():
        if str(module).rpartition(".")[2] in COMMANDS:
            yield from named(str(options.get("argv", options.get("cmd")) if isinstance(options, dict) else options))


def main() -> int:
    """Look through all playbooks and roles; return the exit status."""
    found = [
        f"{path.relative_to(ROOT)}: {fault}."
        for place in PLACES
        for path in sorted(ROOT.glob(place))
        for fault in faults(yaml.safe_load(path.read_text(encoding="utf-8")))
    ]
    print("\n".join(found) or "No secret in an environment or on a command line.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
