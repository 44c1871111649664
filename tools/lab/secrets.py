"""The lab's own passwords and keys: made once, never changed by a later run, never printed."""

from __future__ import annotations

import base64
import os
import secrets
import uuid
from pathlib import Path

from .labs import LABS
from .paths import LAB
from .shell import install, run, succeeds


def _password() -> str:
    return secrets.token_urlsafe(24)


def _token() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def _gossip_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


MAKERS = {
    "consul_gossip_key": _gossip_key,
    "consul_management_token": _token,
    "consul_agent_token": _token,
    "consul_reader_token": _token,
    "postgres_replicator_password": _password,
    "postgres_patroni_password": _password,
    "pgbouncer_password": _password,
    "reference_api_database_password": _password,
    "reference_api_queue_password": _password,
    "redis_password": _password,
}


def make() -> dict[str, str]:
    """Make all secrets of a lab, each new."""
    return {name: maker() for name, maker in MAKERS.items()}


def ensure() -> str:
    """Add the secrets that a lab lacks, and the key that opens the VMs of all.

    :returns: what was done, in a few words.
    """
    LAB.mkdir(exist_ok=True)
    key = LAB / "id_ed25519"
    if not key.exists():
        if not succeeds("ssh-keygen", "--help") and not os.path.exists("/usr/bin/ssh-keygen"):
            install("openssh-client")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "scaleout-lab", "-f", str(key))
    made = sum(_complete(lab.secrets) for lab in LABS.values())
    return f"{made} made" if made else "are there"


def _complete(path: Path) -> int:
    """Add the secrets that a file lacks, and return how many."""
    text = path.read_text() if path.exists() else "---\n# The lab's secrets, made by `make up`.\n"
    have = {line.split(":", 1)[0] for line in text.splitlines()}
    added = [f'{name}: "{make()}"\n' for name, make in MAKERS.items() if name not in have]
    if added:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "".join(added))
    return len(added)
