# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is told to whom decides on the scaling once samples are in the store, and when nothing is told; pure."""

from __future__ import annotations

import dataclasses
import json
import os.path
import typing as t
from collections.abc import Collection, Iterable, Mapping

#: The environment of a run that was started by a hand-over has this variable.
MARKER = "SCALEOUT_HANDED_OVER"
#: Its extra variables have this one, where it was launched from afar.
VARIABLE = "scaleout_handed_over"
#: Services that an event names. Those beyond are only counted.
MOST_SERVICES = 50


@dataclasses.dataclass(frozen=True)
class Options:
    """How to hand over.

    :param timeout: seconds to connect, and seconds for an answer.
    :param inventories: as this run was given them.
    :param vault_ids: as this run was given them; passwords that were typed in are none.
    """

    playbook: str = ""
    timeout: float = 5.0
    ca_file: str = ""
    awx_url: str = ""
    awx_template: str = ""
    awx_token: str = dataclasses.field(default="", repr=False)
    webhook_url: str = ""
    webhook_secret: str = dataclasses.field(default="", repr=False)
    log_path: str = ""
    inventories: tuple[str, ...] = ()
    vault_ids: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Event:
    """That samples were pushed.

    :param id: the same for each delivery of one event.
    :param at: when, in seconds since 1970.
    :param services: whose samples they are.
    """

    id: str
    at: float
    services: tuple[str, ...]
    samples: int

    @classmethod
    def of(cls, run: str, at: float, services: Iterable[str], samples: int) -> Event:
        """Return the event of a run; its id is the run's."""
        return cls(run, round(at, 3), tuple(sorted(set(services))), samples)

    def variables(self) -> dict[str, t.Any]:
        """Return the extra variables of what is launched: at most 10 kB."""
        return {VARIABLE: self.id, "scaleout_services": list(self.services[:MOST_SERVICES])}

    def body(self) -> bytes:
        """Return the event as JSON."""
        return json.dumps(
            {
                "event": "metrics_pushed",
                "id": self.id,
                "at": self.at,
                "services": list(self.services[:MOST_SERVICES]),
                "more_services": max(0, len(self.services) - MOST_SERVICES),
                "samples": self.samples,
            },
            sort_keys=True,
        ).encode()


def name_of(playbook: str) -> str:
    """Return the name of a playbook, given by its path or as one of a collection."""
    base = os.path.basename(playbook)
    stem, extension = os.path.splitext(base)
    return stem if extension in (".yml", ".yaml", ".json") else base.rpartition(".")[2]


def reason_against(
    environment: Collection[str], extra_variables: Mapping[str, t.Any], running: str, to_run: str
) -> str:
    """Say why a run hands nothing over, so that the scaling playbook does not start itself again; empty if it may.

    :param environment: the names of this run's environment variables.
    :param running: the playbook of this run, and ``to_run`` the one that would be started.
    """
    if MARKER in environment or VARIABLE in extra_variables:
        return "this run was itself started by a hand-over"
    if name_of(running) == name_of(to_run):
        return f"this run is itself one of {name_of(to_run)}"
    return ""
