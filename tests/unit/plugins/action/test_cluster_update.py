# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The turns of an update, step after step as the playbook takes them; what the modules do on the members is played."""

from __future__ import annotations

import contextlib
import re
from unittest import mock

import pytest

from ansible_collections.scaleout.platform.plugins.action import cluster_verb
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Server

NAMES = ("pg1", "pg2", "pg3")
HOSTS = {
    name: {"postgres_cluster": "main", "platform_address": f"192.0.2.{number}", "postgres_patroni_password": "rest"}
    for number, name in enumerate(NAMES, 1)
}
OLD, NEW = "17.10-0+deb13u1", "17.12-0+deb13u1"


class Played:
    """A cluster of members with packages, and the modules that look at it and change it.

    :ivar calls: what was done, in order; looks are left out.
    """

    def __init__(self, leader="pg1", names=NAMES, candidates=None):
        self.leader, self.names, self.clock = leader, names, 1000.0
        self.candidates = {"postgresql-17": NEW, "patroni": "4.0.7-3", "pgbouncer": "1.24-1", **(candidates or {})}
        self.packages = {
            name: {"postgresql-17": (OLD, 1.0), "patroni": ("4.0.7-3", 1.0), "pgbouncer": ("1.24-1", 1.0)}
            for name in names
        }
        self.started = {name: {"server": 10.0, "patroni": 10.0, "pgbouncer": 10.0} for name in names}
        self.fails, self.lost, self.calls = {}, {}, []

    def run(self, host, module, args, check):
        """Do what a module does on a host."""
        what = "refresh" if "update_cache" in args else module.rpartition(".")[2]
        if what == "package_updates_info":
            return self._read(host)
        if not check and what not in ("refresh", "command"):
            self.calls.append((host, what, *args.get("name", [])) if what == "apt" else (host, what))
        if self.lost.get(host) == what and not check:
            raise ConnectionError(host)
        for place in ((host, what), (host, f"{what}, looking" if check else "")):
            if place in self.fails:
                return {"failed": True, "msg": self.fails[place], "code": "not_whole"}
        return getattr(self, f"_{what}")(host, args, check)

    def _read(self, host):
        rows = [
            {"name": name, "installed": version, "candidate": self.candidates[name], "since": since}
            for name, (version, since) in self.packages[host].items()
        ]
        started = self.started[host]
        return {
            "packages": [{**row, "security": False, "held": False} for row in rows],
            "units": {"patroni.service": started["patroni"], "pgbouncer.service": started["pgbouncer"]},
            "servers": {"17": started["server"]},
        }

    def _refresh(self, host, args, check):
        return {"changed": True}

    def _command(self, host, args, check):
        assert args["argv"][:2] == ["apt-get", "--yes"]
        assert args["argv"][args["argv"].index("install") + 1].endswith(("=" + NEW, "=1.24-2"))
        assert not check
        return {"changed": True, "rc": 0}

    def _apt(self, host, args, check):
        assert (args["policy_rc_d"], args["fail_on_autoremove"], check) == (101, True, False)
        for one in args["name"]:
            name, _equals, version = one.partition("=")
            self.packages[host][name] = (version, self._now())
        return {"changed": True}

    def _cluster_restart(self, host, args, check):
        turns = args.get("members") or [*(name for name in self.names if name != self.leader), self.leader]
        if args.get("unit") and not check:
            assert turns == [host]
            assert self.leader != host or len(self.names) == 1
            self.started[host].update(server=self._now(), patroni=self._now())
        places = {"poolers": [*self.names], "without_poolers": []}
        return {"changed": True, "restarted": [*turns], "leader": self.leader, **places}

    def _cluster_switchover(self, host, args, check):
        former, self.leader = self.leader, next(name for name in self.names if name != host)
        # The former leader stops, and starts as a replica.
        self.started[host]["server"] = self._now()
        done = {"leader": self.leader, "former": former, "held": 1.43, "late": [], "without_poolers": []}
        return {"changed": True, **done}

    def _systemd_service(self, host, args, check):
        self.started[host]["pgbouncer"] = self._now()
        return {"changed": True}

    def _wait_for(self, host, args, check):
        return {"changed": False}

    def _now(self):
        self.clock += 1
        return self.clock


@pytest.fixture(name="play")
def _play(tmp_path):
    """A function that takes the playbook's steps on a cluster; returns the plan and the end."""

    def run(cluster, check=False, answering=None):
        servers = tuple(Server(name, HOSTS[name]["platform_address"], pooler_port=6432) for name in cluster.names)
        platform = Platform(
            {name: HOSTS[name] for name in cluster.names},
            {"postgres": [*cluster.names]},
            {"main": Cluster("main", servers, databases=("shop",), leader=cluster.leader)},
            playing=tuple(answering or cluster.names),
        )

        def step(state, host):
            task = mock.MagicMock(async_val=0, check_mode=check, args={"verb": "update", "state": state})
            action = cluster_verb.ActionModule(
                task, mock.MagicMock(), mock.MagicMock(check_mode=check), mock.MagicMock(), mock.MagicMock(), None
            )
            with (
                mock.patch.object(cluster_verb.run, "FOLDER", str(tmp_path)),
                mock.patch("ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps.platform_of") as of,
                mock.patch(
                    "ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps.load_extra_vars",
                    return_value={"cluster": "main"},
                ),
                mock.patch.object(
                    action,
                    "_execute_module",
                    side_effect=lambda module_name, module_args, task_vars: cluster.run(
                        host, module_name, module_args, task.check_mode
                    ),
                ),
            ):
                of.return_value = platform
                return action.run(task_vars={"inventory_hostname": host, "groups": {}})

        for name in answering or cluster.names:
            step("looked", name)
        host = step("chosen", cluster.names[0])["host"]
        plan = step("planned", host)
        for name in answering or cluster.names:
            step("fetched", name)
        for member in plan.get("turns", []):
            with contextlib.suppress(ConnectionError):
                step("handed_over", member)
                step("updated", member)
        return plan, step("shown", cluster.names[0])

    return run


def _lines(end):
    return [re.sub(r" has .*postgresql-17 ([^ ,]+).*", r" has \1", line) for line in end["lines"] if " has " in line]


def test_replicas_first_then_the_lead_changes_hands(play):
    cluster = Played()
    plan, end = play(cluster)
    assert plan["turns"] == ["pg2", "pg3", "pg1"]
    last = f"   3. pg1 hands its lead over; postgresql-17 {OLD} to {NEW}; Patroni and PostgreSQL restart"
    assert last in plan["told"]
    assert "while the lead changes hands, the poolers of pg1, pg2, pg3 hold requests" in plan["told"]
    install = ("apt", f"postgresql-17={NEW}")
    assert cluster.calls == [
        ("pg2", *install),
        ("pg2", "cluster_restart"),
        ("pg3", *install),
        ("pg3", "cluster_restart"),
        ("pg1", "cluster_switchover"),
        ("pg1", *install),
        ("pg1", "cluster_restart"),
    ]
    assert not end.get("failed")
    assert end["lines"][0] == "main: pg2, pg3, pg1 updated"
    assert _lines(end) == [f"{name} has {NEW}" for name in NAMES]
    assert end["lines"][-1] == "pg2 leads; writes waited for 1.4 s while the lead changed hands"


def test_a_second_run_does_nothing(play):
    cluster = Played(candidates={"postgresql-17": OLD})
    plan, end = play(cluster)
    assert (plan["turns"], cluster.calls, end.get("failed")) == ([], [], None)
    assert "main: every member has the newest packages, and runs with them" in plan["told"]


def test_a_dry_run_changes_nothing(play):
    cluster = Played()
    plan, end = play(cluster, check=True)
    assert (plan["changed"], cluster.calls, end["lines"]) == (True, [], [])


def test_what_was_unpacked_and_not_restarted_is_restarted(play):
    cluster = Played(candidates={"postgresql-17": OLD})
    cluster.packages["pg2"]["patroni"] = ("4.0.7-3", 50.0)
    plan, end = play(cluster)
    assert (plan["turns"], cluster.calls) == (["pg2"], [("pg2", "cluster_restart")])
    assert "started before that: Patroni and PostgreSQL" in plan["told"][1]
    assert not end.get("failed")


def test_a_pooler_alone_takes_the_lead_from_no_one(play):
    cluster = Played(candidates={"postgresql-17": OLD, "pgbouncer": "1.24-2"})
    play(cluster)
    assert cluster.leader == "pg1"
    assert [call[1] for call in cluster.calls] == ["apt", "systemd_service", "wait_for"] * 3


def test_a_cluster_of_one_restarts_in_place(play):
    cluster = Played(names=("pg1",))
    plan, end = play(cluster)
    assert "as no other member can lead" in plan["told"][2]
    assert [call[1] for call in cluster.calls] == ["apt", "cluster_restart"]
    assert not end.get("failed")


@pytest.mark.parametrize(
    ("place", "calls"),
    [
        # A mirror that fails, a member that does not come back, and another one that is away by then.
        (("pg3", "apt"), ["apt", "cluster_restart", "apt"]),
        (("pg3", "cluster_restart, looking"), ["apt", "cluster_restart"]),
        (("pg1", "cluster_switchover"), ["apt", "cluster_restart"] * 2 + ["cluster_switchover"]),
    ],
)
def test_what_fails_ends_it_and_each_member_is_named(play, place, calls):
    cluster = Played()
    cluster.fails[place] = "it is so."
    _plan, end = play(cluster)
    assert [call[1] for call in cluster.calls] == calls
    assert (end["failed"], end["code"]) == (True, "not_whole")
    assert end["msg"] == f"The update of main did not go as it was asked:\n{place[0]}: it is so."
    updated = ["pg2", "pg3"] if place[0] == "pg1" else ["pg2"]
    assert end["lines"][0] == f"main: {', '.join(updated)} updated"
    assert _lines(end) == [f"{name} has {NEW if name in updated else OLD}" for name in NAMES]


@pytest.mark.parametrize("what", ["apt", "cluster_restart"])
def test_a_member_that_is_lost_in_its_turn_holds_the_others(play, what):
    cluster = Played()
    cluster.lost["pg2"] = what
    _plan, end = play(cluster)
    assert {call[0] for call in cluster.calls} == {"pg2"}
    assert end["failed"]
    assert end["troubles"] == ["pg2 was lost in its turn.", "pg3 had no turn.", "pg1 had no turn."]


def test_a_member_that_does_not_answer_keeps_all_from_it(play):
    cluster = Played()
    plan, end = play(cluster, answering=["pg1", "pg3"])
    assert plan["told"] == ["No member is updated now: pg2 does not answer."]
    assert (end["failed"], end["code"], cluster.calls) == (True, "not_whole", [])


def test_a_cluster_that_is_not_whole(play):
    cluster = Played()
    cluster.fails["pg1", "cluster_restart, looking"] = "pg2 does not restart now: pg3 does not run."
    plan, end = play(cluster)
    assert (plan["failed"], plan["told"]) == (True, ["pg2 does not restart now: pg3 does not run."])
    assert (end["code"], cluster.calls) == ("not_whole", [])


def test_a_package_that_cannot_be_downloaded_keeps_all_from_it(play):
    cluster = Played()
    cluster.fails["pg1", "command"] = "E: Unable to fetch some archives"
    _plan, end = play(cluster)
    assert end["msg"].endswith("pg1: E: Unable to fetch some archives")
    assert (cluster.calls, _lines(end)) == ([], [f"{name} has {OLD}" for name in NAMES])


def test_an_index_that_cannot_be_fetched(play):
    cluster = Played()
    cluster.fails["pg2", "refresh"] = "Failed to update apt cache: unknown reason"
    plan, end = play(cluster)
    assert plan["told"] == ["No member is updated now. pg2: Failed to update apt cache: unknown reason."]
    assert (end["code"], cluster.calls) == ("no_package_index", [])


def test_another_major_version(play):
    cluster = Played(candidates={"patroni": "5.0-1"})
    _plan, end = play(cluster)
    assert end["code"] == "other_version"
    assert "pg1 would get patroni 5.0-1 instead of 4.0.7-3" in end["msg"]
