# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Scale a group: record in Consul which hosts are to join and which are to leave, or which arrived and are gone."""

from __future__ import annotations

import dataclasses
import time
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.health import in_maintenance, judge, known
from ansible_collections.scaleout.platform.plugins.module_utils.members.plan import (
    Pool,
    Range,
    Scaling,
    compare,
    plan,
    settle,
    write_off,
)
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import (
    InvalidRecord,
    Member,
    Record,
    decode,
    fault_of_group,
)
from ansible_collections.scaleout.platform.plugins.module_utils.operations.fenced import FencedDocument, fault_of_prefix
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan


@dataclasses.dataclass(frozen=True)
class Seen:
    """What Consul says.

    :param record: of the group.
    :param others: the members of all other groups.
    :param known: the hosts that Consul knows, and whether each is alive.
    :param services: the health of each of the group's services, as Consul writes it.
    """

    record: Record | None
    others: list[Member]
    known: dict[str, bool] = dataclasses.field(default_factory=dict)
    services: tuple[list[dict[str, t.Any]], ...] = ()

    def health(self, members: t.Iterable[Member]) -> dict[str, str]:
        """How each member is; empty where it was not asked for."""
        return judge([member.name for member in members], self.known, self.services) if self.known else {}


Decide = t.Callable[[Seen], Scaling]
"""From what Consul says to what becomes of the group."""


class ScaleGroup(FencedDocument):
    """Reads the records, plans the next one of a group, and writes it unless another client has written since."""

    def __init__(
        self,
        consul: Consul,
        prefix: str,
        group: str,
        decide: Decide,
        services: t.Sequence[str] | None = None,
        run: str | None = None,
    ) -> None:
        super().__init__(consul, prefix, group, run)
        self._decide = decide
        self._services = services

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any], acts: bool = True) -> ScaleGroup:
        """The task that the options of the module ``members`` describe.

        :param acts: whether this is no dry run.
        :raises InvalidInput: an option that can never work.
        """
        group, prefix = params["group"], params["prefix"]
        fault = fault_of_group(group)
        if fault:
            raise InvalidInput("group", group, fault)
        fault = fault_of_prefix(prefix)
        if fault:
            raise InvalidInput("prefix", prefix, fault)
        now = moments.text(time.time())
        decide = {"scaled": _scaled, "settled": _settled, "written_off": _written_off}[params["state"]](params, now)
        run = params.get("run") if acts else None
        return cls(Consul.from_options(params), prefix, group, decide, params.get("services"), run)

    def plan(self) -> Plan:
        self._fence()
        seen = self._read()
        scaling = self._decide(seen)
        present = (*scaling.staying, *scaling.joining, *scaling.leaving)
        return Plan(
            before=scaling.before.text() if scaling.before else "",
            after=scaling.after.text() if scaling.after else "",
            actions=() if scaling.after == scaling.before else (scaling.after,),
            result={
                "joining": [member.summary() for member in scaling.joining],
                "leaving": [member.summary() for member in scaling.leaving],
                "staying": [member.summary() for member in scaling.staying],
                "health": seen.health(present),
                "alive": seen.known,
                "maintenance": sorted(in_maintenance(seen.services)),
                "record": scaling.after.document() if scaling.after else None,
            },
        )

    def _read(self) -> Seen:
        found = documents.read_folder(self._consul, self._prefix)
        # Consul hides what a token may not read, and a record that is hidden is not one that is missing.
        self._seen = found.pop(self._key, None) or documents.read(self._consul, self._key)
        others = [self._decode(other) for other in found.values() if other.text]
        record = self._decode(self._seen) if self._seen else None
        elsewhere = [member for other in others for member in other.members]
        if self._services is None:
            return Seen(record, elsewhere)
        known_hosts = known(self._consul.ask("/v1/agent/members"), self._consul.ask("/v1/catalog/nodes"))
        quoted = [urllib.parse.quote(service, safe="") for service in self._services]
        asked = tuple(self._consul.ask(f"/v1/health/service/{service}") for service in quoted)
        return Seen(record, elsewhere, known_hosts, asked)

    def _decode(self, document: documents.Document) -> Record:
        try:
            return decode(document.text, document.key[len(self._prefix) + 1 :])
        except InvalidRecord as error:
            raise Refused(
                f"The key {document.key} in Consul at {self._consul.place} holds something that is not a "
                f"record of members, and nothing is written: {error.message}",
                code=error.code,
                key=document.key,
            ) from error


def _scaled(params: t.Mapping[str, t.Any], now: str) -> Decide:
    static = _static_members(params)
    source = _source(params)

    def decide(seen: Seen) -> Scaling:
        return plan(
            params["group"],
            static,
            seen.record,
            params["count"],
            source,
            now,
            params["minimum"],
            params["maximum"],
            seen.others,
            params.get("leave") or (),
            seen.health(seen.record.members if seen.record else static),
            seen.known,
        )

    return decide


def _settled(params: t.Mapping[str, t.Any], now: str) -> Decide:
    def decide(seen: Seen) -> Scaling:
        return compare(
            seen.record,
            settle(
                seen.record,
                params["group"],
                params["joined"],
                params["left"],
                now,
                params["provider_ids"],
                params.get("kept") or (),
            ),
        )

    return decide


def _written_off(params: t.Mapping[str, t.Any], now: str) -> Decide:
    static = _static_members(params)

    def decide(seen: Seen) -> Scaling:
        return compare(seen.record, write_off(seen.record, params["group"], static, params["left"], now))

    return decide


def _static_members(params: t.Mapping[str, t.Any]) -> tuple[Member, ...]:
    try:
        return Record(
            params["group"],
            tuple(
                Member(host["name"], host["address"], host["provider"] or params["provider"])
                for host in params["static_members"]
            ),
        ).members
    except InvalidRecord as error:
        raise Refused(f"static_members: {error.message}", code=error.code) from error


def _source(params: t.Mapping[str, t.Any]) -> Pool | Range:
    if params["provider"] == "static":
        return Pool(tuple((host["name"], host["address"]) for host in params["pool"]))
    return Range(
        params["address_range"],
        params["name_pattern"] or params["group"] + "{n}",
        frozenset(params["reserved_names"] + params["reserved_addresses"]),
    )
