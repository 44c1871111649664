# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of ``rolling_update.yml`` and ``rollback.yml``, from what the hosts say to what is done next; asks none."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.asked import bounds
from ansible_collections.scaleout.platform.plugins.module_utils.names import version_number
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.releases import rollout, schema
from ansible_collections.scaleout.platform.plugins.module_utils.releases.plan import Release

Host = t.Mapping[str, t.Any]
"""What a task said of a host."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The release that is to serve.

    :param digest: of its contents.
    :param archive: how it is run, where no source says so.
    :param one_way: why it cannot be gone back from, which was accepted; empty where it can.
    """

    version: str
    digest: str = ""
    schema_serves: str = ""
    archive: t.Mapping[str, t.Any] | None = None
    one_way: str = ""

    def document(self) -> dict[str, t.Any]:
        """Return it as the role app takes it."""
        found = {"version": self.version, "schema_serves": self.schema_serves, "one_way": self.one_way}
        return {**found, "archive": dict(self.archive)} if self.archive is not None else found


def asked(platform: Platform, request: rollout.Asked) -> dict[str, t.Any]:
    """Return what a run is about."""
    application = platform.applications[request.application]
    return {
        "application": {"name": application.name, "role": application.role},
        "hosts": platform.members(application.group),
        "delay": request.delay,
        "healthy_for": request.minimum_healthy_time,
    }


def for_update(request: rollout.Asked, packed: Host, settings: Host, there: t.Mapping[str, Host]) -> Chosen:
    """Choose the release of an update.

    :param packed: what ``release_archive`` said of the source.
    :param settings: of the application's entry; empty where a role of its own deploys it.
    :param there: what is on each host, by ``release`` with ``state=shown``.
    :raises Refused: its schema serves not what a host would have to go back to, or no longer serves the release.
    """
    version = request.version or str(settings.get("version") or "") or str(packed.get("version") or "")
    stated = str(settings.get("schema_serves") or "")
    if stated and version_number(version) is None:
        reason = f"is compared with schema_serves ({stated}), so it must be a number with dots, such as 1.4"
        raise InvalidInput("version", version, reason)
    accept = request.accept_no_rollback
    if accept and accept != version:
        raise InvalidInput(
            "accept_no_rollback", accept, f"is not the release that would be deployed, which is {version}"
        )
    _refuse_below(version, there)
    one_way = ""
    for host, found in there.items():
        one_way = one_way or schema.no_way_back(version, stated, host, str(found.get("fallback") or ""))
    if one_way and not accept:
        raise Refused(
            f"{one_way} Deploy a release in between first, or accept it with -e accept_no_rollback={version}.",
            code="no_way_back",
            version=version,
        )
    return Chosen(version, str(packed.get("digest") or ""), stated, None, one_way)


def for_rollback(request: rollout.Asked, settings: Host, there: t.Mapping[str, Host]) -> Chosen:
    """Choose the release to go back to: the one that is named, or the one that served before.

    :raises Refused: it is not on all hosts, the hosts do not agree on it, or the schema does not serve it any more.
    """
    version = request.version or _before(there)
    lacking = [host for host, found in there.items() if version not in _releases(found)]
    if lacking:
        on_all = set.intersection(*(set(_releases(found)) for found in there.values()))
        known = ", ".join(sorted(on_all)) or "none"
        raise Refused(
            f"Release {version} is not on {', '.join(lacking)}; on all hosts there is {known}.",
            code="no_release",
            version=version,
        )
    _refuse_below(version, there)
    notes = {host: _releases(found)[version] for host, found in there.items()}
    first = next(iter(notes.values()))
    if any(note.get("digest") != first.get("digest") for note in notes.values()):
        raise Refused(
            f"Release {version} is not the same on all hosts; deploy it from its source instead.",
            code="differs",
            version=version,
        )
    image = next((note["image"] for note in notes.values() if note.get("image")), None)
    programs: Host = next((note["programs"] for note in notes.values() if note.get("programs")), {})
    is_image = bool(settings.get("image") or settings.get("image_archive"))
    commands = [settings.get("command"), *(worker.get("command") for worker in settings.get("workers") or ())]
    unknown = sorted({str(command[0]) for command in commands if command} - set(programs)) if is_image or image else []
    if (is_image and not image) or unknown:
        raise Refused(
            f"It was not noted how {unknown[0] if unknown else 'the image'} of release {version} is run; deploy it "
            "from its image instead.",
            code="no_release",
            version=version,
        )
    archive = {
        "version": version,
        "digest": first.get("digest", ""),
        "path": "",
        "image": image,
        "programs": programs,
        "command": (image or {}).get("command", []),
    }
    stated = next((str(note["schema_serves"]) for note in notes.values() if note.get("schema_serves")), "")
    return Chosen(version, str(first.get("digest", "")), stated, archive)


def _releases(found: Host) -> t.Mapping[str, Host]:
    return t.cast("t.Mapping[str, Host]", found.get("releases") or {})


def _refuse_below(version: str, there: t.Mapping[str, Host]) -> None:
    """Refuse a release that the schema does not serve, by the newest statement on any of the hosts."""
    stated = {
        schema.oldest_served(
            Release(name, str(note.get("digest", "")), note=note, noted=float(note.get("noted") or 0))
            for name, note in _releases(found).items()
            if name != version
        )
        for found in there.values()
    } - {""}
    floor = max(stated, key=lambda one: version_number(one) or (), default="")
    is_there = any(version in _releases(found) for found in there.values())
    # A name that cannot be compared is an older release if it is on the hosts, and a new one if it is not.
    if schema.serves(floor, version) or (version_number(version) is None and not is_there):
        return
    raise Refused(
        f"The schema of the database serves {floor} and later, and a rollback does not migrate; release {version} "
        "would meet a schema that it does not know.",
        code="below_schema",
        version=version,
        schema_serves=floor,
    )


def _before(there: t.Mapping[str, Host]) -> str:
    """Return the release that served before: that of a rollout that was cut short, else the one before the last.

    :raises Refused: the hosts do not agree on one.
    """
    cut_short = {host: str(found.get("fallback") or "") for host, found in there.items() if found.get("unconfirmed")}
    found = cut_short or {host: str(one.get("previous") or "") for host, one in there.items()}
    versions = set(found.values())
    if len(versions) == 1 and "" not in versions:
        return versions.pop()
    known = ", ".join(f"{version or 'none'} on {host}" for host, version in found.items())
    raise Refused(
        f"The hosts do not agree on the release that served before ({known}); name one with -e version=.",
        code="no_release",
    )


# The plan


def servers(
    platform: Platform, hosts: t.Sequence[str], there: t.Mapping[str, Host], predicted: t.Mapping[str, Host]
) -> list[rollout.Server]:
    """Return the pool as it is.

    :param predicted: what ``release`` would do on each host, by its check mode.
    """
    return [
        rollout.Server(
            host,
            str(there[host].get("fallback") or ""),
            bool((predicted[host].get("health") or {}).get("ready")),
            predicted[host].get("turn", "none") != "none",
            bool(there[host].get("unconfirmed")),
            str(platform.value(host, "platform_failure_domain") or ""),
        )
        for host in hosts
    ]


def refuse_unread(hosts: t.Sequence[str], read: t.Mapping[str, Host], failures: t.Sequence[Host]) -> None:
    """Refuse to begin where a host could not be looked at.

    :param read: what a task said of each.
    :param failures: entries of the run's ledger.
    """
    lacking = [host for host in hosts if host not in read]
    if not hosts:
        raise Refused("No host of the pool answers.", code="unreachable")
    if lacking:
        reasons = {
            str(entry["host"]): str(entry.get("reason") or "") for entry in failures if entry["kind"] == "failed"
        }
        said = "; ".join(f"{host}: {reasons.get(host) or 'see above'}" for host in lacking)
        raise Refused(f"Nothing was changed, for some hosts could not be looked at. {said}", code="incomplete")


def plan(
    platform: Platform, request: rollout.Asked, chosen: Chosen, pool: t.Sequence[rollout.Server]
) -> dict[str, t.Any]:
    """Return the plan: the batches, and the lines that show it to a person."""
    group = platform.applications[request.application].group
    floor = bounds(platform, group)[0]
    found = rollout.batches(pool, request.parallelism, floor)
    by_name = {server.host: server for server in pool}
    batches = [
        {
            "number": number,
            "of": len(found),
            "hosts": list(hosts),
            "healthy_for": request.minimum_healthy_time if number == 1 else 0.0,
        }
        for number, hosts in enumerate(found, 1)
    ]
    return {"batches": batches, "told": list(_told(request, chosen, found, by_name, floor))}


def _told(
    request: rollout.Asked,
    chosen: Chosen,
    batches: t.Sequence[t.Sequence[str]],
    pool: t.Mapping[str, rollout.Server],
    floor: int,
) -> t.Iterator[str]:
    if not batches:
        yield f"{request.application}: all of {', '.join(pool)} serve {chosen.version}; nothing is to be done"
        return
    size, most = request.parallelism.of(len(pool)), rollout.at_once(list(pool.values()), request.parallelism, floor)
    # The canary is alone.
    limit = f" (not {size}: the pool keeps its minimum of {floor})" if most < size else ""
    watched = f"each is watched for {request.delay:g} s before the next"
    yield f"{request.application}: release {chosen.version}, {most} at a time{limit}; {watched}"
    width = max(len(host) for host in pool)
    for number, hosts in enumerate(batches, 1):
        for host in hosts:
            server = pool[host]
            notes = [f"canary: healthy for {request.minimum_healthy_time:g} s before it gets requests"] * (number == 1)
            notes += ["not healthy now"] * (not server.ready)
            notes += ["an earlier run was cut short here"] * server.unconfirmed
            notes += ["other settings"] * (server.before == chosen.version and not server.unconfirmed)
            change = f"{server.before or 'none'} -> {chosen.version}"
            yield f"  {number:>2}. {host:<{width}}  {change}{'  (' + ', '.join(notes) + ')' if notes else ''}"
    unchanged = [host for host, server in pool.items() if not server.due]
    if unchanged:
        yield f"unchanged: {', '.join(unchanged)}"
    if chosen.one_way:
        yield f"no way back, as accepted: {chosen.one_way}"
    else:
        yield "at the first failure, all that were updated go back to the release that they had"


# The end


def summary(
    application: str,
    chosen: Chosen,
    outcome: rollout.Outcome,
    pool: t.Mapping[str, rollout.Server],
    now: t.Mapping[str, str],
    back: t.Mapping[str, t.Sequence[str]],
    failures: t.Sequence[Host],
    refused: str = "",
) -> tuple[list[str], list[str]]:
    """Return who serves which release, and what is not as it was asked.

    :param outcome: of the turns.
    :param now: the release that each host was last confirmed with; one that is not there was not confirmed.
    :param back: what each host noted of its turn to go back.
    :param failures: entries of the run's ledger.
    :param refused: why no host had its turn; empty where they had.
    """
    gone_back = [host for host in outcome.back if "ended" in back.get(host, ())]
    noted = [entry for entry in failures if entry["kind"] == "failed" and entry["service"] in (application, "SSH")]
    # One that failed, and was lost while it went back, could not say so any more.
    said = {*now, *(entry["host"] for entry in noted)}
    lost = [*outcome.lost, *(host for host in outcome.failed if host not in said and host not in outcome.updated)]
    lines, serving = [], collections.defaultdict(list)
    for host, server in pool.items():
        unconfirmed = host in (*outcome.updated, *lost)
        serves = f"{chosen.version}, not confirmed" if unconfirmed else server.before or "none"
        serving[now.get(host) or serves].append(host)
    lines += [f"{version}: {', '.join(hosts)}" for version, hosts in sorted(serving.items())]
    if gone_back:
        lines.append(f"taken back: {', '.join(gone_back)}")
    troubles = [refused] * bool(refused)
    troubles += [f"{entry['host']} failed: {entry.get('reason') or 'see above'}" for entry in noted]
    troubles += [f"{host} was lost in its turn; the next run finishes it." for host in lost]
    for host in outcome.back:
        if host not in gone_back:
            troubles.append(f"{host} could not be taken back: it may still serve {chosen.version}, not confirmed.")
    if outcome.broken and chosen.one_way:
        kept = ", ".join(outcome.updated) or "none"
        troubles.append(f"Nothing was taken back, since that was accepted; {chosen.version} stays on: {kept}.")
    if not outcome.broken and not refused:
        due = [host for host, server in pool.items() if server.due]
        troubles += [f"{host} did not get {chosen.version}." for host in due if host not in outcome.updated]
        troubles += [
            f"{host} was lost before {chosen.version} was confirmed." for host in outcome.updated if host not in now
        ]
    return lines, troubles
