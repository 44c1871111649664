# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which releases the schema of a database still serves; pure.

A release may state the oldest version that its schema serves (``schema_serves``). A rollback never migrates, so the
statement of the release that was deployed last counts, whichever release serves by now.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import version_number
from ansible_collections.scaleout.platform.plugins.module_utils.releases.plan import Release


def serves(oldest: str, version: str) -> bool:
    """Whether a schema that serves versions from ``oldest`` on serves a version.

    A name that is no number cannot be compared, so it counts as older.
    """
    if not oldest:
        return True
    least, given = version_number(oldest), version_number(version)
    return least is not None and given is not None and given >= least


def oldest_served(releases: t.Iterable[Release]) -> str:
    """Return the oldest version that the schema serves by what is noted; empty where nothing is.

    :param releases: those that are on a host. The newest statement counts.
    """
    stated = [release for release in releases if release.note.get("schema_serves")]
    return str(max(stated, key=lambda release: release.noted).note["schema_serves"]) if stated else ""


def no_way_back(version: str, stated: str, host: str, before: str) -> str:
    """Say that a deployment would make its own rollback impossible; empty where it does not.

    :param version: the new release.
    :param stated: its ``schema_serves``.
    :param host: where, for the sentence; or empty.
    :param before: the release that would have to be gone back to; empty for a first one.
    """
    if not before or before == version or serves(stated, before):
        return ""
    where = f"{host} serves {before}" if host else f"this host serves {before}"
    return (
        f"Release {version} cannot be rolled back once it is deployed: its schema serves {stated} and later, and "
        f"{where}."
    )


def warning(version: str, before: str | None, releases: t.Iterable[Release], note: t.Mapping[str, t.Any]) -> str:
    """Say what a deployment on one host should be told of its way back; empty where there is nothing to say.

    :param before: what the host would go back to.
    :param releases: those that are there.
    :param note: what will be noted of the new release.
    """
    there = list(releases)
    floor = oldest_served(one for one in there if one.version != version)
    if version_number(version) is not None and not serves(floor, version):
        return f"Release {version} is older than {floor}, the oldest one that the schema of the database still serves."
    return no_way_back(version, str(note.get("schema_serves") or ""), "", before or "")
