# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What /readyz says of the servers beside the databases (of those see test_process.py and test_failures.py)."""

from __future__ import annotations

import typing as t

import pytest
from api_lab.cache import PASSWORD, Cache
from api_lab.lab import Lab
from api_lab.rabbitmq import RabbitMQ
from api_lab.server import Answer, ApiServer
from api_lab.waiting import until


@pytest.fixture(scope="module")
def broker(running_lab: Lab) -> t.Iterator[RabbitMQ]:
    broker = RabbitMQ(running_lab.directory)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def cache(running_lab: Lab) -> t.Iterator[Cache]:
    cache = Cache(running_lab.directory)
    cache.start()
    yield cache
    cache.stop()


@pytest.fixture
def served(lab: Lab, broker: RabbitMQ, cache: Cache, another: t.Callable[..., ApiServer]) -> ApiServer:
    caches = {"CACHES": f"tasks=127.0.0.1:{cache.port}", "CACHE_PASSWORD": PASSWORD}
    api = another(**broker.variables, **caches)
    api.start()
    return api


def report(api: ApiServer, **expected: bool) -> Answer | None:
    answer = api.get("/readyz")
    (cache,) = answer.body["caches"].values()
    return answer if {"queue": answer.body["queue"]["up"], "cache": cache["up"]} == expected else None


@pytest.mark.parametrize("fault", ["stop", "freeze"])
def test_a_lost_queue_leaves_the_server_in_use(served: ApiServer, broker: RabbitMQ, fault: str) -> None:
    getattr(broker, fault)()
    try:
        answer = until(lambda: report(served, queue=False, cache=True), 12, "the loss is noticed")
        assert (answer.status, answer.body["status"]) == (200, "degraded")
        assert answer.body["queue"]["reason"]
        assert served.post("/users", {"name": "Ann", "email": "ann@example.org"}).status == 201
    finally:
        {"stop": broker.start, "freeze": broker.thaw}[fault]()
    answer = until(lambda: report(served, queue=True, cache=True), 15, "the queue is used again")
    assert (answer.status, answer.body["status"]) == (200, "ready")


def test_a_lost_cache_leaves_the_server_in_use(served: ApiServer, cache: Cache) -> None:
    cache.freeze()
    try:
        answer = until(lambda: report(served, queue=True, cache=False), 2, "the loss is noticed")
        assert (answer.status, answer.body["status"]) == (200, "degraded")
        assert answer.body["caches"][f"127.0.0.1:{cache.port}"] == {"up": False, "reason": "does not answer"}
    finally:
        cache.thaw()
    until(lambda: report(served, queue=True, cache=True), 2, "the cache is used again")


def test_wrong_passwords_are_told_and_do_not_keep_it_from_serving(
    lab: Lab, broker: RabbitMQ, cache: Cache, another: t.Callable[..., ApiServer]
) -> None:
    caches = {"CACHES": f"tasks=127.0.0.1:{cache.port}", "CACHE_PASSWORD": "no"}
    api = another(**{**broker.variables, "AMQP_PASSWORD": "no"}, **caches)
    api.start(wait=False)
    user = lab.a.post("/users", {"name": "Ann", "email": "ann@example.org"}).body["id"]
    until(lambda: _answers(api), 20, "it serves")
    reasons = until(lambda: _reasons(api), 10, "it says why")
    assert all("cannot be used" in reason for reason in reasons)
    assert api.get(f"/users/{user}/tasks").headers["X-Cache"] == "off"
    assert api.post(f"/users/{user}/tasks", {"title": "x"}).status == 201
    assert "Traceback" not in api.log.read_text()


def _answers(api: ApiServer) -> bool:
    try:
        return api.get("/readyz").status == 200
    except OSError:
        return False


def _reasons(api: ApiServer) -> list[str] | None:
    body = api.get("/readyz").body
    reasons = [body["queue"]["reason"], *(cache["reason"] for cache in body["caches"].values())]
    return None if "has not been reached yet" in reasons else reasons


def test_what_is_not_set_up_is_not_missed(lab: Lab) -> None:
    body = lab.a.get("/readyz").body
    assert (body["status"], body["caches"], body["queue"]) == ("ready", {}, None)
