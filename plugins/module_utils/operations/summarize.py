# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of a run, in sentences for the person who started it; pure."""

from __future__ import annotations

import typing as t


def troubles(
    wanted: t.Sequence[str],
    reached: t.Collection[str],
    alive: t.Collection[str],
    entries: t.Sequence[t.Mapping[str, t.Any]],
) -> list[str]:
    """Return what did not come out as it was asked, a sentence a host; empty when all did.

    :param wanted: the hosts that the run was asked for. What a limit leaves out is not among them.
    :param reached: those that answered at its beginning.
    :param alive: those that Ansible still talks to at its end.
    :param entries: the run's ledger.
    """
    failed = {str(entry["host"]) for entry in entries if entry["kind"] == "failed"}
    said = [
        f"{host} did not answer. Nothing was changed on it; the next run configures it."
        for host in wanted
        if host not in reached
    ]
    for entry in entries:
        if entry["kind"] == "failed":
            task = f" at '{entry['task']}'" if entry.get("task") else ""
            said.append(f"{entry['host']} failed with {entry['service']}{task}: {entry['reason'] or 'see above'}")
    said += [
        f"{host} was lost during the run; the errors above say why."
        for host in wanted
        if host in reached and host not in alive and host not in failed
    ]
    said += [
        f"{entry['host']} was held with {entry['service']}, because {entry['broken_by']} failed first. "
        "It keeps its configuration."
        for entry in entries
        if entry["kind"] == "held"
    ]
    return said


def done(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Return what parts of the run have told of themselves, a line each, the hosts together."""
    told = [(str(entry["host"]), str(entry["text"])) for entry in entries if entry["kind"] == "told"]
    hosts = dict.fromkeys(host for host, _text in told)
    return [f"{host}: {text}" for one in hosts for host, text in told if host == one]
