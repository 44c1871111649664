# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host of the backups is refused, how it is configured, and what is due on it."""

from __future__ import annotations

import datetime
import pathlib

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Server
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbackrest
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbackrest_conf as conf
from tests.unit.authority import Authority

NAMES = ["pg1", "pg1r", "pg2", "repo1"]
ADDRESS = {name: f"192.0.2.{number}" for number, name in enumerate(NAMES, 11)}
OF_CLUSTER = {"pg1": "main", "pg1r": "main", "pg2": "other"}
CALENDARS = {job.variable: "daily" for job in pgbackrest.JOBS}
# Certificates of a test begin when it does.
NOW = int(datetime.datetime.now(datetime.UTC).timestamp()) + 3600
DAY = 86400
S3 = {
    "pgbackrest_repository_type": "s3",
    "pgbackrest_s3_endpoint": "s3.example.com",
    "pgbackrest_s3_bucket": "backups",
    "pgbackrest_s3_region": "eu-1",
    "pgbackrest_s3_key": "AK",
    "pgbackrest_s3_key_secret": "hidden",
}
STATE = {
    "now": NOW,
    "program": "2.54.2",
    "version": 17,
    "configured_before": False,
    "certificate": "",
    "authority": "",
    "requested": False,
    "reason": "",
    "timers": [],
    "stanzas": {},
}


@pytest.fixture(name="pair", scope="module")
def _pair(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("authority"))
    folder = pathlib.Path(made.file).parent
    return {
        "pgbackrest_ca_certificate": pathlib.Path(made.file).read_text(),
        "pgbackrest_ca_key": (folder / "authority.key").read_text(),
    }


def platform(changes=None, backup=("repo1",), pair=None, clusters=None):
    """Two clusters and a host for their backups, with changes: {host: {variable: value}}."""
    hosts = {}
    for name in NAMES:
        hosts[name] = {
            "platform_address": ADDRESS[name],
            "pgbackrest_cipher_pass": "correct horse battery",
            "pgbackrest_ca_certificate": "certificate",
            "pgbackrest_ca_key": "key",
            **({"postgres_cluster": OF_CLUSTER[name]} if name in OF_CLUSTER else {}),
            **CALENDARS,
            **(pair or {}),
            **(changes or {}).get("all", {}),
            **(changes or {}).get(name, {}),
        }
    main = Cluster("main", (Server("pg1", ADDRESS["pg1"]), Server("pg1r", ADDRESS["pg1r"])), shards=(0,))
    other = Cluster("other", (Server("pg2", ADDRESS["pg2"]),), databases=("shop",))
    groups = {"postgres": ["pg1", "pg1r", "pg2"], "backup": list(backup)}
    return Platform(hosts, groups, clusters or {"main": main, "other": other})


@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("changes", [{}, {"repo1": S3}, {"repo1": {**S3, "pgbackrest_s3_endpoint": "s3.local:9000"}}])
def test_a_right_host_has_no_problems(host, changes):
    assert pgbackrest.problems(platform(changes), host) == []


@pytest.mark.parametrize("host", NAMES)
def test_a_bare_host_is_right(host, pair):
    assert pgbackrest.problems(platform(pair=pair), host, {**STATE, "program": "", "version": 0}) == []


@pytest.mark.parametrize(
    ("host", "changes", "code", "sentence"),
    [
        (
            "pg1",
            {"all": {"pgbackrest_ca_key": " "}},
            "missing_secret",
            "pg1: the secret pgbackrest_ca_key is missing.",
        ),
        (
            "repo1",
            {"all": {"pgbackrest_cipher_pass": ""}},
            "missing_secret",
            "repo1: the secret pgbackrest_cipher_pass is missing.",
        ),
        *(
            (
                "repo1",
                {"all": {"pgbackrest_cipher_pass": value}},
                "bad_secret",
                "repo1: pgbackrest_cipher_pass must have 16 printable characters or more in one line, and no blank at "
                "its ends; make one with `openssl rand -base64 48`.",
            )
            for value in ("short", "a line of words\nand another one", " with a blank before it", "tab\tin the middle")
        ),
        (
            "pg1",
            {"pg1": {"pgbackrest_port": 0}},
            "bad_port",
            "pg1: pgbackrest_port is 0; a port is between 1 and 65535.",
        ),
        (
            "repo1",
            {"repo1": {"pgbackrest_retention_full": 0}},
            "bad_value",
            "repo1: pgbackrest_retention_full is '0'; it must be 1 or more.",
        ),
        (
            "repo1",
            {"repo1": {"pgbackrest_retention_full_type": "weeks"}},
            "bad_value",
            "repo1: pgbackrest_retention_full_type is 'weeks'; it must be count or time.",
        ),
        (
            "repo1",
            {"repo1": {"pgbackrest_repository_type": "azure"}},
            "bad_value",
            "repo1: pgbackrest_repository_type is 'azure'; it must be posix or s3.",
        ),
        (
            "repo1",
            {"repo1": {"pgbackrest_repository_path": "backups"}},
            "bad_path",
            "repo1: pgbackrest_repository_path is 'backups'; it must be a path from / of letters, digits and ._+-.",
        ),
        (
            "repo1",
            {"repo1": {**S3, "pgbackrest_s3_bucket": ""}},
            "bad_value",
            "repo1: pgbackrest_s3_bucket is missing.",
        ),
        (
            "repo1",
            {"repo1": {**S3, "pgbackrest_s3_key_secret": ""}},
            "missing_secret",
            "repo1: pgbackrest_s3_key_secret is missing.",
        ),
        (
            "repo1",
            {"repo1": {**S3, "pgbackrest_s3_key_secret": "two\nlines"}},
            "bad_value",
            "repo1: pgbackrest_s3_key_secret must be one line, and have no blank at its ends.",
        ),
        (
            "repo1",
            {"repo1": {**S3, "pgbackrest_s3_endpoint": "https://s3.example.com/"}},
            "bad_value",
            "repo1: pgbackrest_s3_endpoint is 'https://s3.example.com/'; it must be a host with an optional port, and "
            "no URL.",
        ),
        (
            "pg1",
            {"pg1": {"pgbackrest_settings": {"archive-push-queue-max": "1GB"}}},
            "bad_value",
            "pg1: pgbackrest_settings must not have archive-push-queue-max, as it throws WAL away without a word once "
            "the queue is full, and what is lost cannot be restored.",
        ),
        *(
            ("pg1", {"pg1": {"pgbackrest_settings": settings}}, "bad_value", None)
            for settings in ({"a b": 1}, {"buffer-size": "1MiB\n[main]"}, {"repo1-cipher-type": "none"}, ["a"])
        ),
        (
            "pg1",
            {"pg1": {"postgres_settings": {"archive_command": "cp %p /archive/%f"}}},
            "other_archive",
            "pg1: postgres_settings has archive_command, and with the group backup pgBackRest archives; remove it "
            "there.",
        ),
    ],
)
def test_what_cannot_be_is_refused(host, changes, code, sentence):
    (problem,) = pgbackrest.problems(platform(changes), host)
    assert problem.code == code
    assert sentence is None or str(problem) == sentence


def test_one_host_keeps_the_backups():
    (problem,) = pgbackrest.problems(platform(backup=("repo1", "pg2")), "repo1")
    assert str(problem) == "repo1: the group backup has repo1 and pg2; one host keeps the backups."


def test_without_a_host_there_is_nowhere_to_keep_them():
    (problem,) = pgbackrest.problems(platform(backup=()), "pg1")
    assert (problem.code, str(problem)) == (
        "empty_group",
        "pg1: the group backup has no host, so that there is nowhere to keep a backup.",
    )


@pytest.mark.parametrize(
    ("own", "refused"),
    [({}, True), ({"pgbackrest_repository_on_member": "yes"}, False), (S3, False)],
)
def test_a_repository_on_a_member_has_to_be_accepted(own, refused):
    found = pgbackrest.problems(platform({"pg2": own}, backup=("pg2",)), "pg2")
    assert [problem.code for problem in found] == ["repository_on_member"] * refused
    assert not refused or str(found[0]) == (
        "pg2: it is to keep the backups and is a member of the cluster other, so that both would be lost with it; put "
        "another host into the group backup, keep them in S3 (pgbackrest_repository_type), or accept that with "
        "pgbackrest_repository_on_member: true."
    )


@pytest.mark.parametrize("name", ["global", "main:backup", "a b"])
def test_a_cluster_whose_name_would_be_another_section_is_refused(name):
    (problem,) = pgbackrest.problems(platform(clusters={name: Cluster(name, (Server("pg1", "192.0.2.11"),))}), "repo1")
    assert problem.code == "bad_name"
    assert name in str(problem)


@pytest.mark.parametrize(
    ("host", "changes", "state", "code"),
    [
        ("pg1", {}, {"configured_before": True}, "other_archive"),
        ("pg1", {"all": {"postgres_version": 17}}, {"program": "2.45"}, "other_version"),
        ("repo1", {"all": {"postgres_version": 17}}, {"program": "2.53"}, "other_version"),
    ],
)
def test_what_the_host_shows_is_refused(host, changes, state, code, pair):
    found = pgbackrest.problems(platform(changes, pair=pair), host, {**STATE, **state})
    assert {problem.code for problem in found} == {code}


@pytest.mark.parametrize(("version", "program"), [(17, "2.53.1"), (17, "2.54.2"), (15, "2.45")])
def test_versions_that_go_together(version, program, pair):
    changes = {"all": {"postgres_version": version}}
    assert pgbackrest.problems(platform(changes, pair=pair), "repo1", {**STATE, "program": program}) == []


def test_an_authority_whose_key_is_another_ones_is_refused(pair, tmp_path):
    other = Authority(tmp_path / "other")
    key = (pathlib.Path(other.file).parent / "authority.key").read_text()
    (problem,) = pgbackrest.problems(platform(pair={**pair, "pgbackrest_ca_key": key}), "pg1", STATE)
    assert str(problem) == (
        "pg1: the authority of pgbackrest_ca_certificate and pgbackrest_ca_key has a certificate and a key that do not "
        "belong together."
    )


def lines(of, host, section):
    return {
        line["text"] + line["variable"]
        for one in conf.sections(of, host)
        if one.name == section
        for line in one.lines()
    }


def test_the_host_with_the_repository():
    of = platform({"all": {"postgres_version": 17}})
    assert [one.name for one in conf.sections(of, "repo1")] == ["global", "main", "other"]
    assert lines(of, "repo1", "global") >= {
        "repo1-path=/var/lib/pgbackrest",
        "repo1-cipher-type=aes-256-cbc",
        "repo1-cipher-pass=pgbackrest_cipher_pass",
        "repo1-retention-full=2",
        "repo1-retention-full-type=count",
        "tls-server-address=192.0.2.14",
        "tls-server-auth=pg1=main",
        "tls-server-auth=pg1r=main",
        "tls-server-auth=pg2=other",
    }
    assert lines(of, "repo1", "main") == {
        f"{line}"
        for number, address in ((1, "192.0.2.11"), (2, "192.0.2.12"))
        for line in (
            f"pg{number}-host={address}",
            f"pg{number}-host-type=tls",
            f"pg{number}-host-port=8432",
            f"pg{number}-host-ca-file=/etc/pgbackrest/tls/ca.crt",
            f"pg{number}-host-cert-file=/etc/pgbackrest/tls/host.crt",
            f"pg{number}-host-key-file=/etc/pgbackrest/tls/host.key",
            f"pg{number}-path=/var/lib/postgresql/17/main",
        )
    }


def test_a_server_knows_its_own_stanza_and_no_secret():
    of = platform({"all": {"postgres_version": 17}, "repo1": {"pgbackrest_port": 8433}})
    assert [one.name for one in conf.sections(of, "pg1r")] == ["global", "main"]
    assert lines(of, "pg1r", "main") == {"pg1-path=/var/lib/postgresql/17/main"}
    found = lines(of, "pg1r", "global")
    assert found >= {
        "repo1-host=192.0.2.14",
        "repo1-host-type=tls",
        "repo1-host-port=8433",
        "tls-server-auth=repo1=main",
        "archive-async=y",
        "spool-path=/var/spool/pgbackrest",
    }
    assert not [line for line in found if "cipher" in line or "s3" in line or "queue-max" in line]


def test_a_member_that_keeps_the_backups_is_the_first_server_of_its_own_cluster():
    of = platform({"all": {"postgres_version": 17}}, backup=("pg1r",))
    found = lines(of, "pg1r", "main")
    assert "pg1-path=/var/lib/postgresql/17/main" in found
    assert "pg2-host=192.0.2.11" in found
    assert not [line for line in found if line.startswith("pg1-host")]
    assert not [line for line in lines(of, "pg1r", "global") if line.startswith("repo1-host")]


def test_a_repository_in_s3():
    own = {**S3, "pgbackrest_s3_endpoint": "s3.local:9000", "pgbackrest_s3_uri_style": "path"}
    found = lines(platform({"repo1": {**own, "pgbackrest_s3_ca_file": "/etc/ssl/s3.pem"}}), "repo1", "global")
    assert {line for line in found if "s3" in line or "storage" in line or "type" in line} - {"compress-type=zst"} == {
        "repo1-type=s3",
        "repo1-cipher-type=aes-256-cbc",
        "repo1-retention-full-type=count",
        "repo1-s3-endpoint=s3.local",
        "repo1-storage-port=9000",
        "repo1-s3-bucket=backups",
        "repo1-s3-region=eu-1",
        "repo1-s3-key=AK",
        "repo1-s3-key-secret=pgbackrest_s3_key_secret",
        "repo1-s3-uri-style=path",
        "repo1-storage-ca-file=/etc/ssl/s3.pem",
    }


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"pgbackrest_retention_full": 14, "pgbackrest_retention_full_type": "time"}, "repo1-retention-full-type=time"),
        ({"pgbackrest_retention_diff": 6}, "repo1-retention-diff=6"),
        ({"pgbackrest_settings": {"process-max": 8, "backup-standby": "y"}}, "process-max=8"),
        ({"pgbackrest_settings": {"backup-standby": "y"}}, "backup-standby=y"),
    ],
)
def test_what_can_be_told(own, wanted):
    assert wanted in lines(platform({"repo1": own}), "repo1", "global")


@pytest.mark.parametrize(
    ("changes", "own", "version"),
    [
        ({}, 0, 0),
        ({}, 15, 0),
        ({"pg1": {"postgres_version": 16}}, 0, 16),
        ({"pg1": {"ansible_facts": {"distribution_major_version": "13"}}}, 0, 17),
        # One that this run has not reached has what the other member has.
        ({"pg1r": {"ansible_facts": {"distribution_major_version": "12"}}}, 0, 15),
    ],
)
def test_the_version_of_a_cluster(changes, own, version):
    of = platform(changes)
    assert conf.version_of(of, "pg1", of.clusters["main"]) == version
    assert conf.data_of(of, "pg1", of.clusters["main"], own) == f"/var/lib/postgresql/{version or own}/main"


@pytest.mark.parametrize(
    ("stanzas", "due", "health"),
    [
        ({}, ["main", "other"], []),
        (
            {"main": {"code": 0, "backups": [1]}, "other": {"code": 1, "backups": []}},
            ["other"],
            ["the cluster other has no place in the repository"],
        ),
        (
            {"main": {"code": 2, "backups": []}, "other": {"code": 0, "backups": [1]}},
            [],
            ["the cluster main has no backup"],
        ),
        ({"main": {"code": 99, "backups": [1]}, "other": {"code": 0, "backups": [1]}}, [], []),
    ],
)
def test_stanzas_that_are_due(stanzas, due, health):
    state = {**STATE, "stanzas": stanzas}
    assert pgbackrest.wanted(platform(), "repo1", state)["stanzas_due"] == due
    assert pgbackrest.health(platform(), "repo1", state) == health
    assert pgbackrest.wanted(platform(), "pg1", state)["stanzas_due"] == []


def test_a_configuration_is_checked_with_what_is_in_the_repository():
    there = {**STATE, "stanzas": {"main": {"code": 1, "backups": []}, "other": {"code": 2, "backups": []}}}
    assert pgbackrest.wanted(platform(), "repo1", there)["validate"][-3:] == [
        "--stanza=other",
        "repo-get",
        "archive/other/archive.info",
    ]
    assert pgbackrest.wanted(platform(), "repo1", STATE)["validate"][-1] == "info"
    assert "--reset-repo1-host" in pgbackrest.wanted(platform(), "pg1", STATE)["validate"]


def test_timers():
    state = {**STATE, "timers": ["pgbackrest-full@main.timer", "pgbackrest-full@gone.timer"]}
    wanted = pgbackrest.wanted(platform({"repo1": {"pgbackrest_verify_on_calendar": ""}}), "repo1", state)
    assert [(job["name"], job["state"]) for job in wanted["jobs"]] == [
        ("full", "present"),
        ("incr", "present"),
        ("verify", "absent"),
        ("prove", "present"),
    ]
    assert wanted["jobs"][0]["timers"] == ["pgbackrest-full@main.timer", "pgbackrest-full@other.timer"]
    assert wanted["timers_gone"] == ["pgbackrest-full@gone.timer"]
    assert pgbackrest.wanted(platform(), "pg1", state)["jobs"] == []


@pytest.mark.parametrize(
    ("after", "changes", "due"),
    [
        (0, {}, False),
        # Signed for two days, and a third of a year is to be left.
        (0, {"pgbackrest_certificate_days": 365}, True),
        (2 * DAY, {}, True),
        (0, {"requested": False}, True),
        (0, {"authority": "another"}, True),
        (0, {"certificate": ""}, True),
    ],
)
def test_certificates_that_are_due(pair, after, changes, due):
    variables = {name: value for name, value in changes.items() if name.startswith("pgbackrest")}
    of = platform({"pg1": {"pgbackrest_certificate_days": 3, **variables}}, pair=pair)
    certificate = pair["pgbackrest_ca_certificate"]
    state = {**STATE, "now": NOW + after, "requested": True, "certificate": certificate, "authority": certificate}
    state.update({name: value for name, value in changes.items() if name in state})
    assert pgbackrest.wanted(of, "pg1", state)["certificate_due"] is due


def test_another_address_makes_another_request():
    wanted = pgbackrest.wanted(platform(), "pg1", STATE)
    assert wanted["names"] == "DNS:pg1,DNS:192.0.2.11"
    moved = pgbackrest.wanted(platform({"pg1": {"pgbackrest_address": "192.0.2.99"}}), "pg1", STATE)
    assert moved["request"] != wanted["request"]


def test_nothing_that_is_handed_on_holds_a_secret():
    shown = repr([pgbackrest.wanted(platform({"repo1": S3}), host, STATE) for host in NAMES])
    assert "correct horse" not in shown
    assert "hidden" not in shown


def test_the_port_is_taken():
    (listen,) = pgbackrest.listens(platform(), "pg1")
    assert listen == ("pgbackrest_port", 8432, "192.0.2.11")


CHECK = {"database": "shop", "query": "SELECT count(*) > 0 FROM orders"}


def test_what_proves_a_restore():
    wanted = pgbackrest.wanted(platform({"repo1": {"pgbackrest_checks": {"other": [CHECK]}}}), "repo1", STATE)
    assert wanted["proofs"] == {"main": {"hosts": 2, "checks": []}, "other": {"hosts": 1, "checks": [CHECK]}}
    assert pgbackrest.wanted(platform(), "pg1", STATE)["proofs"] == {}


@pytest.mark.parametrize(
    ("changes", "backup", "programs"),
    [
        ({"all": {"postgres_version": 17}}, "repo1", ["postgresql-17"]),
        ({"all": {"postgres_version": 17}, "repo1": {"pgbackrest_prove_on_calendar": ""}}, "repo1", []),
        # A member has them, and a server that the package is to make.
        ({"all": {"postgres_version": 17, "pgbackrest_repository_on_member": True}}, "pg1", []),
    ],
)
def test_a_copy_needs_the_programs_of_postgresql(changes, backup, programs):
    assert pgbackrest.wanted(platform(changes, backup=[backup]), backup, STATE)["programs"] == programs


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        (
            "shop",
            "pgbackrest_checks is 'shop'; it must be a mapping of clusters, each with a list of {database, query}.",
        ),
        ({"gone": [CHECK]}, "pgbackrest_checks has gone, which is not among postgres_clusters."),
        (
            {"other": ["SELECT 1"]},
            "pgbackrest_checks has 'SELECT 1' of other; it must be a mapping of clusters, each with a list of "
            "{database, query}.",
        ),
        (
            {"other": [{**CHECK, "database": "till"}]},
            "pgbackrest_checks has a query for till, which is no database of other; there is postgres, shop.",
        ),
    ],
)
def test_checks_that_cannot_be(checks, sentence):
    made = platform({"repo1": {"pgbackrest_checks": checks}})
    found = pgbackrest.problems(made, "repo1")
    assert [(one.code, str(one)) for one in found] == [("bad_value", f"repo1: {sentence}")]
    assert all(one["checks"] == [] for one in pgbackrest.wanted(made, "repo1", STATE)["proofs"].values())
