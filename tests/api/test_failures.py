# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lost and hung primaries: clear answers for their shards only, in bounded time, and healing without help."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

import pytest
from api_lab.lab import Lab
from api_lab.postgres import Postgres
from api_lab.server import Answer, ApiServer
from api_lab.waiting import until

#: No request waits longer for a shard that is gone.
PATIENCE = 3.0
#: A server that came back is used again within this time.
HEALING = 3.0


def assert_shard_unavailable(answer: Answer, shard: str) -> None:
    assert (answer.status, answer.code) == (503, "shard_unavailable"), answer.body
    assert answer.body["error"]["shard"] == answer.shard == shard
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.seconds < PATIENCE


@pytest.fixture
def users(lab: Lab) -> dict[str, tuple[str, str]]:
    """A user on each of two shards, on two servers, with the token of the write."""
    users = {shard: lab.user_on(shard) for shard in "02"}
    lab.heal()
    return users


def other_shard_works(api: ApiServer, users: dict[str, tuple[str, str]]) -> None:
    path = f"/users/{users['2'][0]}"
    for answer in (api.get(path), api.patch(path, {"name": "Ann"}), api.get(f"{path}/tasks")):
        assert answer.status == 200
        assert answer.seconds < 1


def test_a_lost_primary(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    user_id, token = users["0"]
    path = f"/users/{user_id}"
    lab.pg1.stop()
    try:
        for answer in (lab.a.patch(path, {"name": "x"}), lab.a.get(f"{path}/tasks"), lab.a.delete(path)):
            assert_shard_unavailable(answer, "0")
        other_shard_works(lab.a, users)
        # A caller who can prove nothing is served as long as the replica is known to be fresh, then no more.
        ends = time.monotonic() + 1.5
        while time.monotonic() < ends:
            answer = lab.a.get(path)
            assert (answer.status, answer.read_from) == (200, "pg1r") or assert_shard_unavailable(answer, "0") is None
        assert_shard_unavailable(lab.a.get(path), "0")
        proved = lab.a.get(path, token=token)
        assert (proved.status, proved.read_from) == (200, "pg1r")
        other_shard_works(lab.a, users)

        report = lab.a.get("/readyz")
        assert (report.status, report.body["status"]) == (200, "degraded")
        assert {shard: state["primary"]["up"] for shard, state in report.body["shards"].items()} == {
            "0": False,
            "1": False,
            "2": True,
            "3": True,
        }
        assert lab.a.get("/healthz").status == 200
    finally:
        lab.pg1.start()
    until(lambda: lab.a.patch(path, {"name": "back"}).status == 200, HEALING, "the shard takes writes again")
    assert lab.a.get(path).body["name"] == "back"


def test_a_listing_stops_at_the_lost_shard_and_leaves_nothing_out(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    lab.user_on("1")
    lab.pg2.stop()
    try:
        until(lambda: not lab.a.get("/readyz").body["shards"]["2"]["primary"]["up"], 3, "the loss is noticed")
        time.sleep(1)
        page = lab.a.get("/users?limit=200")
        while page.status == 200 and page.body["next_cursor"]:
            assert page.shard in "01"
            page = lab.a.get(f"/users?limit=200&cursor={page.body['next_cursor']}")
        assert_shard_unavailable(page, "2")
    finally:
        lab.pg2.start()
    until(lambda: lab.a.get("/readyz").body["status"] == "ready", 5, "all is well again")


def test_a_hung_primary(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    user_id, token = users["0"]
    path = f"/users/{user_id}"
    lab.pg1.freeze()
    try:
        # What had been sent before it was noticed may have arrived or not.
        answer = lab.a.patch(path, {"name": "in doubt"})
        assert (answer.status, answer.code) == (503, "outcome_unknown")
        assert answer.body["error"]["id"] == user_id
        assert answer.seconds < PATIENCE
        until(lambda: lab.a.get(f"{path}/tasks").seconds < 0.3, 4, "no request waits for the primary any more")
        assert_shard_unavailable(lab.a.patch(path, {"name": "refused"}), "0")
        other_shard_works(lab.a, users)
        assert lab.a.get(path, token=token).read_from == "pg1r"
        # The token of a write in doubt proves nothing.
        assert_shard_unavailable(lab.a.get(path, token=answer.token), "0")
    finally:
        lab.pg1.thaw()
    until(lambda: lab.a.get(f"{path}/tasks").status == 200, HEALING, "the shard is served again")
    # The frozen server carries out what it had received; the refused one was never sent.
    until(lambda: lab.row(lab.pg1, "0", user_id)[0][0] == "in doubt", 2, "the write in doubt happened")
    assert lab.a.get(path, token=answer.token).body["name"] == "in doubt"


def test_a_write_that_meets_the_end_of_its_connection_is_in_doubt(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    user_id, _unused = users["0"]
    with row_lock(lab, "0", user_id):
        answers = in_background(lambda: lab.a.patch(f"/users/{user_id}", {"name": "x"}))
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until(lambda: lab.pg1.execute(kill), 2, "the write waits for the lock")
        answer = answers()
    assert (answer.status, answer.code) == (503, "outcome_unknown")
    assert "unknown" in answer.body["error"]["message"]
    assert lab.a.get(f"/users/{user_id}", token=answer.token).read_from == "pg1"


def test_a_write_that_fails_behind_its_commit_is_in_doubt(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    user_id, _unused = users["0"]
    lab.pg1.execute("REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC", database="shard_0")
    try:
        answer = lab.a.patch(f"/users/{user_id}", {"name": "written"})
    finally:
        lab.pg1.execute("GRANT EXECUTE ON FUNCTION pg_current_wal_insert_lsn() TO PUBLIC", database="shard_0")
    assert (answer.status, answer.code) == (503, "outcome_unknown")
    assert lab.row(lab.pg1, "0", user_id)[0][0] == "written"


def test_a_write_that_takes_too_long_did_not_happen(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    user_id, _unused = users["0"]
    with row_lock(lab, "0", user_id):
        answer = lab.a.patch(f"/users/{user_id}", {"name": "too late"})
        assert_shard_unavailable(answer, "0")
    time.sleep(0.3)
    assert lab.row(lab.pg1, "0", user_id)[0][0] == "Ann"


def test_connections_that_were_closed_while_idle_fail_no_request(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    user_id, _unused = users["0"]
    path = f"/users/{user_id}"
    killed = 0
    for number in range(5):
        killed += kill_backends(lab.pg1)
        assert lab.a.patch(path, {"name": f"name {number}"}).status == 200
        assert lab.a.get(f"{path}/tasks").status == 200
    assert killed >= 10


def test_a_primary_that_is_none_is_not_written_to_nor_read(lab: Lab, users: dict[str, tuple[str, str]]) -> None:
    """The map has a standby for a leader, as it may for a moment around a failover."""
    user_id, token = users["0"]
    shards = {str(shard): lab.shard(shard) for shard in range(4)}
    for shard in "01":
        shards[shard] = {**shards[shard], "members": shards[shard]["members"][1:]}
    document = lab.document(shards=shards)
    try:
        lab.publish_and_wait(document)
        for answer in (
            lab.a.get(f"/users/{user_id}"),
            lab.a.get(f"/users/{user_id}", token=token),
            lab.a.patch(f"/users/{user_id}", {"name": "x"}),
            lab.a.get(f"/users/{user_id}/tasks"),
        ):
            assert_shard_unavailable(answer, "0")
    finally:
        lab.publish_and_wait()
    until(lambda: lab.a.get(f"/users/{user_id}").status == 200, HEALING, "the shard is served again")


def test_a_full_pool_makes_others_wait_and_then_refuses(
    lab: Lab, users: dict[str, tuple[str, str]], another: t.Callable[..., ApiServer]
) -> None:
    user_id, _unused = users["0"]
    api = another(POOL_MAX="2", POOL_CONNECT_TIMEOUT="0.4")
    api.start()
    with row_lock(lab, "0", user_id):
        waiting = [in_background(lambda: api.patch(f"/users/{user_id}", {"name": "x"})) for _unused in range(2)]
        until(
            lambda: lab.pg1.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == [(2,)],
            2,
            "the pool is used up",
        )
        refused = api.get(f"/users/{user_id}/tasks")
        assert_shard_unavailable(refused, "0")
        assert 0.3 < refused.seconds < 1.0
        other_shard_works(api, users)
        for answers in waiting:
            assert_shard_unavailable(answers(), "0")
    assert api.get(f"/users/{user_id}/tasks").status == 200


def test_p7_a_full_disk_is_named_to_the_client_in_readyz_and_in_a_metric(
    lab: Lab, users: dict[str, tuple[str, str]]
) -> None:
    """The server says what it says when it cannot extend a file."""
    path = f"/users/{users['0'][0]}"
    metric = 'reference_api_server_trouble{cause="disk_full",server="pg1",shard="0"}'
    with lab.pg1.connect("shard_0") as connection:
        connection.execute(
            """
            CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
            END $$
            """
        )
        connection.execute("CREATE TRIGGER no_room BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION no_room()")
        try:
            answer = lab.a.patch(path, {"name": "x"})
            assert_shard_unavailable(answer, "0")
            assert answer.body["error"]["message"] == "Shard 0 is unavailable: its primary pg1 has a full disk."
            assert lab.a.get(path).status == lab.a.get(f"{path}/tasks").status == 200
            other_shard_works(lab.a, users)
            report = lab.a.get("/readyz")
            assert (report.status, report.body["status"]) == (200, "degraded")
            primary = {"server": "pg1", "up": True, "reason": "has a full disk", "trouble": "disk_full"}
            assert report.body["shards"]["0"]["primary"] == primary
            assert report.body["shards"]["2"]["primary"]["trouble"] == ""
            assert f"{metric} 1.0" in lab.a.get("/metrics").body
        finally:
            connection.execute("DROP FUNCTION no_room() CASCADE")
    assert lab.a.patch(path, {"name": "back"}).status == 200

    def shown_as_ready() -> bool:
        assert lab.a.patch(path, {"name": "back"}).status == 200
        return bool(lab.a.get("/readyz").body["status"] == "ready")

    until(shown_as_ready, 8, "writes that succeed clear it")
    assert f"{metric} 0.0" in lab.a.get("/metrics").body


@contextlib.contextmanager
def row_lock(lab: Lab, shard: str, user_id: str) -> t.Iterator[None]:
    """Another transaction holds the user's row."""
    with lab.primary_of(shard).connect(f"shard_{shard}") as connection, connection.transaction():
        connection.execute("SELECT 1 FROM users WHERE id = %s FOR UPDATE", [user_id])
        yield


def kill_backends(server: Postgres) -> int:
    """End all of the API's connections to a server, and return how many there were."""
    backends = [pid for (pid,) in server.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'reference_api'")]
    server.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [backends])
    alive = "SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)"
    until(lambda: not server.execute(alive, [backends]), 2, "the connections have ended")
    return len(backends)


def in_background(call: t.Callable[[], Answer]) -> t.Callable[[], Answer]:
    """Start a call; what is returned waits for its answer."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()

    def wait() -> Answer:
        thread.join(20)
        return answers[0]

    return wait
