# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what a host has of pgBackRest, and what the repository has of each cluster, and changes nothing."""

from __future__ import annotations

import glob
import json
import os
import re
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.wal import history
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services import backups
from ansible_collections.scaleout.platform.plugins.module_utils.services.archiving import PROGRAM
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.postgres import OS_RELEASE, release_of
from ansible_collections.scaleout.platform.plugins.module_utils.services.pgbackrest_conf import (
    CA_FILE,
    CERTIFICATE_FILE,
    FILE,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.postgres import VERSIONS

#: Debian's own, which counts while there is none of ours.
DEBIANS_FILE = "/etc/pgbackrest.conf"
#: The timers that are to start with the host.
TIMERS = "/etc/systemd/system/timers.target.wants/pgbackrest-*@*.timer"
#: What the last proof of a cluster's restore came to.
PROOFS = "/var/lib/pgbackrest-proof"
#: Seconds that a look into the repository may take; one in S3 answers slowly.
TIMEOUT = 120
#: So many timelines are asked where the earlier ones ended, the newest ones.
_HISTORIES = 8

_VERSION = re.compile(r"pgBackRest (\S+)")
_OF_STANZA = re.compile(r"^[ \t]*pg[0-9]*-(?:path|host)[ \t]*=", re.MULTILINE)


class RepositoryUnreadable(ScaleoutError):
    """pgBackRest is there and configured, and cannot tell what the repository has."""

    CODE = "repository_broken"


def read(clusters: t.Sequence[str], archives: bool, request: str) -> dict[str, t.Any]:
    """Return what the module ``backup_info`` returns.

    :param clusters: of which the repository is asked; without any it is not.
    :param archives: whether the archives are read as well, which takes longer.
    :param request: the file of the certificate request.
    :raises RepositoryUnreadable: it cannot be asked, and the archives are wanted. Else this is an answer: a run may be
        what gives it a configuration with which it can.
    """
    now = int(time.time())
    done = run([PROGRAM, "version"])
    found = _VERSION.match(done.output) if done.status == 0 else None
    configured = os.path.exists(FILE)
    told: list[backups.Stanza] = []
    proofs = {name: proof(name) for name in clusters}
    reason = ""
    if clusters and found and configured:
        try:
            told = _stanzas(clusters, archives)
        except RepositoryUnreadable as error:
            if archives:
                raise
            reason = error.message
    elif clusters and archives:
        raise RepositoryUnreadable(f"there is no {PROGRAM if configured else FILE} on this host")
    return {
        "now": now,
        "program": found.group(1) if found else "",
        "version": VERSIONS.get(release_of(files.text(OS_RELEASE))["id"], 0),
        "configured_before": not configured and bool(_OF_STANZA.search(files.text(DEBIANS_FILE))),
        "certificate": files.text(CERTIFICATE_FILE),
        "authority": files.text(CA_FILE),
        "requested": bool(request) and os.path.exists(request),
        "reason": reason,
        "timers": sorted(os.path.basename(path) for path in glob.glob(TIMERS)),
        "stanzas": {one.name: {**one.document(), **backups.proof_document(proofs[one.name])} for one in told},
        "description": backups.description(told, now, proofs) if archives else [],
    }


def proof(cluster: str) -> backups.Proof:
    """Return what is known of restores of a cluster; nothing where the file cannot be read."""
    try:
        return backups.proof(json.loads(files.text(f"{PROOFS}/{cluster}.json") or "{}"))
    except ValueError:
        return backups.proof({})


def _stanzas(clusters: t.Sequence[str], archives: bool) -> list[backups.Stanza]:
    info = _ask(["info", "--output=json"])
    listed = {name: _ask(["repo-ls", f"archive/{name}", "--recurse", "--output=json"]) for name in clusters if archives}
    return backups.stanzas(
        clusters, info, listed, {name: _histories(name, archive) for name, archive in listed.items()}
    )


def _histories(cluster: str, archive: t.Mapping[str, t.Any]) -> dict[int, dict[int, int]]:
    """Return where the earlier timelines of each ended; there is one more with each promotion."""
    newest = sorted(backups.timelines(archive).items())[-_HISTORIES:]
    command = [f"--stanza={cluster}", "repo-get"]
    return {timeline: history(_output([*command, f"archive/{cluster}/{path}"])) for timeline, path in newest}


def _ask(command: t.Sequence[str]) -> t.Any:
    output = _output(command)
    try:
        return json.loads(output)
    except ValueError:
        raise RepositoryUnreadable(f"pgbackrest {command[0]} printed no JSON: {output[:100]!r}") from None


def _output(command: t.Sequence[str]) -> str:
    done = run(["runuser", "--user=postgres", "--", PROGRAM, *command], TIMEOUT)
    if done.status:
        raise RepositoryUnreadable(f"pgBackRest cannot read the repository: {done.said}")
    return done.output
