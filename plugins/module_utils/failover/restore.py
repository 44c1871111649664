# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides whether and how a cluster under Patroni is restored as a whole, and where a restore goes on; pure.

One member restores, and the others copy it afterwards. The order is such that a run may be killed between any two
steps, and within one:

1. Each member gets a *mark*, a file that keeps its Patroni from starting, also after a restart of its host, and that
   says what is restored. Then its Patroni stops, the leader's last, so that no replica is promoted meanwhile.
2. The cluster's keys in Consul go, but for the dynamic configuration. What they say, such as the last position of the
   leader, is of a future that is to be gone; Patroni would wait for it.
3. pgBackRest restores beside the data that are there, and PostgreSQL alone replays to the point, promotes itself and
   stops. Patroni would replay past the point: WAL behind it is in the archive and in the last segment that was fetched.
   Only then do the data change places. Until here all of it can be taken back.
4. The member's mark becomes a *note*, and its Patroni starts, finds data and no leader, and leads.
5. The others throw their data away and copy it.

A second run finds marks or the note, and goes on with what they say.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions

#: Bytes that a restore needs beside the database: WAL while it is replayed, and what the host itself needs.
RESERVE = 512 * 1024 * 1024
#: What pg_controldata says of a server's limits, and PostgreSQL's names for them.
LIMITS = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
#: What pgBackRest writes into postgresql.auto.conf, and what would count for a standby as well.
_RECOVERY = ("restore_command", "recovery_target")
#: What a second run has to ask as the first one did.
SAME = ("to", "timeline", "set", "discard_old")

Document = t.Mapping[str, t.Any]


class Seen(t.NamedTuple):
    """A member's host as the module ``restore_member`` looked at it.

    :param mark: what its mark says; None without one.
    :param note: what its note says, of a restore that has not ended; None without one.
    :param runs: whether Patroni or PostgreSQL runs there.
    :param data: whether there is a data directory.
    :param limits: those that its server was started with last.
    :param given: what the dynamic configuration gives it, where that is known.
    :param free: bytes on the volume.
    :param fixed: why the data cannot be kept beside, as a clause; empty where they can.
    :param timeline: that of its data; 0 without any.
    :param used: bytes of its data.
    """

    name: str
    mark: Document | None = None
    note: Document | None = None
    runs: bool = False
    data: bool = True
    limits: t.Mapping[str, int] = {}
    given: t.Mapping[str, int] = {}
    free: int = 0
    fixed: str = ""
    may_lead: bool = True
    timeline: int = 0
    used: int = 0


def seen(name: str, told: Document, may_lead: bool = True) -> Seen:
    """Read what the module ``restore_member`` returned."""
    return Seen(
        name,
        told["mark"],
        told["note"],
        bool(told["runs"]),
        bool(told["data"]),
        {str(limit): int(value) for limit, value in told["limits"].items()},
        {str(limit): int(value) for limit, value in told["given"].items()},
        int(told["free"]),
        str(told["fixed"]),
        may_lead,
        int(told["timeline"]),
        int(told["used"]),
    )


def open_one(members: t.Iterable[Seen]) -> Document | None:
    """Return what the restore was told that has begun and not ended; None where there is none.

    :raises Refused: there are two.
    """
    found: dict[str, Document] = {}
    for one in members:
        for document in (one.mark, one.note):
            if document is not None:
                found.setdefault(str(document["id"]), document)
    if len(found) > 1:
        whose = "; ".join(f"to {one['told']}, begun {one['id']}" for one in found.values())
        text = f"Members are in two restores at once ({whose}). Decide on one, and remove the mark of the other."
        raise Refused(text, code="restore_open")
    return next(iter(found.values()), None)


def check_same(cluster: str, begun: Document, asked: Document) -> None:
    """Refuse to do something else while a restore has not ended.

    :param begun: what the one was told that has begun.
    :param asked: what this run is told.
    :raises Refused: they differ.
    """
    differing = [name for name in SAME if begun["asked"].get(name) != asked.get(name)]
    if differing:
        again = " ".join(f"-e {name}={value}" for name, value in begun["asked"].items() if value)
        text = (
            f"A restore of {cluster} to {begun['told']} was begun {begun['id']} and has not ended. Go on with it: say "
            f"{again}, or take it back as docs/backups.md says."
        )
        raise Refused(text, code="restore_open", begun=dict(begun["asked"]))


def check_confirmed(cluster: str, serves: bool, word: t.Any) -> None:
    """Refuse to restore into a cluster that serves, without the word for it.

    :raises Refused: it serves, and the word is missing.
    """
    if not serves or word == cluster:
        return
    if word is None:
        raise Refused(
            f"{cluster} serves, and all of its members would stop. If that is meant, say -e confirm={cluster} as well.",
            code="serves",
        )
    raise InvalidInput("confirm", word, f"is not the word: {cluster} serves; say -e confirm={cluster}")


def check_all_there(cluster: str, expected: t.Sequence[str], there: t.Collection[str], lost: t.Collection[str]) -> None:
    """Refuse to restore while a member is out of reach that could start with what it has.

    :param lost: those that the operator says to be off.
    :raises InvalidInput: who is no member; :raises Refused: who does not answer.
    """
    for name in lost:
        if name not in expected:
            raise InvalidInput("lost", name, f"is not a member of {cluster}; its members are {', '.join(expected)}")
        if name in there:
            raise InvalidInput("lost", name, "answers, and so is not lost")
    missing = [name for name in expected if name not in there and name not in lost]
    if missing:
        names = ", ".join(missing)
        text = (
            f"{names} cannot be reached, and would lead with the data of before if its Patroni starts while {cluster} "
            f"is restored. Bring it back, or see to it that it stays off until then and say "
            f"-e lost={','.join(missing)}"
        )
        raise Refused(f"{text}.", code="not_whole", missing=missing)


def check_known(cluster: str, expected: t.Collection[str], consul: t.Collection[str]) -> None:
    """Refuse while Consul has a member that the inventory does not: it would lead as soon as the others have stopped.

    :raises Refused: with their names.
    """
    strangers = sorted(set(consul) - set(expected))
    if strangers:
        text = f"Consul has {', '.join(strangers)} as a member of {cluster}, and the inventory has not"
        what = "Stop its Patroni, and run again once Consul has forgotten it"
        raise Refused(f"{text}. {what}.", code="not_whole", missing=strangers)


def check_not_paused(cluster: str, paused: bool) -> None:
    """Refuse while Patroni is paused: it would not start PostgreSQL on what was restored.

    :raises Refused: it is.
    """
    if paused:
        raise Refused(
            f"Patroni of {cluster} is paused, and would not start what is restored; resume it first.",
            code="patroni_paused",
        )


def restores(cluster: str, members: t.Sequence[Seen], wanted: str, leader: str) -> Seen:
    """Return the member that restores: the named one, else the leader, whose data are worth keeping most, else any.

    :raises InvalidInput: the named one cannot; :raises Refused: none can.
    """
    named = {one.name: one for one in members}
    if wanted:
        if wanted not in named:
            reason = f"is not a member of {cluster} that answers; there is {_names(members)}"
            raise InvalidInput("member", wanted, reason)
        if not named[wanted].may_lead:
            raise InvalidInput("member", wanted, "has postgres_nofailover, and who restores has to lead")
        return named[wanted]
    able = [one for one in members if one.may_lead]
    if not able:
        text = f"No member of {cluster} that answers may lead: postgres_nofailover says so."
        raise Refused(text, code="no_candidate")
    if leader in named and named[leader].may_lead:
        return named[leader]
    return next((one for one in able if one.data), able[0])


def check_room(member: Seen, size: int, discard_old: bool) -> None:
    """Refuse to restore beside data where there is no room for both, or no place.

    :param size: bytes of the database in the backup.
    :raises Refused: there is none.
    """
    if not member.data or discard_old:
        if member.free + member.used < size + RESERVE:
            raise Refused(
                f"{member.name} has {(member.free + member.used) / 1024**3:.1f} GB for the database and its WAL, and "
                f"they take {(size + RESERVE) / 1024**3:.1f} GB.",
                code="no_space",
                member=member.name,
            )
        return
    reason = member.fixed
    if not reason and member.free < size + RESERVE:
        reason = (
            f"it has {member.free / 1024**3:.1f} GB free, and the database takes {size / 1024**3:.1f} GB and "
            f"{RESERVE / 1024**3:.1f} GB for WAL"
        )
    if reason:
        text = (
            f"{member.name} cannot keep its present data beside those of the backup: {reason}. Make room, or give them "
            "up with -e discard_old=true"
        )
        raise Refused(f"{text}; they are then overwritten where they lie.", code="no_space", member=member.name)


def check_limits(cluster: str, members: t.Sequence[Seen]) -> None:
    """Refuse a target with smaller limits than the cluster had: no standby of it would replay.

    :raises Refused: with each of them.
    """
    for one in members:
        smaller = [
            f"{name} {one.given[name]} instead of {most}"
            for name, most in _most(members).items()
            if name in one.given and one.given[name] < most and name in versions.NOT_BELOW_PRIMARY
        ]
        if smaller:
            text = (
                f"{cluster} would start with smaller limits than it had ({', '.join(smaller)}), with which PostgreSQL "
                "replays nothing as a standby. Raise them again with site.yml, and lower them after the restore"
            )
            raise Refused(f"{text}.", code="smaller_limits", smaller=smaller)


def _most(members: t.Iterable[Seen]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in members:
        for name, value in one.limits.items():
            found[name] = max(value, found.get(name, 0))
    return found


class Way(t.NamedTuple):
    """Who does what of a restore from here on.

    :param first: who stops first.
    :param last: who stops after them; empty when none has to.
    :param replays: whether the member still has to restore, or only to lead.
    """

    member: str
    first: tuple[str, ...]
    last: str
    replays: bool
    others: tuple[str, ...]


def way(members: t.Sequence[Seen], member: str, leader: str) -> Way:
    """Return how a restore goes on.

    :param member: who restores.
    :param leader: who leads now; empty for none.
    """
    found = {one.name: one for one in members}
    others = tuple(name for name in found if name != member)
    if found[member].note is not None:
        return Way(member, (), "", False, others)
    last = leader if leader in found else member
    return Way(member, tuple(name for name in found if name != last), last, True, others)


# On the host


def limits(told: str) -> dict[str, int]:
    """Return a server's limits, from what pg_controldata prints."""
    fields = controldata(told)
    return {limit: int(fields[name]) for name, limit in LIMITS.items() if fields.get(name, "").isdigit()}


def controldata(told: str) -> dict[str, str]:
    """Return what pg_controldata prints, by its names."""
    pairs = (line.split(":", 1) for line in told.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def given(config: Document) -> dict[str, int]:
    """Return the limits that Patroni's dynamic configuration gives, those that are plain numbers."""
    parameters = (config.get("postgresql") or {}).get("parameters") or {}
    wanted = {name: str(parameters.get(name, "")) for name in LIMITS.values()}
    return {name: int(value) for name, value in wanted.items() if value.isdigit()}


def settings(place: str, needed: t.Mapping[str, int], archive: str) -> dict[str, str]:
    """Return the settings of a server that replays alone; they win over those that were backed up.

    :param place: a folder for its socket, where no client looks.
    :param needed: its limits.
    :param archive: the command by which it archives the timeline that it begins; empty to archive nothing.
    """
    return {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": place,
        "hba_file": f"{place}/pg_hba.conf",
        "ssl": "off",
        # Nothing runs by itself once it is promoted: no job of an extension, no subscription.
        "shared_preload_libraries": "",
        "max_logical_replication_workers": "0",
        "autovacuum": "off",
        "synchronous_standby_names": "",
        "primary_conninfo": "",
        "primary_slot_name": "",
        # So its limits and those of the WAL need not fit together before.
        "hot_standby": "off",
        "huge_pages": "try",
        "logging_collector": "off",
        "log_destination": "stderr",
        # A later restore goes over this timeline.
        "archive_mode": "on" if archive else "off",
        "archive_command": archive,
        "archive_library": "",
        **{name: str(value) for name, value in needed.items()},
    }


def without_recovery(text: str) -> str:
    """Return postgresql.auto.conf without what a restore has written: Patroni's own standby would obey it."""
    lines = [line for line in text.splitlines(True) if not line.split("=")[0].strip().lower().startswith(_RECOVERY)]
    return "".join(line for line in lines if not line.startswith("# Recovery settings generated by pgBackRest"))


def quoted(value: str) -> str:
    """Return a value as pg_ctl's options take it, which a shell reads."""
    return "'" + value.replace("'", "'\\''") + "'"


def keys_to_remove(keys: t.Iterable[str], folder: str) -> list[str]:
    """Return the keys of a cluster that a restore removes: all but the dynamic configuration."""
    return sorted(key for key in keys if key.startswith(f"{folder}/") and key != f"{folder}/config")


def _names(members: t.Iterable[Seen]) -> str:
    return ", ".join(one.name for one in members) or "none"
