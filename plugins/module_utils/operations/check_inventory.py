# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge an inventory before anything is changed: every room says what is wrong with it, and all of that is told."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import (
    check_platform,
    scaling_policy,
    upkeep,
    warn_inventory,
)
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.hashing import BUCKETS
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import InvalidMap, ShardMap
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.plan import MovesRows, next_map
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.spec import wanted_shards
from ansible_collections.scaleout.platform.plugins.module_utils.topology import databases, variables
from ansible_collections.scaleout.platform.plugins.module_utils.topology import platform as topology
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import together


class InvalidInventory(ScaleoutError):
    """An inventory that no platform can be made of. ``problems`` has all that is wrong, and the message only counts it.

    Ansible prints a message twice and the other facts once, so that each fault is read once.
    ``warnings`` may say why: a variable that is missing may be there under a name that is not quite right.
    """

    CODE = "invalid_inventory"

    def __init__(self, problems: t.Sequence[Problem], warnings: t.Sequence[Problem] = ()) -> None:
        found = shared(problems)
        many = f"{len(found)} problems with the inventory, each" if len(found) > 1 else "1 problem with the inventory,"
        super().__init__(
            f"{many} named in problems. Nothing was changed.",
            problems=[dataclasses.asdict(problem) for problem in found],
            warnings=[str(warning) for warning in warnings],
        )


def shared(problems: t.Iterable[Problem]) -> list[Problem]:
    """Return problems with those that several hosts share once, as one of the platform's that names them."""
    hosts: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        hosts.setdefault((problem.code, problem.text), []).append(problem.host)
    found = []
    for (code, text), named in hosts.items():
        several = [host for host in dict.fromkeys(named) if host]
        if len(several) > 1:
            found.append(Problem(code, "", f"{together(several)}: {text}"))
        else:
            found.append(Problem(code, several[0] if several else "", text))
    return found


def check(
    hosts: t.Mapping[str, t.Mapping[str, t.Any]],
    groups: t.Mapping[str, t.Sequence[str]],
    secrets: t.Sequence[str] = (),
    providers: t.Sequence[str] = names.FLEET_PROVIDERS,
    known: variables.Names | None = None,
    published: t.Callable[[], ShardMap | None] = lambda: None,
    sources: t.Callable[[Platform], list[Problem]] = lambda _platform: [],
) -> tuple[Platform, dict[str, t.Any], list[Problem]]:
    """Return the platform of an inventory, its topology as facts for playbooks, and what it can live with.

    :param hosts: the variables of each host, in the order of the inventory, over the defaults of the roles.
    :param secrets: variables that must have a value on every host, beside those of the services and applications.
    :param known: the variables that there are; None for no look at how they are spelled.
    :param published: gives the shard map in force; None where there is none, or none can be read.
    :param sources: says which sources of applications are missing, where this run needs them.
    :raises InvalidInventory: whatever would fail later, half way through, or set up something else than was meant.
    """
    platform, described = topology.parse(hosts, groups)
    ranges, of_buckets = databases.buckets(platform)
    needed = {**check_platform.secrets(platform), **{secret: list(hosts) for secret in secrets}}
    found = topology.problems(platform, needed, providers) + described + of_buckets
    # That a server is in no cluster has been told, and why.
    found += [problem for problem in check_platform.problems(platform) if problem.code != "no_cluster"]
    found += [*scaling_policy.problems(platform), *upkeep.problems(platform)]
    found += [*_of_absence(platform), *sources(platform)]
    document = databases.document(platform, ranges)
    if not found and document["shards"]:
        found += _of_map(document, published())
    misspelled, doubtful = variables.judge(platform, known) if known else ([], [])
    warnings = doubtful + warn_inventory.warnings(platform)
    if misspelled or found:
        raise InvalidInventory(misspelled + found, warnings)
    document["applications"] = {
        application.name: application.document() for application in platform.applications.values()
    }
    return platform, document, warnings


def _of_absence(platform: Platform) -> t.Iterator[Problem]:
    """Refuse to take all applications off their hosts at once, while the load balancers keep their sites."""
    given = [host for host in platform.hosts if platform.value(host, "app_state", "present") != "present"]
    if given and platform.applications:
        text = (
            f"{together(given)}: app_state must not be set in an inventory or with -e, as it is that of every "
            f"application ({', '.join(platform.applications)}) and their sites would stay; remove.yml takes all of the "
            "platform away, and docs/removing.md says how to take one application away, its site first"
        )
        yield Problem("bad_value", "", text)


def _of_map(document: t.Mapping[str, t.Any], published: ShardMap | None) -> t.Iterator[Problem]:
    """Ask the shard map's planner, before a database is made that it would not take."""
    try:
        wanted = wanted_shards(document["clusters"], document["shards"])
        next_map(published, wanted, BUCKETS)
    except InvalidMap as error:
        variable = "platform_shard_buckets" if "buckets" in document["shards"][0] else "postgres_clusters"
        yield Problem("invalid_buckets", "", f"{variable}: {error.message.rstrip('.')}")
    except MovesRows as error:
        known = [shard.id for shard in published.shards] if published else []
        new = [str(entry.shard.id) for entry in wanted if entry.shard.id not in known]
        hint = f"; to add shard {' and '.join(new)} without rows, name it in empty_shards of its cluster" if new else ""
        yield Problem("moves_rows", "", f"{error.message.rstrip('.')}{hint}")
