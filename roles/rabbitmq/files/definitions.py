# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give the broker the users, virtual hosts and permissions that standard input names, as JSON.

All of them are read in one call (export_definitions) and what differs is written in one (import_definitions, with
passwords as hashes), since each call of rabbitmqctl takes a second. Prints {"changes": [sentence],
"error": sentence or null}. With "apply" false it only says what it would change.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any

RABBITMQCTL = "/usr/sbin/rabbitmqctl"
RIGHTS = ("configure", "write", "read")
UNWANTED = "guest"
# How long the broker may take until what it was given is in force, in seconds.
SETTLE = 10


class Refused(Exception):
    """The broker does not do what it was asked; the message is its own."""


class Plan:
    """What differs, as sentences; what an import mends; and the calls for what an import cannot take away."""

    def __init__(self, wanted: dict[str, Any], present: dict[str, Any]) -> None:
        """Compare what is wanted with the broker's definitions."""
        self.said: list[str] = []
        self.due: dict[str, list[dict[str, Any]]] = {"vhosts": [], "users": [], "permissions": []}
        self.calls: list[list[str]] = []
        known = {user["name"]: user for user in present["users"]}
        granted: dict[str, dict[str, dict[str, str]]] = {}
        for right in present["permissions"]:
            granted.setdefault(right["user"], {})[right["vhost"]] = {name: right[name] for name in RIGHTS}
        for name in sorted(set(wanted["vhosts"]) - {vhost["name"] for vhost in present["vhosts"]}):
            self.said.append(f"virtual host {name}: created")
            self.due["vhosts"].append({"name": name})
        for user in wanted["users"]:
            self._user(user, known.get(user["name"]))
            self._rights(user["name"], user.get("vhosts") or {}, granted.get(user["name"], {}))
        if UNWANTED in known:
            self.said.append(f"user {UNWANTED}: removed")
            self.calls.append(["delete_user", UNWANTED])

    def _user(self, user: dict[str, Any], known: dict[str, Any] | None) -> None:
        tags = sorted(user.get("tags") or [])
        differs = []
        if known is None:
            differs = ["created"]
        else:
            if not has_password(known, user["password"]):
                differs.append("password changed")
            if sorted(known["tags"]) != tags:
                differs.append(f"tags {', '.join(known['tags']) or 'none'} -> {', '.join(tags) or 'none'}")
        if differs:
            self.said.extend(f"user {user['name']}: {one}" for one in differs)
            definition = {
                "name": user["name"],
                "tags": tags,
                "password_hash": hash_of(user["password"], os.urandom(4)),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
            }
            # What it has besides, such as limits, stays.
            self.due["users"].append({**(known or {}), **definition})

    def _rights(self, name: str, wanted: dict[str, dict[str, str]], granted: dict[str, dict[str, str]]) -> None:
        for vhost in sorted(vhost for vhost, right in wanted.items() if granted.get(vhost) != right):
            self.said.append(f"user {name}: permissions in {vhost}")
            self.due["permissions"].append({"user": name, "vhost": vhost, **wanted[vhost]})
        for vhost in sorted(set(granted) - set(wanted)):
            self.said.append(f"user {name}: no permissions in {vhost} any more")
            self.calls.append(["clear_permissions", "--vhost", vhost, name])


def ask(*words: str) -> str:
    """Run rabbitmqctl and return what it prints."""
    argv = [RABBITMQCTL, "-q", *words]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"rabbitmqctl {words[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).partition("Arguments given")[0]
        raise Refused(f"rabbitmqctl {words[0]}: {' '.join(said.split())}")
    return done.stdout


def give(definitions: dict[str, Any]) -> None:
    """Import definitions, from a file that rabbitmqctl can read: version 4.0 hangs on its standard input."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir="/run") as file:
        shutil.chown(file.name, "rabbitmq")
        json.dump(definitions, file)
        file.flush()
        ask("import_definitions", file.name)


def hash_of(password: str, salt: bytes, algorithm: str = "sha256") -> str:
    """RabbitMQ's own form: base64 of a salt of 4 bytes and the digest of salt and password."""
    return base64.b64encode(salt + hashlib.new(algorithm, salt + password.encode()).digest()).decode()


def has_password(user: dict[str, Any], password: str) -> bool:
    """Tell whether an exported user logs in with the password."""
    stored = user.get("password_hash") or ""
    algorithm = user.get("hashing_algorithm", "rabbit_password_hashing_sha256").rsplit("_", 1)[-1]
    return bool(stored) and stored == hash_of(password, base64.b64decode(stored)[:4], algorithm)


def look() -> dict[str, Any]:
    """Ask the broker for what it has."""
    present: dict[str, Any] = json.loads(ask("export_definitions", "-"))
    return present


def predict(wanted: dict[str, Any]) -> list[str]:
    """Say what would change, also where there is no broker."""
    if not os.path.exists(RABBITMQCTL):
        return Plan(wanted, {"vhosts": [], "users": [], "permissions": []}).said
    try:
        return Plan(wanted, look()).said
    except Refused as refusal:
        return [f"not known while the broker does not answer ({refusal})"]


def apply(wanted: dict[str, Any]) -> list[str]:
    """Bring into force what differs, see that it is, and say what it was."""
    plan = Plan(wanted, look())
    if not plan.said:
        return []
    if any(plan.due.values()):
        give(plan.due)
    for call in plan.calls:
        ask(*call)
    end = time.monotonic() + SETTLE
    while left := Plan(wanted, look()).said:
        if time.monotonic() > end:
            raise Refused(f"the broker did not take it: {'; '.join(left)}")
    return plan.said


def main() -> None:
    """Answer in JSON."""
    wanted = json.load(sys.stdin)
    answer: dict[str, Any] = {"changes": [], "error": None}
    try:
        answer["changes"] = apply(wanted) if wanted["apply"] else predict(wanted)
    except Refused as refusal:
        answer["error"] = str(refusal)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
