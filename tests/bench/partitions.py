# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a thousand partitions cost, made and looked at again, beside one-object tasks and beside plain psql.

    python -m tests.bench.partitions [--partitions N] [--tasks N] [--rounds N]

A PostgreSQL of its own, as durable as in production. Each round makes a new database and runs one playbook on this
host: a module of ours that only connects; ``partition_set`` that makes N partitions by day and then finds nothing to
do; psql with the same DDL, a statement at a time and as one transaction for each; and a loop of
``community.postgresql`` tasks for N of the days. Goals: nothing to do in 0.3 s above a module that only connects, and
made in 1.5 times what psql takes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import yaml

from tests.unit import postgres_server

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
SETTINGS = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "max_wal_size": "4GB"}
TABLE = """CREATE TABLE {0} (id bigint, seen_at timestamptz NOT NULL, path text, PRIMARY KEY (id, seen_at))
PARTITION BY RANGE (seen_at); CREATE INDEX ON {0} (seen_at);"""
ATTACH = "ALTER TABLE {0} ATTACH PARTITION {1} FOR VALUES FROM ('{2} 00:00:00+00') TO ('{3} 00:00:00+00')"
CREATE = "CREATE TABLE {1} (LIKE {0} INCLUDING ALL EXCLUDING IDENTITY)"


def statements(table, partitions):
    """Return the statements that make as many days from today on: two for each."""
    today = datetime.datetime.now(datetime.UTC).date()
    made = []
    for ahead in range(partitions):
        first, last = (today + datetime.timedelta(days=ahead + one) for one in (0, 1))
        name = f"{table}_{first:%Y%m%d}"
        made += [CREATE.format(table, name), ATTACH.format(table, name, first, last)]
    return made


def playbook(database, partitions, tasks, script):
    """Return the tasks of one round; their names are what is printed."""
    ours = {
        "login_db": database, "table": "ours", "column": "seen_at", "interval": "day", "premake": partitions - 1,
    }  # fmt: skip
    psql = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={database}", f"--file={script}"]
    one_object = {"login_db": database, "query": "{{ item }}", "autocommit": True}
    return [
        {"name": "connect only", "connect_only": {"login_db": database}},
        {"name": "this collection | apply", "scaleout.platform.partition_set": ours},
        {"name": "this collection | no-op", "scaleout.platform.partition_set": ours},
        {"name": "psql | apply", "ansible.builtin.command": {"argv": psql}},
        {
            "name": f"one-object tasks for {tasks} | apply",
            "community.postgresql.postgresql_query": one_object,
            "loop": statements("theirs", tasks),
        },
    ]


def run(server, number, partitions, tasks):
    """Run one round; returns seconds by the name of the task."""
    database = server.database()
    with server.connect(database) as client, tempfile.TemporaryDirectory() as folder:
        for table in ("ours", "bare", "theirs"):
            client.run(TABLE.format(table))
        script, book = pathlib.Path(folder) / "script.sql", pathlib.Path(folder) / "book.yml"
        os.chmod(folder, 0o755)
        script.write_text("".join(f"{one};\n" for one in statements("bare", partitions)))
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "environment": {"PGHOST": str(server.folder), "PGUSER": "postgres"},
            "tasks": playbook(database, partitions, tasks, script),
        }
        # The order of the two that are compared changes from round to round.
        if number % 2:
            play["tasks"].insert(1, play["tasks"].pop(3))
        book.write_text(yaml.safe_dump([play], sort_keys=False))
        environment = {
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LIBRARY": HERE / "library",
        }
        command = ["ansible-playbook", "--inventory=localhost,", "--connection=local", str(book)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        printed = json.loads(done.stdout[done.stdout.index("{") :])
        if done.returncode:
            sys.exit(json.dumps(printed["plays"][0]["tasks"][-1], indent=1)[:4000])
        found = client.rows("SELECT inhparent::regclass::text, count(*) FROM pg_inherits i JOIN pg_class c"
                            " ON c.oid = i.inhrelid AND c.relkind = 'r' GROUP BY 1")  # fmt: skip
        assert dict(found) == {"ours": partitions, "bare": partitions, "theirs": tasks}, found
        return {one["task"]["name"]: seconds(one["task"]["duration"]) for one in printed["plays"][0]["tasks"]}


def seconds(duration):
    first, last = (datetime.datetime.fromisoformat(duration[end].rstrip("Z")) for end in ("start", "end"))
    return (last - first).total_seconds()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with postgres_server.running(**SETTINGS) as server:
        rounds = [run(server, number, given.partitions, given.tasks) for number in range(given.rounds)]
    print(f"{given.partitions} partitions, {given.rounds} rounds (median, and the spread):")
    for name in sorted(rounds[0]):
        times = [one[name] for one in rounds]
        print(f"  {name:<40} {statistics.median(times):8.2f} s   {min(times):.2f} to {max(times):.2f}")
    above = [one["this collection | no-op"] - one["connect only"] for one in rounds]
    ratio = [one["this collection | apply"] / one["psql | apply"] for one in rounds]
    theirs = f"one-object tasks for {given.tasks} | apply"
    each = [(one[theirs] / given.tasks) / (one["this collection | apply"] / given.partitions) for one in rounds]
    print(f"no-op above connect only: {statistics.median(above):.2f} s (goal: under 0.3)")
    print(f"apply beside psql: {statistics.median(ratio):.2f} times (goal: at most 1.5)")
    print(f"a partition by one-object tasks beside one of this collection: {statistics.median(each):.1f} times")


if __name__ == "__main__":
    main()
