# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pgBackRest's configuration of a host: the repository, who may come for it, and how the other side is reached; pure.

Hosts talk by TLS with certificates of the platform's own authority. A database server knows no key of the repository:
pgBackRest encrypts there and asks the repository's host for what it needs.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, leader_of
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving
from ansible_collections.scaleout.platform.plugins.module_utils.services.postgres import HOME, VERSIONS

FOLDER = "/etc/pgbackrest"
#: pgBackRest reads it rather than Debian's own /etc/pgbackrest.conf, which stays as it is.
FILE = f"{FOLDER}/pgbackrest.conf"
CA_FILE = f"{FOLDER}/tls/ca.crt"
CERTIFICATE_FILE = f"{FOLDER}/tls/host.crt"
KEY_FILE = f"{FOLDER}/tls/host.key"
S3 = "s3"
#: The passphrase of the repository and S3's secret, by the variables that have them: only a template reads those.
SECRETS = {"repo1-cipher-pass": "pgbackrest_cipher_pass", "repo1-s3-key-secret": "pgbackrest_s3_key_secret"}

Options = dict[str, t.Any]


class Section(t.NamedTuple):
    """A section of the file, with a line for each value of an option that has several."""

    name: str
    options: Options

    def lines(self) -> list[dict[str, str]]:
        """Return its lines; of a secret's, the ``text`` before it and the ``variable`` that has it."""
        found = []
        for option, value in self.options.items():
            if option in SECRETS:
                found.append({"text": f"{option}=", "variable": SECRETS[option]})
            else:
                several = value if isinstance(value, (list, tuple)) else [value]
                found += [{"text": f"{option}={one}", "variable": ""} for one in several]
        return found


def repository_of(platform: Platform) -> str | None:
    """Return the host that keeps the backups."""
    return next(iter(platform.members(archiving.GROUP)), None)


def clusters_of(platform: Platform, host: str) -> list[Cluster]:
    """Return the clusters that pgBackRest on a host knows: all where the repository is, else the host's own."""
    own = platform.cluster_of(host)
    return list(platform.clusters.values()) if host == repository_of(platform) else [own] if own else []


def port_of(platform: Platform, host: str) -> int:
    """Return the port of pgBackRest on a host."""
    return int(platform.value(host, "pgbackrest_port", 8432))


def address_of(platform: Platform, host: str) -> str:
    """Return the address on which pgBackRest listens, and under which the others reach it."""
    return str(platform.value(host, "pgbackrest_address") or platform.address(host))


def names_of(platform: Platform, host: str) -> tuple[str, ...]:
    """Return the names in a host's certificate: its own, which says who asks, and the address that it is reached by.

    pgBackRest compares names only, so an address is there as one.
    """
    return tuple(dict.fromkeys((host, address_of(platform, host))))


def request_file(platform: Platform, host: str) -> str:
    """Return the file of a host's certificate request, which is another one where the names are."""
    digest = hashlib.sha256("\n".join(names_of(platform, host)).encode()).hexdigest()
    return f"{FOLDER}/tls/{digest[:12]}.csr"


def data_of(platform: Platform, host: str, cluster: Cluster, own: int = 0) -> str:
    """Return a server's data directory. All members of a cluster have PostgreSQL of one version.

    :param own: PostgreSQL's version on the host that asks, where nothing else is known.
    """
    return f"{HOME}/{version_of(platform, host, cluster) or own}/main"


def version_of(platform: Platform, host: str, cluster: Cluster) -> int:
    """Return a server's version of PostgreSQL: as it is told, or by the Debian release of a member; 0 for unknown."""
    given = str(platform.value(host, "postgres_version", 0))
    if given.isdigit() and int(given):
        return int(given)
    for member in [host, *(server.name for server in cluster.members)]:
        facts = platform.value(member, "ansible_facts", {})
        release = facts.get("distribution_major_version") if isinstance(facts, t.Mapping) else None
        if str(release) in VERSIONS:
            return VERSIONS[str(release)]
    return 0


def sections(platform: Platform, host: str, own: int = 0) -> list[Section]:
    """Return the configuration of a host.

    :param own: PostgreSQL's version on this host.
    """
    repository = repository_of(platform)
    keeps = host == repository
    shared: Options = {
        **(_of_repository(platform, host) if keeps else {}),
        **(_remote(platform, host, "repo1-host", repository) if repository and not keeps else {}),
        **_of_server(platform, host),
        "compress-type": str(platform.value(host, "pgbackrest_compress_type", "zst")),
        "process-max": str(platform.value(host, "pgbackrest_process_max", 2)),
        "archive-async": "y",
        "spool-path": "/var/spool/pgbackrest",
        # A backup begins at once, rather than with the next checkpoint.
        "start-fast": "y",
        "log-level-console": "warn",
        "log-level-file": "info",
    }
    more = platform.value(host, "pgbackrest_settings", {})
    shared.update({str(name): value for name, value in more.items()} if isinstance(more, t.Mapping) else {})
    found = [Section("global", shared)]
    for one in clusters_of(platform, host):
        found.append(Section(archiving.stanza(one), _of_cluster(platform, host, one, keeps, own)))
    return found


def _of_repository(platform: Platform, host: str) -> Options:
    def value(name: str, default: t.Any = "") -> str:
        return str(platform.value(host, f"pgbackrest_{name}", default))

    found: Options = {
        "repo1-path": value("repository_path", "/var/lib/pgbackrest"),
        "repo1-cipher-type": "aes-256-cbc",
        "repo1-cipher-pass": None,
        "repo1-bundle": "y",
        "repo1-retention-full": value("retention_full", 2),
        "repo1-retention-full-type": value("retention_full_type", "count"),
    }
    if value("retention_diff", 0) != "0":
        found["repo1-retention-diff"] = value("retention_diff")
    if value("repository_type", "posix") != S3:
        return found
    endpoint, _colon, port = value("s3_endpoint").partition(":")
    found.update(
        {
            "repo1-type": S3,
            "repo1-s3-endpoint": endpoint,
            "repo1-s3-bucket": value("s3_bucket"),
            "repo1-s3-region": value("s3_region"),
            "repo1-s3-key": value("s3_key"),
            "repo1-s3-key-secret": None,
            "repo1-s3-uri-style": value("s3_uri_style", "host"),
        }
    )
    if port:
        found["repo1-storage-port"] = port
    if value("s3_ca_file"):
        found["repo1-storage-ca-file"] = value("s3_ca_file")
    return found


def _of_server(platform: Platform, host: str) -> Options:
    return {
        "tls-server-address": address_of(platform, host),
        "tls-server-port": str(port_of(platform, host)),
        "tls-server-ca-file": CA_FILE,
        "tls-server-cert-file": CERTIFICATE_FILE,
        "tls-server-key-file": KEY_FILE,
        "tls-server-auth": admitted(platform, host),
    }


def admitted(platform: Platform, host: str) -> list[str]:
    """Return who may come to a host's pgBackRest, each with its stanza."""
    repository, own = repository_of(platform), platform.cluster_of(host)
    found = []
    if host == repository:
        found = [
            f"{server.name}={archiving.stanza(cluster)}"
            for cluster in platform.clusters.values()
            for server in cluster.members
            if server.name != host
        ]
    elif repository and own:
        found = [f"{repository}={archiving.stanza(own)}"]
    return found


def _of_cluster(platform: Platform, host: str, cluster: Cluster, keeps: bool, own: int) -> Options:
    """Return how a cluster's servers are reached from a host; pgBackRest finds out by itself which of them leads.

    The first one is the host itself, where it is a member: archiving takes that one.
    """
    if not keeps:
        return {"pg1-path": data_of(platform, host, cluster, own)}
    leader = leader_of(cluster).name
    members = sorted((server.name for server in cluster.members), key=lambda name: (name != host, name != leader))
    found: Options = {}
    for number, name in enumerate(members, 1):
        if name != host:
            found.update(_remote(platform, host, f"pg{number}-host", name))
        found[f"pg{number}-path"] = data_of(platform, name, cluster, own)
    return found


def _remote(platform: Platform, host: str, option: str, other: str) -> Options:
    return {
        option: address_of(platform, other),
        f"{option}-type": "tls",
        f"{option}-port": str(port_of(platform, other)),
        f"{option}-ca-file": CA_FILE,
        f"{option}-cert-file": CERTIFICATE_FILE,
        f"{option}-key-file": KEY_FILE,
    }
