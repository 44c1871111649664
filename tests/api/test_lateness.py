# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fault L7: an API server that gets no CPU takes its own absence for no other server's."""

from __future__ import annotations

import signal
import threading
import time
import typing as t

import pytest
from api_lab.lab import Lab
from api_lab.server import Answer, ApiServer
from api_lab.waiting import until


@pytest.fixture
def served(lab: Lab, another: t.Callable[..., ApiServer]) -> ApiServer:
    api = another()
    api.log.write_text("")
    api.start()
    return api


def stall(api: ApiServer, seconds: float) -> None:
    """Let the process have no CPU for so long."""
    assert api.process is not None
    api.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        api.process.send_signal(signal.SIGCONT)


def test_l7_a_server_that_stalls_again_and_again_refuses_nothing(lab: Lab, served: ApiServer) -> None:
    users = [lab.user_on(shard)[0] for shard in "0123"]
    answers: list[Answer] = []
    ends = time.monotonic() + 18

    def ask(user: str) -> None:
        while time.monotonic() < ends:
            answers.append(served.get(f"/users/{user}/tasks"))
            time.sleep(0.05)

    threads = [threading.Thread(target=ask, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    # A long stall, and then slices so short that no connection is made within the second that one has.
    while time.monotonic() < ends - 3:
        stall(served, 2.3)
        for _slice in range(20):
            time.sleep(0.004)
            stall(served, 0.3)
    for thread in threads:
        thread.join()
    assert len(answers) > 20
    assert {answer.status for answer in answers} == {200}, [a.body for a in answers if a.status != 200][:3]
    assert "does not answer" not in served.log.read_text()
    assert seconds_late(served) > 4
    assert served.get("/readyz").body["status"] == "ready"


def test_l7_what_a_late_watch_finds_silent_is_tried_within_the_deadline(lab: Lab, served: ApiServer) -> None:
    """Its judgement stands, but a request waits for the next one while it is in doubt."""
    user, _token = lab.user_on("0")
    lab.pg1.freeze()
    try:
        until(lambda: not served.get("/readyz").body["shards"]["0"]["primary"]["up"], 6, "the silence is noticed")
        refused = until(lambda: refused_at_once(served, user), 10, "it is refused at once")
        watcher = served.get("/readyz").body["watcher"]["server"]
        assert f"its primary pg1 does not answer the watch of {watcher}." in refused.body["error"]["message"]

        stall(served, 1.0)
        late = served.get(f"/users/{user}/tasks")
        assert late.status == 503
        assert 1.5 < late.seconds < 3.0
        assert "which was late itself by" in late.body["error"]["message"]
        timer = threading.Timer(0.5, lab.pg1.thaw)
        timer.start()
        answer = served.get(f"/users/{user}/tasks")
        timer.join()
        assert answer.status == 200
    finally:
        lab.pg1.thaw()
    until(lambda: served.get("/readyz").body["status"] == "ready", 5, "all is well again")


def refused_at_once(api: ApiServer, user: str) -> Answer | None:
    answer = api.get(f"/users/{user}/tasks")
    return answer if answer.status == 503 and answer.seconds < 0.3 else None


def seconds_late(api: ApiServer) -> float:
    name = "reference_api_late_seconds_total"
    (line,) = [line for line in api.get("/metrics").body.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])
