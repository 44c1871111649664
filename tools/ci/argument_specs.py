# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Holds every role's meta/argument_specs.yml against its defaults/main.yml and its task files.

Ansible reads a default from defaults/main.yml only; the one in the specification is what people read. So both must
name the same variables with the same values. An option without a default is either required or unset by default
(absent from the defaults, or null there). A default that is a template is no value that people could read: the
specification states none, and its description says in words what applies by default.
"""

from __future__ import annotations

import pathlib
import sys

import yaml

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


def load(path: pathlib.Path) -> dict:
    """Return the mapping in a YAML file; an absent or empty file is an empty one."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


def is_template(value: object) -> bool:
    """Tell whether a value is a template, or has one anywhere within."""
    if isinstance(value, dict):
        return any(map(is_template, [*value, *value.values()]))
    if isinstance(value, list):
        return any(map(is_template, value))
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def faults(specs: dict, defaults: dict, entry_files: set[str]) -> list[str]:
    """Return one sentence for each disagreement of a role.

    :param specs: the ``argument_specs`` mapping, by entry point.
    :param defaults: the role's default variables.
    :param entry_files: the names of its task files, without their suffix.
    """
    found = [f"entry point {entry} has no tasks/{entry}.yml" for entry in specs if entry not in entry_files]
    documented = set()
    for entry, spec in specs.items():
        for name, option in spec.get("options", {}).items():
            documented.add(name)
            told, real = option.get("default"), defaults.get(name)
            if is_template(told):
                found.append(f"{name} in {entry} is documented with a template: say in its description what it means")
            elif option.get("required") and name in defaults:
                found.append(f"{name} is required in {entry} and has a default")
            elif is_template(real):
                if told is not None:
                    found.append(f"{name} in {entry} is documented with {told!r}, its default is a template")
                if "by default" not in str(option.get("description")).lower():
                    found.append(f"{name} in {entry} has a template as default; its description lacks 'by default'")
            elif (told, type(told)) != (real, type(real)):
                found.append(f"{name} in {entry} is documented with {told!r}, its default is {real!r}")
    found += [f"{name} has a default and no documentation" for name in defaults if name not in documented]
    return found


def main() -> int:
    """Check all roles; return the exit status."""
    status = 0
    for role in sorted(path for path in ROLES.iterdir() if (path / "tasks").is_dir()):
        specs = load(role / "meta/argument_specs.yml").get("argument_specs", {})
        entry_files = {path.stem for path in (role / "tasks").glob("*.yml")}
        found = faults(specs, load(role / "defaults/main.yml"), entry_files)
        if "main" not in specs:
            found.append("meta/argument_specs.yml has no entry point main")
        for fault in found:
            print(f"roles/{role.name}: {fault}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
