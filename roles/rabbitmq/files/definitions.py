# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give the broker the users, virtual hosts and permissions that standard input names, as JSON.

All of them are read in one call (export_definitions) and what differs is written in one (import_definitions, from
standard input, with passwords as hashes), since each call of rabbitmqctl takes a second. Prints {"changes": [sentence],
"error": sentence or null}. With "apply" false it only says what it would change.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time

RIGHTS = ("configure", "write", "read")
UNWANTED = "guest"
# How long the broker may take until what it was given is in force, in seconds.
SETTLE = 10


class Refused(Exception):
    """The broker does not do what it was asked; the message is its own."""


def ask(*words, stdin=""):
    """Run rabbitmqctl and return what it prints."""
    try:
        done = subprocess.run(
            ["/usr/sbin/rabbitmqctl", "-q", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"rabbitmqctl {words[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Refused(f"rabbitmqctl {words[0]}: {' '.join(line.strip() for line in said[:3])}")
    return done.stdout


def hash_of(password, salt, algorithm="sha256"):
    """RabbitMQ's own form: base64 of a salt of 4 bytes and the digest of salt and password."""
    return base64.b64encode(salt + hashlib.new(algorithm, salt + password.encode()).digest()).decode()


def has_password(user, password):
    """Tell whether an exported user logs in with the password."""
    stored = user.get("password_hash") or ""
    algorithm = user.get("hashing_algorithm", "rabbit_password_hashing_sha256").rsplit("_", 1)[-1]
    return bool(stored) and stored == hash_of(password, base64.b64decode(stored)[:4], algorithm)


def plan(wanted, present):
    """Return the sentences, the definitions to import, and the calls for what an import cannot take away."""
    said, calls = [], []
    due = {"vhosts": [], "users": [], "permissions": []}
    known_vhosts = {vhost["name"] for vhost in present["vhosts"]}
    known_users = {user["name"]: user for user in present["users"]}
    granted = {
        (right["user"], right["vhost"]): {name: right[name] for name in RIGHTS} for right in present["permissions"]
    }
    for name in wanted["vhosts"]:
        if name not in known_vhosts:
            said.append(f"virtual host {name}: created")
            due["vhosts"].append({"name": name})
    for user in wanted["users"]:
        name, known = user["name"], known_users.get(user["name"], {})
        tags = sorted(user.get("tags") or [])
        if not known:
            said.append(f"user {name}: created")
        elif not has_password(known, user["password"]):
            said.append(f"user {name}: password changed")
        if known and sorted(known["tags"]) != tags:
            said.append(f"user {name}: tags {', '.join(known['tags']) or 'none'} -> {', '.join(tags) or 'none'}")
        if said and said[-1].startswith(f"user {name}: "):
            secret = {
                "password_hash": hash_of(user["password"], os.urandom(4)),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
            }
            due["users"].append({**known, "name": name, "tags": tags, **secret})
        rights = user.get("vhosts") or {}
        for vhost, right in rights.items():
            if granted.get((name, vhost)) != right:
                said.append(f"user {name}: permissions in {vhost}")
                due["permissions"].append({"user": name, "vhost": vhost, **right})
        for vhost in sorted(vhost for owner, vhost in granted if owner == name and vhost not in rights):
            said.append(f"user {name}: no permissions in {vhost} any more")
            calls.append(["clear_permissions", "--vhost", vhost, name])
    if UNWANTED in known_users:
        said.append(f"user {UNWANTED}: removed")
        calls.append(["delete_user", UNWANTED])
    return said, due, calls


def look():
    """Ask the broker for what it has."""
    return json.loads(ask("export_definitions", "-"))


def run(wanted):
    """Compare, and bring into force what differs; return the sentences."""
    try:
        present = look()
    except Refused:
        if wanted["apply"]:
            raise
        # Check mode on a host without a broker: all would be new.
        present = {"vhosts": [], "users": [], "permissions": []}
    said, due, calls = plan(wanted, present)
    if not wanted["apply"] or not said:
        return said
    if any(due.values()):
        ask("import_definitions", stdin=json.dumps(due))
    for call in calls:
        ask(*call)
    end = time.monotonic() + SETTLE
    while left := plan(wanted, look())[0]:
        if time.monotonic() > end:
            raise Refused(f"the broker did not take it: {'; '.join(left)}")
    return said


if __name__ == "__main__":
    answer = {"changes": [], "error": None}
    try:
        answer["changes"] = run(json.load(sys.stdin))
    except Refused as refusal:
        answer["error"] = str(refusal)
    print(json.dumps(answer))
