# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what a host has of one PostgreSQL cluster, and changes nothing.

It runs as root and works on a host that has nothing at all: one question serves a bare host, a dead server and a live
one. The cluster is always ``main``, as Debian makes it.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import host
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files
from ansible_collections.scaleout.platform.plugins.module_utils.services.postgres import HOME, LIMITS, VERSIONS
from ansible_collections.scaleout.platform.plugins.module_utils.services.postgres_hba import REMARK, REPLICATOR

CONFIGURATIONS = "/etc/postgresql"
OS_RELEASE = "/etc/os-release"
#: What Patroni is told, and the mark of a member that has had its data.
PATRONI = "/etc/patroni/scaleout"
MEMBER, JOINED, RESTORING = f"{PATRONI}/10-member.yml", f"{PATRONI}/joined", f"{PATRONI}/restoring"
#: Objects that initdb makes have lower numbers: a higher one belongs to a user. A rewritten catalog has a high number
#: too, so that the answer errs to the side that keeps the data.
FIRST_OF_USERS = 16384

_PORT = re.compile(r"^[ \t]*port[ \t]*=[ \t]*([0-9]+)", re.MULTILINE)
_OF_CLIENT = re.compile(r"\] [^ ]+@")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_NUMBER = re.compile(r"[0-9]+")

QUERY = f"""SELECT json_build_object(
  'version', current_setting('server_version_num')::int / 10000,
  'started', pg_postmaster_start_time(),
  'system', (SELECT system_identifier::text FROM pg_control_system()),
  'in_recovery', pg_is_in_recovery(),
  'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
  'receiver', (SELECT status FROM pg_stat_wal_receiver),
  'active_slots', (SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots WHERE active),
  'lost_slots', (SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots WHERE wal_status = 'lost'),
  'logins', (SELECT json_object_agg(rolname, coalesce(
                 (SELECT substr(entry, 6) FROM unnest(rolconfig) AS entry WHERE entry LIKE 'role=%'), ''))
             FROM pg_roles WHERE rolcanlogin),
  'rewinds', (SELECT has_function_privilege(oid, 'pg_read_binary_file(text)', 'execute') FROM pg_roles
              WHERE rolname = '{REPLICATOR}'),
  'databases', (SELECT json_object_agg(datname, pg_get_userbyid(datdba)) FROM pg_database),
  'limits', json_build_object({", ".join(f"'{name}', current_setting('{name}')::int" for name in LIMITS)}),
  'restart_pending', EXISTS (SELECT FROM pg_settings WHERE pending_restart),
  'archive_command', current_setting('archive_command'),
  'hba_unread', (pg_stat_file(current_setting('hba_file'))).modification > pg_conf_load_time(),
  'hba_errors', (SELECT coalesce(json_agg(format('line %s: %s', line_number, error)), '[]')
                 FROM pg_hba_file_rules WHERE error IS NOT NULL))"""


def read(version: int, port: int, patroni_host: str = "") -> dict[str, t.Any]:
    """Return what there is.

    :param version: PostgreSQL's major version; 0 for that of the host's release.
    :param patroni_host: where this host's Patroni answers.
    """
    release = release_of(files.text(OS_RELEASE))
    version = version or VERSIONS.get(release["id"], 0)
    data, own = f"{HOME}/{version}/main", f"{CONFIGURATIONS}/{version}/main/postgresql.conf"
    server = ask(port)
    log = f"/var/log/postgresql/postgresql-{version}-main.log"
    return {
        "version": version,
        "release": release["name"],
        "configured": os.path.exists(own),
        "foreign_hba": foreign(files.text(f"{CONFIGURATIONS}/{version}/main/pg_hba.conf")),
        "initialised": os.path.exists(f"{data}/PG_VERSION"),
        "standby_signal": os.path.exists(f"{data}/standby.signal"),
        "ever_started": os.path.exists(f"{data}/postmaster.opts"),
        "used": used(data),
        "memory": memory(),
        "patroni": patroni(patroni_host),
        "others": others(CONFIGURATIONS, port, f"{version}/main"),
        "server": server,
        "last_words": "" if server else last_words(files.text(log)),
    }


def patroni(address: str) -> dict[str, t.Any]:
    """Return what there is of Patroni on this host, and the cluster as it sees it.

    Its ``version`` is that of the package, None where there is none. One that answers without being ``configured`` is
    not ours.
    """
    done = run(["dpkg-query", "--show", "--showformat=${Version}", "patroni"])
    number = _VERSION.match(done.output) if done.status == 0 else None
    found: dict[str, t.Any] = {
        "version": [int(part) for part in number.groups()] if number else None,
        "configured": os.path.exists(MEMBER),
        "joined": os.path.exists(JOINED),
        "restoring": os.path.exists(RESTORING),
        "scope": "",
        "cluster": None,
    }
    if not address or not found["version"]:
        return found
    try:
        cluster = Patroni(address, timeout=5).cluster()
    except ScaleoutError:
        return found
    leader = cluster.leader
    members = {one.name: dict(one._asdict()) for one in cluster.members}
    return {
        **found,
        "scope": cluster.scope,
        "cluster": {"leader": leader.name if leader else "", "paused": cluster.paused, "members": members},
    }


def memory() -> int:
    """Return the bytes of memory that this host may use; 0 where it does not say."""
    found = host.look(lambda path: files.text(path) or None, os.cpu_count() or 1)
    return found.memory * 1024 if found else 0


def release_of(text: str) -> dict[str, str]:
    """Return the number and the name of a release, from the text of ``/etc/os-release``."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    values = {name: value.strip().strip("\"'") for name, value in fields.items()}
    number = values.get("VERSION_ID", "") if values.get("ID") == "debian" else ""
    return {"id": number, "name": values.get("PRETTY_NAME") or "this system"}


def foreign(hba: str) -> bool:
    """Whether the text of a pg_hba.conf is another's than this role's; it may be Debian's."""
    return bool(hba.strip()) and REMARK not in hba


def used(data: str) -> bool:
    """Whether the data directory holds anything of a user."""
    for directory, _folders, inside in os.walk(os.path.join(data, "base")):
        if directory != os.path.join(data, "base") and any(_number_of(name) >= FIRST_OF_USERS for name in inside):
            return True
        if _number_of(os.path.basename(directory)) >= FIRST_OF_USERS:
            return True
    return any(_number_of(name) >= FIRST_OF_USERS for name in _names(os.path.join(data, "pg_tblspc")))


def others(folder: str, port: int, own: str) -> list[str]:
    """Return other clusters, such as ``15/main``, that are configured for the port of ours."""
    found = []
    for version in sorted(_names(folder)):
        for cluster in sorted(_names(os.path.join(folder, version))):
            text = files.text(os.path.join(folder, version, cluster, "postgresql.conf"))
            # As the server reads it: the last line counts.
            ports = _PORT.findall(text)
            if ports and int(ports[-1]) == port and f"{version}/{cluster}" != own:
                found.append(f"{version}/{cluster}")
    return found


def ask(port: int) -> dict[str, t.Any] | None:
    """Return what the server says on its own socket; None where none answers."""
    psql = ["psql", "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", f"--port={port}", "--dbname=postgres"]
    environment = {"PGCONNECT_TIMEOUT": "5", "PGOPTIONS": "-cstatement_timeout=5s", "PGCLIENTENCODING": "UTF8"}
    done = run(["runuser", "--user=postgres", "--", *psql], 10, QUERY, environment)
    return parse(done.output) if done.status == 0 else None


def last_words(log: str) -> str:
    """Return why the server ended, from the end of its log; what a client was told is another story."""
    lines = [
        line for line in log.splitlines()[-20:] if ("FATAL" in line or "HINT" in line) and not _OF_CLIENT.search(line)
    ]
    return " ".join(lines)


def parse(output: str) -> dict[str, t.Any] | None:
    """Return what the query printed; None for anything else."""
    try:
        answer = json.loads(output)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _number_of(name: str) -> int:
    match = _NUMBER.match(name)
    return int(match.group()) if match else 0


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
