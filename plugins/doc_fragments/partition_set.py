# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of the module ``partition_set`` that describe a set, alone or among several, and when moves pause."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  table:
    description:
      - Name of one table, as the server has it and without quotes.
      - One of O(table) and O(sets) is required.
    type: str
  schema:
    description: Schema of the table, without quotes; V(public) when not given. No search path is consulted.
    type: str
  by:
    description: How the table is partitioned; V(range) when not given.
    type: str
    choices: [range, hash, list]
  column:
    description: The column that the table is partitioned by. Required unless O(state=absent).
    type: str
  kind:
    description:
      - What the column's values are, of a range. When not given, it follows from the column's type, where C(uuid) is
        V(uuidv7) and integers are V(number).
      - V(timestamptz), V(timestamp) and V(date) are the types of PostgreSQL.
      - V(epoch_seconds) and the others are integers that count the time since 1970.
      - V(uuidv7) are ids of type C(uuid) that begin with their time, so that the primary key need not hold another
        column.
      - V(number) are integers that have nothing to do with time, such as a serial id.
    type: str
    choices: &kinds
      - timestamptz
      - timestamp
      - date
      - epoch_seconds
      - epoch_milliseconds
      - epoch_microseconds
      - epoch_nanoseconds
      - uuidv7
      - number
  interval:
    description:
      - What one partition holds, of a range. Required for one.
      - An amount of V(minute), V(hour), V(day), V(week), V(month), V(quarter) or V(year), such as V(month) or
        V(6 hours); or how many numbers, such as V(1000000).
      - Less than a day has to divide a day, and months have to divide a year. Weeks and several days count from
        Monday, 3 January 2000.
    type: str
  time_zone:
    description:
      - Name of the time zone in which days, months and years begin, such as V(Europe/Berlin).
      - When not given, it is the one that is stored with the set, and V(UTC) for a set that has none. Another one than
        the stored one is refused, since the bounds would not fit.
    type: str
  premake:
    description:
      - How many partitions there are ahead of the one that holds the present time; V(4) when not given.
      - Of numbers, ahead of the one that holds the largest number of the table.
    type: int
  past:
    description:
      - How many partitions there are behind the one that holds the present time; V(0) when not given.
      - For rows that come late, such as those with an id of a minute before a month began. What O(retention) would put
        away is not made.
    type: int
  retention:
    description:
      - How long partitions are kept, such as V(12 months); forever when not given. Of numbers, how far below the
        largest number.
      - A partition goes when all that it may hold is older.
    type: str
  retention_action:
    description:
      - What becomes of partitions that are older than O(retention); V(detach) when not given.
      - V(keep) only reports them. V(detach) makes each a table of its own, in the same schema and with the same name.
        V(move) does that and moves it to the schema O(move_to). V(drop) drops it with its rows.
      - It is detached with C(CONCURRENTLY), so that not even reads wait, unless there is a default partition, or
        a summary of the table that has to change with it. One whose detaching was interrupted is finished by the next
        run.
    type: str
    choices: [keep, detach, drop, move]
  move_to:
    description: Schema for O(retention_action=move), which exists.
    type: str
  confirm:
    description:
      - The name of the table, which is wanted before much is lost.
      - That is when O(retention_action=drop) would drop more than two partitions at once, or more than a fifth of the
        rows; and when O(state=absent) would drop rows.
    type: str
  name:
    description:
      - How partitions are called. A template with fields in single braces.
      - Of time, C({table}), C({year}), C({month}), C({day}), C({hour}), C({minute}), C({isoyear}), C({week}) and
        C({quarter}), each of the lower bound in the set's time zone. Of numbers, C({table}), C({lower}) and C({upper}).
        Of a hash C({table}) and C({remainder}), and of a list C({table}) and C({value}).
      - When not given, the fields that the interval needs, such as C({table}_y{year}m{month}) of months, which is
        C(tasks_y2024m01); C({table}_n{lower}), C({table}_h{remainder}) or C({table}_{value}).
      - Partitions that exist keep the names that they have.
    type: str
  modulus:
    description: How many partitions there are, of a hash. Another number than the existing one is refused.
    type: int
  values:
    description:
      - The partitions of a list. Each key is a word for O(name), and has the value or the list of values that the
        partition holds; a null is V(null).
      - Partitions that exist are compared by their values, as the server reads them, so that V(no) is V(false) of a
        boolean. A time without a zone is one of UTC where the table exists. One that is not named is left alone.
    type: dict
  default:
    description:
      - Whether there is a default partition, named as the table with C(_default) behind it. When not given, it is left
        as it is, and a new table has none.
      - A default partition hides what is wrong and forbids that partitions are detached with C(CONCURRENTLY).
        Without one, a row that fits no partition is an error.
      - Rows in a default partition are moved to the partitions that they belong to, which are created for that.
        RV(sets[].moved) says how many. Each can be read at every moment. Those that are older than O(retention), or far
        outside, such as of the year 1 or C(infinity), stay; a warning says how many there are.
      - V(false) drops it once it has no row.
    type: bool
  fill_gaps:
    description:
      - Whether gaps between the first and the last partition are filled; V(false) when not given.
      - Gaps are reported in either case. None is filled that O(retention) would put away.
    type: bool
  sub_partitions:
    description: How each new partition of a range is divided in turn, by the hash of a column.
    type: dict
    suboptions:
      column:
        description: The column.
        type: str
        required: true
      modulus:
        description: How many parts each partition has.
        type: int
        required: true
      name:
        description: How they are called; C({table}_h{remainder}) when not given, where C({table}) is the partition.
        type: str
  convert:
    description:
      - Whether a plain table with rows is turned into this set, while the application reads and writes;
        V(false) when not given.
      - Indexes, constraints, defaults, identity and generated columns, triggers, grants, comments, row security,
        replica identity, publications, views, foreign keys and summaries are kept. What cannot be kept is named, and
        nothing is changed.
      - A run that was interrupted is finished by the next one. Without this option, that one removes what was made and
        refuses the table, as it does any that is not partitioned.
    type: bool
  convert_old:
    description:
      - What becomes of the rows of the plain table.
      - V(one_partition), which is meant when nothing is said, leaves them where they are. The table becomes the first
        partition, called as the table with C(_converted) behind it. It holds what is before a bound of O(interval)
        that is above all rows and at least two days ahead, or two intervals of numbers. From then on until the end of
        the task, a row beyond that bound is refused.
      - V(split) moves them into partitions by O(interval), O(modulus) or O(values), in batches. Readers see each row
        once at every moment. It needs a primary key, as much disk again as the table has, and writes each row to the
        WAL. The table of before is kept with C(_unpartitioned) behind its name, and no longer written to; drop it when
        you like.
    type: str
    choices: [one_partition, split]
  definition:
    description:
      - Columns and constraints of a table that does not exist yet, each as in C(CREATE TABLE), such as
        C(id uuid NOT NULL) or C(PRIMARY KEY (user_id, id)).
      - A table that exists is not compared with it. Without it, a table that does not exist is refused.
    type: list
    elements: str
  state:
    description:
      - Whether the set O(table) is to exist; V(present) when not given.
      - V(absent) drops the table with all its partitions. When it has rows, O(confirm) is needed. What is not
        partitioned is refused, and what views or others depend on.
    type: str
    choices: [present, absent]
  sets:
    description: Any number of sets; excludes the options that describe one.
    type: list
    elements: dict
    suboptions:
      table: {description: "Name of the table, without quotes.", type: str, required: true}
      schema: {description: "Schema of the table, as in O(schema).", type: str}
      by: {description: "How the table is partitioned, as in O(by).", type: str, choices: [range, hash, list]}
      column: {description: The column that the table is partitioned by., type: str}
      kind:
        description: What the column's values are, as in O(kind).
        type: str
        choices: *kinds
      interval: {description: "What one partition holds, as in O(interval).", type: str}
      time_zone: {description: "Time zone in which days begin, as in O(time_zone).", type: str}
      premake: {description: "How many partitions there are ahead, as in O(premake).", type: int}
      past: {description: "How many partitions there are behind, as in O(past).", type: int}
      retention: {description: "How long partitions are kept, as in O(retention).", type: str}
      retention_action:
        description: What becomes of old partitions, as in O(retention_action).
        type: str
        choices: [keep, detach, drop, move]
      move_to: {description: "Schema for old partitions, as in O(move_to).", type: str}
      confirm: {description: "The name of the table, as in O(confirm).", type: str}
      name: {description: "How partitions are called, as in O(name).", type: str}
      modulus: {description: "How many partitions there are, as in O(modulus).", type: int}
      values: {description: "The partitions of a list, as in O(values).", type: dict}
      default: {description: "Whether there is a default partition, as in O(default).", type: bool}
      fill_gaps: {description: "Whether gaps are filled, as in O(fill_gaps).", type: bool}
      sub_partitions:
        description: How each new partition is divided in turn, as in O(sub_partitions).
        type: dict
        suboptions:
          column: {description: The column., type: str, required: true}
          modulus: {description: How many parts each partition has., type: int, required: true}
          name: {description: How they are called., type: str}
      convert: {description: "Whether a plain table is turned into this set, as in O(convert).", type: bool}
      convert_old:
        description: What becomes of the rows of a plain table, as in O(convert_old).
        type: str
        choices: [one_partition, split]
      definition:
        description: Columns and constraints of a table that does not exist yet, as in O(definition).
        type: list
        elements: str
      state: {description: "Whether the set is to exist, as in O(state).", type: str, choices: [present, absent]}
"""

    PAUSES = r"""
options:
  pauses:
    description:
      - What a move of rows waits for, out of a default partition or in a conversion. It goes on by itself as soon as
        nothing is over its limit.
      - V(0) for a limit looks at none.
    type: dict
    suboptions:
      replica_lag:
        description:
          - WAL that a replica may still have to replay.
          - Replicas are visible to superusers and members of C(pg_monitor); of others, none is waited for.
        type: str
        default: 256MB
      archive_lag:
        description: WAL that may wait to be archived, of a server that archives.
        type: str
        default: 1GB
      slot_retained:
        description: WAL that a replication slot may keep.
        type: str
        default: 16GB
      free_disk:
        description:
          - What is to be free on the volume of the data, as a size or a share such as V(10%).
          - The module has to run on the server's own host then. When not given, no one looks at the disk.
        type: str
        default: ""
      patience:
        description: Seconds that one pause may take, before the task fails with the code C(paused). What is done stays.
        type: int
        default: 3600
"""
