# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fault P7: the disk of a leader is full, and then there is room again. It serves as before without a hand.

A folder of the server gets a small volume of its own, which a file then fills to its last block. Where rows are, the
leader goes on and refuses writes. Where its log is, it gives up, and another member takes its place.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from tests.end_to_end import lab, load

#: The first cluster that has shards, and its first shard.
CLUSTER = next(lab.cluster_of(host) for host in lab.hosts("postgres") if lab.shards(host))
SHARD = str(lab.shards(lab.members(CLUSTER)[0])[0])
#: Where a folder waits while a volume takes its place.
ASIDE = "/var/lib/postgresql/aside"
#: Seconds from the room's return until no request fails any more, and until a server that gave up follows.
HEALS_WITHIN = 30
#: Seconds from a leader's end until another one leads and no request fails any more.
FAILS_OVER_WITHIN = 15

#: Of the log, what comes after the last checkpoint has not been written yet, and what was long before is of no use.
PRUNE = """
first=$(/usr/lib/postgresql/*/bin/pg_controldata {data} | sed -n 's/.*REDO WAL file: *//p')
cd {data}/pg_wal && keep=$(ls | grep -E '^[0-9A-F]{{24}}$' | sort | awk -v first="$first" '$0 <= first' | tail -4)
for file in $(ls | grep -E '^[0-9A-F]{{24}}$'); do echo "$keep" | grep -qx "$file" || rm "$file"; done
"""
SHRINK = """
set -e
systemctl stop patroni
{prune}
cd / && mv {folder} {aside} && install -d -o postgres -g postgres -m 0700 {folder}
size=$(( $(du -sm {aside} | cut -f1) + {room} ))
mount -t tmpfs -o size=${{size}}m,mode=0700,uid=$(id -u postgres),gid=$(id -g postgres) none {folder}
cp -a {aside}/. {folder}/
systemctl start patroni
"""
SWITCH = "cd / && sudo -u postgres psql -XAtqc 'SELECT pg_switch_wal(), pg_logical_emit_message(false, $$p$$, $$p$$)'"
RESTORE = """
set -e
cd /
systemctl stop patroni
rm -f {folder}/filler
cp -a {folder} {aside}.new
umount {folder}
rmdir {folder}
mv {aside}.new {folder}
rm -rf {aside}
systemctl start patroni
"""


class Victim:
    """The leader, one folder of which gets a volume with so many MB to spare.

    :param prune: it is the folder of the log, of which only the newest part is kept.
    """

    def __init__(self, folder: str, room: int, prune: bool = False) -> None:
        self.host = lab.leader(CLUSTER)
        self._others = [host for host in lab.members(CLUSTER) if host != self.host]
        data = lab.sql(self.host, "postgres", "SHOW data_directory")[0][0]
        self._folder = f"{data}/{folder}"
        self._words = {"folder": self._folder, "aside": ASIDE, "room": room}
        self._prune = PRUNE.format(data=data) if prune else ""

    def shrink(self) -> None:
        """Give it the volume. The others are away meanwhile, so that it goes on to lead."""
        lab.everywhere("systemctl stop patroni", self._others)
        try:
            lab.ssh(self.host, SHRINK.format(**self._words, prune=self._prune))
            assert lab.wait_for(lambda: lab.leader(CLUSTER) == self.host, 60) is not None, "it does not lead again"
        finally:
            lab.everywhere("systemctl start patroni", self._others)

    def restore(self) -> None:
        """Give it its disk back, whoever leads."""
        lab.ssh(self.host, RESTORE.format(**self._words))

    def fill(self) -> None:
        """Write until there is no room."""
        lab.ssh(self.host, f"dd if=/dev/zero of={self._folder}/filler bs=4k", check=False)
        left = lab.ssh(self.host, f"df --output=avail {self._folder} | tail -1")
        assert left == "0", "the fault did not bite"

    def free(self) -> None:
        """Give the room back. The server may be down."""
        lab.ssh(self.host, f"rm {self._folder}/filler")


@contextlib.contextmanager
def small_volume(folder: str, room: int, prune: bool = False) -> Iterator[Victim]:
    """Give a folder of the leader a small volume, and take it away again."""
    assert serves(), lab.patroni(CLUSTER)
    victim = Victim(folder, room, prune)
    try:
        victim.shrink()
        assert serves(), lab.patroni(CLUSTER)
        yield victim
    finally:
        victim.restore()
        assert serves(), "the platform does not come back"


def serves() -> bool:
    """Whether the cluster is whole, or becomes so, and the API is ready."""
    return lab.wait_for(lambda: lab.whole(CLUSTER) and ready(), 90) is not None


def readyz() -> dict[str, Any]:
    """What an API server says of what it can serve."""
    answer = lab.get("/readyz", f"http://{lab.address(lab.hosts('api')[0])}:{lab.PORT}")
    return json.loads(answer.body) if answer.body else {}


def ready() -> bool:
    return readyz().get("status") == "ready"


def primary() -> dict[str, Any]:
    """What it says of the shard's leader."""
    return readyz()["shards"][SHARD]["primary"]


def metric(host: str) -> str:
    """The line of the metric that says that a server's disk is full."""
    text = lab.get("/metrics", f"http://{lab.address(lab.hosts('api')[0])}:{lab.PORT}").body.decode()
    name = f'reference_api_server_trouble{{cause="disk_full",server="{host}",shard="{SHARD}"}}'
    return next((line.removeprefix(name).strip() for line in text.splitlines() if line.startswith(name)), "")


def assert_only_its_own(told: dict[str, Any], filled_at: float, healed_at: float, theirs: set[str]) -> None:
    """Requests failed with 503, of its shards alone, and none once it was healed."""
    load.assert_right(told)
    failed = {
        shard for shard, counts in told["by_shard"].items() if any(kind not in ("ok", "wrong") for kind in counts)
    }
    assert failed <= theirs, "503 for others than the shards of the full disk"
    assert told["failed"]["by_kind"].keys() <= {"503"}
    if told["failed"]["total"]:
        assert told["failed"]["first_at"] >= filled_at - 1
        assert told["failed"]["last_at"] <= healed_at


@lab.lab_only
def test_p7_a_full_disk_under_a_database_is_named_and_ends_with_it(platform):
    query = f"SELECT oid FROM pg_database WHERE datname = 'shard_{SHARD}'"
    number = lab.sql(lab.members(CLUSTER)[0], "postgres", query)[0][0]
    with small_volume(f"base/{number}", room=4) as victim, load.ledger("disk-data") as ledger:
        time.sleep(3)
        victim.fill()
        filled_at = ledger.now
        noticed = lab.wait_for(lambda: primary()["trouble"] == "disk_full", 90)
        assert noticed is not None, "/readyz does not say that the disk is full"
        said, shown, state = primary(), metric(victim.host), readyz()["status"]
        victim.free()
        freed_at = ledger.now
        time.sleep(HEALS_WITHIN + 1)
        told = ledger.report()
        healed, cleared, leader = readyz(), metric(victim.host), lab.leader(CLUSTER)
    load.tell(
        f"{victim.host}: disk full at {filled_at:.0f} s, named after {noticed:.0f} s, room at {freed_at:.0f} s", told
    )
    assert (said["up"], said["reason"], state, shown) == (True, "has a full disk", "degraded", "1.0")
    assert any("has a full disk" in line for line in told["failed"]["examples"]["503"])
    assert (healed["status"], cleared) == ("ready", "0.0")
    assert leader == victim.host, "a leader that can be read from gave its lead away"
    assert_only_its_own(told, filled_at, freed_at + HEALS_WITHIN, {SHARD})


@lab.lab_only
def test_p7_a_leader_that_cannot_write_its_log_gives_up_and_follows_when_there_is_room(platform):
    with small_volume("pg_wal", room=24, prune=True) as victim, load.ledger("disk-log") as ledger:
        time.sleep(3)
        victim.fill()
        filled_at = ledger.now

        def gave_up() -> bool:
            lab.ssh(victim.host, SWITCH, check=False)
            return lab.leader(CLUSTER) not in ("", victim.host)

        noticed = lab.wait_for(gave_up, 90)
        assert noticed is not None, "the fault did not bite: it leads, or no other member does"
        led_at = ledger.now
        # For longer than systemd's own patience, which is five starts in ten seconds.
        time.sleep(20)
        log = lab.ssh(victim.host, "tail -n 400 /var/log/postgresql/postgresql-*-main.log")
        victim.free()
        freed_at = ledger.now
        back = lab.wait_for(lambda: lab.whole(CLUSTER), HEALS_WITHIN)
        time.sleep(3)
        told = ledger.report()
        healed, leader = readyz()["status"], lab.leader(CLUSTER)
    load.tell(
        f"{victim.host}: no room for its log at {filled_at:.0f} s, {leader} led at {led_at:.0f} s; room at "
        f"{freed_at:.0f} s, and it follows after {back or -1:.0f} s",
        told,
    )
    assert "No space left on device" in log
    assert back is not None, "it does not come back"
    assert leader != victim.host
    assert healed == "ready"
    theirs = {str(shard) for shard in lab.shards(victim.host)}
    # Not the return of the room ends the failures, but the other leader.
    assert_only_its_own(told, filled_at, led_at + FAILS_OVER_WITHIN, theirs)
