# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fault P7: the disk of a primary is full, and then there is room again. It serves as before without a hand.

A folder of the server gets a small volume of its own, which a file then fills to its last block.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from tests.end_to_end import lab, load

#: The leader of the first cluster that has shards, and its first shard.
VICTIM = next(host for host in lab.hosts("postgres") if lab.leads(host) and lab.shards(host))
SHARD = str(lab.shards(VICTIM)[0])
#: Where a folder waits while a volume takes its place.
ASIDE = "/var/lib/postgresql/aside"
#: Seconds from the room's return until no request fails any more. A server that gave up is started every 5 s.
HEALS_WITHIN = 30

#: Of the log, what comes after the last checkpoint has not been written yet, and what was long before is of no use.
PRUNE = """
first=$(/usr/lib/postgresql/*/bin/pg_controldata {data} | sed -n 's/.*REDO WAL file: *//p')
cd {data}/pg_wal && keep=$(ls | grep -E '^[0-9A-F]{{24}}$' | sort | awk -v first="$first" '$0 <= first' | tail -4)
for file in $(ls | grep -E '^[0-9A-F]{{24}}$'); do echo "$keep" | grep -qx "$file" || rm "$file"; done
"""
SHRINK = """
set -e
systemctl stop {unit}
{prune}
cd / && mv {folder} {aside} && install -d -o postgres -g postgres -m 0700 {folder}
size=$(( $(du -sm {aside} | cut -f1) + {room} ))
mount -t tmpfs -o size=${{size}}m,mode=0700,uid=$(id -u postgres),gid=$(id -g postgres) none {folder}
cp -a {aside}/. {folder}/
systemctl start {unit}
"""
SWITCH = "cd / && sudo -u postgres psql -XAtqc 'SELECT pg_switch_wal(), pg_logical_emit_message(false, $$p$$, $$p$$)'"
RESTORE = """
set -e
cd /
systemctl stop {unit}
rm -f {folder}/filler
cp -a {folder} {aside}.new
umount {folder}
rmdir {folder}
mv {aside}.new {folder}
rm -rf {aside}
systemctl start {unit}
"""


@contextlib.contextmanager
def small_volume(folder: str, room: int, prune: bool = False) -> Iterator[None]:
    """Give a folder of the server a volume with so many MB to spare.

    :param prune: it is the folder of the log, of which only the newest part is kept.
    """
    shown = lab.ssh(VICTIM, "systemctl list-units --type=service --state=running --plain --no-legend 'postgresql@*'")
    data = lab.sql(VICTIM, "postgres", "SHOW data_directory")[0][0]
    words = {"unit": shown.split()[0], "folder": f"{data}/{folder}", "aside": ASIDE, "room": room}
    lab.ssh(VICTIM, SHRINK.format(**words, prune=PRUNE.format(data=data) if prune else ""))
    try:
        yield
    finally:
        lab.ssh(VICTIM, RESTORE.format(**words))
        assert lab.wait_for(ready, 60) is not None, "the platform does not come back"


def fill(folder: str) -> None:
    """Write until there is no room."""
    path = lab.sql(VICTIM, "postgres", "SHOW data_directory")[0][0] + f"/{folder}"
    lab.ssh(VICTIM, f"dd if=/dev/zero of={path}/filler bs=4k", check=False)
    free = lab.ssh(VICTIM, f"df --output=avail {path} | tail -1")
    assert free == "0", "the fault did not bite"


def free(data: str, folder: str) -> None:
    """Give the room back. The server may be down."""
    lab.ssh(VICTIM, f"rm {data}/{folder}/filler")


def readyz() -> dict[str, Any]:
    """What an API server says of what it can serve."""
    answer = lab.get("/readyz", f"http://{lab.address(lab.hosts('api')[0])}:{lab.PORT}")
    return json.loads(answer.body) if answer.body else {}


def ready() -> bool:
    return readyz().get("status") == "ready"


def primary() -> dict[str, Any]:
    """What it says of the victim."""
    return readyz()["shards"][SHARD]["primary"]


def metric() -> str:
    """The line of the metric that says that the victim's disk is full."""
    text = lab.get("/metrics", f"http://{lab.address(lab.hosts('api')[0])}:{lab.PORT}").body.decode()
    name = f'reference_api_server_trouble{{cause="disk_full",server="{VICTIM}",shard="{SHARD}"}}'
    return next((line.removeprefix(name).strip() for line in text.splitlines() if line.startswith(name)), "")


def assert_only_its_own(told: dict[str, Any], filled_at: float, freed_at: float, theirs: set[str]) -> None:
    """Requests failed with 503, of its shards alone, and none after the room was back for long enough."""
    load.assert_right(told)
    failed = {
        shard for shard, counts in told["by_shard"].items() if any(kind not in ("ok", "wrong") for kind in counts)
    }
    assert failed <= theirs, "503 for others than the shards of the full disk"
    assert told["failed"]["total"] > 0, "the fault did not bite"
    assert told["failed"]["by_kind"].keys() == {"503"}
    assert told["failed"]["first_at"] >= filled_at - 1
    assert told["failed"]["last_at"] <= freed_at + HEALS_WITHIN


@lab.lab_only
def test_p7_a_full_disk_under_a_database_is_named_and_ends_with_it(platform):
    data = lab.sql(VICTIM, "postgres", "SHOW data_directory")[0][0]
    number = lab.sql(VICTIM, "postgres", f"SELECT oid FROM pg_database WHERE datname = 'shard_{SHARD}'")[0][0]
    folder = f"base/{number}"
    with small_volume(folder, room=4), load.ledger("disk-data") as ledger:
        time.sleep(3)
        fill(folder)
        filled_at = ledger.now
        noticed = lab.wait_for(lambda: primary()["trouble"] == "disk_full", 90)
        assert noticed is not None, "/readyz does not say that the disk is full"
        said, shown, state = primary(), metric(), readyz()["status"]
        free(data, folder)
        freed_at = ledger.now
        time.sleep(HEALS_WITHIN + 1)
        told = ledger.report()
        healed, cleared = readyz(), metric()
    load.tell(f"{VICTIM}: disk full at {filled_at:.0f} s, named after {noticed:.0f} s, room at {freed_at:.0f} s", told)
    assert (said["up"], said["reason"], state, shown) == (True, "has a full disk", "degraded", "1.0")
    assert any("has a full disk" in line for line in told["failed"]["examples"]["503"])
    assert (healed["status"], cleared) == ("ready", "0.0")
    assert_only_its_own(told, filled_at, freed_at, {SHARD})


@lab.lab_only
def test_p7_a_server_that_cannot_write_its_log_gives_up_and_comes_back(platform):
    data = lab.sql(VICTIM, "postgres", "SHOW data_directory")[0][0]
    with small_volume("pg_wal", room=24, prune=True), load.ledger("disk-log") as ledger:
        time.sleep(3)
        fill("pg_wal")
        filled_at = ledger.now

        def gave_up() -> bool:
            lab.ssh(VICTIM, SWITCH, check=False)
            return not primary()["up"]

        noticed = lab.wait_for(gave_up, 60)
        assert noticed is not None, "the fault did not bite"
        # For longer than systemd's own patience, which is five starts in ten seconds.
        time.sleep(20)
        log = lab.ssh(VICTIM, "tail -n 400 /var/log/postgresql/postgresql-*-main.log")
        free(data, "pg_wal")
        freed_at = ledger.now
        back = lab.wait_for(lambda: primary()["up"], HEALS_WITHIN)
        time.sleep(HEALS_WITHIN + 1)
        told = ledger.report()
        healed = readyz()["status"]
    load.tell(
        f"{VICTIM}: no room for its log at {filled_at:.0f} s, room at {freed_at:.0f} s, back {back:.0f} s later", told
    )
    assert "No space left on device" in log
    assert back is not None, "it stays down"
    assert healed == "ready"
    theirs = {str(shard) for shard in lab.shards(VICTIM)}
    assert_only_its_own(told, filled_at, freed_at, theirs)
