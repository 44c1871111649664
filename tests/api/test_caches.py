# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two API servers and one Redis: what is cached, and that no fault makes them serve what a write has replaced."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
from api_lab.cache import PASSWORD, Cache, Proxy
from api_lab.lab import Lab
from api_lab.server import Answer, ApiServer
from api_lab.waiting import until

KINDS = ("tasks", "habits", "goals", "users")
#: No request waits longer for a cache that is gone; a write waits until all servers know of it.
READ_PATIENCE, WRITE_PATIENCE = 1.0, 2.3


class Servers(t.NamedTuple):
    lab: Lab
    cache: Cache
    #: Before the cache, on the way of ``a`` alone.
    proxy: Proxy
    a: ApiServer
    b: ApiServer


@pytest.fixture(scope="module")
def running_servers(running_lab: Lab) -> t.Iterator[Servers]:
    cache = Cache(running_lab.directory)
    cache.start()
    proxy = Proxy(cache.port)
    a, b = (
        ApiServer(running_lab.consul.address, running_lab.directory / f"cached-{name}.log", **variables(port))
        for name, port in (("a", proxy.port), ("b", cache.port))
    )
    try:
        for api in (a, b):
            api.start()
        yield Servers(running_lab, cache, proxy, a, b)
    finally:
        for api in (a, b):
            api.kill()
        proxy.close()
        cache.stop()


def variables(port: int) -> dict[str, str]:
    caches = ",".join(f"{kind}=127.0.0.1:{port}" for kind in KINDS)
    return {"CACHES": caches, "CACHE_PASSWORD": PASSWORD}


@pytest.fixture
def servers(running_servers: Servers, lab: Lab) -> Servers:
    for api in (running_servers.a, running_servers.b):
        until(lambda api=api: api.get(f"/users/{FIRST}").headers["X-Cache"] == "miss", 5, "the cache is in use")
    return running_servers


#: A user who does not exist.
FIRST = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def user(servers: Servers) -> str:
    user_id, _token = servers.lab.user_on("0", servers.b)
    servers.lab.heal()
    return f"/users/{user_id}"


def outcome(answer: Answer) -> str:
    return str(answer.headers["X-Cache"])


def cached(api: ApiServer, path: str) -> Answer:
    """Read until it comes from the cache."""
    return until(lambda: answer if outcome(answer := api.get(path)) == "hit" else None, 3, f"{path} is cached")


def metric(api: ApiServer, name: str) -> float:
    lines = api.get("/metrics").body.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


BODIES = {"tasks": {"title": "Sow"}, "habits": {"name": "Run"}, "goals": {"title": "Read", "target": 3}}
CHANGES = {"tasks": {"title": "Reap"}, "habits": {"name": "Walk"}, "goals": {"progress": 3}}


@pytest.mark.parametrize("kind", BODIES)
def test_a_write_through_one_server_is_seen_through_the_other(servers: Servers, user: str, kind: str) -> None:
    a, b = servers.a, servers.b
    page = f"{user}/{kind}"
    assert cached(a, page).body["items"] == []
    row = f"{page}/{b.post(page, BODIES[kind]).body['id']}"
    for path in (page, row):
        first = a.get(path)
        assert (outcome(first), first.read_from[:3]) == ("miss", "pg1")
        hit = cached(b, path)
        assert (hit.body, hit.shard, hit.read_from) == (first.body, "0", None)

    changed = b.patch(row, CHANGES[kind]).body
    assert (a.get(row).body, a.get(page).body["items"]) == (changed, [changed])
    assert cached(b, row).body == changed

    assert a.delete(row).status == 204
    assert (b.get(row).status, b.get(page).body["items"]) == (404, [])


def test_a_check_in_is_seen_in_the_habit(servers: Servers, user: str) -> None:
    habit = f"{user}/habits/{servers.a.post(f'{user}/habits', BODIES['habits']).body['id']}"
    assert cached(servers.b, habit).body["current_streak"] == 0
    assert servers.a.post(f"{habit}/check-ins").status == 201
    for _unused in range(2):
        assert servers.b.get(habit).body["current_streak"] == 1
    assert cached(servers.b, habit).body["last_check_in"]


def test_a_deleted_user_takes_everything_out_of_the_caches(servers: Servers, user: str) -> None:
    for kind, body in BODIES.items():
        servers.a.post(f"{user}/{kind}", body)
    paths = [user, *(f"{user}/{kind}" for kind in BODIES)]
    for path in paths:
        cached(servers.b, path)
    assert servers.a.delete(user).status == 204
    assert [servers.b.get(path).status for path in paths] == [404] * 4


def test_only_the_page_that_everyone_gets_is_cached(servers: Servers, user: str) -> None:
    for query, expected in (("", "miss"), ("?limit=50", "hit"), ("?limit=7", None)):
        assert servers.a.get(f"{user}/tasks{query}").headers["X-Cache"] == expected
    assert servers.a.get("/users").headers["X-Cache"] is None


def test_without_caches_everything_is_read_from_the_database(lab: Lab) -> None:
    user_id, _token = lab.user_on("0")
    for path in (f"/users/{user_id}", f"/users/{user_id}/tasks"):
        assert outcome(lab.a.get(path)) == "off"


def test_a_fill_that_was_read_before_a_write_and_arrives_after_it_loses(servers: Servers, user: str) -> None:
    task = f"{user}/tasks/{servers.b.post(f'{user}/tasks', {'title': 'old'}).body['id']}"
    refused = metric(servers.a, 'reference_api_cache_fills_total{kind="tasks",outcome="refused"}')
    servers.proxy.hold(b"\r\nprimary\r\n")
    with ThreadPoolExecutor() as executor:
        slow = executor.submit(servers.a.get, task)
        assert servers.proxy.holds.wait(1)
        # The old row is on its way to the cache.
        assert servers.b.patch(task, {"title": "new"}).status == 200
        servers.proxy.release()
        assert slow.result().body["title"] == "old"
    assert metric(servers.a, 'reference_api_cache_fills_total{kind="tasks",outcome="refused"}') == refused + 1
    for api in (servers.a, servers.b):
        assert api.get(task).body["title"] == "new"
    assert cached(servers.a, task).body["title"] == "new"


def test_readers_never_go_back_while_many_write(servers: Servers, user: str) -> None:
    task = f"{user}/tasks/{servers.a.post(f'{user}/tasks', {'title': '0'}).body['id']}"
    written, hits, ends = [0], [0], time.monotonic() + 3

    def write() -> None:
        while time.monotonic() < ends:
            number = written[0] + 1
            assert (servers.a, servers.b)[number % 2].patch(task, {"title": str(number)}).status == 200
            written[0] = number
            time.sleep(0.01)

    def read(api: ApiServer) -> None:
        while time.monotonic() < ends:
            least = written[0]
            answer = api.get(task)
            assert int(answer.body["title"]) >= least
            hits[0] += outcome(answer) == "hit"

    with ThreadPoolExecutor() as executor:
        jobs = [executor.submit(write), *(executor.submit(read, api) for api in (servers.a, servers.b) * 2)]
        for job in jobs:
            job.result()
    assert written[0] > 30
    assert hits[0] > 30


def test_what_a_lagging_replica_shows_is_not_kept(servers: Servers, user: str) -> None:
    assert cached(servers.b, user).body["name"] == "Ann"
    servers.lab.pg1r.pause_replay()
    try:
        assert servers.a.patch(user, {"name": "new"}).status == 200
        refused = metric(servers.b, 'reference_api_cache_fills_total{kind="users",outcome="refused"}')
        stale = servers.b.get(user)
        # A replica may be a second behind for a caller who has no token, and that is no business of the cache's.
        assert (stale.body["name"], stale.read_from, outcome(stale)) == ("Ann", "pg1r", "miss")
        assert metric(servers.b, 'reference_api_cache_fills_total{kind="users",outcome="refused"}') == refused + 1
        until(lambda: servers.b.get(user).body["name"] == "new", 1.5, "the replica is out of use")
        assert cached(servers.b, user).body["name"] == "new"
    finally:
        servers.lab.pg1r.resume_replay()
    assert servers.a.get(user).body["name"] == "new"


def test_a_token_is_honoured_by_an_entry_that_is_too_old(servers: Servers, user: str) -> None:
    """A write behind the caches' back."""
    goal = f"{user}/goals/{servers.a.post(f'{user}/goals', BODIES['goals']).body['id']}"
    cached(servers.b, goal)
    written = servers.lab.a.patch(goal, {"progress": 2})
    assert outcome(servers.b.get(goal)) == "hit"
    mine = servers.b.get(goal, token=written.token)
    assert (outcome(mine), mine.body["progress"]) == ("miss", 2)
    assert cached(servers.b, goal).body["progress"] == 2
    assert outcome(servers.b.get(goal, token=written.token)) == "hit"


def test_a_token_of_a_write_elsewhere_in_the_shard_is_met_by_what_is_read_after_it(servers: Servers, user: str) -> None:
    _other, token = servers.lab.user_on("0", servers.a)
    assert servers.a.get(f"{user}/tasks", token=token).status == 200
    assert outcome(servers.b.get(f"{user}/tasks", token=token)) == "hit"


@pytest.mark.parametrize("writer", ["a", "b"])
def test_a_paused_cache_that_comes_back_serves_nothing_old(servers: Servers, user: str, writer: str) -> None:
    write, read = (servers.a, servers.b) if writer == "a" else (servers.b, servers.a)
    task = f"{user}/tasks/{write.post(f'{user}/tasks', {'title': 'old'}).body['id']}"
    assert cached(read, task).body["title"] == "old"
    servers.cache.freeze()
    try:
        first = write.patch(task, {"title": "new"})
        assert (first.status, first.seconds < WRITE_PATIENCE) == (200, True)
        assert first.seconds > 1
        # From now on no request waits for it.
        for answer in (write.patch(task, {"title": "newer"}), read.get(task), read.get(user)):
            assert (answer.status, answer.seconds < 0.3) == (200, True)
        assert outcome(read.get(task)) == "off"
    finally:
        # The old entry is still in there.
        servers.cache.thaw()
    ends = time.monotonic() + 3
    seen = set()
    while time.monotonic() < ends:
        answer = read.get(task)
        assert answer.body["title"] == "newer"
        seen.add(outcome(answer))
    assert "hit" in seen


def test_a_write_that_met_the_pause_is_seen_by_who_has_not_noticed_yet(servers: Servers, user: str) -> None:
    """The pause ends just when the write has its answer, and readers ask all the time."""
    task = f"{user}/tasks/{servers.a.post(f'{user}/tasks', {'title': '0'}).body['id']}"
    written, ended = [0], threading.Event()

    def read(api: ApiServer) -> None:
        while not ended.is_set():
            least = written[0]
            answer = api.get(task)
            assert int(answer.body["title"]) >= least, outcome(answer)

    with ThreadPoolExecutor() as executor:
        readers = [executor.submit(read, api) for api in (servers.a, servers.b)]
        for number in range(1, 5):
            cached(servers.b, task)
            servers.cache.freeze()
            try:
                assert servers.a.patch(task, {"title": str(number)}).status == 200
                written[0] = number
            finally:
                servers.cache.thaw()
            time.sleep(0.2 * number)
        ended.set()
        for reader in readers:
            reader.result()


def test_a_lost_cache_costs_a_moment_and_heals(servers: Servers, user: str) -> None:
    tasks = f"{user}/tasks"
    cached(servers.a, tasks)
    servers.cache.stop()
    try:
        assert servers.a.get(tasks).seconds < READ_PATIENCE
        assert servers.a.post(tasks, {"title": "first"}).seconds < WRITE_PATIENCE
        for api in (servers.a, servers.b):
            until(lambda api=api: outcome(api.get(tasks)) == "off", 2, "the loss is noticed")
        assert servers.a.post(tasks, {"title": "second"}).seconds < 0.3
        assert metric(servers.a, "reference_api_cache_up") == 0
        report = servers.a.get("/readyz")
        assert (report.status, report.body["status"]) == (200, "degraded")
    finally:
        servers.cache.start()
    assert len(cached(servers.a, tasks).body["items"]) == 2
    assert metric(servers.a, "reference_api_cache_up") == 1


def test_a_cache_that_dropped_a_hash_under_a_reader_keeps_nothing_old(servers: Servers, user: str) -> None:
    task = f"{user}/tasks/{servers.b.post(f'{user}/tasks', {'title': 'old'}).body['id']}"
    servers.proxy.hold(b"\r\nprimary\r\n")
    with ThreadPoolExecutor() as executor:
        slow = executor.submit(servers.a.get, task)
        assert servers.proxy.holds.wait(1)
        assert servers.b.patch(task, {"title": "new"}).status == 200
        assert servers.cache.client().delete(f"tasks:{user.split('/')[-1]}") == 1
        servers.proxy.release()
        slow.result()
    assert servers.b.get(task).body["title"] == "new"
    assert cached(servers.a, task).body["title"] == "new"


def test_a_server_that_dies_between_begin_and_end_leaves_nothing_old(
    servers: Servers, user: str, another: t.Callable[..., ApiServer]
) -> None:
    task = f"{user}/tasks/{servers.a.post(f'{user}/tasks', {'title': 'old'}).body['id']}"
    cached(servers.b, task)
    doomed = another(**variables(servers.cache.port))
    doomed.start()
    lab = servers.lab
    with lab.pg1.connect("shard_0") as connection, connection.transaction():
        connection.execute("SELECT 1 FROM tasks WHERE id = %s FOR UPDATE", [task.rsplit("/", 1)[-1]])
        threading.Thread(target=_in_vain, args=[doomed, task]).start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until(lambda: lab.pg1.execute(waiting), 2, "the write waits")
        doomed.kill()
        # PostgreSQL does not know that its client is gone.
        assert [outcome(servers.b.get(task)) for _unused in range(3)] == ["miss"] * 3
        assert servers.b.get(task).body["title"] == "old"
    until(lambda: servers.b.get(task).body["title"] == "new", 2, "the dead server's write is seen")
    assert outcome(servers.b.get(task)) == "miss"
    # The next write does not end the one that is in doubt.
    servers.b.patch(task, {"title": "newer"})
    assert outcome(servers.b.get(task)) == outcome(servers.b.get(task)) == "miss"


def _in_vain(api: ApiServer, task: str) -> None:
    with contextlib.suppress(OSError):
        api.patch(task, {"title": "new"})


def test_the_metrics_of_caches(servers: Servers, user: str) -> None:
    cached(servers.a, user)
    metrics = servers.a.get("/metrics").body
    for line in (
        'reference_api_cache_reads_total{kind="users",outcome="hit"}',
        'reference_api_cache_reads_total{kind="users",outcome="miss"}',
        'reference_api_cache_fills_total{kind="users",outcome="kept"}',
        f'reference_api_cache_up{{server="127.0.0.1:{servers.proxy.port}"}} 1.0',
    ):
        assert line in metrics
