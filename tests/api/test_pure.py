# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What decides without touching anything: ids, cursors, tokens, the memory of writes, the history of a primary."""

from __future__ import annotations

import json
import math
import re
import typing as t
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_api.errors import InvalidRequest
from reference_api.freshness import PRIMARY, TOKEN_LIFETIME, PrimaryHistory, RecentWrites, SessionToken
from reference_api.migrate import MigrationError, load
from reference_api.pagination import (
    LONGEST_CURSOR,
    UsersCursor,
    decode_row,
    decode_users,
    encode_row,
    encode_users,
)
from reference_api.settings import Amqp, AnalyticsDatabase, Endpoint, Settings, SettingsError
from reference_api.shard_map import InvalidMap, ShardMap
from reference_api.uuid7 import Uuid7, milliseconds_of

if t.TYPE_CHECKING:
    import pathlib

SHARDS = st.sampled_from(["0", "1", "2"])
POSITIONS = st.integers(0, 2**63 - 1)


@given(st.lists(st.integers(-20_000, 2_000), min_size=1, max_size=50))
def test_ids_increase_whatever_the_clock_does(steps: list[int]) -> None:
    now = 1_795_500_000_000
    new_id = Uuid7(clock=lambda: now)
    before = new_id()
    for step in steps:
        last_millisecond, now = milliseconds_of(before), now + step
        after = new_id()
        assert after.version == 7
        assert after.variant == uuid.RFC_4122
        if now >= last_millisecond - 10_000:
            assert after > before
            assert milliseconds_of(after) >= now
        else:
            assert milliseconds_of(after) == now
        before = after


def test_ids_of_one_millisecond_do_not_run_out() -> None:
    new_id = Uuid7(clock=lambda: 1000, random_bits=lambda bits: (1 << bits) - 1)
    new_id._counter, new_id._millisecond = (1 << 74) - 1, 1000
    assert milliseconds_of(new_id()) == 1001


@given(st.integers(0, 10**9), st.none() | st.uuids())
def test_a_cursor_of_users_comes_back(shard: int, after: uuid.UUID | None) -> None:
    text = encode_users(UsersCursor(shard, after))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert len(text) <= LONGEST_CURSOR
    assert decode_users(text) == UsersCursor(shard, after)


@given(st.uuids())
def test_a_cursor_of_rows_comes_back_to_its_listing(last: uuid.UUID) -> None:
    assert decode_row("tasks", encode_row("tasks", last)) == last
    with pytest.raises(InvalidRequest):
        decode_row("goals", encode_row("tasks", last))


@given(st.text() | st.text("ABCDEFWzIsXQ0123456789-_", max_size=60))
def test_no_other_text_is_a_cursor(text: str) -> None:
    for decode in (decode_users, lambda text: decode_row("tasks", text)):
        with pytest.raises(InvalidRequest):
            decode(text)


@given(st.lists(st.tuples(SHARDS, st.integers(1, 3), POSITIONS), max_size=6))
def test_a_token_knows_the_last_write_to_each_shard(writes: list[tuple[str, int, int]]) -> None:
    token = SessionToken()
    last: dict[str, tuple[int, int]] = {}
    for shard, version, lsn in writes:
        token = token.written(shard, version, lsn, now=1000)
        known = last.get(shard)
        last[shard] = (version, max(lsn, known[1]) if known and known[0] == version else lsn)
    token = SessionToken.decode(token.encode())
    for shard in "012":
        for version in (1, 2, 3):
            if last.get(shard, (0,))[0] == version:
                assert token.need(shard, version) == last[shard][1]
            elif any(written != version for written, _unused in last.values()):
                assert token.need(shard, version) == PRIMARY
            else:
                assert token.need(shard, version) == 0


@given(st.text())
def test_reading_a_token_never_fails(text: str) -> None:
    token = SessionToken.decode(text)
    assert token.need("0", 1) >= 0


def test_a_token_forgets_what_is_long_past() -> None:
    token = SessionToken().written("0", 1, 500, now=1000).written("1", 2, 600, now=1000 + TOKEN_LIFETIME)
    assert set(token.marks) == {"1"}
    many = SessionToken()
    for shard in range(100):
        many = many.written(str(shard), 1, shard, now=1000 + shard)
    assert len(many.encode()) < 2048
    assert many.need("99", 1) == 99


def test_a_write_in_doubt_needs_the_primary_until_the_next_write() -> None:
    token = SessionToken().written("0", 1, 500, now=1).in_doubt("0", now=2)
    assert SessionToken.decode(token.encode()).need("0", 1) == PRIMARY
    assert token.written("0", 1, 700, now=3).need("0", 1) == 700


def test_two_tokens_say_what_either_says() -> None:
    header = SessionToken().written("0", 1, 500, now=1)
    cookie = SessionToken().written("0", 1, 400, now=2).written("1", 1, 7, now=2)
    both = header.merge(cookie)
    assert (both.need("0", 1), both.need("1", 1)) == (500, 7)
    assert cookie.merge(header) == both
    assert header.merge(SessionToken.decode("nonsense")).need("0", 1) == PRIMARY


def test_recent_writes_are_remembered_as_long_as_a_replica_may_lag() -> None:
    recent = RecentWrites(max_lag=1.0)
    user, other = uuid.uuid4(), uuid.uuid4()
    recent.note(user, "0", 3, 500, now=100.0)
    assert recent.need_of_user(user, 3, now=100.5) == 500
    assert recent.need_of_user(other, 3, now=100.5) == 0
    assert recent.need_of_shard("0", 3, now=101.9) == 500
    assert recent.need_of_user(user, 4, now=100.5) == PRIMARY
    assert recent.need_of_user(user, 3, now=102.1) == 0
    recent.note(other, "0", 3, 400, now=103.0)
    assert recent.need_of_shard("0", 3, now=103.0) == 400
    assert len(recent) == 2
    recent.note(other, "0", 3, PRIMARY, now=103.1)
    assert recent.need_of_user(other, 3, now=104.0) == PRIMARY


def test_the_memory_of_writes_is_bounded() -> None:
    recent = RecentWrites(max_lag=1.0, most=10)
    users = [uuid.uuid4() for _unused in range(100)]
    for number, user in enumerate(users):
        recent.note(user, "0", 1, number, now=100.0)
    assert len(recent) == 10
    assert recent.need_of_user(users[-1], 1, now=100.0) == 99
    assert recent.need_of_shard("0", 1, now=100.0) == 99


def test_the_age_of_a_position() -> None:
    history = PrimaryHistory()
    assert history.as_of(10**9) == -math.inf
    for asked_at, lsn in ((1.0, 100), (2.0, 200), (3.0, 200), (4.0, 300)):
        history.add(asked_at, lsn)
    ages = [history.as_of(lsn) for lsn in (99, 100, 199, 200, 299, 300, 999)]
    assert ages == [-math.inf, 1.0, 1.0, 3.0, 3.0, 4.0, 4.0]


MEMBERS = [{"name": name, "host": "10.0.0.1", "port": 5432} for name in ("pg1", "pg1r")]


def document(**changes: t.Any) -> str:
    document = {
        "format": 2,
        "version": 7,
        "buckets": 8,
        "clusters": {"pg1": MEMBERS},
        "shards": {name: {"cluster": "pg1", "database": f"shard_{name}"} for name in ("10", "2")},
        "ranges": [[0, 2, "10"], [3, 7, "2"]],
    }
    return json.dumps({**document, **changes})


def test_a_map_gives_each_bucket_its_owner() -> None:
    shard_map = ShardMap.parse(document())
    assert (shard_map.version, shard_map.buckets) == (7, 8)
    # In the order of their numbers, as the listing of users walks along them.
    assert list(shard_map.shards) == ["2", "10"]
    assert [str(member) for member in shard_map.shards["10"].members] == ["pg1/shard_10", "pg1r/shard_10"]
    assert {shard_map.shard_of(uuid.UUID(int=number)).id for number in range(50)} == {"2", "10"}


def test_a_map_of_format_1_is_read_during_the_changeover() -> None:
    entry = {"primary": MEMBERS[0], "replicas": MEMBERS[1:]}
    shards = {name: {"database": f"shard_{name}", **entry} for name in ("10", "2")}
    former = ShardMap.parse(document(format=1, clusters=None, shards=shards))
    assert former.shards == ShardMap.parse(document()).shards
    assert [str(member) for member in former.shards["2"].members] == ["pg1/shard_2", "pg1r/shard_2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 3},
        {"moving": [[0, 1, "10", "2", "copying"]]},
        {"clusters": {}},
        {"clusters": {"pg1": []}},
        {"version": None},
        {"buckets": 9},
        {"buckets": 7},
        {"buckets": 0, "ranges": []},
        {"ranges": []},
        {"ranges": [[0, 7, "9"]]},
        {"ranges": [[1, 7, "2"]]},
        {"ranges": [[0, 3, "2"], [3, 7, "10"]]},
        {"ranges": [[0, 2, "2"], [4, 7, "10"]]},
        {"ranges": [[0, 10**12, "2"]]},
        {"ranges": [[0, -1, "2"]]},
        {"ranges": [["0", "7", "2"]]},
        {"ranges": [[0, 7, ["2"]]]},
        {"ranges": None},
        {"shards": {}},
        {"shards": []},
        {"shards": {"a": {}}},
        {"shards": {"2": {"database": "x"}}},
        {"shards": {"2": {"database": "x", "cluster": "pg2"}}},
    ],
)
def test_maps_that_are_none(changes: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidMap):
        ShardMap.parse(document(**changes))


def test_migrations_are_numbered_without_a_gap(tmp_path: pathlib.Path) -> None:
    assert [migration.version for migration in load()] == list(range(1, len(load()) + 1))
    (tmp_path / "002_late.sql").touch()
    with pytest.raises(MigrationError, match="001"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("CREATE TABLE a (b int);", ""),
        ("-- CONCURRENTLY\nCREATE INDEX a ON b (c);\n", ""),
        ("-- Why.\n\nCREATE INDEX CONCURRENTLY a ON b (c);\n", "a"),
    ],
)
def test_c1_the_index_of_a_migration(tmp_path: pathlib.Path, sql: str, index: str) -> None:
    (tmp_path / "001_first.sql").write_text(sql)
    assert [migration.index for migration in load(tmp_path)] == [index]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX CONCURRENTLY a ON b (c); CREATE INDEX d ON b (e);",
        "CREATE INDEX d ON b (e); CREATE INDEX CONCURRENTLY a ON b (c);",
        "CREATE INDEX CONCURRENTLY ON b (c);",
        "DROP INDEX CONCURRENTLY a;",
    ],
)
def test_c1_a_migration_outside_a_transaction_is_one_statement(tmp_path: pathlib.Path, sql: str) -> None:
    (tmp_path / "001_first.sql").write_text(sql)
    with pytest.raises(MigrationError, match=r"001_first\.sql has to be one CREATE INDEX CONCURRENTLY"):
        load(tmp_path)


def test_every_setting_has_its_default() -> None:
    settings = Settings.from_environment({"DATABASE_USER": "u", "DATABASE_PASSWORD": "p"})
    assert settings == Settings("u", "p")
    changed = Settings.from_environment(
        {
            "DATABASE_USER": "u",
            "DATABASE_PASSWORD": "p",
            "PORT": "81",
            "POOL_MIN": "0",
            "REPLICA_MAX_LAG": "0.5",
            "CONSUL_HTTP_TOKEN": "t",
        }
    )
    assert (changed.port, changed.pool_min, changed.replica_max_lag, changed.consul_http_token) == (81, 0, 0.5, "t")


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", ("0.0.0.0",)),
        ("127.0.0.1,192.0.2.7", ("127.0.0.1", "192.0.2.7")),
        (" 192.0.2.7 , ", ("192.0.2.7",)),
        ("127.0.0.1,127.0.0.1", ("127.0.0.1",)),
        ("127.0.0.1,0.0.0.0", ("0.0.0.0",)),
        ("127.0.0.1,0.0.0.0,2001:DB8::7", ("0.0.0.0", "2001:db8::7")),
        ("127.0.0.1,::", ("127.0.0.1", "::")),
    ],
)
def test_x1_where_it_listens(text: str, addresses: tuple[str, ...]) -> None:
    environment = {"DATABASE_USER": "u", "DATABASE_PASSWORD": "p", "LISTEN_ADDRESSES": text}
    assert Settings.from_environment(environment).listen_addresses == addresses


def test_the_servers_beside_the_shards_are_optional() -> None:
    environment = {
        "DATABASE_USER": "u",
        "DATABASE_PASSWORD": "p",
        "CACHES": "tasks=cache1:6379, users=fd00::52:6380",
        "AMQP_ADDRESS": "mq1:5672",
        "AMQP_USER": "events",
        "AMQP_PASSWORD": "the password",
        "ANALYTICS_DATABASE": "[fd00::54]:5432,ana2:5433/analytics",
    }
    settings = Settings.from_environment(environment)
    assert settings.caches == {"tasks": Endpoint("cache1", 6379), "users": Endpoint("fd00::52", 6380)}
    assert settings.amqp == Amqp(Endpoint("mq1", 5672), "/", "events", "the password")
    assert settings.analytics_database == AnalyticsDatabase(
        (Endpoint("fd00::54", 5432), Endpoint("ana2", 5433)), "analytics"
    )
    assert [str(one) for one in settings.caches.values()] == ["cache1:6379", "[fd00::52]:6380"]
    assert "the password" not in repr(settings.amqp)
    with pytest.raises(SettingsError, match="AMQP_PASSWORD"):
        Settings.from_environment({**environment, "AMQP_PASSWORD": ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_USER", ""),
        ("DATABASE_PASSWORD", ""),
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("POOL_MIN", "11"),
        ("POOL_MAX", "0"),
        ("POOL_MAX", "1.5"),
        ("STATEMENT_TIMEOUT", "nan"),
        ("REPLICA_MAX_LAG", "-1"),
        ("POOL_CONNECT_TIMEOUT", "soon"),
        ("CONSUL_HTTP_ADDR", "ftp://consul"),
        ("CACHES", "tasks"),
        ("CACHES", "tasks=cache1:6379,tasks=cache2:6379"),
        ("CACHES", "notes=cache1:6379"),
        ("CACHES", "tasks=cache1:0"),
        ("CACHES", "tasks=fd00::1"),
        ("CACHES", "tasks=[fd00::1]"),
        ("AMQP_ADDRESS", "mq1"),
        ("ANALYTICS_DATABASE", "ana1:5432"),
        ("ANALYTICS_DATABASE", "ana1:5432,/analytics"),
        ("LISTEN_ADDRESSES", "api1"),
        ("LISTEN_ADDRESSES", "127.0.0.1:8000"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    environment = {"DATABASE_USER": "u", "DATABASE_PASSWORD": "the password", name: value}
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_environment(environment)
    assert "the password" not in str(caught.value)
